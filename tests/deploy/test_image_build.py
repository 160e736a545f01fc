"""The image, built for real from the Dockerfile on a base of Debian made here, and run."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.deploy.test_image import pins

from pinfold import __version__

ROOT = Path(__file__).resolve().parents[2]
BASE, IMAGE = "localhost/python:3.13", f"localhost/pinfold:{__version__}"
PACKAGES = "python3,python3-venv,ca-certificates,openssl"
"""Of what the official python image has, all that is used."""

Buildah = Callable[..., str]

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: no image can be built here"),
    *(
        pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed: make tools")
        for tool in ("buildah", "mmdebstrap")
    ),
]


def told(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """Buildah on a store of its own: chroot and plain directories need no right that a container lacks."""
    store = tmp_path_factory.mktemp("store")
    where = [f"--root={store / 'root'}", f"--runroot={store / 'run'}", "--storage-driver=vfs"]

    def run(command: str, *arguments: str) -> str:
        return told(["buildah", *where, command, *arguments])

    yield run
    run("rm", "--all")
    shutil.rmtree(store)


@pytest.fixture(scope="module")
def image(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a container of the image."""
    tar = tmp_path_factory.mktemp("base") / "base.tar"
    told(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "trixie", str(tar)])
    base = buildah("from", "scratch")
    buildah("add", "-q", base, str(tar), "/")
    buildah("run", "--isolation=chroot", base, "--", "ln", "-s", "python3", "/usr/bin/python")
    buildah("commit", "-q", "--rm", base, BASE)
    tar.unlink()
    own = [Path("/etc/pip.conf"), Path("/etc/ssl/certs/ca-certificates.crt")]  # how this machine reaches the packages
    volumes = [f"--volume={path}:{path}:ro" for path in own if path.exists()]
    buildah("bud", "-q", "--isolation=chroot", f"--build-arg=PYTHON={BASE}", *volumes, "-t", IMAGE, ".")
    return buildah("from", IMAGE)


def test_pinfold_runs_in_the_image(buildah: Buildah, image: str) -> None:
    def inside(*command: str) -> str:
        return buildah("run", "--isolation=chroot", image, "--", *command)

    assert inside("pinfold", "--version") == f"pinfold {__version__}"
    assert "16 CPUs" in inside("pinfold", "topology", "--machine", "2x4x2")
    assert inside("python", "-c", "import jeepney, kubernetes.client, psutil, pyudev, yaml; print('all there')")
    inside("openssl", "version")  # signs the certificate of the metrics


@pytest.mark.usefixtures("image")
def test_the_image_starts_the_daemon_as_root_and_tells_what_it_is(buildah: Buildah) -> None:
    config = json.loads(buildah("inspect", "--type=image", IMAGE))["OCIv1"]["config"]
    assert (config["Entrypoint"], config["Cmd"], config["User"]) == (["pinfold"], ["run"], "0")
    assert config["Labels"]["org.opencontainers.image.version"] == __version__


def test_the_bill_of_materials_lists_every_pin_with_its_licence(buildah: Buildah, image: str) -> None:
    bill = json.loads(buildah("run", "--isolation=chroot", image, "--", "cat", "/opt/pinfold/sbom.cdx.json"))
    listed = {one["name"]: one for one in bill["components"] if one["type"] == "library"}
    assert {name: one["version"] for name, one in listed.items()} == pins("requirements.txt")
    assert all(one["licenses"] and "UNKNOWN" not in str(one["licenses"]) for one in listed.values())


def test_nothing_is_in_the_image_that_is_not_needed(buildah: Buildah, image: str) -> None:
    found = buildah(
        "run", "--isolation=chroot", image, "--", "sh", "-c", "ls -d /build /src /opt/pinfold/bin/pip* || true"
    )
    assert found == ""
    megabytes = int(buildah("run", "--isolation=chroot", image, "--", "du", "-sm", "/opt/pinfold").split()[0])
    assert megabytes < 70
