"""The last decisions and what happened to them, newest first."""

from collections.abc import Iterable

from pinfold.report.ownership import Json
from pinfold.report.page.anchors import pod_link
from pinfold.report.page.markup import Html, el
from pinfold.report.told import full_name, utc


def section(status: Json) -> Html:
    recent = status["recent"]
    return el(
        "section",
        el("h2", "Last decisions", id="timeline-title"),
        moments(status, recent, named=True) if recent else el("p", "None yet.", class_="faint"),
        id="timeline",
        aria_labelledby="timeline-title",
    )


def moments(status: Json, recent: Iterable[Json], named: bool = False) -> Html:
    """*named*: they are about several pods."""
    today = status["time"][:10]
    known = {full_name(pod) for pod in status["pods"]} if named else set()
    return el("ol", *(_moment(one, today, known) for one in reversed(list(recent))), class_="moments")


def _moment(moment: Json, today: str, known: set[str]) -> Html:
    pod, at = moment["pod"], moment["time"]
    return el(
        "li",
        el("time", at[11:19] if at[:10] == today else f"{at[5:10]} {at[11:16]}", datetime=at, title=utc(at)),
        el("code", moment["event"]),
        pod_link(pod) if pod in known else el("span", pod) if known and pod else None,
        el("span", moment["message"]),
        class_=f"e-{moment['event'].rpartition('.')[2]}",
    )
