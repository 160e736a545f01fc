"""Write docs/pinfold.1 from the command line itself: ``python -m tests.cli.man_page``; ``make docs`` does."""

from pathlib import Path

from pinfold.cli.described import Argument, Command, commands
from pinfold.cli.main import parser

PAGE = Path(__file__).resolve().parents[2] / "docs/pinfold.1"

_HEAD = r""".\" Generated from the command line by `make docs`; a test holds it.
.TH PINFOLD 1 "" "Pinfold" "User Commands"
.SH NAME
pinfold \- {what}
.SH SYNOPSIS
.B pinfold
.I COMMAND
.RI [ ARGUMENTS ]
.SH DESCRIPTION
Pinfold gives pods CPUs and memory nodes of their own on any cgroup v2 node, and lets the kernel enforce them.
.B pinfold run
is the daemon; the other commands ask it, ask the node itself, or need no node at all.
.SH COMMANDS
"""
_FOOT = r""".SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
It failed; for
.B verify
the kernel differs from the ledger, for
.B plan
a manifest cannot be used or a replay differs.
.TP
.B 2
Wrong usage.
.TP
.B 78
The configuration cannot be used.
.SH ENVIRONMENT
.TP
.B PINFOLD_REPORT_SOCKET, PINFOLD_REPORT_LISTEN
Where the daemon is asked, as
.B \-\-socket
and
.B \-\-address
say.
.TP
.B NO_COLOR
No colours.
.TP
.B PINFOLD_*
Each key of the configuration in capitals, such as
.BR PINFOLD_STATE_DIR .
.SH FILES
.TP
.I /etc/pinfold/config.yaml
The configuration, in the kubelet's words.
.TP
.I /var/lib/pinfold/checkpoint.json
Who owns what, and what a release gives back.
"""


def page() -> str:
    return _HEAD.format(what=_plain(parser().description or "")) + "".join(map(_section, commands())) + _FOOT


def _section(command: Command) -> str:
    places = [_shown(one) for one in command.arguments if not one.flags]
    head = f".SS pinfold {_plain(' '.join([command.name, *places]))}\n{_plain(command.what)}\n"
    told = (one for one in command.arguments if one.flags or one.what)
    return head + "".join(f".TP\n.B {_plain(_shown(one))}\n{_plain(one.what or _default(one))}\n" for one in told)


def _default(argument: Argument) -> str:
    return f"One of {', '.join(argument.choices)}; the first where nothing is said." if argument.choices else ""


def _shown(argument: Argument) -> str:
    value = argument.value + " ..." * argument.many
    shown = " ".join([", ".join(argument.flags), value]).strip()
    return f"[{shown}]" if argument.optional else shown


def _plain(text: str) -> str:
    """*text* as roff takes it: no escape, no hyphen that is none, no request at the begin of a line."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    PAGE.write_text(page())
