"""The Dockerfile and its pins; the image is built in test_image_build."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """Package → version; the whole file must be pins with hashes."""
    text = (ROOT / "deploy/image" / name).read_text()
    assert _PIN.sub("", text) == ""
    return {canonicalize_name(match[1]): match[2] for match in _PIN.finditer(text)}


def wanted() -> list[tuple[str, str]]:
    project = PROJECT["project"]
    runtime = [*project["dependencies"], *project["optional-dependencies"]["dbus"]]
    build = PROJECT["build-system"]["requires"]
    return [("requirements.txt", one) for one in runtime] + [("build-requirements.txt", one) for one in build]


@pytest.mark.parametrize(("file", "text"), wanted())
def test_every_dependency_is_pinned_within_its_bounds(file: str, text: str) -> None:
    requirement = Requirement(text)
    assert pins(file)[canonicalize_name(requirement.name)] in requirement.specifier


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_not_ignored() -> None:
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    sources = [
        source.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert source in let_in
