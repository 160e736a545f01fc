"""The page in a real browser, asked of a real endpoint: what a person sees, hears and can do with it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pinfold.cpuset import CpuSet
from pinfold.planning.reasons import Refused, Word
from pinfold.report.http import Endpoint
from pinfold.report.snapshot import Moment
from tests.page.browser import CHROMIUM, Browser, Tab, wait_until
from tests.page.nodes import Node, demo, large

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
LIVE = "document.getElementById('liveness').textContent === 'live'"
BUSY = "document.querySelector('.node .busy').textContent"
HURRIED = "const real = setTimeout; window.setTimeout = (done, ms) => real(done, ms / 10)"
"""The page's pauses are a tenth as long."""
PHONE = {"width": 390, "height": 844, "phone": True}


@dataclass
class Site:
    node: Node
    endpoint: Endpoint

    @property
    def url(self) -> str:
        return f"http://{self.endpoint.addresses[0]}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with browser.tab() as opened:
        opened.shape(1280, 800)
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    node = demo(tmp_path / "demo")
    with Endpoint(node.readings(), listen="127.0.0.1:0") as endpoint:
        yield Site(node, endpoint)


@pytest.fixture(scope="module")
def large_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    node = large(tmp_path_factory.mktemp("large"))
    node.busy = dict.fromkeys(node.snapshot.topology.online, 0.5)
    with Endpoint(node.readings(), listen="127.0.0.1:0") as endpoint:
        yield Site(node, endpoint)


def focused(tab: Tab) -> str:
    return str(tab.evaluate("document.activeElement.id || document.activeElement.textContent"))


def test_a_page_that_is_looked_at_shows_how_busy_each_cpu_is_and_complains_of_nothing(tab: Tab, site: Site) -> None:
    """Neither the console nor the content security policy has anything to say."""
    site.node.busy = {1: 1.0, 17: 0.5, 6: 0.25}
    tab.open(site.url)
    tab.until(BUSY)
    cell = "document.getElementById('cpu%d').style.getPropertyValue('--busy')"
    assert {cpu: float(tab.evaluate(cell % cpu)) for cpu in (1, 17, 6, 7)} == {1: 1.0, 17: 0.5, 6: 0.25, 7: 0.0}
    assert tab.evaluate("document.querySelector('tr:has([href=\"#pod=legacy/feed\"]) .busy').textContent") == "75 %"
    assert tab.complaints == []


def test_512_cpus_and_60_pods_are_drawn_without_complaint(tab: Tab, large_site: Site) -> None:
    tab.open(large_site.url)
    tab.until(BUSY)
    assert tab.evaluate("document.querySelectorAll('#map .cpu').length") == 512
    assert tab.evaluate("document.querySelectorAll('#map .node').length") == 16
    foreign = "[...document.querySelectorAll('#map .foreign')].map((one) => +one.id.slice(3))"
    disturbed = [one.claim.cpus for one in large_site.node.snapshot.alone if one.share and one.share < 0.999]
    assert CpuSet.of(tab.evaluate(foreign)) == CpuSet.union(disturbed)
    assert disturbed
    assert tab.complaints == []


def test_assistive_technology_is_told_what_the_eye_sees(tab: Tab, site: Site) -> None:
    tab.open(site.url)
    told = tab.accessibility()
    assert {
        ("RootWebArea", "worker-1 - Pinfold"),
        ("heading", "worker-1"),
        ("region", "Not as it should be"),
        ("region", "Machine"),
        ("region", "socket 1"),
        ("region", "NUMA 1"),
        ("list", "L3 group of CPUs 0-7,16-23"),
        ("link", "CPU 6 A: exclusive, db/postgres postgres, drift"),
        ("link", "CPU 19 A: pod shared, db/postgres, drift"),
        ("link", "CPU 0: reserved"),
        ("link", "CPU 7: node shared"),
        ("table", "Pods"),
        ("columnheader", "Throttled"),
        ("cell", "pinned drift"),
        ("cell", "99.999%"),
        ("region", "Last decisions"),
        ("status", ""),
    } <= set(told)
    nameless = [role for role, name in told if role in {"link", "heading", "table", "region", "image"} and not name]
    assert nameless == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground(tab: Tab, site: Site, large_site: Site, dark: bool) -> None:
    """On all ten colours of owners; an explanation is open."""
    tab.shape(1280, 800, dark=dark)
    for of, pod in ((site, "db/postgres"), (large_site, "search/index-shard-00001-01eef")):
        tab.open(f"{of.url}#pod={pod}")
        assert tab.evaluate("getComputedStyle(document.querySelector('article:target')).display") == "block"
        assert tab.evaluate(CONTRAST) == []


