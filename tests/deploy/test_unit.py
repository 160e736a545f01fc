"""The systemd unit, by systemd's own word."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pinfold.cli.main import SOCKET
from pinfold.config import load

UNIT = Path(__file__).resolve().parents[2] / "systemd/pinfold.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a command that is there: systemd looks for it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/pinfold/bin/pinfold", str(Path(sys.executable).parent / "pinfold")))
    return copy


def test_systemd_understands_every_line(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_its_exposure_is_3_4_or_less(unit: Path) -> None:
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=34", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout


def test_its_environment_puts_the_socket_where_the_commands_look() -> None:
    environment = dict(re.findall(r"^Environment=(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    assert load(Path("/dev/null"), environment).report.socket == SOCKET


def test_a_configuration_that_no_restart_mends_is_not_started_again(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("report: {listen: nowhere}\n")
    pinfold = [str(Path(sys.executable).parent / "pinfold"), "run", "--config", str(tmp_path / "config.yaml")]
    ended = subprocess.run(pinfold, capture_output=True, check=False).returncode
    assert re.findall(r"^RestartPreventExitStatus=(\d+)$", UNIT.read_text(), re.MULTILINE) == [str(ended)]
