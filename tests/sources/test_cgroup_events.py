"""On ordinary directories: inotify tells of them as of cgroups, and the tests in the virtual machine ask cgroupfs."""

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinfold.sources.cgroup_events import CgroupEvents, Change, Changes, Happening


@pytest.fixture
def events(tmp_path: Path) -> Iterator[CgroupEvents]:
    events = CgroupEvents(tmp_path)
    yield events
    events.close()


def _made(mount: Path, *paths: str) -> None:
    for path in paths:
        (mount / path).mkdir(parents=True)


def test_the_descriptor_is_ready_when_something_happened_and_not_before(events: CgroupEvents, tmp_path: Path) -> None:
    events.watch({""})
    assert select.select([events], [], [], 0) == ([], [], [])
    assert events.drain() == Changes()
    (tmp_path / "kubepods").mkdir()
    assert select.select([events], [], [], 30)[0] == [events]
    assert events.drain() == Changes((Change(Happening.CREATED, "", "kubepods"),))
    assert select.select([events], [], [], 0) == ([], [], [])


def test_children_and_writes_are_told_with_their_cgroup(events: CgroupEvents, tmp_path: Path) -> None:
    _made(tmp_path, "kubepods/pod1")
    (tmp_path / "kubepods/pod1/cpuset.cpus").write_text("0-7")
    events.watch({"kubepods", "kubepods/pod1"})
    (tmp_path / "kubepods/pod1/c1").mkdir()
    (tmp_path / "kubepods/pod1/cpuset.cpus").write_text("0-3")
    (tmp_path / "kubepods/pod1/c1").rmdir()
    (tmp_path / "kubepods/pod2").mkdir()
    changes = events.drain()
    assert changes.seen == (
        Change(Happening.CREATED, "kubepods/pod1", "c1"),
        Change(Happening.WRITTEN, "kubepods/pod1", "cpuset.cpus"),
        Change(Happening.REMOVED, "kubepods/pod1", "c1"),
        Change(Happening.CREATED, "kubepods", "pod2"),
    )
    assert changes.paths == {"kubepods", "kubepods/pod1"}
    assert not changes.overflowed


def test_many_writes_to_one_file_are_one_change(events: CgroupEvents, tmp_path: Path) -> None:
    _made(tmp_path, "pod1")
    events.watch({"pod1"})
    for file in ("cgroup.procs", "cpuset.cpus") * 50:
        (tmp_path / "pod1" / file).write_text("x")
    assert len(events.drain().seen) == 2


def test_only_the_difference_is_watched_anew_and_told(events: CgroupEvents, tmp_path: Path) -> None:
    _made(tmp_path, "a", "b", "c")
    assert events.watch({"a", "b"}) == {"a", "b"}
    assert events.watch({"b", "c", "never-there"}) == {"c"}
    assert set(events.watched) == {"b", "c"}
    for path in ("a", "b", "c"):
        (tmp_path / path / "child").mkdir()
    assert events.drain().paths == {"b", "c"}


def test_what_was_on_its_way_for_a_cgroup_that_is_watched_no_more_is_left_out(
    events: CgroupEvents, tmp_path: Path
) -> None:
    _made(tmp_path, "a", "b")
    events.watch({"a", "b"})
    (tmp_path / "a/child").mkdir()
    events.watch({"b"})
    assert events.drain() == Changes()


def test_a_cgroup_that_is_gone_is_told_once_and_watched_again_when_it_is_back(
    events: CgroupEvents, tmp_path: Path
) -> None:
    _made(tmp_path, "pod1")
    events.watch({"pod1"})
    (tmp_path / "pod1").rmdir()
    (tmp_path / "pod1").mkdir()
    assert events.drain().seen == (Change(Happening.GONE, "pod1"),)
    assert events.watch({"pod1"}) == {"pod1"}
    (tmp_path / "pod1/c1").mkdir()
    assert events.drain().seen == (Change(Happening.CREATED, "pod1", "c1"),)


def test_unwatching_a_cgroup_that_is_gone_is_no_error(events: CgroupEvents, tmp_path: Path) -> None:
    _made(tmp_path, "pod1")
    events.watch({"pod1"})
    (tmp_path / "pod1").rmdir()
    assert events.watch(()) == set()
    assert events.drain() == Changes()


def test_a_link_is_not_followed(events: CgroupEvents, tmp_path: Path) -> None:
    _made(tmp_path, "real")
    (tmp_path / "link").symlink_to("real")
    assert events.watch({"link"}) == set()


def test_a_full_queue_says_look_at_everything(events: CgroupEvents, tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    _made(tmp_path, "pod1")
    events.watch({"pod1"})
    files = [os.open(tmp_path / "pod1" / name, os.O_WRONLY | os.O_CREAT) for name in ("a", "b")]
    for _ in range(limit // 2 + 8):  # two that alternate are not merged by the kernel
        for file in files:
            os.write(file, b"x")
    for file in files:
        os.close(file)
    assert events.drain().overflowed
    (tmp_path / "pod1/c1").mkdir()
    assert events.drain() == Changes((Change(Happening.CREATED, "pod1", "c1"),))
