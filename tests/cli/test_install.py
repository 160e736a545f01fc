"""install and uninstall, as far as no systemd is needed; what they do with one is seen in the VM (tests/deploy)."""

import re
from argparse import Namespace
from pathlib import Path

import pytest

from pinfold.cli import install, unit
from pinfold.cli.unit import InstallError, unit_text
from pinfold.config import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that can be run, in a place that the unit sees."""
    monkeypatch.setattr(unit, "_HIDDEN", ("/home/",))
    path = tmp_path_factory.mktemp("bin") / "pinfold"
    path.touch(0o755)
    return path


def test_the_unit_is_the_shipped_one_with_the_command_that_was_named(command: Path) -> None:
    shipped = (ROOT / "systemd/pinfold.service").read_text()
    assert re.findall(r"^ExecStart=(.*)$", unit_text(str(command)), re.MULTILINE) == [f"{command} run"]
    assert unit_text(str(command)).replace(str(command), "/opt/pinfold/bin/pinfold") == shipped


@pytest.mark.parametrize("place", ["/home/me/venv/bin/pinfold", "/root/venv/bin/pinfold", "/tmp/pinfold"])
def test_a_command_that_the_unit_cannot_see_is_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: True)
    with pytest.raises(InstallError, match="shut off"):
        unit_text(place)


def test_a_command_that_cannot_be_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="--command"):
        unit_text(str(tmp_path / "pinfold"))


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yaml"
    monkeypatch.setattr(install, "DEFAULT_PATH", path)
    return path


def asked(manifests: str | None = None, kubeconfig: str | None = None) -> Namespace:
    return Namespace(manifests=manifests, kubeconfig=kubeconfig)


def test_a_configuration_that_is_there_stays_as_it_is(configuration: Path) -> None:
    configuration.write_text("kind: PinfoldConfiguration\n")
    assert install.configuration(asked()) == ""
    with pytest.raises(InstallError, match="is there already"):
        install.configuration(asked(manifests="/srv"))


def test_without_a_source_of_pods_there_is_nothing_to_install(configuration: Path) -> None:
    assert not configuration.exists()
    with pytest.raises(InstallError, match="--kubeconfig"):
        install.configuration(asked())


def test_the_configuration_that_is_written_is_one(configuration: Path) -> None:
    configuration.write_text(install.configuration(asked("/srv/it's: here", "kubeconfig")))
    sources = load(configuration, {}).sources
    assert sources.manifests.path == "/srv/it's: here"
    assert sources.api_server.kubeconfig == str(Path("kubeconfig").absolute())
