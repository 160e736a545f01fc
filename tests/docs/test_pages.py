"""The references tell what the code has: generated where they can be, and held word by word where not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinfold.agent import outbox
from pinfold.cgroups.verify import Cause
from pinfold.config import Config
from pinfold.config.reading import scalar_keys
from pinfold.planning import words
from pinfold.planning.reasons import Word
from pinfold.pods import annotations
from tests.docs import configuration

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "daemon/pinfold"
_EVENT = re.compile(r"[a-z]+\.[a-z_]+")
_FILES = ("crt", "key", "json", "events", "procs", "subtree_control")


def log_events() -> set[str]:
    """The names that modules with a log of their own say."""
    found: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        if "structlog.get_logger" in (text := file.read_text()):
            constants = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
            names = (one for one in constants if isinstance(one, str) and _EVENT.fullmatch(one))
            found |= {name for name in names if name.partition(".")[2] not in _FILES}
    return found - {".".join(key) for key in scalar_keys(Config)}


def first_cells(page: str, heading: str) -> Iterator[str]:
    """The words in back quotes in the first column of the tables below *heading*."""
    section = (DOCS / page).read_text().partition(heading)[2].partition("\n## ")[0]
    for row in section.splitlines():
        if row.startswith("| `"):
            yield from re.findall(r"`([^`]+)`", row.split("|")[1])


def test_every_log_event_is_told_and_no_other() -> None:
    assert log_events() == set(first_cells("words.md", "## Log events")), "docs/words.md tells each log event"


def test_every_reason_is_told_and_no_other() -> None:
    assert {word.value for word in Word} == set(first_cells("words.md", "## Reasons"))
    text = (DOCS / "words.md").read_text()
    for reason in (words.PINNED, words.NOT_MANAGED, words.TRAP, outbox.FOUGHT):
        assert f"`{reason}`" in text
    source = "".join(file.read_text() for file in (PACKAGE / "pods").glob("*.py"))
    for reason in set(re.findall(r'"(Invalid[A-Z]\w+|Duplicate[A-Z]\w+)"', source)):
        assert f"`{reason}`" in text


def test_every_cause_of_drift_is_told_and_no_other() -> None:
    assert {cause.value for cause in Cause} == set(first_cells("words.md", "## Causes of drift"))


def test_every_annotation_is_told_and_no_other() -> None:
    assert {*annotations._AMOUNTS, *annotations._WORDS} == set(first_cells("annotations.md", "# Annotations"))
    text = (DOCS / "annotations.md").read_text()
    for word in (*annotations.SCOPES, *annotations.NUMA_POLICIES, *annotations.CPU_OPTIONS):
        assert f"`{word}`" in text


def test_the_configuration_is_told_as_it_is() -> None:
    assert configuration.PAGE.read_text() == configuration.page(), "the configuration changed: make docs"
    told = {key.name: key.meaning for key in configuration.told()}
    assert all(told.values())
    assert {".".join(key) for key in scalar_keys(Config)} <= set(told)


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_threat_names_a_test_that_there_is() -> None:
    text = (DOCS / "security.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("| ") and not row.startswith(("| wants", "| runs with"))]
    assert rows
    for row in rows:
        assert "`tests/" in row, row
    for place in re.findall(r"`(tests/[^`]+)`", text):
        file, _, name = place.partition("::")
        assert (ROOT / file).is_file(), place
        assert not name or re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), place
