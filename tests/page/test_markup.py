"""The page as text: what is in it without a browser."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from pinfold.report.page.document import content_security_policy, page
from pinfold.report.page.markup import el, join
from pinfold.report.snapshot import Snapshot
from pinfold.report.status import to_json
from tests.report.samples import crowd, machine, odd, picture

NODES = {"picture": picture, "crowd": crowd, "odd": odd}
BUDGET_BYTES = 60_000
"""The page without what it shows."""
VOID = {"meta", "link"}


class _Reader(HTMLParser):
    """Every id and reference of a page; a tag that closes another than the last opened is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.references: set[str] = set()
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"
            if name == "id":
                self.ids[value or ""] += 1
            if name == "href" and value and value.startswith("#"):
                self.references.add(value[1:])

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def rendered(of: Snapshot) -> str:
    return page(to_json(of), 'W/"1"', {}, ["/status"])


@pytest.mark.parametrize("of", NODES.values(), ids=NODES)
def test_every_cpu_is_there_once_and_every_reference_leads_somewhere(of: Callable[[], Snapshot]) -> None:
    snapshot = of()
    read = _Reader(rendered(snapshot))
    assert {one for one, count in read.ids.items() if count > 1} == set()
    cpus = {int(one[3:]) for one in read.ids if re.fullmatch(r"cpu\d+", one)}
    assert cpus == set(snapshot.topology.online | snapshot.topology.offline)
    assert read.references - set(read.ids) == set()


@pytest.mark.parametrize("of", NODES.values(), ids=NODES)
def test_each_sentence_of_the_explanation_is_on_the_page(of: Callable[[], Snapshot]) -> None:
    status = to_json(of())
    text = rendered(of())
    for pod in status["pods"]:
        for sentence in pod["explanation"]:
            assert el("p", sentence) in text


def test_text_is_escaped_in_elements_and_attributes_and_markup_is_not_escaped_again() -> None:
    hostile = "\"'><img src=x onerror=alert(1)>&amp;"
    assert join(el("p", el("b", hostile), title=hostile)) == (
        '<p title="&quot;&#x27;&gt;&lt;img src=x onerror=alert(1)&gt;&amp;amp;">'
        "<b>&quot;&#x27;&gt;&lt;img src=x onerror=alert(1)&gt;&amp;amp;</b></p>"
    )


def test_text_that_would_turn_what_follows_around_or_hide_is_written_out() -> None:
    assert el("p", "a\u202eb\u200bc\x1b[2J\n") == "<p>a\\u202eb\\u200bc\\x1b[2J\\n</p>"


def test_two_pods_of_one_name_are_told_in_one_place() -> None:
    """A successor beside the one that ends."""
    of = picture()
    ending = replace(of.pods[-1], uid=of.pods[0].uid, decision=None, qos=None)
    assert _Reader(rendered(replace(of, pods=(*of.pods[1:], ending)))).ids["pod=trading/match-engine"] == 1


def test_the_page_is_small_before_it_shows_anything() -> None:
    empty = replace(picture(), topology=machine(1, 1, 1), pods=(), sources=(), invalid=(), recent=(), warnings=())
    assert len(rendered(empty).encode()) < BUDGET_BYTES


def test_the_policy_lets_in_the_pages_own_style_and_script_and_nothing_else() -> None:
    policy = dict(one.strip().split(" ", 1) for one in content_security_policy().split(";"))
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in content_security_policy()
    assert all(re.fullmatch(r"'sha256-[\w+/]{43}='", policy[name]) for name in ("style-src", "script-src"))


def test_the_assets_hold_nothing_that_would_end_their_element() -> None:
    for name in ("page.css", "page.js"):
        assert "</" not in files("pinfold.report.page").joinpath(name).read_text()


def test_a_node_that_nobody_looks_at_does_not_load_the_page() -> None:
    code = (
        "import sys, pinfold.report.http; sys.exit(any(name.startswith('pinfold.report.page') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
