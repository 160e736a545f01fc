"""Whether a container's own program runs: real processes, prepared as runtimes prepare them."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pinfold.cgroups.paths import CgroupPath, below
from pinfold.cgroups.starts import has_run
from pinfold.cgroups.tasks import stat_fields

_CLONE_NEWNS = 0x00020000
SCOPE = CgroupPath("pod/scope")
PROGRAM = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]


def _own_mounts() -> bool:
    return not ctypes.CDLL(None).unshare(_CLONE_NEWNS)


def _may_have_own_mounts() -> bool:
    if (pid := os.fork()) == 0:
        os._exit(not _own_mounts())
    return os.waitpid(pid, 0)[1] == 0


pytestmark = pytest.mark.skipif(not _may_have_own_mounts(), reason="no mount namespace may be made here")


class Cgroups:
    """Cgroups of processes."""

    def __init__(self, procs: dict[str, list[int]]) -> None:
        self._procs = {CgroupPath(path): pids for path, pids in procs.items()}

    def read(self, path: CgroupPath, file: str, /) -> str | None:
        assert file == "cgroup.procs"
        return "\n".join(map(str, self._procs[path])) if path in self._procs else None

    def children(self, path: CgroupPath, /) -> tuple[str, ...]:
        return tuple(one.rpartition("/")[2] for one in self._procs if one == below(path, one.rpartition("/")[2]))


Born = Callable[[Callable[[], None]], list[int]]


@pytest.fixture
def born() -> Iterator[Born]:
    """Fork; the child does what it is given to do, and waits for its end. The child, and the one that it has itself."""
    pids: list[int] = []

    def fork(life: Callable[[], None]) -> list[int]:
        there, say = os.pipe()
        if (pid := os.fork()) == 0:
            os.dup2(say, 1)
            life()
            os.write(1, b"\n")
            signal.pause()
        os.close(say)
        with os.fdopen(there) as said:
            family = [pid, *map(int, said.readline().split())]
        pids.extend(family)
        return family

    yield fork
    for pid in reversed(pids):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _prepared() -> None:
    assert _own_mounts()


def _started() -> None:
    _prepared()
    _helper()


def _helper() -> None:
    os.execv(PROGRAM[0], PROGRAM)  # noqa: S606


def _hooked() -> None:
    _prepared()
    hook = subprocess.Popen(PROGRAM, stdout=subprocess.PIPE)
    assert hook.stdout
    hook.stdout.read(1)
    os.write(1, str(hook.pid).encode())


def test_what_a_runtime_forked_and_holds_back_has_not_run(born: Born) -> None:
    assert not has_run(Cgroups({SCOPE: born(_prepared)}), SCOPE)


def test_a_program_that_was_executed_has_run(born: Born) -> None:
    assert has_run(Cgroups({SCOPE: born(_started)}), SCOPE)


def test_so_has_one_in_a_cgroup_that_the_runtime_made_below(born: Born) -> None:
    assert has_run(Cgroups({SCOPE: [], f"{SCOPE}/container": born(_started)}), SCOPE)


def test_the_runtimes_own_helper_is_no_program_of_the_container(born: Born) -> None:
    """runc puts its first stage, ``runc init``, into the cgroup until the container's process is made."""
    assert not has_run(Cgroups({SCOPE: born(_helper) + born(_prepared)}), SCOPE)


def test_whose_parent_ends_while_it_is_looked_at_is_looked_at_again(
    born: Born, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has another by then: for the runtime's helper that is no other mount namespace either."""
    (helper,) = born(_helper)
    ended = [str(1 << 22)]

    def of_before(process: Path) -> list[str]:
        found = stat_fields(process)
        return [found[0], ended.pop(), *found[2:]] if ended else found

    monkeypatch.setattr("pinfold.cgroups.starts.stat_fields", of_before)
    assert not has_run(Cgroups({SCOPE: [helper]}), SCOPE)
    assert not ended


def test_a_hook_is_no_program_of_the_container(born: Born) -> None:
    assert len(family := born(_hooked)) == 2
    assert not has_run(Cgroups({SCOPE: family}), SCOPE)


def test_nobody_runs_in_an_empty_cgroup() -> None:
    assert not has_run(Cgroups({SCOPE: []}), SCOPE)


def test_whose_cgroup_is_gone_may_have_run() -> None:
    assert has_run(Cgroups({}), SCOPE)


def test_a_process_that_has_ended_has_not_run(tmp_path: Path) -> None:
    assert not has_run(Cgroups({SCOPE: [4711]}), SCOPE, tmp_path)


def test_whose_processes_are_hidden_may_have_run() -> None:
    assert has_run(Cgroups({SCOPE: [0]}), SCOPE)
