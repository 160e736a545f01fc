"""The commands as real processes: what they print where, and how they end."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.report.samples import picture

from pinfold import __version__
from pinfold.cli.described import commands
from pinfold.report.http import Endpoint
from pinfold.report.routes import Readings
from pinfold.report.snapshot import Snapshot

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/status.schema.json").read_text())
HEAVY = {"kubernetes", "pydantic", "prometheus_client", "structlog", "yaml", "psutil", "pyudev", "urllib3"}


def pinfold(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pinfold", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "daemon"), "LC_ALL": "C.UTF-8", **environment},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


class Daemon:
    """An endpoint as the daemon has it, over a snapshot that the test may change."""

    def __init__(self, socket: Path) -> None:
        self.snapshot: Snapshot | None = picture()
        self.socket = str(socket)
        readings = Readings(lambda: self.snapshot, dict, lambda: 0.0, 30.0)
        self.endpoint = Endpoint(readings, listen="127.0.0.1:0", unix_socket=self.socket)
        self.address = self.endpoint.addresses[0]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "pinfold.sock")
    with daemon.endpoint:
        yield daemon


def test_status_shows_the_map_and_the_pods(daemon: Daemon) -> None:
    ended = pinfold("status", "--socket", daemon.socket)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "    B trading/match-engine     engine 2-4  pod shared 5\n" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert "batch/reports" not in ended.stdout
    assert "batch/reports" in pinfold("status", "--socket", daemon.socket, "--all").stdout


def test_status_as_json_is_the_status_document(daemon: Daemon) -> None:
    ended = pinfold("status", "--socket", daemon.socket, "-o", "json")
    Draft202012Validator(SCHEMA).validate(json.loads(ended.stdout))


@pytest.mark.parametrize("named", ["flag", "environment"])
def test_the_daemon_is_found_where_it_was_named(daemon: Daemon, named: str) -> None:
    for flag, variable, place in (
        ("--socket", "PINFOLD_REPORT_SOCKET", daemon.socket),
        ("--address", "PINFOLD_REPORT_LISTEN", daemon.address),
    ):
        ended = pinfold("status", flag, place) if named == "flag" else pinfold("status", **{variable: place})
        assert ended.returncode == 0, ended.stderr
        assert "worker-1" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--socket", "/nowhere/pinfold.sock"], "/nowhere/pinfold.sock: No such file", id="no-socket"),
        pytest.param(["--address", "127.0.0.1:1"], "127.0.0.1:1: Connection refused", id="nobody-listens"),
        pytest.param(["--address", "127.0.0.1:x"], "127.0.0.1:x: nonnumeric port", id="no-address"),
    ],
)
def test_without_a_daemon_the_error_says_where_it_looked_and_what_to_do(arguments: list[str], told: str) -> None:
    ended = pinfold("status", *arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("pinfold: no daemon answers. ")
    assert told in ended.stderr
    assert ended.stderr.endswith("Start it (pinfold run), or name it with --address or --socket.\n")


def test_a_daemon_that_has_not_reconciled_says_so(daemon: Daemon) -> None:
    daemon.snapshot = None
    ended = pinfold("status", "--socket", daemon.socket)
    assert ended.returncode == 1
    assert "503 the first reconcile is not done" in ended.stderr


def test_explain_tells_the_story_of_a_pod(daemon: Daemon) -> None:
    ended = pinfold("explain", "db/postgres", "--socket", daemon.socket)
    assert ended.returncode == 0
    for part in (
        "db/postgres  pinned, Guaranteed",
        "owns CPUs 16-19 as its pod pool",
        "has 0-31, not 16-18",
        "pool.pinned: 16-19 on NUMA",
    ):
        assert part in ended.stdout
    as_json = pinfold("explain", "db/postgres", "--socket", daemon.socket, "-o", "json")
    assert [pod["pool"] for pod in json.loads(as_json.stdout)["pods"]] == ["16-19"]


@pytest.mark.parametrize(
    ("pod", "remedy"),
    [
        pytest.param("default/postgres", "Did you mean db/postgres?", id="another-namespace"),
        pytest.param("postgres", "Did you mean db/postgres?", id="no-namespace"),
        pytest.param("a/b", "pinfold status --all lists the pods of this node.", id="nowhere"),
        pytest.param("a/\x1b[2J", "no pod a/\\x1b[2J is known", id="hostile"),
    ],
)
def test_a_pod_that_is_not_known_is_told(daemon: Daemon, pod: str, remedy: str) -> None:
    ended = pinfold("explain", pod, "--socket", daemon.socket)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert remedy in ended.stderr
    assert "\x1b" not in ended.stderr


def test_events_are_told_oldest_first_for_the_node_or_for_one_pod(daemon: Daemon) -> None:
    ended = pinfold("events", "--socket", daemon.socket)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert max(map(len, ended.stdout.splitlines())) <= 80
    names = [moment.event for moment in picture().recent]
    assert [line.split()[2] for line in ended.stdout.splitlines() if line.startswith("20")] == names
    one = pinfold("events", "db/postgres", "--socket", daemon.socket, "-o", "json")
    assert {moment["pod"] for moment in json.loads(one.stdout)["events"]} == {"db/postgres"}
    assert "nothing of a/b is remembered since 20" in pinfold("events", "a/b", "--socket", daemon.socket).stdout


def imported(*arguments: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    code = "import sys; from pinfold.cli.main import main; main(sys.argv[1:]); print(*sys.modules, sep='\\n')"
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "daemon")},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(ended.stdout.split())
    assert f"pinfold.cli.{arguments[0]}" in modules
    return modules


@pytest.mark.parametrize("command", ["status", "explain", "events"])
def test_asking_the_daemon_imports_none_of_its_libraries(daemon: Daemon, command: str) -> None:
    pod = ["a/b"] if command == "explain" else []
    modules = imported(command, *pod, "--socket", daemon.socket)
    assert not modules & HEAVY
    assert not {name for name in modules if name.startswith(("pinfold.agent", "pinfold.planning.planner"))}


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--pods", str(ROOT / "tests/vm/workloads/match-engine.yaml"), "--machine", "2x8x2"),
        ("config", "check"),
        ("verify", "--set", "cgroupMount=/nowhere"),
        ("release", "--dry-run", "--set", "cgroupMount=/nowhere"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_reads_a_configuration_needs_yaml_and_nothing_more(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) & {*HEAVY, "http.client", "tarfile", "tempfile"} == {"yaml"}


def test_a_closed_pipe_ends_a_command_without_a_traceback(daemon: Daemon) -> None:
    command = f"{sys.executable} -m pinfold status --socket {daemon.socket} -o json | head -c 1"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "daemon")}
    for _ in range(3):
        ended = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=True)  # noqa: S602
        assert (ended.stdout, ended.stderr) == ("{", "")


def test_a_terminal_gets_colours_unless_it_wants_none(daemon: Daemon) -> None:
    command = f"{sys.executable} -m pinfold status --socket {daemon.socket}"
    for no_color, coloured in (("", True), ("1", False)):
        environment = {"PYTHONPATH": str(ROOT / "daemon"), "NO_COLOR": no_color, "TERM": "xterm"}
        ended = subprocess.run(
            ["script", "-qec", command, "/dev/null"],
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("\x1b[1;32m" in ended.stdout) is coloured


def test_a_terminal_that_knows_only_ascii_gets_escapes_for_the_rest(daemon: Daemon) -> None:
    ended = pinfold("status", "--socket", daemon.socket, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ended.returncode == 0
    assert "kubepods.slice/\\u2026: EBUSY" in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no-command"),
        pytest.param(["nonsense"], id="no-such-command"),
        pytest.param(["status", "--socket", "a", "--address", "b"], id="two-places"),
        pytest.param(["status", "-o", "xml"], id="no-such-form"),
        pytest.param(["plan"], id="plan-without-pods"),
        pytest.param(["plan", "--pods", "-", "--set", "novalue"], id="set-without-value"),
        pytest.param(["explain"], id="explain-without-pod"),
        pytest.param(["config"], id="config-without-action"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    ended = pinfold(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: pinfold")


@pytest.mark.parametrize("command", ["", *(command.name for command in commands())])
def test_help_fits_80_columns(command: str) -> None:
    ended = pinfold(*command.split(), "--help", COLUMNS="80")
    assert ended.returncode == 0
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_version_is_told() -> None:
    assert pinfold("version").stdout == f"pinfold {__version__}\n"
    assert pinfold("--version").stdout == f"pinfold {__version__}\n"
    assert json.loads(pinfold("version", "-o", "json").stdout)["version"] == __version__


def test_a_configuration_is_shown_with_its_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("apiVersion: pinfold.dev/v1alpha1\nkind: PinfoldConfiguration\nmanage: guaranteed\n")
    ended = pinfold("config", "check", str(file))
    assert ended.returncode == 0, ended.stderr
    assert "manage: guaranteed\n" in ended.stdout
    assert "topologyManagerPolicy: best-effort\n" in ended.stdout
    assert json.loads(pinfold("config", "check", str(file), "-o", "json").stdout)["manage"] == "guaranteed"


def test_a_faulty_configuration_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("apiVersion: pinfold.dev/v1alpha1\nkind: PinfoldConfiguration\nnonsense: 1\n")
    ended = pinfold("config", "check", str(file))
    assert (ended.returncode, ended.stdout) == (78, "")
    assert re.match(r"pinfold: .*line 3: unknown key nonsense", ended.stderr)
