"""How this kernel takes memory back when it runs short, as far as protection depends on it."""

from pathlib import Path

_ENABLED = Path("sys/kernel/mm/lru_gen/enabled")
_MAIN_SWITCH = 1
WEAK_LOW = (
    "this kernel reclaims by the multi-gen LRU, which takes memory that memory.low protects, too, on its second round: "
    "where memory-protection: low is asked for, write n to /sys/kernel/mm/lru_gen/enabled, or ask for min"
)


def is_multi_gen(sysfs_root: Path) -> bool:
    """Whether the multi-gen LRU is on. Source: kernel document mm/multigen_lru.rst; ``shrink_one`` in mm/vmscan.c."""
    try:
        return bool(int((sysfs_root / _ENABLED).read_text(), 16) & _MAIN_SWITCH)
    except (OSError, ValueError):  # older than 6.1, or built without
        return False
