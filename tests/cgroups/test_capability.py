"""How pools can be held is found in the kernel's files and our own rights, never in its version."""

import os
from pathlib import Path

import pytest

from pinfold.cgroups.capability import capability, may_administer
from pinfold.cgroups.held import CpusetState, Held
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import ROOT, CgroupPath
from pinfold.cpuset import CpuSet

K = CgroupPath("kubepods.slice")
OLD: Held = {ROOT: CpusetState(), K: CpusetState(cpus=CpuSet())}
NEW: Held = {ROOT: CpusetState(has_remote_partitions=True), K: CpusetState(cpus=CpuSet(), exclusive=CpuSet())}
NOT_ENABLED: Held = {ROOT: CpusetState(has_remote_partitions=True), K: CpusetState()}


@pytest.mark.parametrize(
    ("held", "may", "asked", "enforcement", "reason"),
    [
        pytest.param(NEW, True, None, Enforcement.PARTITION, "has remote", id="a-new-kernel"),
        pytest.param(NOT_ENABLED, True, None, Enforcement.PARTITION, "has remote", id="cpuset-is-not-enabled-yet"),
        pytest.param(OLD, True, None, Enforcement.SHRINK, "no cpuset.cpus.exclusive", id="an-old-kernel"),
        pytest.param(NEW, False, None, Enforcement.SHRINK, "CAP_SYS_ADMIN", id="no-capability"),
        pytest.param(NEW, True, Enforcement.SHRINK, Enforcement.SHRINK, "configuration", id="asked-to-shrink"),
        pytest.param(OLD, True, Enforcement.PARTITION, Enforcement.SHRINK, "no cpuset", id="asked-in-vain"),
        pytest.param({}, True, None, Enforcement.PARTITION, "looked at", id="nothing-looked-at"),
    ],
)
def test_capability(held: Held, may: bool, asked: Enforcement | None, enforcement: Enforcement, reason: str) -> None:
    found = capability(held, may_administer=may, asked=asked)
    assert found.enforcement is enforcement
    assert reason in found.reason


@pytest.mark.parametrize(("mask", "may"), [("000001ffffffffff", True), ("00000000a80425fb", False)])
def test_the_right_to_make_partitions_is_in_the_effective_capabilities(tmp_path: Path, mask: str, may: bool) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text(f"Name:\tpinfold\nCapPrm:\t0\nCapEff:\t{mask}\n")
    assert may_administer(tmp_path) is may


def test_our_own_rights_can_be_read() -> None:
    assert may_administer() in {True, False}
    if os.geteuid():
        assert not may_administer()
