"""Kubernetes quantities: ``500m``, ``2``, ``1.5Gi``, ``1e3``, exactly and in whole units.

Pure. Rounded up, as ``Quantity.Value`` and ``Quantity.MilliValue`` do: who asks for a little gets something.
Source: apimachinery ``api/resource``, grammar of ``Quantity``.
"""

import re
from fractions import Fraction
from functools import lru_cache

from pinfold.errors import PinfoldError

_GRAMMAR = re.compile(
    r"([+-]?)([0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_MOST = (1 << 63) - 1
"""Kubernetes keeps amounts in an int64."""


class QuantityError(PinfoldError, ValueError):
    """A value that is no quantity, or none that a resource can have."""


def _whole(value: object, units: int) -> int:
    """YAML gives ``cpu: 2`` as a number and an empty value as None, which Kubernetes reads as zero."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QuantityError(f"a {type(value).__name__} is no quantity: write a number such as 2, 500m or 8Gi")
    if isinstance(value, int) and abs(value) > _MOST:
        raise QuantityError("is more than any machine has")
    return _read(str(value), units)


@lru_cache
def _read(text: str, units: int) -> int:
    """A node's pods ask for the same few amounts."""
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise QuantityError(f"{text[:40]!r} is no quantity: write a number such as 2, 500m or 8Gi")
    sign, number, suffix = match[1], Fraction(match[2]), match[3] or ""
    if suffix in _BINARY:
        scaled = number * units * (1 << _BINARY[suffix])
    else:
        scaled = number * units * Fraction(10) ** (_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:]))
    if sign == "-" and scaled:
        raise QuantityError(f"{text[:40]!r} is negative")
    if scaled > _MOST:
        raise QuantityError(f"{text[:40]!r} is more than any machine has")
    return -(-scaled.numerator // scaled.denominator)


def millicpu(value: object) -> int:
    """A CPU quantity in thousandths of a CPU, rounded up. Raises QuantityError."""
    return _whole(value, 1000)


def whole(value: object) -> int:
    """A quantity in bytes, or whatever its unit is, rounded up. Raises QuantityError."""
    return _whole(value, 1)


def cpu_text(amount_millicpu: int) -> str:
    """As people write it: ``2``, ``500m``."""
    return f"{amount_millicpu}m" if amount_millicpu % 1000 else str(amount_millicpu // 1000)


def bytes_text(amount_bytes: int) -> str:
    """Shortest exact form: ``8Gi``, ``1536Mi``, ``1000``."""
    for suffix, shift in reversed(_BINARY.items()):
        if amount_bytes and amount_bytes % (1 << shift) == 0:
            return f"{amount_bytes >> shift}{suffix}"
    return str(amount_bytes)


def amount_text(resource: str, amount: int) -> str:
    """The amount of a pod's resource, millicpu or bytes, as its author would write it."""
    return cpu_text(amount) if resource == "cpu" else bytes_text(amount)
