"""Which affinities are wanted: whoever moved an interrupt last, other than Pinfold, gets it back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet
from pinfold.interrupts import masks
from pinfold.interrupts.affinities import (
    DEFAULT,
    Ground,
    Irq,
    IrqGuard,
    IrqId,
    Moved,
    Moves,
    drifted,
    from_text,
    guarded,
    to_text,
    wanted,
    writes,
)
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.pods.model import ContainerKind, PodUid

ONLINE = CpuSet.parse("0-7")
NODES = {0: CpuSet.parse("0-3"), 1: CpuSet.parse("4-7")}
A, B = IrqId("24"), IrqId("131")

cpus = st.integers(1, 255).map(CpuSet)
irqs = st.builds(Irq, cpus, st.sampled_from([-1, 0, 1]))


def ground(text: str) -> Ground:
    return Ground(CpuSet.parse(text), ONLINE, NODES)


def moved(found: str, ours: str) -> Moved:
    return Moved(CpuSet.parse(found), CpuSet.parse(ours))


def irq(text: str, node: int = -1) -> Irq:
    return Irq(CpuSet.parse(text), node)


@pytest.mark.parametrize(
    ("found", "node", "ours"),
    [
        pytest.param("0-7", -1, "0-1,4-7", id="what-it-has-beside-them"),
        pytest.param("2", 0, "0-1", id="the-rest-of-its-devices-node"),
        pytest.param("2", 1, "4-7", id="its-devices-node-not-the-CPUs"),
        pytest.param("2", -1, "0-1,4-7", id="no-node-so-anywhere-else"),
        pytest.param("2,9", 0, "0-1", id="what-is-left-is-offline"),
    ],
)
def test_an_interrupt_goes_aside(found: str, node: int, ours: str) -> None:
    assert wanted({A: irq(found, node)}, {}, ground("2-3")) == {A: moved(found, ours)}


def test_a_node_that_is_guarded_whole_sends_its_interrupts_to_another() -> None:
    assert wanted({A: irq("1", 0)}, {}, ground("0-3")) == {A: moved("1", "4-7")}


def test_an_interrupt_beside_the_guarded_cpus_stays_as_it_is() -> None:
    assert wanted({A: irq("0-1,4")}, {}, ground("2-3")) == {}


def test_with_every_cpu_guarded_nothing_moves() -> None:
    held = {A: irq("2")}
    assert writes(held, {}, wanted(held, {}, ground("0-7"))) == {}


def test_the_default_is_set_first() -> None:
    held = {B: irq("2"), A: irq("2"), DEFAULT: irq("0-7")}
    assert list(writes(held, {}, wanted(held, {}, ground("2")))) == [DEFAULT, A, B]


@pytest.mark.parametrize(
    ("born_with", "node", "found"),
    [
        pytest.param("0-1,4-7", -1, "0-7", id="the-whole-default"),
        pytest.param("0-1", 0, "0-3", id="of-it-its-devices-node"),
        pytest.param("4", 1, None, id="its-drivers-own-choice"),
    ],
)
def test_an_interrupt_born_with_our_default_is_given_the_one_that_was_found(
    born_with: str, node: int, found: str | None
) -> None:
    before = {DEFAULT: moved("0-7", "0-1,4-7")}
    held = {DEFAULT: irq("0-1,4-7"), A: irq(born_with, node)}
    after = wanted(held, before, ground("2-3"), {A})
    assert after.get(A) == (moved(found, born_with) if found else None)
    assert A not in wanted(held, before, ground("2-3")), "it was there before, and somebody chose that"


@pytest.mark.parametrize(
    ("now", "drift"),
    [
        pytest.param("5", False, id="moved-elsewhere-beside-them"),
        pytest.param("2", True, id="put-on-one"),
        pytest.param("0-7", True, id="put-back-as-it-was"),
        pytest.param("0-1,4", False, id="as-we-set-it-before-more-was-guarded"),
    ],
)
def test_drift_is_what_somebody_put_back(now: str, drift: bool) -> None:
    assert drifted({A: irq(now)}, {A: moved("0-7", "0-1,4")}, CpuSet.parse("2-4")) == ({A} if drift else set())


@given(
    st.dictionaries(st.sampled_from([DEFAULT, A, B]), irqs, min_size=1),
    st.lists(st.one_of(st.integers(0, 255).map(CpuSet), st.tuples(st.sampled_from([DEFAULT, A, B]), cpus))),
)
def test_after_any_guarding_and_any_other_writer_a_release_gives_back_what_the_last_one_left(
    held: dict[IrqId, Irq], steps: list[CpuSet | tuple[IrqId, CpuSet]]
) -> None:
    owed = {one: held[one].cpus for one in held}
    at, moves = Ground(CpuSet(), ONLINE, NODES), dict[IrqId, Moved]()

    def kept(moves: Moves) -> Moves:
        after = wanted(held, moves, at)
        for one, cpus in writes(held, moves, after).items():
            held[one] = Irq(cpus, held[one].node)
        assert writes(held, after, wanted(held, after, at)) == {}
        return from_text(to_text(after))

    for step in steps:
        if isinstance(step, CpuSet):
            at = Ground(step, ONLINE, NODES)
        elif step[0] in held and held[step[0]].cpus != step[1]:
            owed[step[0]] = step[1]
            held[step[0]] = Irq(step[1], held[step[0]].node)
        moves = dict(kept(moves))
        assert at.guarded == ONLINE or all(one.cpus.isdisjoint(at.guarded) for one in held.values())
    at = Ground(CpuSet(), ONLINE, NODES)
    assert kept(moves) == {}
    assert {one: held[one].cpus for one in held} == owed


@pytest.mark.parametrize(
    ("guard", "text"),
    [
        pytest.param(IrqGuard.OFF, "", id="off"),
        pytest.param(IrqGuard.SLICES, "2-3,6", id="slices"),
        pytest.param(IrqGuard.POOLS, "2-4,6", id="pools"),
    ],
)
def test_the_guard_is_for_slices_or_for_whole_pools(guard: IrqGuard, text: str) -> None:
    def slice_(cpus: str) -> ContainerEntry:
        return ContainerEntry("engine", Isolation.CONTAINER, CpuSet.parse(cpus), (), ContainerKind.APP)

    ledger = Ledger().with_entry(
        PodEntry(PodUid("a"), "trading", "match", CpuSet.parse("2-4"), containers=(slice_("2-3"),))
    )
    ledger = ledger.with_entry(PodEntry(PodUid("b"), "legacy", "feed", containers=(slice_("6"),)))
    assert guarded(guard, ledger) == CpuSet.parse(text)


@given(st.integers(0, (1 << 200) - 1).map(CpuSet))
def test_a_mask_reads_back(cpus: CpuSet) -> None:
    assert masks.parsed(masks.mask(cpus)) == cpus


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        pytest.param("0-1,4-7", "f3", id="no-leading-zeros"),
        pytest.param("0,32", "1,00000001", id="a-group-is-eight-digits"),
        pytest.param("31", "80000000", id="a-full-group"),
        pytest.param("0-111", "ffff,ffffffff,ffffffff,ffffffff", id="as-a-kernel-with-112-CPUs-writes-it"),
    ],
)
def test_a_mask_is_written_as_the_kernel_takes_it(text: str, mask: str) -> None:
    assert masks.mask(CpuSet.parse(text)) == mask


@pytest.mark.parametrize("text", ["", "0-1", "0x3", "1,2", "ffffffff0", "1,,00000000"])
def test_what_is_no_mask_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no CPU mask"):
        masks.parsed(text)
