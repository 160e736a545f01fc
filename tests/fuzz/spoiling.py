"""Seeds made wrong, a little or a lot: for a replay that needs no fuzzer. And the words that a fuzzer should know."""

import re
from collections.abc import Sequence
from random import Random

_WORD = re.compile(rb'"[^"\\]{1,40}"|[A-Za-z][\w./-]{1,40}|-?\d+')
HOSTILE = (b"-1", b"1e999", b"99999999999999999999", b"null", b"[]", b"{}", b'""', b"NaN", b"\xff", b"\x00", b"\\u0000")


def words(seeds: Sequence[bytes]) -> list[bytes]:
    """Each once, in order."""
    return list(dict.fromkeys(word for seed in seeds for word in _WORD.findall(seed))) + list(HOSTILE)


def spoilt(seed: bytes, known: Sequence[bytes], random: Random) -> bytes:
    """*seed* with some words exchanged for others, and some bytes changed, lost or doubled."""
    data = seed
    for _ in range(random.randint(1, 4)):
        found = list(_WORD.finditer(data))
        match random.randrange(4):
            case 0 | 1 if found:
                place = random.choice(found)
                data = data[: place.start()] + random.choice(known) + data[place.end() :]
            case 2 if data:
                at = random.randrange(len(data))
                data = data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
            case _ if data:
                first, last = sorted(random.randrange(len(data) + 1) for _ in range(2))
                data = data[:first] + data[last:] if random.random() < 0.5 else data[:last] + data[first:]
    return data