def test_whatever_can_be_pointed_at_can_be_reached_by_a_target_of_24_pixels(tab: Tab, large_site: Site) -> None:
    """WCAG 2.2, 2.5.8: a CPU is smaller; the legend and the table lead to the same places."""
    tab.open(large_site.url)
    tab.evaluate("document.getElementById('unmanaged').open = true")
    small, large = (
        set(tab.evaluate(f"[...document.querySelectorAll('main a')].filter((one) => {size}).map((one) => one.hash)"))
        for size in ("one.offsetHeight && one.offsetHeight < 24", "one.offsetHeight >= 24")
    )
    assert small
    assert small <= large


def test_the_keyboard_walks_the_machine_opens_an_explanation_and_comes_back(tab: Tab, site: Site) -> None:
    tab.open(site.url)
    tab.until(LIVE)
    stops: list[str] = []
    while "cpu0" not in stops and len(stops) < 10:
        tab.press("Tab")
        stops.append(focused(tab))
    assert stops[-1] == "cpu0"
    walked = []
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "End", "Home", "ArrowRight"):
        tab.press(key)
        walked.append(focused(tab))
    assert walked == ["cpu1", "cpu17", "cpu16", "cpu0", "cpu31", "cpu0", "cpu1"]
    assert tab.evaluate("document.getElementById('readout').textContent").startswith(
        "CPU 1 B: exclusive, legacy/feed feed"
    )
    tab.press("Enter")
    wait_until(lambda: focused(tab) == "title-pod=legacy/feed", "the focus is in the explanation")
    tab.press("Escape")
    tab.until("!document.querySelector('article:target')")
    wait_until(lambda: focused(tab) == "cpu1", "the focus comes back")
    tab.press("Tab")
    assert focused(tab) == "reserved", "the CPUs are one stop; the owners of the node come next"


def test_without_scripts_the_page_shows_the_same_and_explains(tab: Tab, site: Site) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(f"{site.url}#pod=trading/match-engine")
    told = tab.accessibility()
    assert ("link", "CPU 6 A: exclusive, db/postgres postgres, drift") in told
    assert ("table", "Pods") in told
    assert ("article", "trading/match-engine") in told
    assert ("StaticText", "trading/match-engine owns CPUs 4-5,20-21 as its pod pool.") in told
    assert ("StaticText", "live") not in told


@pytest.mark.parametrize("fragment", ["", "#pod=trading/match-engine"], ids=["the-machine", "an-explanation"])
def test_a_phone_needs_no_sideways_scrolling(tab: Tab, site: Site, large_site: Site, fragment: str) -> None:
    tab.shape(**PHONE)  # type: ignore[arg-type]
    for of in (site, large_site):
        tab.open(of.url + fragment)
        assert tab.evaluate("document.scrollingElement.scrollWidth") == 390
        assert tab.evaluate("visualViewport.scale") == 1


