"""A large JSON object that arrives in pieces, read member by member: the whole is never in memory.

Pure. A list of 250 pods is some MiB of text and several times that as objects, and a process gives little of it back.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

MAX_VALUE_BYTES: Final = 16 << 20
"""Of one value. etcd takes 1.5 MiB of an object, and of each ``<``, ``>``, ``&`` and control character in it Go's JSON
makes six bytes: 9 MiB, and room for what its fields are called. More would only be memory that a tenant can take."""

_BEGINNING: Final = 400
_UP_TO_BRACKET: Final = re.compile(r"""[^"{}\[\]]*+""")
_UP_TO_QUOTE: Final = re.compile(r"""(?:[^"\\]++|\\.)*+""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item that is an object too large, or nested too deep, to be read."""

    why: str
    begins: str


class _TooLongError(ValueError):
    pass


def members(pieces: Iterable[bytes], each: str) -> Iterator[tuple[str, Any]]:
    """Key and value of each member of one object; of a list under the key *each*, every item by itself, or LeftOut.

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
                yield each, text.item()
                text.take_unless(",", "]")
            text.take("]")
        else:
            yield key, text.value()
        text.take_unless(",", "}")
    text.take("}")
    if text.next():
        raise ValueError(f"{text.next()!r} after the end of the object")


class _Text:
    """What has arrived and is not read yet, each byte as one character: one emoji makes a text take four times that."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
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
                read = self._text[self._at : end]
                self._at = end
                return value if read.isascii() else json.loads(read.encode("latin-1").decode())

    def item(self) -> Any:  # noqa: ANN401 JSON, or LeftOut
        try:
            return self.value()
        except _TooLongError as error:
            return self._passed(str(error))
        except RecursionError:
            return self._passed("a value nested too deep")

    def _passed(self, why: str) -> LeftOut:
        """Go past an object, and hold only how it begins."""
        begins = self._text[self._at : self._at + _BEGINNING]
        self.take("{")
        depth, quoted = 1, False
        while depth:
            match = (_UP_TO_QUOTE if quoted else _UP_TO_BRACKET).match(self._text, self._at)
            self._at = match.end() if match else self._at
            stop = self._text[self._at : self._at + 1]
            if stop in {"", "\\"}:  # after a backslash the other half of an escape is still to come
                if not self._more():
                    raise ValueError("the end in the middle of a value")
                continue
            self._at += 1
            if stop == '"':
                quoted = not quoted
            else:
                depth += 1 if stop in "{[" else -1
        return LeftOut(why, begins)

    def _more(self) -> bool:
        """Take in as much again as is held, so that what is read again and again stays in proportion."""
        held = self._text[self._at :]
        if (room := MAX_VALUE_BYTES - len(held)) <= 0:
            raise _TooLongError(f"a value longer than {MAX_VALUE_BYTES} bytes")
        arrived: list[str] = []
        wanted = max(min(len(held), room), 1)
        for piece in self._pieces:
            arrived.append(piece.decode("latin-1"))
            wanted -= len(arrived[-1])
            if wanted <= 0:
                break
        self._text, self._at = held + "".join(arrived), 0
        return any(arrived)
