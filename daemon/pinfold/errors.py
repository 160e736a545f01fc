"""The one root of Pinfold's errors.

An outcome that a caller asked about is a value with a reason; what stands here is for what nobody asked about.
"""

from typing import ClassVar


class PinfoldError(Exception):
    """What went wrong, where, and what to do about it, as one sentence for a person."""

    exit_code: ClassVar[int] = 1
    """What a command ends with that cannot go on because of it."""
