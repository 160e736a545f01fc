import json
import os
import select
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sources.specimens import pod

from pinfold.pods.reader import read_pods
from pinfold.sources.manifests import Manifests
from pinfold.sources.picture import trimmed

DEADLINE_S = 30.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "manifests"
    directory.mkdir()
    return directory


@pytest.fixture
def manifests(directory: Path) -> Iterator[Manifests]:
    manifests = Manifests(directory)
    yield manifests
    manifests.close()


def _changed(manifests: Manifests) -> bool:
    """Wait for inotify, then take what it says."""
    assert select.select([manifests], [], [], DEADLINE_S)[0]
    return manifests.drain()


def _put(directory: Path, name: str, number: int, cpu: str = "2") -> None:
    (directory / name).write_text(json.dumps(pod(number, cpu=cpu)))


def test_what_lies_there_at_the_start_is_the_first_picture(directory: Path) -> None:
    _put(directory, "a.yaml", 1)
    _put(directory, "b.json", 2)
    manifests = Manifests(directory)
    assert manifests.picture.objects == {"a.yaml": trimmed(pod(1)), "b.json": trimmed(pod(2))}
    assert manifests.picture.synced
    manifests.close()


def test_an_empty_directory_is_a_node_without_pods(manifests: Manifests) -> None:
    assert manifests.picture.synced
    assert manifests.picture.objects == {}
    assert not manifests.drain()


def test_files_come_change_are_renamed_and_go(directory: Path, manifests: Manifests) -> None:
    _put(directory, "a.yaml", 1)
    assert _changed(manifests)
    assert manifests.picture.objects == {"a.yaml": trimmed(pod(1))}
    _put(directory, "a.yaml", 1, cpu="4")
    assert _changed(manifests)
    assert manifests.picture.objects == {"a.yaml": trimmed(pod(1, cpu="4"))}
    (directory / "a.yaml").rename(directory / "b.yaml")
    assert _changed(manifests)
    assert manifests.picture.objects.keys() == {"b.yaml"}
    (directory / "b.yaml").unlink()
    assert _changed(manifests)
    assert manifests.picture.objects == {}


def test_a_file_of_the_same_length_with_its_old_time_put_back_is_read_again(
    directory: Path, manifests: Manifests
) -> None:
    _put(directory, "a.yaml", 1)
    _changed(manifests)
    before = (directory / "a.yaml").stat()
    _put(directory, "a.yaml", 1, cpu="4")  # as long as before
    os.utime(directory / "a.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert _changed(manifests)
    assert manifests.picture.objects == {"a.yaml": trimmed(pod(1, cpu="4"))}


def test_a_file_that_did_not_change_is_not_read_again(directory: Path, manifests: Manifests) -> None:
    _put(directory, "a.yaml", 1)
    _put(directory, "b.yaml", 2)
    _changed(manifests)
    before = manifests.picture.objects["a.yaml"]
    _put(directory, "b.yaml", 2, cpu="4")
    assert _changed(manifests)
    assert manifests.picture.objects["a.yaml"] is before


def test_touching_a_file_changes_nothing(directory: Path, manifests: Manifests) -> None:
    _put(directory, "a.yaml", 1)
    _changed(manifests)
    (directory / "a.yaml").touch()
    assert not _changed(manifests)


def test_a_bad_file_is_told_with_its_name_and_the_others_stay(directory: Path, manifests: Manifests) -> None:
    _put(directory, "good.yaml", 1)
    (directory / "bad.yaml").write_text("kind: Pod\nspec: {\n")
    (directory / "deployment.yaml").write_text("kind: Deployment\nmetadata: {name: web}\n")
    (directory / "no\x1b[31mname").write_bytes(b"\xff")
    assert _changed(manifests)
    picture = manifests.picture
    assert {fault.where: fault.message for fault in picture.faults} == {
        "bad.yaml": "line 3: no YAML: did not find expected node content. Correct it.",
        "no\\x1b[31mname": "byte 0 is no UTF-8. Save the file as UTF-8.",
    }
    pods, invalid = read_pods(picture.objects.items())
    assert [one.name for one in pods] == ["engine-1"]
    assert [one.where for one in invalid] == ["deployment.yaml"]
    (directory / "bad.yaml").unlink()
    assert _changed(manifests)
    assert [fault.where for fault in manifests.picture.faults] == ["no\\x1b[31mname"]


def test_hidden_files_and_directories_are_no_manifests(directory: Path, manifests: Manifests) -> None:
    _put(directory, ".a.yaml.swp", 1)
    (directory / "old").mkdir()
    _put(directory / "old", "b.yaml", 2)
    os.mkfifo(directory / "pipe")
    assert not _changed(manifests)
    assert manifests.picture.objects == {}
    assert manifests.picture.faults == ()


def test_a_mounted_config_map_is_followed_through_its_links(directory: Path, manifests: Manifests) -> None:
    for generation, cpu in (("..1", "2"), ("..2", "4")):
        (directory / generation).mkdir()
        _put(directory / generation, "a.yaml", 1, cpu=cpu)
        (directory / "..new").symlink_to(generation)
        (directory / "..new").rename(directory / "..data")
        if not (directory / "a.yaml").is_symlink():
            (directory / "a.yaml").symlink_to("..data/a.yaml")
        assert _changed(manifests)
        assert manifests.picture.objects == {"a.yaml": trimmed(pod(1, cpu=cpu))}


def test_a_file_without_measure_is_a_fault(directory: Path, manifests: Manifests) -> None:
    (directory / "big.yaml").write_bytes(b"#" * ((1 << 20) + 1))
    assert _changed(manifests)
    assert "longer than" in manifests.picture.faults[0].message


def test_a_directory_that_is_not_there_yet_is_a_fault_until_it_is(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path / "later")
    assert manifests.picture.synced, "as for the kubelet there are no pods then"
    assert manifests.picture.faults[0].where == "later"
    (tmp_path / "later").mkdir()
    _put(tmp_path / "later", "a.yaml", 1)
    assert manifests.refresh()
    assert manifests.picture.objects.keys() == {"a.yaml"}
    assert manifests.picture.faults == ()
    _put(tmp_path / "later", "b.yaml", 2)
    assert _changed(manifests)
    manifests.close()


def test_while_the_directory_is_away_the_last_picture_stays(directory: Path, manifests: Manifests) -> None:
    _put(directory, "a.yaml", 1)
    _changed(manifests)
    directory.rename(directory.with_name("away"))
    assert _changed(manifests)
    assert manifests.picture.objects.keys() == {"a.yaml"}
    assert manifests.picture.faults[0].where == "manifests"
    directory.mkdir()
    _put(directory, "b.yaml", 2)
    end = time.monotonic() + DEADLINE_S
    while not manifests.refresh():
        assert time.monotonic() < end
    assert manifests.picture.objects.keys() == {"b.yaml"}
    shutil.rmtree(directory.with_name("away"))
    (directory / "b.yaml").unlink()
    assert _changed(manifests)
    assert manifests.picture.objects == {}


def test_a_directory_that_was_exchanged_is_watched_in_its_new_form(directory: Path, manifests: Manifests) -> None:
    directory.rename(directory.with_name("old"))
    directory.mkdir()
    assert not _changed(manifests)
    _put(directory, "a.yaml", 1)
    assert _changed(manifests)
    assert manifests.picture.objects.keys() == {"a.yaml"}
