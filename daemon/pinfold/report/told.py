"""What a Status document says in sentences, the same in the terminal and on the page.

A decision's own sentences stand in the document already (``planning/words.py``). Pure; whoever shows it escapes it.
"""

from collections.abc import Iterator, Mapping
from math import floor
from typing import Any, NamedTuple

Json = Mapping[str, Any]

SHARED_WITH = {"container": "nobody", "pod": "the pod", "host": "the node"}
"""A container's isolation → with whom it shares its CPUs."""


class Trouble(NamedTuple):
    """One thing that is not as it should be."""

    what: str
    """A word: ``drift``."""
    who: str
    """Empty: the node."""
    text: str


def troubles(status: Json) -> Iterator[Trouble]:
    for pod in status["pods"]:
        name = full_name(pod)
        if no := pod["refusal"]:
            yield Trouble("refused", name, _refused(no))
        for drift in drifts(pod):
            yield Trouble("drift", name, drift)
    for bad in status["invalidPods"]:
        yield Trouble("invalid", bad["where"], f"{bad['reason']}: {bad['message']}")
    for source in status["sources"]:
        if not source["healthy"]:
            yield Trouble("source", source["name"], source["message"])
    for kind, fault in status["counters"]["faults"].items():
        last = f"{fault['count']}x, last at {utc(fault['lastAt'])}"
        yield Trouble("error", kind, f"{fault['lastMessage']} ({last})")
    for warning in status["warnings"]:
        yield Trouble("warning", "", warning)


def full_name(pod: Json) -> str:
    return f"{pod['namespace']}/{pod['name']}"


def utc(rfc3339: str) -> str:
    return f"{rfc3339[:19].replace('T', ' ')} UTC"


def drifted(drift: Json, whose: str = "") -> str:
    """Of a Status document, or of ``verify``, which has the same form; *whose* cgroup it is, instead of its path."""
    have, want = drift["have"] or "nothing", drift["want"] or "nothing"
    file = f"{whose}'s {drift['file']}" if whose else f"{drift['cgroup']}/{drift['file']}"
    return f"{drift['cause']}: {file} has {have}, not {want}"


def drifts(pod: Json) -> Iterator[str]:
    """In short: a container's name says more than the path of its cgroup, which ``explain`` tells."""
    views = [(one["name"], one["kernel"]) for one in pod["containers"]] + [("the pod", pod["kernel"])]
    whose = {view["cgroup"]: name for name, view in views if view}
    for drift in pod["drift"]:
        yield drifted(drift, whose.get(drift["cgroup"], ""))


def _refused(no: Json) -> str:
    later = "tried again when CPUs come free" if no["canPass"] else "not tried again before the pod changes"
    remedy = f"; needs: {no['remedy']}" * bool(no["remedy"])
    return f"{no['reason']}: {no['message']}{remedy} ({later})"


def cgroups(pod: Json) -> Iterator[str]:
    """What the kernel holds of the pod beside its containers."""
    if view := pod["kernel"]:
        state = f", partition {view['partition']}" if view["partition"] else ""
        yield f"the pod's cgroup {view['cgroup']}: CPUs {view['cpus']}, NUMA {view['mems']}{state}"
    for view in pod["otherCgroups"]:
        yield f"also in it: {view['cgroup']}: CPUs {view['cpus']}, NUMA {view['mems']}"


def history(status: Json, pod: Json) -> list[Json]:
    """The moments of the time line that are about *pod*."""
    return [moment for moment in status["recent"] if moment["pod"] == full_name(pod)]


def located(status: Json, name: str) -> list[Json]:
    """The pods of that namespace/name: a successor may stand beside the one that ends."""
    return [pod for pod in status["pods"] if full_name(pod) == name]


DISTURBED = 1e-3
"""Of the time; where others ran for more, the map marks it."""


def measured(status: Json, pod: Json) -> list[Json]:
    """How alone the pod's slices were, or its pool where it has none, as far as any time has passed."""
    own = [one for one in status["alone"] if one["podUID"] == pod["uid"] and one["share"] is not None]
    return [one for one in own if one["container"]] or own


def ran_alone(status: Json, pod: Json) -> float | None:
    """The least share of the time in which nobody else ran there; None: nothing was measured."""
    return min((one["share"] for one in measured(status, pod)), default=None)


def alone_text(share: float) -> str:
    """Rounded down: 100 % is all of the time."""
    return f"{floor(share * 1e5) / 1e5:.3%}"


def is_disturbed(one: Json) -> bool:
    """Of ``alone``: whether others ran there, beyond what the reading may be off."""
    return bool(one["foreignSeconds"] > max(one["errorSeconds"], DISTURBED * one["measuredSeconds"]))
