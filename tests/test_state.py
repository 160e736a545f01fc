"""The checkpoint: what is saved comes back, and nothing damaged comes back as a ledger."""

import dataclasses
import hashlib
import json
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Block, ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.protection import Level, Protection
from pinfold.pods.model import ContainerKind, PodUid
from pinfold.state import FILE, Checkpoint, StateDirectory, StateError, load

BOOT = "c0ffee00-0000-4000-8000-000000000001"

blocks = st.lists(
    st.builds(
        Block,
        nodes=st.integers(1, 2**70).map(NodeSet),
        resource=st.sampled_from(["memory", "hugepages-2Mi"]),
        size_bytes=st.integers(0, 2**50),
    ),
    max_size=3,
).map(tuple)
names = st.text(min_size=1, max_size=12)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """Ledgers whose pods own disjoint CPUs, as every real one does."""
    entries: dict[PodUid, PodEntry] = {}
    for index in range(draw(st.integers(0, 4))):
        pool = CpuSet(draw(st.integers(0, 255)) << 8 * index)
        cut = draw(st.integers(0, len(pool)))
        entry = draw(
            st.builds(
                PodEntry,
                uid=st.just(PodUid(f"00000000-0000-4000-8000-{index:012}")),
                namespace=names,
                name=names,
                cpus=st.just(pool),
                mems=st.integers(0, 2**70).map(NodeSet),
                containers=st.lists(
                    st.builds(
                        ContainerEntry,
                        name=names,
                        isolation=st.sampled_from(Isolation),
                        cpus=st.just(pool.first(cut)),
                        blocks=blocks,
                        kind=st.sampled_from(ContainerKind),
                    ),
                    max_size=3,
                ).map(tuple),
                blocks=blocks,
                asked=st.dictionaries(st.sampled_from(["cpu", "memory"]), st.integers(1, 2**50)),
                isolated=st.booleans(),
            )
        )
        entries[entry.uid] = entry
    protection = st.builds(Protection, st.sampled_from(Level), st.integers(1, 2**50))
    return Ledger(entries, draw(st.dictionaries(names.map(PodUid), protection, max_size=2)))


checkpoints = st.builds(
    Checkpoint,
    ledger=ledgers(),
    found=st.dictionaries(names, st.dictionaries(names, st.text(max_size=20), max_size=3), max_size=3),
    tasks=st.dictionaries(names, st.tuples(names, names), max_size=3),
    irqs=st.dictionaries(names, st.tuples(names, names), max_size=3),
    generation=st.integers(0, 2**40),
)


def full() -> Checkpoint:
    """A checkpoint in which no field has its default."""
    block = Block(NodeSet.parse("1"), "memory", 8 << 30)
    engine = ContainerEntry("engine", Isolation.CONTAINER, CpuSet.parse("2-4"), (block,), ContainerKind.SIDECAR)
    uid = PodUid("00000000-0000-4000-8000-000000000001")
    entry = PodEntry(
        uid, "trading", "m", CpuSet.parse("2-5"), NodeSet.parse("1"), (engine,), (block,), {"cpu": 4000}, isolated=True
    )
    return Checkpoint(
        Ledger({uid: entry}, {uid: Protection(Level.LOW, 8 << 30)}),
        {"kubepods.slice": {"cpuset.cpus": "0-7"}},
        {"7:1": ("0-7", "0")},
        {"9": ("0-7", "6")},
        7,
        frozenset({("kubepods.slice", "MemoryLow")}),
    )


@given(checkpoint=checkpoints)
@settings(max_examples=25)  # each is synced to the disk
def test_what_is_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> None:
    directory = StateDirectory(tmp_path_factory.mktemp("state"))
    directory.save(checkpoint, BOOT)
    assert directory.load(BOOT) == checkpoint
    directory.close()


@pytest.mark.parametrize("kind", [Checkpoint, Ledger, PodEntry, ContainerEntry, Block])
def test_no_field_is_left_out_of_the_checkpoint(tmp_path: Path, kind: type) -> None:
    saved = full()
    directory = StateDirectory(tmp_path)
    directory.save(saved, BOOT)
    (entry,) = saved.ledger.entries.values()
    values = {
        Checkpoint: saved,
        Ledger: saved.ledger,
        PodEntry: entry,
        ContainerEntry: entry.containers[0],
        Block: entry.blocks[0],
    }
    defaults = {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(kind)
    }
    assert not [name for name, default in defaults.items() if getattr(values[kind], name) == default], "full() is not"
    assert load(tmp_path, BOOT) == saved


def test_a_new_directory_has_no_checkpoint(tmp_path: Path) -> None:
    assert StateDirectory(tmp_path / "new" / "deep").load(BOOT) is None


def test_a_checkpoint_that_is_no_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(StateError, match="cannot be read"):
        load(tmp_path, BOOT)


def test_a_checkpoint_of_another_boot_is_refused(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.save(full(), BOOT)
    with pytest.raises(StateError, match="another boot"):
        directory.load(BOOT.replace("1", "2"))


def _doubled(document: dict[str, object]) -> dict[str, object]:
    return {**document, "version": 99}


@pytest.mark.parametrize("cut", range(0, 600, 23))
def test_a_torn_checkpoint_is_an_error_at_every_length(tmp_path: Path, cut: int) -> None:
    directory = StateDirectory(tmp_path)
    directory.save(full(), BOOT)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(StateError, match="damaged"):
        directory.load(BOOT)


def test_a_flipped_cpu_is_seen_by_the_checksum(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.save(full(), BOOT)
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace('"2-5"', '"2-6"'))
    with pytest.raises(StateError, match="checksum"):
        directory.load(BOOT)


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.save(full(), BOOT)
    document = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(_doubled(document)))
    with pytest.raises(StateError, match="version 99"):
        directory.load(BOOT)


def test_the_checkpoint_of_the_version_before_is_taken_up(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.save(full(), BOOT)
    data = json.loads((tmp_path / FILE).read_text())["data"]
    del data["irqs"]
    checksum = hashlib.sha256(json.dumps(data, separators=(",", ":"), sort_keys=True).encode()).hexdigest()
    before = {"kind": "Checkpoint", "version": 1, "sha256": checksum, "data": data}
    (tmp_path / FILE).write_text(json.dumps(before))
    assert directory.load(BOOT) == dataclasses.replace(full(), irqs={})


def test_two_pods_that_own_one_cpu_are_no_ledger(tmp_path: Path) -> None:
    saved = full()
    (entry,) = saved.ledger.entries.values()
    other = dataclasses.replace(entry, uid=PodUid("00000000-0000-4000-8000-000000000002"))
    directory = StateDirectory(tmp_path)
    directory.save(dataclasses.replace(saved, ledger=saved.ledger.with_entry(other)), BOOT)
    with pytest.raises(StateError, match="two pods own one CPU"):
        directory.load(BOOT)


def test_a_write_that_does_not_fit_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.save(full(), BOOT)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(StateError, match="File too large"):
            directory.save(Checkpoint(generation=8), BOOT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert directory.load(BOOT) == full()


def test_a_second_daemon_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    first = StateDirectory(tmp_path)
    with pytest.raises(StateError, match="another pinfold"):
        StateDirectory(tmp_path)
    first.close()
    StateDirectory(tmp_path).close()


def test_a_discarded_checkpoint_is_gone(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.save(full(), BOOT)
    directory.discard()
    directory.discard()
    assert directory.load(BOOT) is None
