"""Sets of CPU ids and of NUMA node ids, each the bits of one int, and the kernel's list format for them.

Nothing else comes in. ``CpuSet`` and ``NodeSet`` have the same algebra and do not mix: the type checker refuses it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from pinfold.errors import PinfoldError

_ITEM = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")  # five digits: hostile text may not size an int


class CpuListError(PinfoldError, ValueError):
    """Text that is no list in the kernel's format."""


@dataclass(frozen=True, slots=True)
class _IdSet:
    """Ids as the bits of one int: bit *n* is set when id *n* is in."""

    bits: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the kernel's list format, ``0-3,8``; blank text is the empty set.

        Raises CpuListError. Source: cpuset(7), List format.
        """
        bits = 0
        for item in text.strip().split(",") if text.strip() else ():
            match = _ITEM.fullmatch(item)
            if match is None:
                raise CpuListError(f"{text!r} is no CPU list: {item!r} is neither N nor N-M")
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                raise CpuListError(f"{text!r} is no CPU list: {item!r} runs backwards")
            bits |= (2 << last) - (1 << first)
        return cls(bits)

    @classmethod
    def of(cls, ids: Iterable[int]) -> Self:
        bits = 0
        for one in ids:
            bits |= 1 << one
        return cls(bits)

    @classmethod
    def union(cls, sets: Iterable[Self]) -> Self:
        bits = 0
        for one in sets:
            bits |= one.bits
        return cls(bits)

    def __and__(self, other: Self) -> Self:
        return type(self)(self.bits & other.bits)

    def __or__(self, other: Self) -> Self:
        return type(self)(self.bits | other.bits)

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.bits & ~other.bits)

    def __le__(self, other: Self) -> bool:
        """Whether *other* holds every id of this set."""
        return not self.bits & ~other.bits

    def __lt__(self, other: Self) -> bool:
        return self.bits != other.bits and self <= other

    def isdisjoint(self, other: Self) -> bool:
        return not self.bits & other.bits

    def __contains__(self, one: int) -> bool:
        return one >= 0 and bool(self.bits >> one & 1)

    def __iter__(self) -> Iterator[int]:
        """Ascending."""
        bits = self.bits
        while bits:
            low = bits & -bits
            yield low.bit_length() - 1
            bits ^= low

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __bool__(self) -> bool:
        return self.bits != 0

    def first(self, count: int) -> Self:
        """The *count* lowest ids, or all where there are fewer."""
        rest = self.bits
        for _ in range(min(count, len(self))):
            rest &= rest - 1
        return type(self)(self.bits ^ rest)

    def lowest(self) -> int:
        """Raises ValueError when empty."""
        if not self.bits:
            raise ValueError("an empty set has no lowest id")
        return (self.bits & -self.bits).bit_length() - 1

    def __str__(self) -> str:
        """The kernel's list format, as ``cpuset.cpus.effective`` writes it."""
        spans: list[str] = []
        bits, base = self.bits, 0
        while bits:
            gap = (bits & -bits).bit_length() - 1
            bits >>= gap
            base += gap
            run = (~bits & (bits + 1)).bit_length() - 1
            spans.append(str(base) if run == 1 else f"{base}-{base + run - 1}")
            bits >>= run
            base += run
        return ",".join(spans)

    def __repr__(self) -> str:
        return f"{type(self).__name__}.parse({str(self)!r})"


class CpuSet(_IdSet):
    """A set of logical CPUs. ``str()`` gives ``0-3,8``; the empty set gives the empty string."""

    __slots__ = ()


class NodeSet(_IdSet):
    """A set of NUMA nodes. Where a hint or a container has *any* node, that is None, never an empty set."""

    __slots__ = ()
