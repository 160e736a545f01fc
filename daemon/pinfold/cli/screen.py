"""A terminal that is drawn on again and again: a screen beside the scrollback, given back however it ends.

Source: XTerm Control Sequences (the modes 7, 25 and 1049), termios(3).
"""

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Sequence
from types import FrameType
from typing import Self

from pinfold.cli.terminal import Ink, Line, Span, is_coloured, written

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Another screen, without a cursor; a line that is too long for it is cut."""
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _TO_END_OF_LINE, _TO_END = "\x1b[H", "\x1b[K", "\x1b[J"


def is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


class Screen:
    """Between enter and exit keys are heard without Enter and not echoed."""

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(sys.stdin)
        signal.signal(signal.SIGTERM, _end)
        tty.setcbreak(sys.stdin)
        self._coloured = is_coloured(sys.stdout, os.environ)
        self._drawn: tuple[list[Line], os.terminal_size] | None = None
        sys.stdout.write(_ENTER)
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def draw(self, lines: Sequence[Line]) -> None:
        """What does not fit is left out at the end, and told; what is there already is not drawn again."""
        size = os.get_terminal_size(sys.stdout.fileno())
        if self._drawn == (picture := (list(lines), size)):
            return
        self._drawn = picture
        shown = picture[0]
        if left := max(len(shown) - size.lines, 0):
            shown = [*shown[: size.lines - 1], (Span(f"{left + 1} more lines: make the window taller", Ink.FAINT),)]
        text = written(shown, self._coloured).removesuffix("\n")
        sys.stdout.write(_HOME + text.replace("\n", f"{_TO_END_OF_LINE}\r\n") + _TO_END_OF_LINE + _TO_END)
        sys.stdout.flush()

    @property
    def rows(self) -> int:
        return os.get_terminal_size(sys.stdout.fileno()).lines

    def rests(self, seconds: float) -> bool:
        """Wait so long; False as soon as q is pressed."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            ready, _, _ = select.select([sys.stdin], [], [], left_s)
            if ready and os.read(sys.stdin.fileno(), 1) in {b"q", b""}:
                return False
        return True


def _end(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)
