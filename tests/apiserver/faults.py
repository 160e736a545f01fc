"""What a request can meet instead of its answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer, and the connection stays open until the server stops."""


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is reset."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer comes, after this long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    code: int
    retry_after_s: int | None = None
    message: str = "as the test asked"


@dataclass(frozen=True, slots=True)
class Garbage:
    """Status 200 and these bytes, in good order."""

    body: bytes


Fault = Hang | Drop | Slow | Refuse | Garbage
