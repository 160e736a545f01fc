"""The bench itself: a node without Pinfold looks and behaves like one of Kubernetes.

What the other VM tests prove is worth no more than this.
"""

import json
import os
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.vm.bare_node import PIN
from tests.vm.machine import run_in_vm

pytestmark = pytest.mark.vm

ALL_CPUS, ALL_NODES = "0-15", "0-1"
UIDS = {
    "trading/match-engine": "6a0f3f3e-52f5-4d0e-9a6f-0b1c4f6d2a11",
    "db/postgres": "1d3c86b2-7f0a-4f3b-8a55-6c9f0a1be722",
    "ml/inference": "c5b7d1a4-90e8-4c2e-b1de-3f8a2d7c9e33",
    "legacy/feed": "83e2b9f0-1c47-4e6d-a7f3-5d90c1b2fa44",
    "web/frontend": "f4d06c1b-2b3d-49c8-8c0e-7ae1d5a0b655",
    "batch/report": "27b8a5de-6f90-4b1d-93cc-e1f60d4c8766",
}
QOS = {"legacy/feed": "burstable", "web/frontend": "burstable", "batch/report": "besteffort"}  # the rest: Guaranteed
LIVING = {
    "trading/match-engine": ["POD", "engine", "exporter", "proxy"],
    "db/postgres": ["POD", "health-checker", "log-shipper", "postgres"],
    "ml/inference": ["POD", "auth", "logging", "server", "tokenizer"],
    "legacy/feed": ["POD", "feed", "recorder"],
    "web/frontend": ["POD", "nginx"],
    "batch/report": ["POD", "report"],
}
THREADS = {"engine": 3, "postgres": 2, "server": 2, "nginx": 2}


@dataclass(frozen=True, slots=True)
class Played:
    driver: str
    init: str
    root: str
    told: dict[str, Any]

    def pod_cgroup(self, pod: str) -> str:
        names = [*self.root.split("/")[1:], "kubepods", *([QOS[pod]] if pod in QOS else []), f"pod{UIDS[pod]}"]
        if self.driver == "cgroupfs":
            return "/" + "/".join(names)
        escaped = [name.replace("-", "_") for name in names]
        return "".join(f"/{'-'.join(escaped[: depth + 1])}.slice" for depth in range(len(names)))


def _cells() -> list[Any]:
    """Kernel, PID 1, cgroup driver, cgroup root."""
    return [
        pytest.param(("new", "systemd", "systemd", ""), marks=pytest.mark.smoke, id="new-systemd-slices"),
        pytest.param(("6.12", "systemd", "systemd", "/kubelet"), id="slices-below-a-root-as-kind-has"),
        *(
            pytest.param((kernel, init, driver, ""), id=f"{kernel}-{name}")
            for kernel in os.environ.get("PINFOLD_TEST_KERNELS", "6.1 6.12").split()
            for name, init, driver in (
                ("systemd-slices", "systemd", "systemd"),
                ("systemd-beside-directories", "systemd", "cgroupfs"),
                ("directories-alone", "command", "cgroupfs"),
            )
        ),
    ]


@pytest.fixture(scope="module", params=_cells())
def played(request: pytest.FixtureRequest) -> Played:
    kernel, init, driver, root = request.param
    done = run_in_vm(
        ["python3", "-m", "tests.vm.bare_node", "--driver", driver, "--root", root],
        kernel=kernel,
        init=init,
        smp="16,sockets=2,cores=4,threads=2",
        numa="2",
        timeout_s=900,
    )
    assert done.status == 0, done.output
    return Played(driver, init, root, json.loads(done.output))


def test_every_container_that_lives_on_has_a_process_and_every_init_container_has_ended(played: Played) -> None:
    living: dict[str, list[str]] = {}
    for process in played.told["started"]:
        if process["pid"] != played.told["exec"]:
            living.setdefault(process["pod"], []).append(process["container"])
    assert {pod: sorted(names) for pod, names in living.items()} == LIVING


def test_every_process_is_in_the_cgroup_that_kubelet_and_containerd_would_give_it(played: Played) -> None:
    for process in played.told["started"]:
        leaf = process["container_id"]
        if played.driver == "systemd":
            leaf = f"cri-containerd-{leaf}.scope"
        assert process["cgroup"] == f"{played.pod_cgroup(process['pod'])}/{leaf}"
        assert {task["cgroup"] for task in process["tasks"]} == {process["cgroup"]}
        assert re.fullmatch(r"[0-9a-f]{64}", process["container_id"])


