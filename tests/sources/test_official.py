"""The official client, without what it brings along: each case in a process that has imported nothing yet."""

import subprocess
import sys
from pathlib import Path

import pytest

_CONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: here}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}]
"""
_TOKEN = _CONFIG + "users: [{name: here, user: {token: abc}}]\n"
_PROVIDER = _CONFIG + "users: [{name: here, user: {auth-provider: {name: other, config: {}}}}]\n"

_CONNECT = """
import sys
from pathlib import Path
from pinfold.sources.client import ApiServer
for file in sys.argv[1:]:
    ApiServer.from_kubeconfig(Path(file)).close()
"""


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(_TOKEN)
    return file


@pytest.fixture
def provider(tmp_path: Path) -> Path:
    file = tmp_path / "provider"
    file.write_text(_PROVIDER)
    return file


def _run(script: str, *files: Path) -> str:
    argv = [sys.executable, "-c", _CONNECT + script, *map(str, files)]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_a_connection_brings_neither_typed_models_nor_oauth(token: Path) -> None:
    unwanted = {"pydantic", "dateutil", "oauthlib", "requests", "requests_oauthlib", "websocket"}
    assert _run("print(*sys.modules)", token).split()
    assert not unwanted & set(_run("print(*sys.modules)", token).split())


def test_whoever_imports_pydantic_afterwards_gets_the_real_one(token: Path) -> None:
    script = "import pydantic\nprint(pydantic.TypeAdapter(int).validate_python('3') + 4)"
    assert _run(script, token).strip() == "7"


def test_an_auth_provider_finds_oauth(token: Path, provider: Path) -> None:
    script = "print(sys.modules['kubernetes.config.kube_config'].OAuth2Session.__module__)"
    assert _run(script, provider).strip().startswith("requests_oauthlib")
    assert _run(script, token, provider).strip().startswith("requests_oauthlib")
