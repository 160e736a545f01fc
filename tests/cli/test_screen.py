"""``status --watch`` and ``top`` in a real terminal of 80 columns, against a real endpoint."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.pty_screen import Terminal
from tests.page.counts import write_counts
from tests.page.nodes import Node, demo
from tests.report.samples import crowd

from pinfold.cpuset import CpuSet
from pinfold.report.http import Endpoint
from pinfold.report.routes import Readings

ROOT = Path(__file__).parents[2]


class Daemon:
    def __init__(self, node: Node, scratch: Path) -> None:
        self.node, self.socket = node, str(scratch / "pinfold.sock")
        self.endpoint = Endpoint(node.readings(), unix_socket=self.socket)
        self.asked = ("--socket", self.socket)

    def terminal(self, *arguments: str, columns: int = 80, rows: int = 40, **environment: str) -> Terminal:
        where = {"PYTHONPATH": str(ROOT / "daemon"), **environment}
        return Terminal(*arguments, *self.asked, columns=columns, rows=rows, **where)

    def freed(self) -> None:
        """The database goes."""
        before = self.node.snapshot
        self.node.snapshot = replace(
            before,
            generation=before.generation + 1,
            pods=tuple(pod for pod in before.pods if pod.name != "postgres"),
            alone=(),
            node_shared=before.node_shared | CpuSet.parse("6,19,22"),
        )


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(demo(tmp_path / "node"), tmp_path)
    daemon.node.busy = {6: 0.9, 22: 0.5, 19: 0.1}
    with daemon.endpoint:
        yield daemon


def test_a_watched_status_is_drawn_again_when_the_node_changes(daemon: Daemon) -> None:
    with daemon.terminal("status", "--watch") as terminal:
        terminal.until(lambda text: "db/postgres" in text and "trading/match-engine" in text)
        assert terminal.modes == {"1049": True, "25": False, "7": False}
        daemon.freed()
        terminal.until(lambda text: "db/postgres" not in text and "trading/match-engine" in text)
        terminal.press("q")
        assert terminal.ended() == 0
        assert terminal.modes == {"1049": False, "25": True, "7": True}


def test_a_watched_node_that_does_not_change_is_not_drawn_again(daemon: Daemon) -> None:
    with daemon.terminal("status", "-w") as terminal:
        terminal.until(lambda text: "db/postgres" in text)
        for _ in range(10):
            terminal._hear(0.3)
        terminal.press("q")
        assert terminal.ended() == 0
        assert terminal.raw.count("\x1b[H") == 1


def test_a_daemon_that_goes_is_told_above_what_it_said_last(daemon: Daemon) -> None:
    with daemon.terminal("status", "-w") as terminal:
        terminal.until(lambda text: "db/postgres" in text)
        daemon.endpoint.stop()
        text = terminal.until(lambda text: text.startswith("no daemon answers."))
        assert "db/postgres" in text
        daemon.endpoint = Endpoint(daemon.node.readings(), unix_socket=daemon.socket)
        with daemon.endpoint:
            terminal.until(lambda text: text.startswith("worker-1"))


def test_a_change_is_a_line_of_json_where_there_is_no_terminal(daemon: Daemon) -> None:
    argv = [sys.executable, "-m", "pinfold", "status", "--watch", "-o", "json", *daemon.asked]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=_environment()) as watching:
        assert watching.stdout is not None
        assert "postgres" in [pod["name"] for pod in json.loads(watching.stdout.readline())["pods"]]
        daemon.freed()
        assert "postgres" not in [pod["name"] for pod in json.loads(watching.stdout.readline())["pods"]]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 130


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "daemon"), "LC_ALL": "C.UTF-8"}


def test_top_shows_how_busy_each_pool_and_each_slice_is(daemon: Daemon) -> None:
    with daemon.terminal("top") as terminal:
        terminal.until(lambda text: "Reading" in text)
        node = daemon.node
        write_counts(node.root, node.snapshot.topology, node.snapshot.pods, 603)
        text = terminal.until(lambda text: all(one in text for one in ("50%", "pod shared", "node shared", "drift ")))
        rows = {line[3:29].strip(): line for line in text.splitlines()}
        assert rows["db/postgres"].split() == ["A", "db/postgres", "6,19,22", "||||", "50%", "0%", "99.999%"]
        assert rows["postgres"].split() == ["postgres", "6,22", "||||||", "70%"]  # drifted: not measured
        assert rows["pod shared"].split()[:3] == ["pod", "shared", "21"]  # the last pod's
        assert rows["ml/inference"].split() == ["C", "ml/inference", "2-3,18", "0%", "10%", "99.999%"]
        assert rows["node shared"].split() == ["node", "shared", "7,12-15…3,28-31", "0%"]
        assert "drift    db/postgres: rewritten: postgres's cpuset.cpus has nothing, not 6,22" in text
        assert not terminal.echoes
        terminal.press("xq")
        assert terminal.ended() == 0


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["interrupted", "terminated"]
)
def test_the_terminal_is_given_back_however_it_ends(daemon: Daemon, signum: signal.Signals, code: int) -> None:
    with daemon.terminal("top") as terminal:
        terminal.until(lambda text: "Reading" in text)
        assert not terminal.echoes
        terminal.kill(signum)
        assert terminal.ended() == code
        assert terminal.modes == {"1049": False, "25": True, "7": True}


def test_what_does_not_fit_is_told_and_a_larger_window_shows_it(daemon: Daemon) -> None:
    with daemon.terminal("status", "-w", rows=12) as terminal:
        text = terminal.until(lambda text: "more lines: make the window taller" in text)
        assert len(text.splitlines()) == 12
        terminal.resize(100, 60)
        terminal.until(lambda text: "more lines" not in text and "trading/match-engine" in text)


def test_a_node_of_60_pods_leaves_out_the_slices(tmp_path: Path) -> None:
    socket = str(tmp_path / "pinfold.sock")
    with (
        Endpoint(Readings(crowd, dict, lambda: 0.0, 30.0), unix_socket=socket),
        Terminal("top", "--socket", socket, rows=70, PYTHONPATH=str(ROOT / "daemon")) as terminal,
    ):
        lines = terminal.until(lambda text: "BUSY" in text).splitlines()
        assert not [line for line in lines if "main" in line]
        assert [line[:2].strip() for line in lines if "/" in line[:29]][:3] == ["A", "B", "C"]


def test_top_without_a_terminal_shows_one_picture(daemon: Daemon) -> None:
    argv = [sys.executable, "-m", "pinfold", "top", *daemon.asked]
    text = subprocess.run(argv, capture_output=True, text=True, env=_environment(), check=True).stdout
    assert "db/postgres" in text
    assert "\x1b" not in text
    found = json.loads(
        subprocess.run([*argv, "-o", "json"], capture_output=True, text=True, env=_environment(), check=True).stdout
    )
    slices = {one["container"]: one["busy"] for one in found["pools"] if one["kind"] == "exclusive"}
    assert slices["postgres"] == pytest.approx(0.7)
    assert found["throttled"]["db/postgres"] is None, "no period has passed"


def test_without_a_daemon_neither_begins(tmp_path: Path) -> None:
    for command in (("top",), ("status", "-w")):
        argv = [sys.executable, "-m", "pinfold", *command, "--socket", str(tmp_path / "nobody")]
        ended = subprocess.run(argv, capture_output=True, text=True, env=_environment(), check=False)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "no daemon answers" in ended.stderr
