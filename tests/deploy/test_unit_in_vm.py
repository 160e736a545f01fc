"""The unit under a real systemd: what it forbids must not be what Pinfold needs."""

import json
from pathlib import Path

import pytest
from tests.vm.machine import run_in_vm

ROOT = Path(__file__).resolve().parents[2]

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
