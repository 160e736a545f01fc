"""The kubepods root, its pods and their containers are found by place and name; what fits neither is an outsider."""

from pathlib import Path

import pytest

from pinfold.cgroups.files import Cgroupfs
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.tree import Driver, NoTree, Runtime, Tree, discover
from pinfold.pods.model import PodUid, QosClass

UID = "12345678-1234-4234-8234-123456789abc"
OTHER = "87654321-1234-4234-8234-123456789abc"
STATIC = "0123456789abcdef0123456789abcdef"
ID = "a" * 64


def name(uid: str) -> str:
    return uid.replace("-", "_")


def look(tmp_path: Path, *paths: str, root: str = "/", driver: Driver | None = None) -> Tree | NoTree:
    for path in paths:
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
    with Cgroupfs(tmp_path) as fs:
        return discover(fs, root, driver)


def tree(tmp_path: Path, *paths: str, root: str = "/", driver: Driver | None = None) -> Tree:
    found = look(tmp_path, *paths, root=root, driver=driver)
    assert isinstance(found, Tree), found
    return found


@pytest.mark.parametrize(
    ("root", "path", "qos", "driver"),
    [
        pytest.param(
            "/", f"kubepods.slice/kubepods-pod{name(UID)}.slice", QosClass.GUARANTEED, Driver.SYSTEMD, id="systemd"
        ),
        pytest.param(
            "/",
            f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{name(UID)}.slice",
            QosClass.BURSTABLE,
            Driver.SYSTEMD,
            id="systemd-burstable",
        ),
        pytest.param(
            "/",
            f"kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{name(UID)}.slice",
            QosClass.BEST_EFFORT,
            Driver.SYSTEMD,
            id="systemd-besteffort",
        ),
        pytest.param("/", f"kubepods/pod{UID}", QosClass.GUARANTEED, Driver.CGROUPFS, id="cgroupfs"),
        pytest.param("/", f"kubepods/burstable/pod{UID}", QosClass.BURSTABLE, Driver.CGROUPFS, id="cgroupfs-burstable"),
        pytest.param(
            "/kubelet",
            f"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
            f"kubelet-kubepods-burstable-pod{name(UID)}.slice",
            QosClass.BURSTABLE,
            Driver.SYSTEMD,
            id="cgroup-root-named",
        ),
        pytest.param(
            "/my-node/kube",
            f"my_node.slice/my_node-kube.slice/my_node-kube-kubepods.slice/my_node-kube-kubepods-pod{name(UID)}.slice",
            QosClass.GUARANTEED,
            Driver.SYSTEMD,
            id="a-dash-in-the-cgroup-root-is-no-hierarchy",
        ),
        pytest.param(
            "/my-node/kube",
            f"my-node/kube/kubepods/pod{UID}",
            QosClass.GUARANTEED,
            Driver.CGROUPFS,
            id="cgroupfs-takes-the-cgroup-root-as-it-is",
        ),
        pytest.param(
            "/",
            f"docker/{ID}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{name(UID)}.slice",
            QosClass.GUARANTEED,
            Driver.SYSTEMD,
            id="kind-four-deep-is-searched-for",
        ),
    ],
)
def test_a_pod_is_found_at_its_depth(tmp_path: Path, root: str, path: str, qos: QosClass, driver: Driver) -> None:
    found = tree(tmp_path, path, "system.slice", root=root)
    assert found.driver is driver
    assert [(pod.uid, pod.path, pod.qos) for pod in found.pods.values()] == [(UID, path, qos)]


def test_the_uid_of_a_static_pod_is_its_config_hash(tmp_path: Path) -> None:
    assert list(tree(tmp_path, f"kubepods.slice/kubepods-pod{STATIC}.slice").pods) == [STATIC]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"kubepods.slice/kubepods-pod{UID}.slice", id="dashes-in-a-slice"),
        pytest.param(f"kubepods.slice/kubepods-burstable-pod{name(UID)}.slice", id="a-burstable-name-among-guaranteed"),
        pytest.param(f"kubepods.slice/kubepods-pod{name(UID)}.slice.bak", id="a-longer-name"),
        pytest.param("kubepods.slice/kubepods-pod..slice", id="no-uid"),
        pytest.param(f"kubepods.slice/kubepods-pod{name(UID).upper()}.slice", id="an-upper-case-uid"),
        pytest.param("kubepods.slice/kubepods-pod12345.slice", id="a-short-uid"),
        pytest.param(f"kubepods.slice/pod{UID}", id="the-other-driver's-name"),
    ],
)
def test_what_is_no_pods_name_is_an_outsider(tmp_path: Path, path: str) -> None:
    found = tree(tmp_path, path)
    assert (dict(found.pods), found.outsiders) == ({}, (path,))


def test_a_pod_below_a_pod_is_none(tmp_path: Path) -> None:
    pod = f"kubepods.slice/kubepods-pod{name(UID)}.slice"
    inside = f"{pod}/cri-containerd-{ID}.scope/kubepods.slice/kubepods-pod{name(OTHER)}.slice"
    found = tree(tmp_path, inside, f"{pod}/kubepods.slice/kubepods-pod{name(OTHER)}.slice")
    assert list(found.pods) == [UID]


