"""Control files are read and written through directory handles; a refusal is told with all its facts."""

import errno
from pathlib import Path

import pytest

from pinfold.cgroups.files import CgroupError, Cgroupfs, CgroupGoneError, WriteRefusedError
from pinfold.cgroups.held import held
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cpuset import CpuSet, NodeSet

POD = CgroupPath("kubepods/pod")


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """A tree of plain files, with what a kernel writes into them."""
    pod = tmp_path / POD
    pod.mkdir(parents=True)
    for file, text in {
        File.CPUS: "2-5\n",
        File.CPUS_EFFECTIVE: "2-4\n",
        File.EXCLUSIVE: "\n",
        File.PARTITION: "root invalid (Parent is not a partition root)\n",
        File.MEMS: "\n",
        File.MEMS_EFFECTIVE: "0-1\n",
        File.SUBTREE_CONTROL: "cpuset cpu memory\n",
        File.PROCS: "",
        File.EVENTS: "populated 1\nfrozen 0\n",
        File.CPU_MAX: "400000 100000\n",
        File.MEMORY_CURRENT: "1048576\n",
    }.items():
        (pod / file).write_text(text)
    return tmp_path


def test_a_cgroup_is_read_as_values(mount: Path) -> None:
    with Cgroupfs(mount) as fs:
        state = held(fs, [POD, CgroupPath("kubepods/gone")])
    assert list(state) == [POD]
    pod = state[POD]
    assert (pod.cpus, pod.cpus_effective, pod.exclusive) == (CpuSet.parse("2-5"), CpuSet.parse("2-4"), CpuSet())
    assert (pod.mems, pod.mems_effective) == (NodeSet(), NodeSet.parse("0-1"))
    assert pod.partition == "root invalid (Parent is not a partition root)"
    assert not pod.is_partition
    assert (pod.gives_cpuset, pod.has_tasks, pod.populated) == (True, False, True)
    assert (pod.cpu_max, pod.memory_bytes) == ("400000 100000", 1 << 20)


def test_a_file_that_is_not_there_is_none(mount: Path) -> None:
    (mount / POD / File.EXCLUSIVE).unlink()
    (mount / POD / File.PROCS).unlink()
    with Cgroupfs(mount) as fs:
        pod = held(fs, [POD])[POD]
    assert pod.exclusive is None
    assert pod.has_tasks, "who cannot be counted may be there"


def test_a_value_is_written_whole(mount: Path) -> None:
    with Cgroupfs(mount) as fs:
        fs.write(POD, File.CPUS, "3")
        assert fs.read(POD, File.CPUS) == "3"
        fs.write(POD, File.CPUS, "")
        assert fs.read(POD, File.CPUS) == ""


def test_a_write_to_what_is_gone_says_so(mount: Path) -> None:
    with Cgroupfs(mount) as fs:
        with pytest.raises(CgroupGoneError):
            fs.write(CgroupPath("kubepods/gone"), File.CPUS, "3")
        with pytest.raises(CgroupGoneError):
            fs.write(POD, "cpuset.none", "3")


def test_a_refusal_carries_its_facts(mount: Path) -> None:
    (mount / POD / File.CPUS).unlink()
    (mount / POD / File.CPUS).mkdir()
    with Cgroupfs(mount) as fs, pytest.raises(WriteRefusedError) as refused:
        fs.write(POD, File.CPUS, "3")
    error = refused.value
    assert (error.path, error.file, error.value, error.errno) == (POD, File.CPUS, "3", errno.EISDIR)
    assert str(error) == "kubepods/pod/cpuset.cpus did not take '3': EISDIR, Is a directory"


@pytest.mark.parametrize("path", ["..", "kubepods/../..", "/etc", "kubepods//pod", "."])
def test_no_path_leaves_the_mount(mount: Path, path: str) -> None:
    with Cgroupfs(mount) as fs, pytest.raises(CgroupError):
        fs.write(CgroupPath(path), File.CPUS, "3")


def test_no_symbolic_link_is_followed(mount: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / File.CPUS).write_text("7")
    (mount / "link").symlink_to(outside)
    (mount / POD / "cpuset.link").symlink_to(outside / File.CPUS)
    with Cgroupfs(mount) as fs:
        assert fs.read(CgroupPath("link"), File.CPUS) is None
        with pytest.raises(CgroupGoneError):
            fs.write(CgroupPath("link"), File.CPUS, "3")
        with pytest.raises(WriteRefusedError):
            fs.write(POD, "cpuset.link", "3")
    assert (outside / File.CPUS).read_text() == "7"


def test_a_mount_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match="cgroup2"):
        Cgroupfs(tmp_path / "none")


def test_a_cgroup_is_made_and_removed_and_twice_is_as_once(tmp_path: Path) -> None:
    new = CgroupPath("new")
    with Cgroupfs(tmp_path) as fs:
        for _ in range(2):
            fs.make(new)
            assert fs.children(CgroupPath("")) == ("new",)
        for _ in range(2):
            fs.remove(new)
            assert fs.children(CgroupPath("")) == ()


def test_a_cgroup_that_cannot_be_made_or_removed_is_an_error_with_its_reason(mount: Path) -> None:
    with Cgroupfs(mount) as fs:
        with pytest.raises(CgroupError, match="kubepods/pod cannot be removed: Directory not empty"):
            fs.remove(POD)
        with pytest.raises(CgroupError, match="is gone"):
            fs.make(CgroupPath("gone/new"))
        fs.remove(CgroupPath("gone/new"))
