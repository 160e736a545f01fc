"""Each write has an outcome; a refusal stops what builds on it and nothing else."""

import errno

import pytest

from pinfold.cgroups.executor import Result, execute
from pinfold.cgroups.files import CgroupGoneError, WriteRefusedError
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet

from .node import uid

A, B, C = CgroupPath("a"), CgroupPath("b"), CgroupPath("c")


class Answers:
    """A kernel that answers as it is told; what was written stays to be seen."""

    def __init__(self, refused: set[CgroupPath] = frozenset(), gone: set[CgroupPath] = frozenset()) -> None:  # type: ignore[assignment]
        self.refused, self.gone = refused, gone
        self.says: dict[CgroupPath, str | None] = {}
        self.written: list[tuple[CgroupPath, str]] = []

    def write(self, path: CgroupPath, file: str, value: str, /) -> None:
        if path in self.gone:
            raise CgroupGoneError(f"{path} is gone")
        if path in self.refused:
            raise WriteRefusedError(path, file, value, OSError(errno.EINVAL, "Invalid argument"))
        self.written.append((path, value))

    def read(self, path: CgroupPath, file: str, /) -> str | None:  # noqa: ARG002
        return self.says.get(path, dict(self.written)[path])


def cpus(path: CgroupPath, text: str, pod: int | None = None, touched: str = "") -> Write:
    return Write(path, File.CPUS, text, "", None if pod is None else uid(pod), CpuSet.parse(touched))


def results(writes: list[Write], kernel: Answers) -> list[Result]:
    return [outcome.result for outcome in execute(writes, kernel)]


def test_writes_are_done_in_their_order() -> None:
    kernel = Answers()
    assert results([cpus(A, "1"), cpus(B, "2"), cpus(A, "3")], kernel) == [Result.DONE] * 3
    assert kernel.written == [(A, "1"), (B, "2"), (A, "3")]


def test_what_is_gone_holds_nobody_up() -> None:
    kernel = Answers(gone={A})
    assert results([cpus(A, "1", 1, "1"), cpus(B, "1", 1, "1")], kernel) == [Result.GONE, Result.DONE]


@pytest.mark.parametrize(
    ("second", "result"),
    [
        pytest.param(cpus(B, "9", 1), Result.SKIPPED, id="the-same-pod"),
        pytest.param(cpus(B, "2-3", 2, "3"), Result.SKIPPED, id="a-cpu-that-was-not-left"),
        pytest.param(cpus(A, "9", 2), Result.SKIPPED, id="the-same-file"),
        pytest.param(cpus(B, "9", 2, "9"), Result.DONE, id="another-pod-elsewhere"),
    ],
)
def test_a_refusal_stops_what_builds_on_it(second: Write, result: Result) -> None:
    assert results([cpus(A, "2", 1, "2-3"), second], Answers(refused={A})) == [Result.REFUSED, result]


def test_a_skipped_write_stops_what_builds_on_it_too() -> None:
    writes = [cpus(A, "2", 1, "2"), cpus(B, "2-3", 2, "2-3"), cpus(C, "3", 3, "3")]
    assert results(writes, Answers(refused={A})) == [Result.REFUSED, Result.SKIPPED, Result.SKIPPED]


def test_a_refusal_is_told_with_the_kernels_reason() -> None:
    (outcome,) = execute([cpus(A, "2")], Answers(refused={A}))
    assert (outcome.errno, outcome.message) == (
        errno.EINVAL,
        "a/cpuset.cpus did not take '2': EINVAL, Invalid argument",
    )


def test_a_partition_word_that_reads_invalid_is_a_refusal() -> None:
    kernel = Answers()
    kernel.says[A] = "root invalid (Cpu list in cpuset.cpus not exclusive)"
    writes = [Write(A, File.PARTITION, "root", "", uid(1)), cpus(B, "2", 1)]
    first, second = execute(writes, kernel)
    assert (first.result, second.result) == (Result.REFUSED, Result.SKIPPED)
    assert "Cpu list in cpuset.cpus not exclusive" in first.message
