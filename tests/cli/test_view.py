"""What a person sees of a node, as golden text, and what holds for every machine."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report import samples
from tests.report.samples import crowd, odd, picture

from pinfold.cli.explain import explained
from pinfold.cli.node_map import drawn
from pinfold.cli.terminal import COLUMNS, Ink, Line, Span, filled, pieces, table, written
from pinfold.cli.view import shown
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger
from pinfold.planning.planner import Plan
from pinfold.pods.model import Container, ContainerKind
from pinfold.report.ownership import letters, owning
from pinfold.report.plain import plain
from pinfold.report.snapshot import Snapshot
from pinfold.report.status import to_json

GOLDEN = Path(__file__).parent / "golden"
NODES = {"picture": picture, "crowd": crowd, "odd": odd}
CPUS = re.compile(r"(?<!\S)\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*,?(?!\S)")


def text(lines: Sequence[Line]) -> str:
    return written(lines, coloured=False)


@pytest.mark.parametrize("name", NODES)
def test_a_node_looks_as_it_did(name: str) -> None:
    status = to_json(NODES[name]())
    pods = [line for pod in status["pods"][:4] for line in [(), *explained(pod)]]
    found = text([*shown(status), *pods])
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("REWRITE_GOLDEN"):
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.mark.parametrize("of", NODES.values(), ids=NODES)
def test_no_line_is_wider_than_80_columns_or_ends_in_blanks(of: Callable[[], Snapshot]) -> None:
    status = to_json(of())
    for line in [*shown(status, every_pod=True), *(line for pod in status["pods"] for line in explained(pod))]:
        shape = text([line])[:-1]
        assert len(shape) <= COLUMNS
        assert shape == shape.rstrip()


def named(status: dict[str, object]) -> Counter[int]:
    """How often each CPU is named as an owner's in the map; container names in the samples are no numbers."""
    rows = [line[4:] for line in text(drawn(status)).splitlines() if line.startswith("    ")]
    lists = (cpus.rstrip(",") for row in rows for cpus in CPUS.findall(row.partition("/")[2] or row))
    return Counter(cpu for cpus in lists for cpu in CpuSet.parse(cpus))


@pytest.mark.parametrize("of", NODES.values(), ids=NODES)
def test_the_map_names_every_online_cpu_once(of: Callable[[], Snapshot]) -> None:
    snapshot = of()
    assert named(to_json(snapshot)) == Counter(snapshot.topology.online)


@st.composite
def nodes(draw: st.DrawFn) -> Snapshot:
    """Any regular machine, with pools of any CPUs of it, divided in any way; none of it need be aligned.

    An init container had the whole pool as its slice.
    """
    shape = [draw(st.integers(1, limit)) for limit in (4, 4, 8, 2)]
    topology = samples.machine(*shape)
    owner = {cpu: draw(st.integers(0, 5)) for cpu in topology.online}
    alone = CpuSet.of(cpu for cpu in topology.online if draw(st.booleans()))
    reserved = CpuSet.of(cpu for cpu, pod in owner.items() if pod == 0 and draw(st.booleans()))
    pods = []
    entries = {}
    decisions = []
    for number in range(1, 6):
        pool = CpuSet.of(cpu for cpu, pod in owner.items() if pod == number)
        slices = {"main": str(pool & alone)} if pool & alone else {}
        one = samples.pod(
            f"ns/pod-{number}",
            number,
            Container("setup", ContainerKind.INIT),
            Container("main", ContainerKind.APP),
            Container("log", ContainerKind.APP),
            cpus=1,
        )
        entry = samples.pooled(one, str(pool), "0", **slices)
        setup = ContainerEntry("setup", Isolation.CONTAINER, pool, kind=ContainerKind.INIT)
        entry = replace(entry, containers=(setup, *entry.containers[1:]))
        if pool:
            pods.append(one)
            entries[one.uid] = entry
            decisions.append(samples.pinned(one, entry))
    ledger = Ledger(entries)
    plan = Plan(ledger, tuple(decisions), topology.online - ledger.owned)
    return samples.snapshot(topology, str(reserved), plan, tuple(pods))


@settings(deadline=None)
@given(nodes())
def test_any_map_names_every_online_cpu_once_and_its_owner_stands_before_it(snapshot: Snapshot) -> None:
    status = to_json(snapshot)
    assert named(status) == Counter(snapshot.topology.online)
    heads = [line.split()[0] for line in text(drawn(status)).splitlines() if re.match(r" {4}[A-Z]+ ns/", line)]
    assert set(heads) == {letter for letter, _ in owning(status)}


def test_a_hostile_text_cannot_steer_the_terminal() -> None:
    status = to_json(odd())
    for coloured in (False, True):
        told = written([*shown(status), *explained(status["pods"][1])], coloured)
        assert "\\x1b[2J" in told
        assert all(one.isprintable() or one == "\n" for one in re.sub(r"\x1b\[[0-9;]*m", "", told))


@settings(deadline=None)
@given(st.text())
def test_plain_text_has_nothing_that_a_terminal_obeys(hostile: str) -> None:
    assert plain(hostile).isprintable()


@settings(deadline=None)
@given(st.text(), st.integers(0, 30), st.integers(60, 80))
def test_filled_text_loses_nothing_and_stays_within_its_width(long: str, indent: int, width: int) -> None:
    lines = filled((Span(" " * indent),), pieces(long), width)
    told = ["".join(span.text for span in line) for line in lines]
    assert all(len(line.rstrip()) <= width for line in told)
    assert "".join(line[indent:] for line in told) == plain(long)


def test_what_follows_a_long_path_stands_below_it_and_a_little_in() -> None:
    path = "/var/lib/kubelet/pods/1d3c86b2-7f0a-4f3b-8a55-6c9f0a1be722/volumes/manifests/bad.yaml: "
    told = text(filled((Span(path, Ink.BAD),), pieces("metadata.name is missing"))).splitlines()
    assert told == [path[:-10], f"    {path[-10:]}metadata.name is missing"]


def test_a_table_breaks_its_widest_cells_and_leaves_out_what_is_blank() -> None:
    cpus = ",".join(str(cpu) for cpu in range(0, 90, 2))
    lines = [line for row in table(("POD", "POOL", "MEMS"), [[Span("a/b"), Span(cpus), Span("")]]) for line in row]
    told = text(lines).splitlines()
    assert told[0] == "POD  POOL"
    assert "".join(line[5:] for line in told[1:]) == cpus
    assert len(told) > 2


def test_ink_is_left_out_where_it_is_not_wanted() -> None:
    line = (Span("a", Ink.BAD), Span("  ", Ink.BAD))
    assert written([line], coloured=True) == "\x1b[1;31ma\x1b[0m\n"
    assert written([line], coloured=False) == "a\n"


def test_after_z_comes_aa() -> None:
    first = [letter for letter, _ in zip(letters(), range(703), strict=False)]
    assert (first[25], first[26], first[51], first[701], first[702]) == ("Z", "AA", "AZ", "ZZ", "AAA")
