"""Pods on a real runtime: who is born where, and what running pods go through, for each runtime and driver.

PINFOLD_TEST_STARTS=N starts N pods promptly instead of forty.
"""

import os
from typing import Literal

import pytest

from tests.cri import PACKAGES, WHEELS
from tests.vm.machine import run_in_vm

pytestmark = [pytest.mark.vm, pytest.mark.long]

MACHINE = "16,sockets=2,cores=4,threads=2"


def _passes(
    module: str, *arguments: str, kernel: Literal["6.1", "6.12"] = "6.12", debian: Literal["12", "13"] = "12"
) -> None:
    done = run_in_vm(
        ["python3", "-m", module, *arguments],
        kernel=kernel,
        debian=debian,
        init="systemd",
        smp=MACHINE,
        mem_mib=1536,
        packages=PACKAGES,
        wheels=WHEELS,
        timeout_s=7200,
    )
    assert done.status == 0, done.output[-6000:]


@pytest.mark.parametrize(
    ("kernel", "runtime", "others"),
    [
        pytest.param("6.12", "containerd", "8", id="containerd-by-partitions"),
        pytest.param("6.1", "containerd", "8", id="containerd-by-shrinking"),
        pytest.param("6.12", "crio", "0", id="no-sandbox"),  # whoever is known late is narrowed late: docs/runtimes.md
    ],
)
def test_no_program_runs_outside_and_where_pinfold_was_away_its_counters_say_so(
    kernel: Literal["6.1", "6.12"], runtime: str, others: str
) -> None:
    prompt = os.environ.get("PINFOLD_TEST_STARTS", "40")
    phases = {"prompt": prompt, "late": others, "busy": others, "stopped": "8"}
    counts = [word for phase, count in phases.items() for word in (f"--{phase}", count)]
    _passes("tests.cri.starts", "--runtime", runtime, *counts, kernel=kernel)


@pytest.mark.parametrize(
    ("kernel", "debian", "driver"),
    [
        pytest.param("6.12", "12", "systemd", id="containerd-1.6-and-systemd"),
        pytest.param("6.1", "12", "systemd", id="containerd-1.6-and-systemd-by-shrinking"),
        pytest.param("6.12", "13", "cgroupfs", id="containerd-1.7-and-cgroupfs"),
    ],
)
def test_nothing_fails_and_nothing_escapes_while_a_pod_lives(
    kernel: Literal["6.1", "6.12"], debian: Literal["12", "13"], driver: str
) -> None:
    """On containerd with runc, with crun, and as CRI-O names its containers."""
    _passes("tests.cri.life", "--driver", driver, kernel=kernel, debian=debian)