def test_an_image_with_threads_has_them(played: Played) -> None:
    mains = [process for process in played.told["started"] if process["pid"] != played.told["exec"]]
    assert {p["container"]: len(p["tasks"]) for p in mains if p["container"] in THREADS} == THREADS


def test_without_pinfold_everybody_runs_everywhere_from_birth(played: Played) -> None:
    kept_pin = played.driver == "cgroupfs"  # see the next test
    for process in played.told["started"]:
        cpus = PIN if kept_pin and process["pod"] == "db/postgres" else ALL_CPUS
        assert (process["born"]["cpus"], process["born"]["mems"]) == (cpus, ALL_NODES)
        assert process["first"] == [cpus, ALL_NODES]
        assert {(task["cpus"], task["mems"]) for task in process["tasks"]} == {(cpus, ALL_NODES)}


def test_systemd_empties_a_pod_slice_that_was_pinned_by_file_when_its_first_container_starts(played: Played) -> None:
    before, after = played.told["pinned_by_file"]
    assert before == PIN
    assert after == ("" if played.driver == "systemd" else PIN)


def test_an_exec_joins_the_container(played: Played) -> None:
    (execed,) = (process for process in played.told["started"] if process["pid"] == played.told["exec"])
    assert execed["container"] == "engine"
    assert [task["cgroup"] for task in execed["tasks"]] == [execed["cgroup"]]


def test_a_restarted_container_has_a_new_id_and_the_others_keep_theirs(played: Played) -> None:
    before = {(p["pod"], p["container"]): p["container_id"] for p in played.told["started"]}
    after = {(p["pod"], p["container"]): p["container_id"] for p in played.told["restarted"]}
    assert before.keys() == after.keys()
    assert {key for key in before if before[key] != after[key]} == {("trading/match-engine", "exporter")}


def test_everyone_counts_the_host_and_the_pods_and_no_kernel_thread(played: Played) -> None:
    seen = {pid: (comm, cgroup) for pid, _, comm, cgroup, _, _ in played.told["everyone"]}
    assert {process["pid"] for process in played.told["started"]} <= seen.keys()
    assert seen[played.told["service"]][1] == "/system.slice/backup.service"
    assert seen[played.told["task"]][1] == "/"
    assert 1 in seen
    assert not any(comm.startswith(("kthreadd", "ksoftirqd", "kworker")) for comm, _ in seen.values())


def test_the_quota_of_a_pod_is_its_pod_level_limit(played: Played) -> None:
    settings = played.told["settings"]
    assert settings[f"{played.pod_cgroup('trading/match-engine')}/cpu.max"] == "400000 100000"
    assert settings[f"{played.pod_cgroup('legacy/feed')}/cpu.max"] == "max 100000"


def test_controllers_are_enabled_down_to_the_containers(played: Played) -> None:
    for process in played.told["started"]:
        held = played.told["settings"]
        assert f"{process['cgroup']}/cpuset.cpus" in held
        above = process["cgroup"].rpartition("/")[0]
        while above:
            assert {"cpuset", "cpu", "memory", "pids"} <= set(held[f"{above}/cgroup.subtree_control"].split())
            above = above.rpartition("/")[0]


def test_slices_and_scopes_are_units_of_systemd(played: Played) -> None:
    units = {path.rpartition("/")[2] for path in played.told["units"]}
    if played.driver == "cgroupfs":
        assert not any("kubepods" in unit or "cri-containerd" in unit for unit in units)
        return
    for process in played.told["started"]:
        *_, pod, scope = process["cgroup"].split("/")
        assert {pod, scope} <= units


def test_deleted_pods_leave_the_kubelets_own_cgroups_behind_and_nothing_else(played: Played) -> None:
    left = {path.rpartition("/")[2] for path in played.told["left"]}
    prefix = "-".join([*played.root.split("/")[1:], "kubepods"])
    if played.driver == "systemd":
        assert left == {f"{prefix}.slice", f"{prefix}-burstable.slice", f"{prefix}-besteffort.slice"}
    else:
        assert left == {"kubepods"}
