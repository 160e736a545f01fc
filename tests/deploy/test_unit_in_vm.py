"""The unit under a real systemd: what it forbids must not be what Pinfold needs."""

import json
import re
from pathlib import Path

import pytest
from tests.deploy.manifests import built, named
from tests.vm.machine import run_in_vm

ROOT = Path(__file__).resolve().parents[2]
REFUSED_BY_THE_KERNEL = re.compile(r"cgroup \S+/cpuset\.(cpus: '' -> '0-15'|mems: '' -> '0-1')")
"""A cgroup with processes takes no empty set again (ENOSPC): all CPUs, all nodes mean the same."""
KEPT_BY_SYSTEMD = re.compile(
    r"file /run/systemd/transient/kubepods-pod\w+\.slice\.d/50-AllowedCPUs\.conf: 'not there' -> '.*"
    r"\\n(AllowedCPUs=\\n)+'"
    r"|unit (kubepods-pod\w+\.slice) DropInPaths: '(.*)' -> '\3 /run/systemd/transient/\2\.d/50-AllowedCPUs\.conf'"
)
"""A property that was set by the bus and is given back leaves an empty drop-in, until the transient slice ends."""

pytestmark = pytest.mark.vm


def test_the_unit_pins_a_pod_and_its_stop_leaves_the_pins() -> None:
    done = run_in_vm(
        ["python3", "-m", "tests.deploy.unit_in_guest"],
        init="systemd",
        smp="16,sockets=2,cores=4,threads=2",
        shares=[ROOT / "systemd"],
        timeout_s=600,
    )
    assert done.status == 0, done.output
    assert json.loads(done.output.splitlines()[-1]) == {
        "unconfigured": "0 inactive",
        "start": "0 active",
        "pinned": True,
        "engine": "2-4",
        "partition": "root",
        "stop": "0 inactive",
        "engine after the stop": "2-4",
        "again": "0 active",
        "pinned again": True,
        "reload": "0 active",
        "restarts": "0",
        "errors": [],
    }, done.output


def test_whichever_way_pinfold_came_it_goes_without_a_trace() -> None:
    """Every cgroup file that can be written, every affinity, unit property and file, before and after.

    As a unit; as the DaemonSet; with no capability at all.
    """
    (overlay,) = named("DaemonSet", built("release"))["spec"]["template"]["spec"]["initContainers"]
    done = run_in_vm(
        ["python3", "-m", "tests.deploy.uninstall_in_guest", *overlay["args"]],
        init="systemd",
        smp="16,sockets=2,cores=4,threads=2",
        shares=[ROOT / "systemd", ROOT / "deploy"],
        timeout_s=900,
    )
    assert done.status == 0, done.output
    told = json.loads(done.output.splitlines()[-1])
    assert told["files"] > 500
    unit, unprivileged, daemonset = told["unit"], told["unprivileged"], told["daemonset"]
    assert [unit[step]["status"] for step in ("install", "again", "uninstall")] == [0, 0, 0], done.output
    assert (daemonset["stopped"], daemonset["release"]["status"]) == (0, 0), done.output
    assert unprivileged["capabilities"] == ["0000000000000000"], done.output
    assert unprivileged["exclusivity"] == "shrink"
    assert (unprivileged["verify"], unprivileged["release"]) == (0, 0), done.output
    for way in (unit, unprivileged, daemonset):
        assert way["pinned"], done.output
        assert way["meanwhile"] > 10
        way["left"] = [line for line in way["left"] if not REFUSED_BY_THE_KERNEL.fullmatch(line)]
    assert daemonset["after the stop"] > 10
    assert unit["left"] == []
    assert [line for line in unprivileged["left"] if not KEPT_BY_SYSTEMD.fullmatch(line)] == []
    assert daemonset["left"] == ["directory /var/lib/pinfold: 'not there' -> 'there'"]
