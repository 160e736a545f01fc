"""The loop, turn by turn, on a model kernel."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinfold.agent.showing import APPEARS_WITHIN_S
from pinfold.cgroups.paths import File
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.reasons import Outcome
from pinfold.pods.model import QosClass
from pinfold.report.snapshot import Mode
from pinfold.state import FILE
from tests.agent.bench import Bench, pod
from tests.cgroups.node import container_path, pod_path, uid
from tests.cpuset_model import KERNELS, V6_1
from tests.sysfs_writer import write_machine


@pytest.fixture(params=KERNELS, ids=str)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench.boot(request.param, tmp_path, apiServer={"enabled": False})
    yield made
    made.stop()


def test_a_pod_is_confined_before_its_first_process(bench: Bench) -> None:
    bench.put(pod(1, 4, engine=3))
    bench.start()
    assert bench.status(1).kernel.pod is None
    bench.appear(1, populated=False)
    status = bench.status(1)
    assert status.kernel.pod
    assert status.kernel.pod.cpus == status.pool
    assert len(status.pool) == 4
    assert not status.kernel.drift, status.kernel.drift


def test_what_was_weighed_is_still_told_when_the_pool_stands(bench: Bench) -> None:
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.start()
    bench.turn()
    decision = bench.status(1).decision
    assert decision
    assert [str(hint.nodes) for hint in decision.hints if hint.chosen] == ["0"]


def test_the_generation_rises_only_with_what_changed(bench: Bench) -> None:
    bench.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    before = bench.turn()
    assert bench.turn().generation == before.generation
    bench.put(pod(2, 2))
    assert bench.turn().generation > before.generation


def test_nobody_else_runs_on_a_pool(bench: Bench) -> None:
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.start()
    pool = bench.status(1).pool
    assert bench.fs.world.allowed("pause-1") <= pool
    assert bench.fs.world.allowed("system.slice").isdisjoint(pool)


@pytest.mark.parametrize("bench", [V6_1], indirect=True, ids=str)
def test_an_unmanaged_pod_that_somebody_made_an_invalid_partition_is_kept_off_the_pools_too(bench: Bench) -> None:
    """It is confined to its set as a member is."""
    bench.appear(2)
    theirs = pod_path(2, QosClass.GUARANTEED)
    bench.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    bench.turn()
    bench.fs.write(theirs, File.PARTITION, "root")
    bench.fs.write(theirs, File.CPUS, "0-15")
    pool = bench.status(1).pool
    assert "invalid" in (bench.fs.read(theirs, File.PARTITION) or "")
    assert pool
    assert bench.fs.world.effective(theirs).isdisjoint(pool)


@pytest.mark.parametrize("node", [0, 1])
def test_a_pod_is_placed_near_the_device_that_it_names(bench: Bench, tmp_path: Path, node: int) -> None:
    device = tmp_path / "sys/bus/pci/devices/0000:3b:00.0"
    device.mkdir(parents=True)
    (device / "numa_node").write_text(f"{node}\n")
    near = pod(1, 4)
    near["metadata"]["annotations"] = {"pinfold.dev/near-device": "0000:3b:00.0"}
    bench.put(near)
    agent = bench.start()
    pool = bench.status(1).pool
    snapshot = agent.snapshot()
    assert snapshot
    assert snapshot.topology.nodes_of(pool) == NodeSet.of([node])


@pytest.mark.parametrize("node", [0, 1])
def test_a_pod_is_placed_near_the_device_that_the_kubelet_gave_it(bench: Bench, tmp_path: Path, node: int) -> None:
    """Which one that is is known when the pod is admitted: right before its cgroup is made."""
    near = pod(1, 4)
    near["metadata"]["annotations"] = {"pinfold.dev/near-device": "example.com/nic"}
    bench.put(near)
    bench.start()
    assert not bench.turn().pods
    given = {"PodUID": uid(1), "ResourceName": "example.com/nic", "DeviceIDs": {str(node): ["nic3"]}}
    (tmp_path / "kubelet/device-plugins").mkdir(parents=True)
    checkpoint = json.dumps({"Data": {"PodDeviceEntries": [given]}, "Checksum": 7})
    (tmp_path / "kubelet/device-plugins/kubelet_internal_checkpoint").write_text(checkpoint)
    bench.appear(1, populated=False)
    pool = bench.status(1).pool
    assert bench.turn().topology.nodes_of(pool) == NodeSet.of([node])


def test_a_pod_whose_device_nobody_gave_it_is_placed_when_its_cgroup_appears(bench: Bench) -> None:
    near = pod(1, 4)
    near["metadata"]["annotations"] = {"pinfold.dev/near-device": "example.com/nic"}
    bench.put(near)
    bench.start()
    bench.appear(1)
    assert len(bench.status(1).pool) == 4


@pytest.mark.parametrize("bench", [V6_1], indirect=True, ids=str)
def test_after_a_restart_only_what_changed_meanwhile_is_told(bench: Bench) -> None:
    bench.put(pod(1, 4))
    bench.appear(1)

    def told() -> list[str]:
        return [one.message for one in bench.turn().recent if one.event == "pool.pinned"]

    bench.start()
    assert len(told()) == 1
    agent = bench.start()
    assert told() == []
    assert agent.decision, "and what stands can be replayed"
    bench.stop()
    bench.put(pod(1, 6))
    bench.start()
    assert told() == [f"owns CPUs {bench.status(1).pool}"]


def test_a_restart_writes_nothing(bench: Bench) -> None:
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.start()
    before = bench.turn()
    bench.start()
    after = bench.turn()
    assert after.counters.writes == 0
    assert [one.pool for one in after.pods] == [one.pool for one in before.pods]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"version": 99, "data": {}}'], ids=["empty", "torn", "list", "new"]
)
def test_a_lost_checkpoint_is_rebuilt_from_the_kernel(bench: Bench, damage: bytes) -> None:
    """The pod that came first holds CPUs that a fresh plan would give to another."""
    for number in (1, 2):
        bench.put(pod(number, 4))
        bench.appear(number)
    bench.start()
    bench.turn()
    bench.take(1)
    bench.fs.world.exit("pause-1")
    held = bench.status(2).pool
    bench.stop()
    (Path(bench.config.state_dir) / FILE).write_bytes(damage)
    agent = bench.start()
    assert bench.status(2).pool == held
    assert bench.fs.world.effective(pod_path(2, QosClass.GUARANTEED)) == held
    snapshot = agent.snapshot()
    assert snapshot
    assert snapshot.counters.faults["StateError"].count == 1


@pytest.mark.parametrize("mems", ["1", "0-1"], ids=["bound-elsewhere", "not-bound"])
def test_a_ledger_that_is_rebuilt_moves_no_memory(bench: Bench, mems: str) -> None:
    """A fresh plan would bind the pod to node 0; it was found running, or bound to another node."""
    bench.put(pod(1, 4))
    bench.appear(1, populated=False)
    bench.start()
    bench.turn()
    bench.stop()
    path = pod_path(1, QosClass.GUARANTEED)
    assert bench.fs.read(path, "cpuset.mems") == "0"
    assert bench.fs.world.write(path, "cpuset.mems", mems) is None
    (Path(bench.config.state_dir) / FILE).write_bytes(b"")
    bench.start()
    entry = bench.status(1).entry
    assert entry
    assert str(entry.mems) == ("1" if mems == "1" else "")
    assert bench.fs.read(path, "cpuset.mems") == mems
    bench.start()
    decision = bench.status(1).decision
    assert decision
    assert decision.outcome is Outcome.PINNED, "it was told nothing else before"


def test_a_pool_outlives_its_pod_while_processes_do(bench: Bench) -> None:
    bench.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    pool = bench.status(1).pool
    bench.take(1)
    assert bench.status(1).pool == pool
    bench.fs.world.exit("pause-1")
    assert not bench.turn().pods
    assert bench.fs.world.allowed("system.slice") >= pool


def test_a_full_disk_leaves_the_kernel_alone(bench: Bench) -> None:
    """What cannot be remembered is not done: a crash would forget whose CPUs these are."""
    bench.start()
    bench.turn()
    bench.put(pod(1, 4))
    bench.appear(1)
    held = {path: bench.fs.read_all(path, ("cpuset.cpus", "cpuset.cpus.exclusive")) for path in _paths(bench)}
    state = Path(bench.config.state_dir)
    (state / f"{FILE}.new").mkdir()  # no file can be made there, as on a full disk
    snapshot = bench.turn()
    assert "StateError" in snapshot.counters.faults
    assert {path: bench.fs.read_all(path, ("cpuset.cpus", "cpuset.cpus.exclusive")) for path in _paths(bench)} == held
    (state / f"{FILE}.new").rmdir()
    assert bench.status(1).kernel.pod


def _paths(bench: Bench) -> list[Any]:
    return [path for path in bench.fs.world.paths() if path]


def test_a_refused_pod_shares_and_the_others_stay(bench: Bench) -> None:
    bench.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    held = bench.status(1).pool
    bench.put(pod(2, 99))
    bench.appear(2)
    refused = bench.status(2)
    assert refused.decision
    assert refused.decision.refusal
    assert bench.status(1).pool == held
    assert bench.fs.world.allowed("pause-2").isdisjoint(held)


def test_one_uid_under_two_names_is_neither_and_harms_nobody(bench: Bench) -> None:
    bench.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    held = bench.status(1).pool
    bench.put({**pod(2, 2), "metadata": {"name": "twin", "namespace": "test", "uid": uid(2)}})
    bench.put(pod(2, 2))
    snapshot = bench.turn()
    assert {one.reason for one in snapshot.invalid} == {"DuplicateUid"}
    assert [one.pool for one in snapshot.pods] == [held]


def test_a_pod_whose_cgroup_never_appears_is_told(bench: Bench) -> None:
    bench.put(pod(1, 4))
    bench.start()
    assert not bench.turn().warnings
    bench.now_s += APPEARS_WITHIN_S
    (told,) = bench.turn().warnings
    assert "test/p1" in told
    bench.appear(1)
    assert not bench.turn().warnings


def test_a_machine_that_changes_without_a_word_is_seen_at_the_timer(bench: Bench) -> None:
    """A container in a user namespace hears no hotplug."""
    agent = bench.start()
    bench.turn()
    write_machine(bench.tmp, sockets=2, cores=4, threads=2, numbering="adjacent", offline=[15])
    assert not bench.turn().topology.offline
    agent._due = True
    assert bench.turn().topology.offline == CpuSet.of([15])


def test_drift_is_repaired_and_counted_by_cause(bench: Bench) -> None:
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.start()
    bench.turn()
    sandbox = container_path(pod_path(1, QosClass.GUARANTEED), 1, 0)
    before = bench.fs.read(sandbox, "cpuset.cpus")
    assert bench.fs.world.write(sandbox, "cpuset.cpus", "0-15") is None
    snapshot = bench.turn()
    assert bench.fs.read(sandbox, "cpuset.cpus") == before
    assert snapshot.counters.repaired == {"rewritten": 1}
    assert [one.event for one in snapshot.recent if one.event == "cpuset.drifted"] == ["cpuset.drifted"]


def test_what_somebody_writes_amid_a_turn_as_it_is_to_be_is_still_given_back(bench: Bench) -> None:
    """systemd empties a slice, and then writes what Pinfold told it to: both between two looks of one turn."""
    bench.put(pod(1, 4))
    bench.appear(1, populated=False)
    bench.start()
    bench.turn()
    pool = pod_path(1, QosClass.GUARANTEED)
    held = {file: bench.fs.read(pool, file) for file in ("cpuset.cpus", "cpuset.mems")}
    for file in held:
        assert bench.fs.world.write(pool, file, "") is None
    bench.fs.told = {pool: held}
    bench.turn()
    assert not bench.fs.told
    assert {file: bench.fs.read(pool, file) for file in held} == held
    bench.take(1)
    bench.turn()
    assert not any(bench.fs.read(pool, file) for file in held)


def test_beside_a_static_kubelet_everything_is_given_back_and_nothing_written(bench: Bench) -> None:
    bench.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    pool = bench.status(1).pool
    (bench.tmp / "kubelet").mkdir()
    state = bench.tmp / "kubelet" / "cpu_manager_state"
    state.write_text('{"policyName": "static", "defaultCpuSet": "0-15", "checksum": 1}')
    snapshot = bench.turn()
    assert snapshot.mode is Mode.OBSERVING
    assert "static" in snapshot.mode_reason
    assert bench.fs.world.allowed("system.slice") >= pool
    writes = snapshot.counters.writes
    bench.appear(2)
    assert bench.turn().counters.writes == writes
    state.write_text('{"policyName": "none", "defaultCpuSet": "", "checksum": 1}')
    assert bench.turn().mode is Mode.ENFORCING
    assert bench.status(1).kernel.pod


def test_a_kubelet_state_that_cannot_be_read_takes_nothing_back(bench: Bench) -> None:
    bench.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    pool = bench.status(1).pool
    (bench.tmp / "kubelet").mkdir()
    (bench.tmp / "kubelet" / "cpu_manager_state").write_text("{")
    assert bench.turn().mode is Mode.ENFORCING
    assert bench.fs.world.allowed("system.slice").isdisjoint(pool)


def test_a_manifest_that_turns_bad_leaves_its_pod_as_it_is(bench: Bench) -> None:
    bench.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    held = bench.status(1).pool
    bad = pod(1, 4)
    bad["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2x"}}
    bench.put(bad)
    snapshot = bench.turn()
    assert [one.reason for one in snapshot.invalid] == ["InvalidQuantity"]
    assert bench.fs.world.effective(pod_path(1, QosClass.GUARANTEED)) == held


def test_a_node_without_kubepods_is_told_and_waited_for(bench: Bench) -> None:
    bench.put(pod(1, 4))
    for path in sorted(_paths(bench), reverse=True):
        if path.startswith("kubepods"):
            assert bench.fs.world.rmdir(path) is None
    bench.start()
    snapshot = bench.turn()
    assert snapshot.mode is Mode.OBSERVING
    assert "kubepods" in snapshot.mode_reason
    assert snapshot.counters.writes == 0
