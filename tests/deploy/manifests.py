"""Manifests as the tests read them; ``python -m tests.deploy.manifests`` writes anew those that are made of others."""

import json
import shutil
import subprocess
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pinfold.config import Config
from pinfold.config.forms import key_of

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FLAT = DEPLOY / "install.yaml"
SCHEMA = DEPLOY / "helm/pinfold/values.schema.json"
OVERLAYS = tuple(sorted(f"overlays/{path.parent.name}" for path in DEPLOY.glob("overlays/*/kustomization.yaml")))

Manifest = dict[str, Any]

_TOP = """\
# deploy/base in one file, written by `make docs`. The image is yours to build and push; name it here:
#   sed 's|image: pinfold:|image: REGISTRY/pinfold:|' deploy/install.yaml | kubectl apply -f -
"""


@cache
def kustomized(name: str, deploy: Path = DEPLOY) -> str:
    """As kustomize builds it, of a copy of *deploy* too; skips the test where there is no kustomize."""
    if shutil.which("kustomize"):
        build = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        build = ["kubectl", "kustomize"]
    else:
        pytest.skip("neither kustomize nor kubectl here")
    return subprocess.run([*build, deploy / name], capture_output=True, text=True, check=True).stdout


def built(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all(kustomized(name)))


def named(kind: str, manifests: list[Manifest], name: str = "pinfold") -> Manifest:
    """The only one of its kind, or that of the *name*."""
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    (only,) = found if len(found) == 1 else (one for one in found if one["metadata"]["name"] == name)
    return only


def config_keys() -> Manifest:
    """What the chart's schema lets the configuration say; ``pinfold config check`` says more."""
    return {key_of(field.name): {} for field in fields(Config)}


if __name__ == "__main__":
    schema = json.loads(SCHEMA.read_text())
    schema["properties"]["config"]["properties"] = config_keys()
    SCHEMA.write_text(json.dumps(schema, indent=2) + "\n")
    FLAT.write_text(_TOP + kustomized("base"))
