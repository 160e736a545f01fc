"""What wakes the loop, and what does not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinfold.agent.servers import SourceError
from pinfold.agent.sources import Sources
from pinfold.config import Config, config_of
from tests.sources.specimens import pod


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    (tmp_path / "mount" / "pod").mkdir(parents=True)
    (tmp_path / "manifests").mkdir()
    made = Sources(config(tmp_path, str(tmp_path / "manifests")))
    assert made.watch({"", "pod"})
    made.wait(0)
    yield made
    made.close()


def config(tmp_path: Path, manifests: str) -> Config:
    return config_of(
        {
            "cgroupMount": str(tmp_path / "mount"),
            "sources": {
                "manifests": {"path": manifests},
                "kubelet": {"rootDir": str(tmp_path / "kubelet")},
                "apiServer": {"enabled": False},
            },
        }
    )


@pytest.mark.parametrize(
    ("name", "wakes"),
    [
        pytest.param("cpuset.cpus", True, id="somebody-rewrites-a-cpuset"),
        pytest.param("cpuset.cpus.partition", True, id="or-a-partition"),
        pytest.param("cpu.max", True, id="or-a-quota"),
        pytest.param("cgroup.events", True, id="the-last-process-went"),
        pytest.param("cgroup.procs", False, id="exec-enters-a-process"),
        pytest.param("memory.high", False, id="the-kubelets-own"),
    ],
)
def test_a_write_wakes_only_where_it_concerns_pinfold(sources: Sources, tmp_path: Path, name: str, wakes: bool) -> None:
    file = tmp_path / "mount" / "pod" / name
    descriptor = file.open("w")
    sources.wait(0)
    descriptor.write("x")
    descriptor.close()
    assert sources.wait(0) is wakes


def test_a_new_cgroup_a_manifest_and_a_ring_wake(sources: Sources, tmp_path: Path) -> None:
    assert not sources.wait(0)
    (tmp_path / "mount" / "pod" / "container").mkdir()
    assert sources.wait(10)
    (tmp_path / "manifests" / "web.yaml").write_text("kind: Pod")
    assert sources.wait(10)
    sources.wakeup.wake()
    assert sources.wait(10)


def test_what_was_written_before_the_look_does_not_wake_and_a_cgroup_made_meanwhile_does(
    sources: Sources, tmp_path: Path
) -> None:
    (tmp_path / "mount" / "pod" / "cpuset.cpus").write_text("0-3")
    sources.overlook_writes()
    assert not sources.wait(0)
    (tmp_path / "mount" / "pod" / "container").mkdir()
    (tmp_path / "mount" / "pod" / "cpuset.cpus").write_text("0-4")
    sources.overlook_writes()
    assert sources.wait(10)
    assert not sources.wait(0)


def test_that_a_pod_lost_its_last_process_is_never_overlooked(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "mount" / "pod" / "cgroup.events").write_text("populated 0")
    sources.overlook_writes()
    assert sources.wait(10)


def test_where_writes_are_muted_new_cgroups_still_wake(sources: Sources, tmp_path: Path) -> None:
    assert not sources.watch({"", "pod"}, {"pod"})
    (tmp_path / "mount" / "pod" / "cpuset.cpus").write_text("0-3")
    assert not sources.wait(0)
    (tmp_path / "mount" / "pod" / "container").mkdir()
    assert sources.wait(10)


def test_of_a_muted_cgroup_the_first_write_is_told_each_time_it_is_asked_for(sources: Sources, tmp_path: Path) -> None:
    pod, files = {"pod", "gone"}, tmp_path / "mount" / "pod"
    sources.watch({"", *pod}, pod)
    assert not sources.first_writes.since(set())
    assert not sources.first_writes.since(pod)
    for _ in range(3):
        for number in range(100):
            (files / "cpuset.cpus").write_text(f"0-{number}")
        assert sources.first_writes.since(pod)
        assert not sources.first_writes.since(pod)
    (files / "memory.events").write_text("low 1")
    assert not sources.first_writes.since(pod), "the kernel's own words are none"
    assert not sources.wait(0), "nobody wakes"


def test_what_is_heard_again_or_new_is_looked_at_once_more(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "mount" / "late").mkdir()
    assert sources.watch({"", "pod", "late"}, {"pod", "late"})
    assert not sources.watch({"", "pod", "late"}, {"pod", "late"})
    assert sources.watch({"", "pod", "late"}, {"late"})
    (tmp_path / "mount" / "pod" / "cpuset.cpus").write_text("0-3")
    assert sources.wait(10)


def test_a_state_file_of_the_kubelet_that_changes_wakes(sources: Sources, tmp_path: Path) -> None:
    """As the kubelet does it: another file, and a name."""
    root = tmp_path / "kubelet"
    root.mkdir()
    sources.refresh()
    assert not sources.wait(0)
    (root / "other").write_text("x")
    assert not sources.wait(0)
    (root / ".new").write_text('{"policyName": "static"}')
    (root / ".new").rename(root / "cpu_manager_state")
    assert sources.wait(10)
    (root / "cpu_manager_state").unlink()
    assert sources.wait(10)
    assert not sources.wait(0)


def test_without_any_source_of_pods_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--manifests"):
        Sources(config(tmp_path, ""))


_WITHOUT_INOTIFY = """
import sys
from pathlib import Path
from tests.agent.test_sources import config
from pinfold.agent.sources import MANIFESTS, Sources

home = Path(sys.argv[1])
sources = Sources(config(home, str(home)))
print([pod.name for pod in sources.pods()[0]])
(home / "b.json").write_text((home / "a.json").read_text().replace("-1", "-2").replace("0001", "0002"))
assert not sources.wait(0)
sources.refresh()
print([pod.name for pod in sources.pods()[0]])
print(*(f"{one.healthy} {one.message}" for one in sources.health() if one.name == MANIFESTS))
sources.close()
"""


@pytest.mark.parametrize("limit", ["instances", "watches"])
def test_without_inotify_the_timer_serves_and_that_is_told(tmp_path: Path, limit: str) -> None:
    """In a user namespace: the limit is another's, and nobody else meets it."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare, which makes a user namespace")
    allowed = f"echo 0 > /proc/sys/user/max_inotify_{limit}"
    apart = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    if subprocess.run([*apart, allowed], capture_output=True).returncode:
        pytest.skip("this machine allows no user namespace with limits of its own")
    (tmp_path / "a.json").write_text(json.dumps(pod(1)))
    script = [*apart, f'{allowed} && exec "$@"', "sh", sys.executable, "-c", _WITHOUT_INOTIFY, str(tmp_path)]
    root = Path(__file__).parents[2]
    told = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True, cwd=root).stdout.splitlines()
    assert told[:2] == ["['engine-1']", "['engine-1', 'engine-2']"]
    assert told[2].startswith("False no inotify ")
    assert f"max_user_{limit}" in told[2]
