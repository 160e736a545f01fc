"""What would be, if: pods added, removed or resized, and how many more of one kind would fit.

Pure, and asked of the same ``plan`` that decides for the node. For ``pinfold plan``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pinfold.planning.ledger import Ledger, PodEntry
from pinfold.planning.planner import Plan, World, plan
from pinfold.planning.reasons import Decision, Outcome, Refused, Word
from pinfold.pods.model import Amounts, InvalidPod, Pod, PodResources, PodUid
from pinfold.pods.needs import requests
from pinfold.pods.quantity import amount_text


@dataclass(frozen=True, slots=True)
class Change:
    """What another plan means for one pod. None: it is not there."""

    full_name: str
    uid: PodUid
    before: Decision | None
    after: Decision | None
    had: PodEntry | None
    gets: PodEntry | None


def changes(before: Plan, after: Plan) -> tuple[Change, ...]:
    """The pods that the two plans decide otherwise, by name."""
    had, gets = before.ledger.entries, after.ledger.entries
    old = {one.uid: one for one in before.decisions}
    new = {one.uid: one for one in after.decisions}
    found = [
        Change(told.full_name, uid, old.get(uid), new.get(uid), had.get(uid), gets.get(uid))
        for uid, told in {**old, **new}.items()
        if had.get(uid) != gets.get(uid) or _outcome(old.get(uid)) != _outcome(new.get(uid))
    ]
    return tuple(sorted(found, key=lambda change: (change.full_name, change.uid)))


def _outcome(decision: Decision | None) -> tuple[Outcome, Word | None] | None:
    if decision is None:
        return None
    return decision.outcome, decision.refusal.word if decision.refusal else None


def with_pods(world: World, pods: Iterable[Pod]) -> World:
    """*world* with *pods*, each in the place of one with its UID."""
    added = {pod.uid: pod for pod in pods}
    return replace(world, pods=(*(pod for pod in world.pods if pod.uid not in added), *added.values()))


def without_pods(world: World, full_names: Iterable[str]) -> World:
    gone = frozenset(full_names)
    return replace(world, pods=tuple(pod for pod in world.pods if pod.full_name not in gone))


def resized(pod: Pod, amounts: Amounts, container: str | None = None) -> Pod | InvalidPod:
    """*pod* with these amounts as request and limit, of itself or of one *container*; the others as they were."""
    if container is not None:
        if container not in {one.name for one in pod.containers}:
            return _cannot(pod, f"has no container {container}")
        containers = tuple(
            replace(one, requests={**one.requests, **amounts}, limits={**one.limits, **amounts})
            if one.name == container
            else one
            for one in pod.containers
        )
        pod = replace(pod, containers=containers)
    elif pod.resources is None:
        return _cannot(pod, "has no pod-level resources: name the container")
    else:
        new = PodResources({**pod.resources.requests, **amounts}, {**pod.resources.limits, **amounts})
        pod = replace(pod, resources=new)
    own = pod.resources.requests if pod.resources and not pod.resources_from_annotations else {}
    for name, needed in requests(pod.containers).items():
        if needed > own.get(name, needed):
            return _cannot(
                pod, f"{amount_text(name, own[name])} {name}: its containers ask for {amount_text(name, needed)}"
            )
    return replace(pod, resize_pending="")


def _cannot(pod: Pod, message: str) -> InvalidPod:
    return InvalidPod("InvalidPod", message, pod.full_name, pod.uid)


@dataclass(frozen=True, slots=True)
class Fit:
    count: int
    """How many more of the pod the node takes, each wholly placed and aligned."""
    blocks: Refused | None
    """Why there is no next one; None: as many were asked for."""
    plan: Plan
    """With those that fit."""


def fit(world: World, ledger: Ledger, like: Pod, most: int) -> Fit:
    """How many more pods *like* this one fit, up to *most*, and what blocks the next."""
    settled = plan(world, ledger)
    for count in range(most):
        copy = replace(
            like, uid=_copy_uid(world, count), name=f"{like.name}-{count + 1}", started_at="", deleting=False
        )
        more = with_pods(world, [copy])
        tried = plan(more, settled.ledger)
        if blocks := _blocks(next(one for one in tried.decisions if one.uid == copy.uid)):
            return Fit(count, blocks, settled)
        world, settled = more, tried
    return Fit(most, None, settled)


def _copy_uid(world: World, count: int) -> PodUid:
    taken = {pod.uid for pod in world.pods}
    numbers = (PodUid(f"{count:08x}-{salt:04x}-4000-8000-000000000000") for salt in range(1 << 16))
    return next(uid for uid in numbers if uid not in taken)


def _blocks(decision: Decision) -> Refused | None:
    """Why a copy does not count as one that fits."""
    if decision.refusal is not None:
        return decision.refusal
    if decision.outcome is not Outcome.PINNED:
        return Refused(Word.UNEXPECTED_ADMISSION, f"it gets no CPUs of its own: {decision.because}", can_pass=False)
    if any(hint.chosen and not hint.preferred for hint in decision.hints):
        return Refused(Word.TOPOLOGY_AFFINITY, "the next would not be aligned: it needs more NUMA nodes", can_pass=True)
    return None


def placed_again(world: World, ledger: Ledger, uid: PodUid) -> Decision | None:
    """The decision for one pod as if it came now, beside all that others own: with the hints that are weighed for it.

    None where the world does not know the pod.
    """
    owning = tuple(pod for pod in world.pods if pod.uid == uid or pod.uid in ledger.entries)
    found = plan(replace(world, pods=owning), ledger.without([uid])).decisions
    return next((one for one in found if one.uid == uid), None)
