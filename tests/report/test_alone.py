"""Foreign time against a history that is known to the nanosecond, and the kernel's texts as they are."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.report.samples import picture

from pinfold.agent.witness import Witness
from pinfold.cpuset import CpuSet
from pinfold.pods.model import PodUid
from pinfold.report.alone import Claim, Counts, Watched, interrupted_s, run_times_ns

SCHEDSTAT = """version 15
timestamp 4295012345
cpu0 0 0 0 0 0 0 17000000000 5000 300
domain0 03 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36
cpu12 0 0 0 0 0 0 9000000123 5000 300
"""
CGROUP = "kubepods.slice/pod"
CPUS = CpuSet.parse("2-3")
CLAIM = Claim(PodUid("uid"), "trading", "match-engine", "engine", CGROUP, CPUS)

stints = st.lists(
    st.tuples(st.sampled_from(["owner", "foreign"]), st.sampled_from([2, 3]), st.integers(0, 10**7)), max_size=30
)
"""Who ran where, for how many microseconds, one after the other."""


def counts(history: list[tuple[str, int, int]], at_s: float, late_us: int = 0) -> Counts:
    """What a kernel had counted after *history*; *late_us*: what the owner ran while it was read."""
    ran = {cpu: 1000 * sum(took for _, where, took in history if where == cpu) for cpu in (2, 3)}
    used = sum(took for who, _, took in history if who == "owner")
    return Counts(at_s, ran, {}, {CGROUP: used - late_us // 2}, {CGROUP: used + late_us - late_us // 2})


@given(before=stints, after=stints)
def test_what_was_not_the_owners_is_foreign_to_the_nanosecond(
    before: list[tuple[str, int, int]], after: list[tuple[str, int, int]]
) -> None:
    watched = Watched().followed([CLAIM], counts(before, 10.0))
    (alone,) = watched.measured(counts(before + after, 15.0))
    assert round(alone.foreign_s * 1e6) == sum(took for who, _, took in after if who == "foreign")
    assert (alone.measured_s, alone.error_s) == (10.0, 0.0)


@given(after=stints, late_us=st.integers(0, 10**6), share=st.floats(0, 1))
def test_what_is_used_while_it_is_read_stays_within_the_stated_error(
    after: list[tuple[str, int, int]], late_us: int, share: float
) -> None:
    """The CPUs are read at some moment between the two readings of the owner."""
    watched = Watched().followed([CLAIM], counts([], 0.0))
    now = counts(after, 1.0)
    used = now.used_before_us[CGROUP]
    between = int(late_us * share)
    read = Counts(1.0, now.ran_ns, {}, {CGROUP: used - between}, {CGROUP: used + late_us - between})
    (alone,) = watched.measured(read)
    foreign_s = sum(took for who, _, took in after if who == "foreign") / 1e6
    assert abs(alone.foreign_s - foreign_s) <= alone.error_s + 1e-9


def test_a_count_that_lags_is_told_below_zero_and_never_clipped() -> None:
    watched = Watched().followed([CLAIM], counts([], 0.0))
    lagging = Counts(1.0, {2: 0, 3: 0}, {}, {CGROUP: 900_000}, {CGROUP: 900_000})
    (alone,) = watched.measured(lagging)
    assert alone.foreign_s == -0.9
    assert alone.share == 1.45


def test_an_owner_that_changed_in_anything_begins_anew_and_one_that_is_gone_is_forgotten() -> None:
    watched = Watched().followed([CLAIM], counts([("foreign", 2, 500)], 0.0))
    grown = Claim(CLAIM.uid, CLAIM.namespace, CLAIM.pod, CLAIM.container, CGROUP, CpuSet.parse("2"))
    later = counts([("foreign", 2, 900)], 1.0)
    (alone,) = watched.followed([grown], later).measured(later)
    assert (alone.claim, alone.foreign_s, alone.share) == (grown, 0.0, None)
    assert watched.followed([], later).measured(later) == ()


def test_without_one_of_its_cpus_or_its_cgroup_nothing_is_said() -> None:
    watched = Watched().followed([CLAIM], counts([], 0.0))
    assert watched.measured(Counts(1.0, {2: 5}, {}, {CGROUP: 0}, {CGROUP: 0})) == ()
    assert watched.measured(Counts(1.0, {2: 5, 3: 5}, {}, {}, {})) == ()


def test_the_kernels_texts_are_read_by_the_cpus_own_numbers() -> None:
    assert run_times_ns(SCHEDSTAT) == {0: 17_000_000_000, 12: 9_000_000_123}
    stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu3 1 2 3 4 5 60 40 8 9 0\nintr 12 0\nctxt 5\n"
    assert interrupted_s(stat, 100) == {3: 1.0}


def test_a_witness_follows_those_that_the_kernel_confines_and_reads_where_somebody_is_new(tmp_path: Path) -> None:
    """trading/match-engine's engine has CPUs 2-4; db/postgres is on CPUs that the kernel does not confirm."""
    ran = dict.fromkeys(range(32), 0)
    used = {"usage_usec": 0}
    reads: list[str] = []

    def pass_time(cpu: int, took_s: float, own_s: float) -> None:
        ran[cpu] += int(took_s * 1e9)
        used["usage_usec"] += int(own_s * 1e6)
        lines = [f"cpu{one} 0 0 0 0 0 0 {ran_ns} 0 0\n" for one, ran_ns in ran.items()]
        (tmp_path / "schedstat").write_text("version 15\n" + "".join(lines))
        (tmp_path / "stat").write_text("cpu3 0 0 0 0 0 50 50 0 0 0\n")

    def read(cgroup: str, _: tuple[str, ...]) -> dict[str, str]:
        reads.append(cgroup)
        return {"cpu.stat": f"usage_usec {used['usage_usec']}"}

    pass_time(3, 0, 0)
    clock = iter(range(100))
    witness = Witness(read, tmp_path, lambda: float(next(clock)))
    pods = picture().pods
    witness.follow(pods)
    followed = len(reads)
    witness.follow(pods)
    witness.follow((*pods,))
    assert len(reads) == followed > 0
    pass_time(3, 1.5, 1.0)
    told = {(one.claim.pod, one.claim.container): one for one in witness.measured()}
    assert "postgres" not in {pod for pod, container in told if container}
    engine = told["match-engine", "engine"]
    assert (engine.foreign_s, engine.measured_s, engine.interrupted_s) == (0.5, 3.0, 0.0)
    (tmp_path / "schedstat").unlink()
    assert witness.measured() == ()
    witness.follow(())
    assert witness.measured() == ()
