"""CPUs that belong to nobody after somebody else's writes: the loop finds them, tells, and gives them back."""

from pathlib import Path

from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import File
from pinfold.cgroups.verify import Cause
from pinfold.pods.model import QosClass
from tests.agent.bench import Bench, Fs, pod
from tests.cgroups.node import KUBEPODS, PlayedNode, pod_path
from tests.cpuset_model import V6_12


def test_a_pool_whose_cpus_6_12_has_lost_stands_again(tmp_path: Path) -> None:
    bench = Bench.boot(V6_12, tmp_path, apiServer={"enabled": False})
    bench.fs = Fs.boot(V6_12, 16, may_lose=True)
    PlayedNode.boot(bench.fs, Enforcement.PARTITION)
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.start()
    pool = bench.status(1).pool
    assert pool
    path = pod_path(1, QosClass.GUARANTEED)
    for where in (KUBEPODS, path):
        assert bench.fs.world.write(where, File.EXCLUSIVE, "") is None
    assert bench.fs.world.effective("").isdisjoint(pool)
    assert bench.fs.world.effective(path).isdisjoint(pool)

    snapshot = bench.turn()
    assert bench.fs.read(path, File.PARTITION) == "root"
    assert bench.fs.world.effective(path) == pool
    assert snapshot.counters.repaired[Cause.LOST] == 1
    bench.stop()
