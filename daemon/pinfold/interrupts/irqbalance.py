"""irqbalance, the daemon that spreads interrupts over the CPUs: asked which CPUs it bans, and told to ban more.

Through its socket, which it obeys while it runs. Its environment file would have to be rewritten and the service
restarted, and another writer's words be kept in it: that stays the administrator's (``IRQBALANCE_BANNED_CPULIST``).
Source: irqbalance(1), API; sock_handle() in irqbalance.c. Tried with 1.9.2.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pinfold.cpuset import CpuSet
from pinfold.interrupts import masks

_BANNED = re.compile(r"BANNED ([0-9a-fA-F,]+)")
_TIMEOUT_S = 0.5
_MAX_ANSWER_BYTES = 1 << 16
_MAX_REQUEST_BYTES = 499
"""irqbalance reads no more of a request."""
DIRECTORIES = (Path("/run/irqbalance"), Path("/proc/1/root/run/irqbalance"))
"""The second is the host's, seen from a container with the host's PIDs; a mount of it would die with the service."""


class Irqbalance:
    """The running irqbalance whose socket lies in one of *directories*."""

    def __init__(self, directories: tuple[Path, ...] = DIRECTORIES, proc: Path = Path("/proc")) -> None:
        self._directories = directories
        self._proc = proc
        self._asked: socket.socket | None = None
        """A question without an answer yet. It is not given up: SIGPIPE kills an irqbalance whose asker has gone."""

    def close(self) -> None:
        if self._asked:
            self._asked.close()
            self._asked = None

    def banned(self) -> CpuSet | None:
        """None: none answers, or not yet."""
        self._asked = self._asked or self._sent("setup")
        if self._asked is None:
            return None
        answer = ""
        try:
            answer = self._asked.recv(_MAX_ANSWER_BYTES).decode(errors="replace")
        except TimeoutError:
            return None
        except OSError:  # it has ended
            pass
        self.close()
        found = _BANNED.search(answer)
        return masks.parsed(found[1]) if found else None

    def ban(self, cpus: CpuSet) -> bool:
        """Have it ban *cpus* and no others, from its next round on; whether it was told so.

        Without any, what its environment or the kernel's isolcpus says holds again. ``NULL`` is the word for that: on
        a list that is empty irqbalance 1.9.2 dies.
        """
        request = f"settings cpus {cpus or 'NULL'}"
        connection = self._sent(request) if len(request) <= _MAX_REQUEST_BYTES else None
        if connection:
            connection.close()
        return connection is not None

    def runs(self) -> bool:
        """Whether there is a process of that name."""
        for comm in self._proc.glob("[0-9]*/comm"):
            with suppress(OSError):
                if comm.read_text(errors="replace").strip() == "irqbalance":
                    return True
        return False

    def _sent(self, request: str) -> socket.socket | None:
        for path in self._sockets():
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(_TIMEOUT_S)
            try:
                connection.connect(str(path))
                connection.sendall(request.encode())
            except OSError:  # after a crash the socket's file is still there, and nobody listens
                connection.close()
            else:
                return connection
        return None

    def _sockets(self) -> Iterator[Path]:
        for directory in self._directories:
            with suppress(OSError):
                yield from sorted(directory.glob("irqbalance*.sock"))
