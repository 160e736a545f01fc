"""The service manager hears what it is told, and its absence harms nobody."""

import socket
from pathlib import Path

import pytest

from pinfold.report.systemd import notify


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_the_service_manager_hears_what_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", ("@" if abstract else "") + name)
        notify("READY=1", "STATUS=3 pods pinned")
        assert manager.recv(100) == b"READY=1\nSTATUS=3 pods pinned"


@pytest.mark.parametrize("address", ["", "/nobody/listens/here", "relative"])
def test_no_service_manager_is_no_error(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("WATCHDOG=1")