def test_a_hostile_name_is_text_and_can_be_pointed_at(tab: Tab, site: Site) -> None:
    """The door lets none in; the page does not rely on it."""
    hostile = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>"
    pods = sorted(site.node.snapshot.pods, key=lambda pod: pod.name != "postgres")
    no = Refused(Word.TOPOLOGY_AFFINITY, hostile, can_pass=False, remedy=hostile)
    decision = pods[0].decision and replace(pods[0].decision, name=hostile, refusal=no, notes=(hostile,))
    bad = replace(pods[0], name=hostile, decision=decision, owner=hostile)
    named = replace(pods[1], containers=tuple(replace(one, name=hostile) for one in pods[1].containers))
    recent = (Moment(site.node.snapshot.at, hostile, bad.full_name, hostile),)
    site.node.snapshot = replace(site.node.snapshot, node=hostile, pods=(bad, named, *pods[2:]), recent=recent)
    tab.open(site.url)
    tab.until(LIVE)
    assert tab.evaluate("document.querySelectorAll('body img, body script').length") == 0
    link = "[...document.querySelectorAll('tbody a')].find((one) => one.textContent.includes('onerror'))"
    assert tab.evaluate(f"{link}.textContent") == bad.full_name
    tab.evaluate(f"{link}.click()")
    tab.until("document.querySelector('article:target')")
    assert tab.evaluate("document.querySelector('article:target h2').textContent") == bad.full_name
    assert [one for one in tab.complaints if "NavigationEntryMarkedSkippable" not in one] == []


def test_what_changes_on_the_node_changes_on_the_page_under_the_same_focus(tab: Tab, site: Site) -> None:
    before = site.node.snapshot
    gone = replace(
        before,
        generation=before.generation + 1,
        pods=tuple(pod for pod in before.pods if pod.name != "postgres"),
        node_shared=before.node_shared | CpuSet.parse("6,19,22"),
        recent=(*before.recent, Moment(before.at, "pool.freed", "db/postgres", "CPUs 6,19,22 are free again")),
    )
    tab.open(f"{site.url}#pod=trading/match-engine")
    tab.until(LIVE)
    tab.evaluate(
        "window.kept = document.getElementById('cpu6'); kept.focus(); document.getElementById('unmanaged').open = true"
    )
    site.node.snapshot = gone
    tab.until("document.getElementById('cpu6').ariaLabel === 'CPU 6: node shared'")
    assert tab.evaluate("document.activeElement === window.kept && kept.tabIndex === 0")
    assert tab.evaluate("document.getElementById('unmanaged').open")
    assert tab.evaluate("Boolean(document.querySelector('article:target'))")
    assert tab.evaluate("document.querySelector('#timeline code').textContent") == "pool.freed"
    assert tab.evaluate("document.querySelectorAll('tbody tr[id]').length") == 5
    rendered = "document.querySelector('main').innerHTML.replace(/ (style|open|data-lit|tabindex)=\"[^\"]*\"/g, '')"
    patched = tab.evaluate(rendered)
    tab.evaluate("document.getElementById('liveness').textContent = ''")
    tab.open(site.url)
    fresh = tab.evaluate(rendered)
    assert _silent(patched) == _silent(fresh), "patched or loaded, the page is the same"


def _silent(html: str) -> str:
    """Without what only a page shows that has been open for a while."""
    return re.sub(r"(class=\"busy\"[^>]*>|id=\"readout\"[^>]*>)[^<]*", r"\1", html)


def test_a_daemon_that_does_not_answer_is_told_and_one_that_does_again_too(tab: Tab, site: Site) -> None:
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=HURRIED)
    tab.open(site.url)
    tab.until(LIVE)
    tab.call("Network.enable")
    away = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    tab.call("Network.emulateNetworkConditions", offline=True, **away)
    tab.until("document.getElementById('liveness').textContent.startsWith('no answer since')")
    tab.call("Network.emulateNetworkConditions", offline=False, **away)
    tab.until(LIVE)


def test_a_page_that_nobody_sees_asks_nothing(tab: Tab, site: Site) -> None:
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=HURRIED)
    tab.open(site.url)
    tab.until(BUSY)
    tab.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.away }); window.away = true; 0")
    seen = [-2, -1, 0]

    def quiet() -> bool:
        tab.evaluate("new Promise((done) => setTimeout(done, 2500))")
        seen.append(sum(site.node.ticks[0]))
        return seen[-1] == seen[-2] == seen[-3]

    wait_until(quiet, "it asks nothing")
    tab.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange')); 0")
    wait_until(lambda: sum(site.node.ticks[0]) > seen[-1], "it asks again")
