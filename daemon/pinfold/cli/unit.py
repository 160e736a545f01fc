"""Pinfold as a systemd unit of this host: where its files are, and systemd's command for it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pinfold
from pinfold.errors import PinfoldError

UNIT: Final = Path("/etc/systemd/system/pinfold.service")
_SHIPPED: Final = (
    Path(pinfold.__file__).with_name("pinfold.service"),
    Path(pinfold.__file__).parents[2] / "systemd/pinfold.service",
)
"""In a wheel, in a checkout."""
_COMMAND: Final = "/opt/pinfold/bin/pinfold"
"""What the unit runs as it is shipped."""
_HIDDEN: Final = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108
"""Places that the unit does not see."""


class InstallError(PinfoldError):
    """This host cannot take the unit, or systemd refused."""


def check_host() -> None:
    """Raises InstallError."""
    if os.geteuid() != 0:
        raise InstallError("only root may do that: run it with sudo")
    if not Path("/run/systemd/system").is_dir():
        raise InstallError("PID 1 is not systemd here. Have your own supervisor run: pinfold run")


def unit_text(command: str) -> str:
    """The unit as shipped, to run *command*. Raises InstallError where the unit would not find it."""
    if not os.access(command, os.X_OK):
        raise InstallError(f"{command} is no command that can be run. Name Pinfold's with --command.")
    if command.startswith(_HIDDEN):
        raise InstallError(
            f"the unit is shut off from {command} (ProtectHome, PrivateTmp). Install Pinfold elsewhere: "
            "python3 -m venv /opt/pinfold && /opt/pinfold/bin/pip install 'pinfold[dbus]'"
        )
    shipped = next(path for path in _SHIPPED if path.is_file())
    return shipped.read_text().replace(_COMMAND, command)


def own_command() -> str:
    """How this very process was called."""
    return os.path.realpath(sys.argv[0])


def systemctl(*arguments: str) -> None:
    """Raises InstallError."""
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise InstallError(f"systemctl {' '.join(arguments)}: {done.stderr.strip() or done.returncode}")
