"""CPU masks as the kernel and irqbalance write them: hex digits, in groups of eight. Pure.

Source: kernel document core-api/irq/irq-affinity.rst, bitmap_parse() in lib/bitmap-str.c.
"""

import re

from pinfold.cpuset import CpuListError, CpuSet

_MASK = re.compile(r"[0-9a-fA-F]{1,8}(?:,[0-9a-fA-F]{8}){0,2047}")


def parsed(text: str) -> CpuSet:
    """Read ``ff,00000003``. Raises CpuListError."""
    if _MASK.fullmatch(text.strip()) is None:
        raise CpuListError(f"{text!r} is no CPU mask: it is not hex digits in groups of eight")
    return CpuSet(int(text.strip().replace(",", ""), 16))


def mask(cpus: CpuSet) -> str:
    """Without leading zeros: a group more than the machine has CPUs for is EOVERFLOW, even ``00000000`` (6.12)."""
    digits = f"{cpus.bits:x}"
    first = len(digits) % 8 or 8
    return ",".join([digits[:first], *(digits[at : at + 8] for at in range(first, len(digits), 8))])
