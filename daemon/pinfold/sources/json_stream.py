"""A large JSON object that arrives in pieces, read member by member: the whole is never in memory.

Pure. A list of 250 pods is some MiB of text and several times that as objects, and a process gives little of it back.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

MAX_VALUE_CHARACTERS: Final = 8 << 20
"""Of one value: an object in etcd is at most 3 MiB."""


def members(pieces: Iterable[bytes], each: str) -> Iterator[tuple[str, Any]]:
    """Key and value of each member of one object; of a list under the key *each*, every item by itself.

    Raises ValueError where this is no JSON object, or ends before its end; RecursionError where it nests too deep.
    """
    text = _Text(pieces)
    text.take("{")
    while text.next() != "}":
        key = text.value()
        text.take(":")
        if key == each and text.next() == "[":
            text.take("[")
            while text.next() != "]":
                yield each, text.value()
                text.take_unless(",", "]")
            text.take("]")
        else:
            yield key, text.value()
        text.take_unless(",", "}")
    text.take("}")
    if text.next():
        raise ValueError(f"{text.next()!r} after the end of the object")


class _Text:
    """What has arrived and is not read yet."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder()
        self._text = ""
        self._at = 0

    def next(self) -> str:
        """The next character that is no blank, still to be read; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> None:
        if (found := self.next()) != character:
            raise ValueError(f"{found!r} where {character!r} should be")
        self._at += 1

    def take_unless(self, character: str, end: str) -> None:
        if self.next() != end:
            self.take(character)

    def value(self) -> Any:  # noqa: ANN401 JSON
        self.next()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if not self._more():
                    raise
                continue
            cut = end == len(self._text) or self._text[end] in ".eE"  # a number goes on in the next piece
            if not (cut and self._more()):
                self._at = end
                return value

    def _more(self) -> bool:
        """Take in as much again as is held, so that what is read again and again stays in proportion."""
        held = self._text[self._at :]
        if len(held) > MAX_VALUE_CHARACTERS:
            raise ValueError(f"a value longer than {MAX_VALUE_CHARACTERS} characters")
        arrived: list[str] = []
        wanted = max(len(held), 1)
        for piece in self._pieces:
            arrived.append(self._decoder.decode(piece))
            wanted -= len(arrived[-1])
            if wanted <= 0:
                break
        self._text, self._at = held + "".join(arrived), 0
        return any(arrived)
