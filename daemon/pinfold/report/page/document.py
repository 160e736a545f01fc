"""The whole page from one snapshot. Pure but for the style and the script, which are read when first asked for."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files

from pinfold.report.live import Throttling
from pinfold.report.ownership import Json
from pinfold.report.page import accounts, machine, pods, timeline
from pinfold.report.page.anchors import of_pod
from pinfold.report.page.markup import Html, el, fragment
from pinfold.report.told import full_name, troubles, utc

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='none' "
    "stroke='%23286ba8' stroke-width='2' d='M2 3v11h12V3M6 3v11m4-11v11M2 7h12'/%3E%3C/svg%3E"
)


def page(status: Json, etag: str, throttled: Mapping[str, Throttling], paths: Iterable[str]) -> str:
    """*throttled* by UID; *paths* are the endpoint's others."""
    node = machine.Machine.of(status)
    body = el(
        "body",
        _header(status),
        el(
            "main",
            _troubles(status),
            machine.section(node),
            el("div", pods.section(status, throttled), timeline.section(status), class_="columns"),
            *accounts.accounts(node),
        ),
        _footer(status, paths),
        data_etag=etag,
        data_version=status["version"],
    )
    return f"<!doctype html>\n{el('html', _head(status), body, lang='en')}\n"


def _head(status: Json) -> Html:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{status['node']} - Pinfold"),
        el("link", rel="icon", href=_ICON),
        el("style", Html(_asset("page.css"))),
        el("script", Html(_asset("page.js")), type="module"),
    )


def _header(status: Json) -> Html:
    mode, way = status["mode"], status["exclusivity"]
    facts = [mode["name"]]
    facts += [f"exclusive CPUs by {way['name']}"] if way["name"] != "none" else []
    facts += [f"Pinfold {status['version']}", f"generation {status['generation']}"]
    reasons = [el("p", f"{told['name']}: {told['reason']}", class_="faint") for told in (mode, way) if told["reason"]]
    return el(
        "header",
        el("h1", status["node"]),
        el("p", ", ".join(facts), ", ", el("time", utc(status["time"]), datetime=status["time"]), class_="facts"),
        el("p", id="liveness", role="status"),
        *reasons,
    )


def _troubles(status: Json) -> Html:
    known = {full_name(pod) for pod in status["pods"]}
    items = [
        el(
            "li",
            el("strong", one.what, class_="badge"),
            " ",
            el("a", one.who, href=fragment(of_pod(one.who))) if one.who in known else one.who,
            ": " if one.who else None,
            one.text,
        )
        for one in troubles(status)
    ]
    title = "Not as it should be"
    return el(
        "section",
        el("h2", title, id="troubles-title") if items else None,
        el("ul", *items) if items else el("p", "All is as it should be."),
        id="troubles",
        class_="some" if items else "none",
        aria_labelledby="troubles-title" if items else None,
    )


def _footer(status: Json, paths: Iterable[str]) -> Html:
    links = [el("li", el("a", path, href=path)) for path in paths]
    return el("footer", el("ul", *links), el("p", f"Times are UTC. Up since {utc(status['startedAt'])}."))


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def content_security_policy() -> str:
    """The page's own style and script by their hashes, questions to its own daemon, and nothing else."""
    style, script = (_hashed(_asset(name)) for name in ("page.css", "page.js"))
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def _hashed(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
