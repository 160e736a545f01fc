"""What goes over irqbalance's socket. The real one answers in `test_in_vm`; here are the ways in which it may not."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinfold.cpuset import CpuSet
from pinfold.interrupts.irqbalance import Irqbalance


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "irqbalance7.sock"))
        listener.listen(1)
        listener.settimeout(10)
        yield listener


def received(listener: socket.socket) -> str:
    connection, _ = listener.accept()
    with connection:
        return connection.recv(500).decode()


@pytest.mark.parametrize(
    ("cpus", "request_"),
    [
        pytest.param("2-3,6", "settings cpus 2-3,6", id="one-list"),
        pytest.param("", "settings cpus NULL", id="an-empty-list-would-kill-it"),
    ],
)
def test_a_ban_is_one_list(tmp_path: Path, listening: socket.socket, cpus: str, request_: str) -> None:
    assert Irqbalance((tmp_path,)).ban(CpuSet.parse(cpus))
    assert received(listening) == request_


def test_a_list_longer_than_it_reads_is_not_sent(tmp_path: Path, listening: socket.socket) -> None:
    assert not Irqbalance((tmp_path,)).ban(CpuSet.of(range(0, 400, 2)))
    listening.settimeout(0)
    with pytest.raises(BlockingIOError):
        listening.accept()


def test_a_question_stays_open_until_it_is_answered(tmp_path: Path, listening: socket.socket) -> None:
    asker = Irqbalance((tmp_path,))
    assert asker.banned() is None
    connection, _ = listening.accept()
    with connection:
        assert connection.recv(500) == b"setup"
        assert asker.banned() is None, "it is not asked a second time meanwhile"
        connection.sendall(b"SLEEP 10 IRQ 9 LOAD 0 DIFF 0 CLASS 0 BANNED 00000001,0000000c")
        assert asker.banned() == CpuSet.parse("2-3,32")


def test_an_irqbalance_that_ends_in_between_does_not_answer(tmp_path: Path, listening: socket.socket) -> None:
    asker = Irqbalance((tmp_path,))
    assert asker.banned() is None
    listening.accept()[0].close()
    assert asker.banned() is None
    assert asker.banned() is None, "asked anew"
    assert received(listening) == "setup"
    asker.close()


def test_a_socket_that_a_dead_one_left_is_passed_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "irqbalance6.sock"))
    assert Irqbalance((tmp_path / "nothing", tmp_path)).banned() is None
    assert not Irqbalance((tmp_path,)).ban(CpuSet.parse("1"))


def test_it_runs_where_a_process_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "12/comm").write_text("bash\n")
    assert not Irqbalance((), tmp_path).runs()
    (tmp_path / "12/comm").write_text("irqbalance\n")
    assert Irqbalance((), tmp_path).runs()