def test_a_uid_with_two_cgroups_is_neither(tmp_path: Path) -> None:
    paths = (
        f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{name(UID)}.slice",
        f"kubepods.slice/kubepods-pod{name(UID)}.slice",
    )
    found = tree(tmp_path, *paths, f"kubepods.slice/kubepods-pod{name(OTHER)}.slice")
    assert list(found.pods) == [OTHER]
    assert {uid: sorted(twice) for uid, twice in found.twice.items()} == {UID: sorted(paths)}
    assert sorted(found.outsiders) == sorted(paths)


@pytest.mark.parametrize(
    ("child", "container", "runtime"),
    [
        pytest.param(f"cri-containerd-{ID}.scope", ID, Runtime.CONTAINERD, id="containerd"),
        pytest.param(f"crio-{ID}.scope", ID, Runtime.CRI_O, id="cri-o"),
        pytest.param(f"crio-{ID}", ID, Runtime.CRI_O, id="cri-o-under-cgroupfs"),
        pytest.param(f"docker-{ID}.scope", ID, Runtime.DOCKER, id="cri-dockerd"),
        pytest.param(ID, ID, None, id="a-bare-id-under-cgroupfs"),
        pytest.param(f"crio-conmon-{ID}.scope", None, None, id="cri-o's-monitor-is-unknown"),
        pytest.param("cri-containerd-cafe.scope", None, None, id="a-short-id"),
        pytest.param("init.scope", None, None, id="anything-else"),
    ],
)
def test_a_child_of_a_pod_is_a_container_or_unknown(
    tmp_path: Path, child: str, container: str | None, runtime: Runtime | None
) -> None:
    pod = f"kubepods.slice/kubepods-pod{name(UID)}.slice"
    (only,) = tree(tmp_path, f"{pod}/{child}/deeper").pods[PodUid(UID)].containers
    assert (only.path, only.id, only.runtime) == (f"{pod}/{child}", container, runtime)


def test_all_beside_the_way_and_all_strangers_are_outsiders(tmp_path: Path) -> None:
    found = tree(
        tmp_path,
        "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/odd",
        "kubelet.slice/kubelet-kubepods.slice/mine",
        "kubelet.slice/kubelet.service",
        "system.slice/ssh.service",
        "init.scope",
    )
    assert found.way == ("", "kubelet.slice", "kubelet.slice/kubelet-kubepods.slice")
    assert set(found.outsiders) == {
        "init.scope",
        "system.slice",
        "kubelet.slice/kubelet.service",
        "kubelet.slice/kubelet-kubepods.slice/mine",
        "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/odd",
    }


def test_a_root_that_a_changed_driver_left_empty_is_passed_over(tmp_path: Path) -> None:
    found = tree(tmp_path, "kubepods/burstable", f"kubepods.slice/kubepods-pod{name(UID)}.slice")
    assert found.kubepods == "kubepods.slice"


def test_a_configured_driver_decides(tmp_path: Path) -> None:
    paths = (f"kubepods/pod{OTHER}", f"kubepods.slice/kubepods-pod{name(UID)}.slice")
    assert tree(tmp_path, *paths, driver=Driver.CGROUPFS).kubepods == "kubepods"


@pytest.mark.parametrize(
    ("paths", "root", "said"),
    [
        pytest.param(["system.slice"], "/", "no kubepods", id="no-kubelet-yet"),
        pytest.param([f"kubepods/pod{UID}"], "/elsewhere", "no kubepods cgroup below /elsewhere", id="another-root"),
        pytest.param(
            [f"kubepods/pod{UID}", f"kubepods.slice/kubepods-pod{name(OTHER)}.slice"],
            "/",
            "several kubepods cgroups: /kubepods.slice, /kubepods. Set cgroupRoot and cgroupDriver",
            id="two-roots-with-pods",
        ),
        pytest.param(
            [f"docker/{'a' * 64}/kubepods/pod{UID}", f"docker/{'b' * 64}/kubepods/pod{OTHER}"],
            "/",
            "several",
            id="two-kind-nodes-on-one-host",
        ),
    ],
)
def test_without_exactly_one_root_it_says_what_to_do(tmp_path: Path, paths: list[str], root: str, said: str) -> None:
    found = look(tmp_path, *paths, root=root)
    assert isinstance(found, NoTree)
    assert said in found.message


def test_a_symbolic_link_is_no_cgroup(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kubepods.slice").mkdir()
    (tmp_path / f"kubepods.slice/kubepods-pod{name(UID)}.slice").symlink_to(tmp_path / "elsewhere")
    assert dict(tree(tmp_path).pods) == {}


def test_a_pod_that_vanishes_while_it_is_listed_has_no_containers(tmp_path: Path) -> None:
    pod = f"kubepods.slice/kubepods-pod{name(UID)}.slice"
    (tmp_path / pod / f"cri-containerd-{ID}.scope").mkdir(parents=True)

    class Vanishing(Cgroupfs):
        def children(self, path: CgroupPath) -> tuple[str, ...]:
            if path == pod:
                (tmp_path / pod / f"cri-containerd-{ID}.scope").rmdir()
                (tmp_path / pod).rmdir()
            return super().children(path)

    with Vanishing(tmp_path) as fs:
        found = discover(fs)
    assert isinstance(found, Tree)
    assert found.pods[PodUid(UID)].containers == ()
