"""A command in a terminal of its own, and what a person would see there.

The terminal obeys what the commands use and nothing else: any other sequence is an error. Source: ECMA-48.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from typing import Self

PATIENCE_S = 60.0
_SEQUENCE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])")


class Terminal:
    def __init__(self, *arguments: str, columns: int = 80, rows: int = 24, **environment: str) -> None:
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.modes: dict[str, bool] = {}
        """What the command has set of the private modes: 1049 is the other screen, 25 the cursor."""
        self.raw = self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._row = self._column = 0
        self.pid, self._fd = pty.fork()
        if not self.pid:
            environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment}
            os.execve(sys.executable, [sys.executable, "-m", "pinfold", *arguments], environment)  # noqa: S606
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.cells = [(line + [" "] * columns)[:columns] for line in self.cells[:rows]]
        self.cells += [[" "] * columns for _ in range(rows - len(self.cells))]
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def kill(self, signum: signal.Signals) -> None:
        os.kill(self.pid, signum)

    def until(self, shows: Callable[[str], bool]) -> str:
        """The screen, as soon as it *shows* what is waited for."""
        deadline = time.monotonic() + PATIENCE_S
        while not shows(self.text):
            assert time.monotonic() < deadline, f"never; last seen:\n{self.text}"
            self._hear(0.2)
        return self.text

    def ended(self) -> int:
        """The exit code; what the command said last has been heard."""
        deadline = time.monotonic() + PATIENCE_S
        while self._hear(0.2):
            assert time.monotonic() < deadline, "it does not end"
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return code

    @property
    def text(self) -> str:
        return "\n".join("".join(line).rstrip() for line in self.cells).rstrip()

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)

    def _hear(self, seconds: float) -> bool:
        """False at the end."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return True
        try:
            piece = os.read(self._fd, 1 << 16)
        except OSError:  # EIO: the other side is closed
            return False
        text = self._decoder.decode(piece)
        self.raw += text
        self._rest = self._write(self._rest + text)
        return bool(piece)

    def _write(self, text: str) -> str:
        """What is left is the beginning of a sequence."""
        at = 0
        while at < len(text):
            if match := _SEQUENCE.match(text, at):
                self._obey(match[1] + match[3], match[2])
                at = match.end()
                continue
            if text[at] == "\x1b":
                break
            self._put(text[at])
            at += 1
        return text[at:]

    def _put(self, one: str) -> None:
        if one == "\n":
            assert self._row < self.rows - 1, f"it would scroll:\n{self.text}"
            self._row += 1
        elif one == "\r":
            self._column = 0
        else:
            assert one.isprintable(), repr(one)
            if self._column < self.columns:  # no wrapping: what is too long is cut
                self.cells[self._row][self._column] = one
            self._column += 1

    def _obey(self, command: str, argument: str) -> None:
        match command:
            case "H" if not argument:
                self._row = self._column = 0
            case "K" if not argument:
                self.cells[self._row][self._column :] = [" "] * max(self.columns - self._column, 0)
            case "J" if not argument:
                for row in range(self._row + 1, self.rows):
                    self.cells[row] = [" "] * self.columns
            case "m":
                pass
            case "?h" | "?l":
                self.modes[argument] = command == "?h"
            case _:
                raise AssertionError(f"no such sequence here: {command} {argument}")
