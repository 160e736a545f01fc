"""How a machine is followed, with processes in the emulator's place that do what it does when it fails."""

from pathlib import Path

import pytest

from tests.vm import machine
from tests.vm.host import BenchError
from tests.vm.machine import LATE, Completed


def follow(script: str, scratch: Path, timeout_s: float = 60) -> Completed:
    """*script* finds the third serial port in its second argument, as QEMU does: ``SAID`` takes it out."""
    return machine._follow(["sh", "-c", script, "sh"], scratch, timeout_s, echo=False, tty=False)


SAID = "port=${2#*path=}; port=${port%%,*}; "


def test_a_machine_that_hangs_while_it_boots_is_given_up_long_before_its_command_could_be_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "BOOT_S", 0.3)
    with pytest.raises(machine._BootError, match="hung while it booted"):
        follow("exec sleep 100", tmp_path)


def test_a_machine_whose_command_has_begun_may_take_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "BOOT_S", 5.0)
    done = follow(f"{SAID} echo start >$port; sleep 6; echo it said; echo exit 3 >$port; exec sleep 100", tmp_path)
    assert (done.status, done.output) == (3, "it said\n")


def test_a_machine_that_goes_away_amid_its_command_is_no_failed_boot(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="went away") as raised:
        follow(f"{SAID} echo start >$port; sleep 1", tmp_path)
    assert not isinstance(raised.value, machine._BootError)


def test_a_command_that_takes_too_long_is_late(tmp_path: Path) -> None:
    assert follow(f"{SAID} echo start >$port; exec sleep 100", tmp_path, timeout_s=1).status == LATE
