"""A node that a static kubelet leaves to Pinfold, and takes back: on a model kernel, with the kubelet's own files."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from pinfold.agent.handover import HandoverError
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cpuset import CpuSet
from pinfold.pods.model import QosClass
from pinfold.report.snapshot import Mode, Snapshot
from pinfold.state import FILE
from tests.agent.bench import Bench, pod, sharing
from tests.cgroups.node import container_id, container_path, pod_path, uid
from tests.cpuset_model import KERNELS

SETS = {
    container_path(pod_path(1, QosClass.GUARANTEED), 1, 1): "9-11",
    container_path(pod_path(1, QosClass.GUARANTEED), 1, 2): "13",
    container_path(pod_path(2, QosClass.GUARANTEED), 2, 1): "6-7",
    container_path(pod_path(2, QosClass.GUARANTEED), 2, 2): "0-5,8,12,14-15",
}
"""As the kubelet writes them: into the containers alone, and none that Pinfold would take of itself."""
CPU: dict[str, Any] = {
    "policyName": "static",
    "defaultCpuSet": "0-5,8,12,14-15",
    "entries": {uid(1): {"engine": "9-11", "proxy": "13"}, uid(2): {"engine": "6-7"}, uid(9): {"gone": "4"}},
    "podEntries": {uid(1): {"cpuSet": "9-11,13"}},
    "checksum": 1234,
}
BLOCK = {"numaAffinity": [1], "type": "memory", "size": 64 << 20}
MEMORY: dict[str, Any] = {
    "policyName": "Static",
    "machineState": {},
    "entries": {uid(1): {"engine": [{**BLOCK, "size": 32 << 20}]}},
    "podEntries": {uid(1): {"memoryBlocks": [BLOCK]}},
    "checksum": 1,
}


@pytest.fixture(params=KERNELS, ids=str)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench.boot(request.param, tmp_path, apiServer={"enabled": False})
    for number, raw in ((1, pod(1, 4, engine=3)), (2, _by_container())):
        containers = enumerate(("engine", "proxy"), 1)
        statuses = [
            {"name": name, "containerID": f"containerd://{container_id(number, one)}"} for one, name in containers
        ]
        made.put({**raw, "status": {"containerStatuses": statuses, "qosClass": "Guaranteed"}})
        made.appear(number)
    world = made.fs.world
    for path, cpus in SETS.items():
        for above in ("", "kubepods.slice", path.rpartition("/")[0]):
            world.write(above, File.SUBTREE_CONTROL, "+cpuset")
        assert world.mkdir(path) is None
        world.spawn(path, path)
        assert world.write(path, File.CPUS, cpus) is None
    yield made
    made.stop()


def _by_container() -> dict[str, Any]:
    """A Guaranteed pod as most are: no pod-level resources, a container with whole CPUs and one without."""
    raw = pod(2, 2)
    amounts = [{"cpu": "2", "memory": "32Mi"}, {"cpu": "100m", "memory": "32Mi"}]
    del raw["spec"]["resources"]
    raw["spec"]["containers"] = [
        {"name": name, "resources": {"requests": own, "limits": own}}
        for name, own in zip(("engine", "proxy"), amounts, strict=True)
    ]
    return raw


def kubelet(bench: Bench, cpu: dict[str, Any], memory: dict[str, Any] | None = None, where: str = "kubelet") -> Path:
    directory = bench.tmp / where
    directory.mkdir(exist_ok=True)
    (directory / "cpu_manager_state").write_text(json.dumps(cpu))
    (directory / "memory_manager_state").write_text(json.dumps(memory or {"policyName": "None"}))
    return directory


def slices(bench: Bench) -> dict[CgroupPath, str]:
    """Where those run who own CPUs."""
    return {path: str(bench.fs.world.effective(path)) for path in [*SETS][:3]}


def owned(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    return {one.full_name: (str(one.pool), str(one.owned)) for one in snapshot.pods}


STANDS = {"test/p1": ("9-11,13", "9-11,13"), "test/p2": ("", "6-7")}


def imports(bench: Bench) -> Path:
    """The kubelet runs with policy none now; a copy of its state was kept."""
    copy = kubelet(bench, CPU, MEMORY, "copy")
    kubelet(bench, {"policyName": "none", "defaultCpuSet": "", "checksum": 1})
    _import(bench, copy)
    return copy


def _import(bench: Bench, copy: Path) -> None:
    sources = bench.config.sources
    own = replace(sources.kubelet, import_state=str(copy))
    bench.config = replace(bench.config, sources=replace(sources, kubelet=own))


def test_what_a_static_kubelet_decided_is_shown_and_nothing_written(bench: Bench) -> None:
    kubelet(bench, CPU, MEMORY)
    before = bench.fs.world.copy()
    bench.start()
    snapshot = bench.turn()
    assert (snapshot.mode, snapshot.counters.writes) == (Mode.OBSERVING, 0)
    assert owned(snapshot) == STANDS
    assert str(snapshot.node_shared) == CPU["defaultCpuSet"]
    decision = bench.status(1).decision
    assert decision
    assert decision.because == 'the kubelet\'s CPU manager owns the cpusets: its policy is "static"'
    engine = bench.status(1).containers[0]
    assert engine.kernel
    assert str(engine.kernel.cpus) == str(engine.cpus) == "9-11"
    assert slices(bench) == {path: str(before.effective(path)) for path in [*SETS][:3]}


@pytest.mark.parametrize("how", ["by-import", "by-a-kubelet-that-lets-go"])
def test_a_state_that_cannot_be_saved_yet_is_taken_over_later_and_nobody_moves(bench: Bench, how: str) -> None:
    """The disk is full at first."""
    if how == "by-import":
        imports(bench)
        bench.start()
    else:
        kubelet(bench, CPU, MEMORY)
        bench.start()
        bench.turn()
        kubelet(bench, {"policyName": "none", "defaultCpuSet": "", "checksum": 1})
    before, count = slices(bench), bench.fs.count
    (draft := Path(bench.config.state_dir) / f"{FILE}.new").mkdir()
    assert bench.agent
    bench.agent.sources.refresh()
    for _ in range(3):
        bench.agent.reconcile()
    assert bench.fs.count == count
    assert slices(bench) == before
    draft.rmdir()
    snapshot = bench.turn()
    assert owned(snapshot) == STANDS
    assert slices(bench) == before
    with structlog.testing.capture_logs() as logs:
        bench.turn()
    assert not [one for one in logs if one["event"] == "ledger.imported"], "once"


def test_an_imported_state_is_gone_on_from_and_nobody_moves(bench: Bench) -> None:
    imports(bench)
    before = slices(bench)
    shared = {pair: cpus for pair, cpus in sharing(bench.fs.world).items() if not cpus}
    bench.start()
    snapshot = bench.turn()
    assert snapshot.mode is Mode.ENFORCING
    assert owned(snapshot) == STANDS
    assert {one.pod for one in snapshot.recent if one.event == "pool.pinned"} == STANDS.keys(), "new to Pinfold: told"
    assert slices(bench) == before
    assert all(not moment[pair] for moment in bench.fs.moments for pair in shared), "nobody came into another's CPUs"
    assert bench.fs.world.allowed("system.slice").isdisjoint(CpuSet.parse("6-7,9-11,13"))
    assert str(bench.status(1).mems) == "1"


def test_it_is_imported_once(bench: Bench) -> None:
    copy = imports(bench)
    bench.start()
    bench.turn()
    kubelet(bench, {**CPU, "entries": {}, "podEntries": {}}, where=copy.name)
    bench.start()
    snapshot = bench.turn()
    assert owned(snapshot) == STANDS
    assert snapshot.counters.writes == 0


def test_a_kubelet_that_turns_from_static_to_none_beside_pinfold_hands_its_pods_over(bench: Bench) -> None:
    kubelet(bench, CPU)
    before = slices(bench)
    bench.start()
    bench.turn()
    kubelet(bench, {"policyName": "none", "defaultCpuSet": "", "checksum": 1})
    snapshot = bench.turn()
    assert snapshot.mode is Mode.ENFORCING
    assert owned(snapshot) == STANDS
    assert slices(bench) == before


def test_handed_back_everything_is_as_the_kubelet_left_it(bench: Bench) -> None:
    imports(bench)
    files = (File.CPUS, File.MEMS, File.EXCLUSIVE, File.PARTITION)
    before = {path: bench.fs.read_all(path, files) for path in SETS}
    for _ in range(2):
        bench.start()
        bench.turn()
    kubelet(bench, CPU)
    assert bench.turn().mode is Mode.OBSERVING
    assert {path: bench.fs.read_all(path, files) for path in SETS} == before
    assert str(bench.fs.world.effective("system.slice")) == "0-15"


@pytest.mark.parametrize("text", [None, "{", '{"policyName": "static", "entries": {"../x": {}}}'])
def test_what_is_no_state_is_refused_before_anything_is_written(bench: Bench, text: str | None) -> None:
    _import(bench, bench.tmp / "copy")
    if text is not None:
        (kubelet(bench, CPU, where="copy") / "cpu_manager_state").write_text(text)
    with pytest.raises(HandoverError, match="importState"):
        bench.start()
    assert bench.fs.count == 0


def test_a_static_kubelet_is_observed_before_all_pods_are_known(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet(bench, CPU)
    agent = bench.start()
    monkeypatch.setattr(type(agent.sources), "synced", False)
    assert owned(bench.turn()) == STANDS
    kubelet(bench, {**CPU, "entries": {}, "podEntries": {}})
    assert owned(bench.turn()) == {"test/p1": ("", ""), "test/p2": ("", "")}


def test_before_all_pods_are_known_nothing_is_taken_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    imports(bench)
    agent = bench.start()
    with monkeypatch.context() as late:
        late.setattr(type(agent.sources), "synced", False)
        for _ in range(3):
            agent.reconcile()
        assert (agent.snapshot(), bench.fs.count) == (None, 0)
    assert owned(bench.turn()) == STANDS
    assert CpuSet.parse("9-11,13") == bench.status(1).pool
