"""The list format as the kernel itself reads it, with the errno it answers.

``pinfold.cpuset`` reads what the kernel writes; this reads what a hostile writer may write: blanks as separators,
``N`` for the last id, ``all``, ``0-7:1/2`` and numbers without a bound. Source: bitmap_parselist(), 6.1 to 7.3.
"""

import re

from .words import Errno

_REGION = re.compile(
    r"(?:(?i:all)|(?P<first>\d+|N)(?:-(?P<last>\d+|N))?)(?P<pattern>:(?P<used>\d+|N)/(?P<group>\d+|N))?"
)


def bits(text: str, size: int) -> int | Errno:
    """The ids in *text* as bits, where ids run from 0 to *size* - 1."""
    found = 0
    for region in text.replace(",", " ").split():
        match = _REGION.fullmatch(region)
        if match is None or (match["pattern"] and match["first"] and not match["last"]):
            return Errno.EINVAL

        def number(name: str, default: int, match: re.Match[str] = match) -> int:
            word = match[name]
            return default if word is None else size - 1 if word == "N" else int(word)

        first = number("first", 0)
        last = number("last", first if match["first"] else size - 1)
        used, group = number("used", last + 1), number("group", last + 1)
        if max(first, last, used, group) >= 1 << 32:
            return Errno.EOVERFLOW
        if first > last or group == 0 or used > group:
            return Errno.EINVAL
        if last >= size:
            return Errno.ERANGE
        for start in range(first, last + 1, group):
            for one in range(start, min(start + used, last + 1)):
                found |= 1 << one
    return found
