"""``pinfold.dev/isolated``: from the manifest to the kernel's partition, and what is told where there is none."""

from pathlib import Path
from typing import Any

import pytest

from pinfold.cgroups.paths import ROOT, File
from pinfold.planning.reasons import Outcome, Word
from pinfold.pods.model import QosClass
from pinfold.report.snapshot import PodStatus
from tests.agent.bench import Bench, pod
from tests.cgroups.node import pod_path
from tests.cpuset_model import KERNELS, V6_1, V6_12, Kernel

PATH = pod_path(1, QosClass.GUARANTEED)


def asking(value: str, cpus: int, engine: int) -> dict[str, Any]:
    raw = pod(1, cpus, engine=engine)
    raw["metadata"]["annotations"] = {"pinfold.dev/isolated": value}
    return raw


def outcome(status: PodStatus) -> Outcome | None:
    return status.decision.outcome if status.decision else None


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_a_pool_whose_sidecar_has_one_cpu_is_isolated_or_it_is_told(kernel: Kernel, tmp_path: Path) -> None:
    bench = Bench.boot(kernel, tmp_path, apiServer={"enabled": False})
    bench.put(asking("true", 4, 3))
    bench.appear(1, populated=False)
    bench.start()
    status, warnings = bench.status(1), bench.turn().warnings
    assert (outcome(status), len(status.pool), status.kernel.drift) == (Outcome.PINNED, 4, ())
    told = [one for one in warnings if "test/p1 asks for pinfold.dev/isolated" in one]
    if kernel is V6_1:
        assert len(told) == 1
    else:
        assert told == []
        assert bench.fs.read(PATH, File.PARTITION) == "isolated"
        assert bench.fs.read(ROOT, File.ISOLATED) == str(status.pool)
        bench.put(pod(1, 4, engine=3))
        assert bench.status(1).pool == status.pool
        assert bench.fs.read(PATH, File.PARTITION) == "root"
    bench.stop()


def test_several_shared_cpus_refuse_it_with_a_reason_unless_the_pod_insists(tmp_path: Path) -> None:
    bench = Bench.boot(V6_12, tmp_path, apiServer={"enabled": False})
    bench.put(asking("true", 4, 2))
    bench.appear(1, populated=False)
    bench.start()
    decision = bench.status(1).decision
    assert decision
    assert decision.refusal
    assert decision.refusal.word is Word.INVALID_ANNOTATION
    assert "containers would share 2 CPUs" in decision.refusal.message
    assert bench.fs.read(PATH, File.PARTITION) in {None, "member"}

    bench.put(asking("insist", 4, 2))
    assert outcome(bench.status(1)) is Outcome.PINNED
    assert bench.fs.read(PATH, File.PARTITION) == "isolated"
    bench.stop()
