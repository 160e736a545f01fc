"""The last decision that changed something, with all that it was made of, as a document that replays to it anywhere.

Pure. Pods are in it as their sources let them in (``sources/picture.py``): no environment, no command.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from pinfold.cpuset import NodeSet
from pinfold.errors import PinfoldError
from pinfold.planning.ledger import Ledger, PodEntry
from pinfold.planning.planner import Plan, World
from pinfold.planning.policy import MemoryPolicy, Policy
from pinfold.planning.reasons import Decision
from pinfold.pods.model import PodUid
from pinfold.pods.reader import read_pods
from pinfold.sources.picture import Objects, trimmed
from pinfold.state import ledger_data, ledger_of
from pinfold.topology.model import Topology

API_VERSION = "pinfold.dev/v1alpha1"
KIND = "Decision"

Json = dict[str, Any]


class DecisionError(PinfoldError):
    """A document that is no decision."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a decision was made of, beside the machine and the configuration; and what it was."""

    objects: Objects
    lingering: frozenset[PodUid]
    found_running: frozenset[PodUid]
    devices: Mapping[str, NodeSet]
    memory_policy: MemoryPolicy
    """None where the kubelet's memory manager owns cpuset.mems, whatever the configuration says."""
    ledger: Ledger
    """Who owned what before."""
    decided: Plan | tuple[Json, ...]
    """What was; as the document has it, where it was read from one."""

    @classmethod
    def of(cls, objects: Objects, world: World, ledger: Ledger, decided: Plan) -> Self:
        return cls(
            objects,
            world.lingering,
            world.found_running,
            world.devices,
            world.policy.memory_policy,
            ledger,
            decided,
        )

    @property
    def outcomes(self) -> tuple[Json, ...]:
        """What was decided, one for each pod."""
        return outcomes(self.decided) if isinstance(self.decided, Plan) else self.decided

    def to_json(self) -> Json:
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "pods": [{"where": where, "object": trimmed(raw)} for where, raw in self.objects],
            "lingering": sorted(self.lingering),
            "foundRunning": sorted(self.found_running),
            "devices": {name: str(nodes) for name, nodes in self.devices.items()},
            "memoryManagerPolicy": self.memory_policy.value,
            "ledger": ledger_data(self.ledger),
            "outcomes": list(self.outcomes),
        }

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """Raises DecisionError."""
        try:
            if document["kind"] != KIND:
                raise DecisionError(f"a {document['kind']} is no {KIND}.")
            return cls(
                tuple((str(one["where"]), trimmed(one["object"])) for one in document["pods"]),
                frozenset(map(PodUid, document["lingering"])),
                frozenset(map(PodUid, document["foundRunning"])),
                {str(name): NodeSet.parse(nodes) for name, nodes in document["devices"].items()},
                MemoryPolicy(document["memoryManagerPolicy"]),
                ledger_of(document["ledger"]),
                tuple(dict(one) for one in document["outcomes"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise DecisionError(f"the decision is damaged: {type(error).__name__}: {error}.") from error

    def world(self, topology: Topology, policy: Policy) -> World:
        """What was decided on, with this machine and this policy."""
        pods = tuple(pod for pod in read_pods(self.objects)[0] if not pod.terminal)
        policy = replace(policy, memory_policy=self.memory_policy)
        return World(topology, policy, pods, self.lingering, self.found_running, self.devices)

    def differing(self, decided: Plan) -> tuple[tuple[Json | None, Json | None], ...]:
        """What was decided then and what *decided* says instead, for each pod where these differ."""
        then = {one["uid"]: one for one in self.outcomes}
        now = {one["uid"]: one for one in outcomes(decided)}
        return tuple((then.get(uid), now.get(uid)) for uid in sorted({*then, *now}) if then.get(uid) != now.get(uid))


def outcomes(decided: Plan) -> tuple[Json, ...]:
    """What makes each decision this one and no other; the words of its reasons may change from version to version."""
    return tuple(_outcome(one, decided.ledger.entries.get(one.uid)) for one in decided.decisions)


def _outcome(decision: Decision, entry: PodEntry | None) -> Json:
    return {
        "uid": decision.uid,
        "pod": decision.full_name,
        "outcome": decision.outcome.value,
        "pool": str(decision.pool),
        "mems": str(decision.mems),
        "slices": {name: str(cpus) for name, cpus in entry.slices.items()} if entry else {},
        "reason": decision.refusal.word.value if decision.refusal else "",
    }
