"""Completion in a real bash, and the manual page in a real groff: both are made from the command line itself."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.cli import man_page
from tests.cli.test_commands import pinfold

from pinfold.cli.described import commands


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "pinfold.bash"
    file.write_text(pinfold("completion", "bash").stdout)
    return file


def completed(script: Path, line: str, cwd: Path) -> set[str]:
    """What bash offers for the last word of *line*."""
    asked = f'source {script}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _pinfold; printf "%s\\n" '
    ended = subprocess.run(
        ["bash", "-uc", asked + '"${COMPREPLY[@]}"'], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return set(ended.stdout.split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        pytest.param("pinfold st", {"status"}, id="a-command"),
        pytest.param("pinfold status --a", {"--all", "--address"}, id="its-flags"),
        pytest.param("pinfold status -o ''", {"text", "json"}, id="a-flags-choices"),
        pytest.param("pinfold status --socket ''", {"pod.yaml"}, id="a-flags-file"),
        pytest.param("pinfold plan --pods pod.yaml p", {"pod.yaml"}, id="a-second-file"),
        pytest.param("pinfold config c", {"check"}, id="an-action"),
        pytest.param("pinfold completion ''", {"bash", "zsh", "fish", "--help"}, id="a-place-with-choices"),
        pytest.param("pinfold explain p", set(), id="no-file-where-none-is-meant"),
    ],
)
def test_bash_offers(script: Path, tmp_path: Path, line: str, offered: set[str]) -> None:
    (tmp_path / "pod.yaml").touch()
    assert completed(script, line, tmp_path) == offered


def test_fish_and_zsh_know_every_command_and_flag() -> None:
    fish, zsh = pinfold("completion", "fish").stdout, pinfold("completion", "zsh").stdout
    assert zsh.startswith("#compdef pinfold\n")
    for command in commands():
        assert f"-a {command.name.split()[-1]} -d " in fish
        for flag in command.flags:
            assert f"-l {flag[2:]} " in fish if flag.startswith("--") else f"-s {flag[1:]} " in fish
            assert flag in zsh


def test_the_manual_page_tells_the_command_line_as_it_is() -> None:
    assert man_page.PAGE.read_text() == man_page.page(), "the command line changed: make docs"


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here to set the manual page with")
def test_the_manual_page_is_set_without_a_warning() -> None:
    groff = ["groff", "-man", "-Tascii", "-ww", "-P-c", "-P-b", "-P-u", str(man_page.PAGE)]
    ended = subprocess.run(groff, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "       --dry-run\n              show the writes, and write nothing\n" in ended.stdout
