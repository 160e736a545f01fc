"""The rows of docs/kernel.md: what must be so for a step, and what each kernel then answers.

The long run counts how often each was met, and says if the answer was ever another. A kernel that a row does not name
has no such case.
"""

from functools import cache

from tests.cpuset_model import Kernel
from tests.differential.moment import Moment

from . import changes, partitions, plain
from .row import Row

ROWS: tuple[Row, ...] = (*plain.ROWS, *partitions.ROWS, *changes.ROWS)


@cache
def rows_of(kernel: Kernel) -> tuple[Row, ...]:
    """Those that *kernel* has a case of."""
    return tuple(row for row in ROWS if kernel.name in row.answers)


def met(moment: Moment, kernel: Kernel) -> list[Row]:
    return [row for row in rows_of(kernel) if row.case(moment)]


__all__ = ["Row", "met", "rows_of"]
