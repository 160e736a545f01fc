"""``pinfold verify``: the kernel against the ledger on disk, without the daemon; nothing is written."""

from argparse import Namespace
from collections.abc import Iterable, Iterator

from pinfold.agent.comparison import Comparison, compare
from pinfold.cgroups.strangers import Kind, Stranger
from pinfold.cli.configuration import configured
from pinfold.cli.node_map import Json
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces
from pinfold.report.told import drifted


def main(options: Namespace) -> int:
    found = _json(compare(configured(options), tasks=options.tasks))
    if options.output == "json":
        say_json(found)
    else:
        say(_text(found))
    return 1 if found["drift"] or any(one["kind"] == Kind.USER for one in found.get("tasks", ())) else 0


def _json(comparison: Comparison) -> Json:
    names = {uid: f"{entry.namespace}/{entry.name}" for uid, entry in comparison.ledger.entries.items()}
    tasks = {} if comparison.strangers is None else _tasks(comparison.strangers, hidden=comparison.hidden)
    return {
        "pods": sorted(names.values()),
        "drift": [
            {
                "cgroup": one.path,
                "file": one.file.value,
                "want": one.want,
                "have": one.have,
                "cause": one.cause.value,
                "pod": names.get(one.pod) if one.pod else None,
            }
            for one in comparison.drift
        ],
        **tasks,
    }


def _tasks(strangers: Iterable[Stranger], *, hidden: bool) -> Json:
    return {
        "tasks": [
            {"tid": one.tid, "name": one.name, "kind": one.kind.value, "cgroup": one.cgroup, "cpus": str(one.cpus)}
            for one in strangers
        ],
        "hidden": hidden,
    }


def _text(found: Json) -> Iterator[Line]:
    for one in found["drift"]:
        yield from filled((Span("drift  ", Ink.BAD),), pieces(f"{one['pod'] or 'the node'}: {drifted(one)}"))
    pods, differences = len(found["pods"]), len(found["drift"])
    yield from paragraph(
        "", f"pods in the ledger: {pods}; files of the kernel that do not hold what it promises: {differences}"
    )
    if "tasks" in found:
        yield from _strangers(found)


def _strangers(found: Json) -> Iterator[Line]:
    """Who may run on what pods own and is no part of them: users by name, kernel threads by count."""
    by_kind: dict[str, list[Json]] = {kind.value: [] for kind in Kind}
    for one in found["tasks"]:
        by_kind[one["kind"]].append(one)
    for one in by_kind[Kind.USER]:
        text = f"{one['tid']} {one['name']} of {one['cgroup']} may run on CPUs {one['cpus']}"
        yield from filled((Span("task   ", Ink.BAD),), pieces(text))
    users, anywhere, bound = (len(by_kind[kind]) for kind in (Kind.USER, Kind.KERNEL, Kind.PER_CPU))
    yield from paragraph(
        "",
        f"tasks that may run on CPUs of pods and are no part of them: {users}; kernel threads that may: {anywhere}, "
        f"and that belong to one of those CPUs: {bound}",
    )
    if found["hidden"]:
        yield from paragraph("", "not all processes are visible here: run it with the host's PIDs", Ink.BAD)
