"""The loop where no bundle can be read: containers are called what their runtime says, over real gRPC."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pinfold.cgroups.paths import CgroupPath
from pinfold.pods.model import QosClass
from tests.agent.bench import Bench, pod
from tests.apiserver.waiting import until
from tests.cgroups.node import container_id, container_path, pod_path
from tests.cpuset_model import V6_12
from tests.sources.runtime_server import Runtime, answer

POD = pod_path(1, QosClass.GUARANTEED)
ENGINE, PROXY = container_path(POD, 1, 1), container_path(POD, 1, 2)


@pytest.fixture
def path(short_tmp_path: Path) -> Path:
    return short_tmp_path / "containerd.sock"


@pytest.fixture
def bench(tmp_path: Path, path: Path) -> Iterator[Bench]:
    made = Bench.boot(V6_12, tmp_path, apiServer={"enabled": False}, cri={"endpoint": f"unix://{path}"})
    yield made
    made.stop()


def begin(bench: Bench, path: CgroupPath) -> None:
    assert bench.fs.world.mkdir(path) is None
    bench.fs.world.spawn(path, path)


def test_a_container_without_a_bundle_has_the_name_that_its_runtime_tells(bench: Bench, path: Path) -> None:
    runtime = Runtime(path)
    runtime.answer = answer({container_id(1, 1): "engine", container_id(1, 2): "a-name-that-the-spec-has-not"})
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.start()
    for one in (ENGINE, PROXY):
        begin(bench, one)
    try:
        until(lambda: bench.turn() is not None and len(bench.fs.world.effective(ENGINE)) == 3, "the slice")
        assert bench.fs.world.effective(PROXY) == bench.status(1).pool - bench.fs.world.effective(ENGINE)
        assert {one.name: one.healthy for one in bench.turn().sources}["cri"]
    finally:
        runtime.stop()


def test_a_runtime_that_is_away_costs_the_name_alone(bench: Bench) -> None:
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.start()
    begin(bench, ENGINE)
    until(lambda: not {one.name: one.healthy for one in bench.turn().sources}["cri"], "it is away")
    assert len(bench.status(1).pool) == 4
    assert bench.fs.world.effective(ENGINE) <= bench.status(1).pool
