"""The runtime asked what its containers are called, over real gRPC; `golden/containers.b64` is an answer as
k8s.io/cri-api of 1.37 writes it: an engine, an exporter, and a container that is none of Kubernetes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.apiserver.waiting import until
from tests.sources.runtime_server import GOLDEN, Runtime, answer

from pinfold.sources.cri import Cri, named
from pinfold.sources.protobuf import ProtobufError

ENGINE, EXPORTER, NEW = "1" * 64, "2" * 64, "4" * 64
NAMES = {ENGINE: "engine", EXPORTER: "exporter"}


@pytest.fixture
def path(short_tmp_path: Path) -> Path:
    return short_tmp_path / "containerd.sock"


@pytest.fixture
def runtime(path: Path) -> Iterator[Runtime]:
    made = Runtime(path)
    yield made
    made.stop()


Asking = Callable[..., Cri]


@pytest.fixture
def asking(path: Path) -> Iterator[Asking]:
    made: list[Cri] = []

    def ask(*unnamed: str) -> Cri:
        made.append(Cri(path, lambda: None, pause_factor=0.01))
        made[-1].start()
        made[-1].ask(unnamed)
        return made[-1]

    yield ask
    for one in made:
        one.close()


def test_the_runtimes_word_is_read() -> None:
    assert named(GOLDEN) == NAMES


@pytest.mark.parametrize(
    "containers", [{"../../etc": "engine"}, {ENGINE: "../engine"}, {ENGINE[:-1]: "engine"}, {ENGINE: ""}], ids=str
)
def test_what_is_no_id_or_no_name_is_none(containers: dict[str, str]) -> None:
    assert named(answer(containers)) == {}


def test_bytes_that_are_no_answer_are_told() -> None:
    with pytest.raises(ProtobufError, match="9 bytes that are no ListContainersResponse"):
        named(b"\xff" * 9)


def test_it_is_asked_once_for_each_that_has_no_name(runtime: Runtime, asking: Asking) -> None:
    cri = asking(ENGINE)
    until(lambda: cri.names == NAMES, "the names are told")
    for _ in range(3):
        cri.ask({ENGINE})
    runtime.answer = answer({NEW: "engine"})
    cri.ask({ENGINE, NEW})
    until(lambda: cri.names == {NEW: "engine"}, "the new container's name")
    assert runtime.asked == 2
    cri.again()
    cri.ask({ENGINE})
    until(lambda: runtime.asked == 3, "the timer lets it be asked again")


def test_a_runtime_that_is_away_is_told_once_and_what_it_said_holds(
    runtime: Runtime, asking: Asking, path: Path
) -> None:
    with capture_logs() as logs:
        cri = asking(ENGINE)
        until(lambda: cri.names == NAMES, "the names are told")
        runtime.stop()
        for _ in range(2):
            cri.again()
            cri.ask({NEW})
            until(lambda: bool(cri.error), "it is away")
        assert str(path) in cri.error
        assert cri.names == NAMES
        back = Runtime(path)
        until(lambda: not cri.error, "it is back, and asked without a word")
        back.stop()
    assert [one["event"] for one in logs] == ["cri.lost", "cri.found"]


def test_an_answer_that_is_none_is_an_error_and_not_the_end(runtime: Runtime, asking: Asking) -> None:
    runtime.answer = b"\xff" * 9
    cri = asking(ENGINE)
    until(lambda: "no ListContainersResponse" in cri.error, "it is told")
    runtime.answer = GOLDEN
    until(lambda: cri.names == NAMES, "a good answer")
