"""The rows of docs/kernel.md: what must be so for a step, and what each kernel then answers.

The long run counts how often each was met, and says if the answer was ever another. A kernel that a row does not name
has no such case.
"""

from . import changes, partitions, plain
from .row import Row

ROWS: tuple[Row, ...] = (*plain.ROWS, *partitions.ROWS, *changes.ROWS)

__all__ = ["ROWS", "Row"]
