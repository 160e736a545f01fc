"""Text for a terminal: lines of at most 80 columns made of inked spans, tables, and names that cannot steer it.

Values in, values out; whether there is a terminal is known by the caller.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, TextIO

from pinfold.report.plain import plain

COLUMNS = 80
_HANGING = 4
_NARROWEST = 6
"""Columns that a table's cell keeps, however wide the others are."""


class Ink(StrEnum):
    """What a span means; the value is its SGR code (ECMA-48)."""

    PLAIN = ""
    HEAD = "1"
    EXCLUSIVE = "1;32"
    POD_SHARED = "36"
    RESERVED = "33"
    FAINT = "2"
    BAD = "1;31"


class Span(NamedTuple):
    text: str
    ink: Ink = Ink.PLAIN


Line = tuple[Span, ...]

_WORD = re.compile(r"[^ ,]*[ ,]*")
_PIECE = re.compile(r"[^/]*/*")
_LONG_WORD = 40


def shortened(text: str, columns: int) -> str:
    """Both ends of a long name: pods of one kind differ in their last letters."""
    if len(text) <= columns:
        return text
    half = (columns - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def pieces(text: str, ink: Ink = Ink.PLAIN) -> list[Span]:
    """*text* in parts that a line may end after: words, the items of a CPU list, the names of a long path."""
    parts: list[str] = []
    for word in _WORD.findall(plain(text)):
        parts += _PIECE.findall(word) if len(word) > _LONG_WORD else [word]
    return [Span(part, ink) for part in parts if part]


def filled(head: Sequence[Span], parts: Iterable[Span], width: int = COLUMNS) -> list[Line]:
    """*parts* after *head*, as many as fit a line, continued below themselves; at least one line.

    A *head* that takes half of the line, the path of a file, is filled too, and all that follows stands a little in.
    """
    indent = used = sum(len(span.text) for span in head)
    lines: list[list[Span]] = [list(head)]
    if indent > width // 2:
        parts = [*(piece for span in head for piece in pieces(span.text, span.ink)), *parts]
        lines, indent, used = [[]], _HANGING, 0
    for part in parts:
        if used > indent and used + len(part.text.rstrip()) > width:
            lines.append([Span(" " * indent)])
            used = indent
        rest = part
        while used + len(rest.text.rstrip()) > width > used:  # wider than a line: broken anywhere
            lines[-1].append(Span(rest.text[: width - used], rest.ink))
            rest = Span(rest.text[width - used :], rest.ink)
            lines.append([Span(" " * indent)])
            used = indent
        lines[-1].append(rest)
        used += len(rest.text)
    return [tuple(line) for line in lines]


def paragraph(head: str, text: str, ink: Ink = Ink.PLAIN) -> list[Line]:
    return filled([Span(head, ink)], pieces(text))


def table(header: Sequence[str], rows: Sequence[Sequence[Span]], indent: int = 0) -> list[list[Line]]:
    """The lines of the header and of each row, columns two blanks apart; what does not fit is broken in its cell.

    A column that is blank in every row is left out.
    """
    kept = [at for at in range(len(header)) if any(row[at].text for row in rows)]
    cells = [[Span(header[at], Ink.HEAD) for at in kept], *([row[at] for at in kept] for row in rows)]
    cells = [[Span(plain(cell.text), cell.ink) for cell in row] for row in cells]
    widths = [max(len(row[at].text) for row in cells) for at in range(len(kept))]
    room = COLUMNS - indent - 2 * (len(kept) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return [_row(row, widths, indent) for row in cells]


def _row(row: Sequence[Span], widths: Sequence[int], indent: int) -> list[Line]:
    broken = [
        filled((), pieces(cell.text, cell.ink), width) if cell.text else [()]
        for cell, width in zip(row, widths, strict=True)
    ]
    lines = []
    for level in range(max(map(len, broken), default=0)):
        spans = [Span(" " * indent)]
        for cell, width in zip(broken, widths, strict=True):
            own = cell[level] if level < len(cell) else ()
            used = sum(len(span.text) for span in own)
            spans += [*own, Span(" " * (width - used + 2))]
        lines.append(tuple(spans))
    return lines


def written(lines: Iterable[Line], coloured: bool) -> str:
    """The text of *lines*, none of which ends in blanks."""
    return "".join(f"{_line(line, coloured)}\n" for line in lines)


def _line(line: Line, coloured: bool) -> str:
    spans = list(line)
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans:
        spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].ink)
    return "".join(f"\x1b[{ink}m{text}\x1b[0m" if coloured and ink and text.strip() else text for text, ink in spans)


def is_coloured(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Source: no-color.org."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
