import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.sources.bundles import DEFAULT_PLACES, MAX_BUNDLE_BYTES, BundleKind, BundleName, Bundles, named

ID = "0123456789abcdef" * 4
POD_UID = "00000000-0000-4000-8000-000000000001"
CONTAINERD = {
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.container-name": "engine",
    "io.kubernetes.cri.image-name": "registry.k8s.io/engine:1",
    "io.kubernetes.cri.sandbox-id": "f" * 64,
    "io.kubernetes.cri.sandbox-uid": POD_UID,
    "io.kubernetes.cri.sandbox-name": "engine-0",
    "io.kubernetes.cri.sandbox-namespace": "trading",
}
CRIO = {
    "io.kubernetes.cri-o.ContainerType": "container",
    "io.kubernetes.cri-o.ContainerName": "k8s_engine_engine-0_trading_0_0",
    "io.kubernetes.container.name": "engine",
    "io.kubernetes.pod.uid": POD_UID,
    "io.kubernetes.pod.name": "engine-0",
    "io.kubernetes.pod.namespace": "trading",
}
ENGINE = BundleName(BundleKind.CONTAINER, "engine", POD_UID, "trading", "engine-0")


def _config(annotations: object) -> bytes:
    process = {"env": ["PASSWORD=hunter2"], "args": ["/engine"]}
    return json.dumps({"ociVersion": "1.2.0", "process": process, "annotations": annotations}).encode()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        pytest.param(CONTAINERD, ENGINE, id="containerd-1.7-and-2"),
        pytest.param(
            {k: v for k, v in CONTAINERD.items() if not k.endswith("sandbox-uid")},
            BundleName(BundleKind.CONTAINER, "engine", "", "trading", "engine-0"),
            id="containerd-1.6-tells-no-uid",
        ),
        pytest.param(
            CONTAINERD | {"io.kubernetes.cri.container-type": "sandbox"},
            BundleName(BundleKind.SANDBOX, "", POD_UID, "trading", "engine-0"),
            id="containerd-sandbox",
        ),
        pytest.param(CRIO, ENGINE, id="cri-o"),
        pytest.param(
            CRIO | {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.container.name": "POD"},
            BundleName(BundleKind.SANDBOX, "", POD_UID, "trading", "engine-0"),
            id="cri-o-sandbox",
        ),
        pytest.param({}, None, id="no-container-of-kubernetes"),
        pytest.param(CONTAINERD | {"io.kubernetes.cri.container-type": "vm"}, None, id="an-unknown-type"),
        pytest.param(CONTAINERD | {"io.kubernetes.cri.container-name": "../engine"}, None, id="a-path-for-a-name"),
        pytest.param(CONTAINERD | {"io.kubernetes.cri.container-name": "Engine"}, None, id="no-dns-label"),
        pytest.param(CONTAINERD | {"io.kubernetes.cri.container-name": "e\n"}, None, id="a-line-end-in-a-name"),
        pytest.param(CONTAINERD | {"io.kubernetes.cri.container-name": "e" * 64}, None, id="longer-than-a-label"),
        pytest.param(CONTAINERD | {"io.kubernetes.cri.container-name": ["engine"]}, None, id="a-list-for-a-name"),
        pytest.param(
            CONTAINERD
            | {
                "io.kubernetes.cri.sandbox-uid": "../..",
                "io.kubernetes.cri.sandbox-name": "<b>",
                "io.kubernetes.cri.sandbox-namespace": "a b",
            },
            BundleName(BundleKind.CONTAINER, "engine"),
            id="what-is-not-sound-is-left-out",
        ),
        pytest.param("none", None, id="annotations-that-are-text"),
        pytest.param(None, None, id="annotations-null"),
    ],
)
def test_a_bundle_names_its_container(annotations: object, name: BundleName | None) -> None:
    assert named(_config(annotations)) == name


@pytest.mark.parametrize("place", DEFAULT_PLACES)
def test_it_is_found_where_the_runtimes_keep_it(tmp_path: Path, place: str) -> None:
    bundles = Bundles(f"{tmp_path}{one}" for one in DEFAULT_PLACES)
    assert bundles.name_of(ID) is None
    _write(Path(f"{tmp_path}{place}".replace("{id}", ID)), _config(CONTAINERD))
    assert bundles.name_of(ID) == ENGINE


def test_a_half_written_bundle_is_read_again(tmp_path: Path) -> None:
    bundles = Bundles([f"{tmp_path}/{{id}}/config.json"])
    _write(tmp_path / ID / "config.json", _config(CONTAINERD)[:-5])
    assert bundles.name_of(ID) is None
    _write(tmp_path / ID / "config.json", _config(CONTAINERD))
    assert bundles.name_of(ID) == ENGINE


def test_a_name_is_known_until_its_container_is_forgotten(tmp_path: Path) -> None:
    bundles = Bundles([f"{tmp_path}/{{id}}/config.json"])
    _write(tmp_path / ID / "config.json", _config(CONTAINERD))
    bundles.name_of(ID)
    (tmp_path / ID / "config.json").unlink()
    bundles.keep([ID, "f" * 64])
    assert bundles.name_of(ID) == ENGINE
    bundles.keep([])
    assert bundles.name_of(ID) is None


@pytest.mark.parametrize(
    "container_id",
    [
        pytest.param("../secret", id="a-path"),
        pytest.param("secret", id="too-short"),
        pytest.param(ID + "\n", id="a-line-end"),
        pytest.param(ID.upper(), id="capitals"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_id_becomes_no_path(tmp_path: Path, container_id: str) -> None:
    _write(tmp_path / "secret/config.json", _config(CONTAINERD))
    _write(tmp_path / "bundles/secret/config.json", _config(CONTAINERD))
    assert Bundles([f"{tmp_path}/bundles/{{id}}/config.json"]).name_of(container_id) is None


def _link(path: Path) -> None:
    (path.parent / "real").write_bytes(_config(CONTAINERD))
    path.symlink_to("real")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            lambda path: path.write_bytes(_config(CONTAINERD) + b" " * MAX_BUNDLE_BYTES), id="without-measure"
        ),
        pytest.param(os.mkfifo, id="a-pipe-that-nobody-writes-to"),
        pytest.param(Path.mkdir, id="a-directory"),
        pytest.param(_link, id="a-link"),
    ],
)
def test_what_is_no_bundle_is_no_name_and_no_wait(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / ID / "config.json"
    path.parent.mkdir()
    make(path)
    assert Bundles([f"{tmp_path}/{{id}}/config.json"]).name_of(ID) is None


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(_config))
def test_no_bytes_raise(content: bytes) -> None:
    assert named(content) is None
