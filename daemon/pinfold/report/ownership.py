"""Who owns which CPU, read off a Status document: what the map in the terminal and the one on the page draw.

Every CPU has one owner, who uses it in one way. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any

from pinfold.cpuset import CpuSet

Json = Mapping[str, Any]


class Kind(StrEnum):
    """In which way an owner uses CPUs; the value is what people read."""

    EXCLUSIVE = "exclusive"
    POD_SHARED = "pod shared"
    IDLE = "idle"
    """A pod shared pool in which no container runs."""
    ENDED = "ended init"
    """The slice of an init container that ended: the pod's still."""
    NODE_SHARED = "node shared"
    RESERVED = "reserved"
    ISOLATED = "isolated at boot"
    NONE = "in no pool"
    """Which should not be."""
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Part:
    kind: Kind
    cpus: CpuSet
    container: str = ""
    """Who has an exclusive slice."""


@dataclass(frozen=True, slots=True)
class Owner:
    parts: tuple[Part, ...]
    name: str = ""
    """namespace/name of the pod; empty: the node."""
    letter: str = ""
    """Stands for the pod in a map."""

    def within(self, cpus: CpuSet) -> "Owner":
        inside = (Part(part.kind, part.cpus & cpus, part.container) for part in self.parts)
        return Owner(tuple(part for part in inside if part.cpus), self.name, self.letter)


def letters() -> Iterator[str]:
    """A, B, … Z, AA, AB …"""
    for number in count(1):
        text, rest = "", number
        while rest:
            rest, digit = divmod(rest - 1, 26)
            text = chr(ord("A") + digit) + text
        yield text


def owning(status: Json) -> list[tuple[str, Json]]:
    """The pods that own CPUs, each with the letter that stands for it."""
    owners = (pod for pod in status["pods"] if pod["pool"] or pod["exclusive"])
    return list(zip(letters(), owners, strict=False))


def owners(status: Json) -> list[Owner]:
    """Everybody who has CPUs; together they have each CPU once."""
    pods = [_pod(letter, pod) for letter, pod in owning(status)]
    rest = CpuSet.parse(status["topology"]["online"]) - CpuSet.union(part.cpus for pod in pods for part in pod.parts)
    reserved = rest & CpuSet.parse(status["reservedCPUs"])
    shared = rest & CpuSet.parse(status["nodeSharedPool"]) - reserved
    isolated = (rest - reserved - shared) & CpuSet.parse(status["topology"]["isolated"])
    return [
        Owner((Part(Kind.RESERVED, reserved),)),
        *pods,
        Owner((Part(Kind.NODE_SHARED, shared),)),
        Owner((Part(Kind.ISOLATED, isolated),)),
        Owner((Part(Kind.NONE, rest - reserved - shared - isolated),)),
        Owner((Part(Kind.OFFLINE, CpuSet.parse(status["topology"]["offline"])),)),
    ]


def _pod(letter: str, pod: Json) -> Owner:
    slices = [
        Part(Kind.EXCLUSIVE, CpuSet.parse(one["cpus"]), one["name"])
        for one in pod["containers"]
        if one["isolation"] == "container" and one["kind"] != "init"
    ]
    left = CpuSet.parse(pod["exclusive"]) - CpuSet.union(part.cpus for part in slices)
    used = any(one["isolation"] == "pod" for one in pod["containers"])
    shared = Part(Kind.POD_SHARED if used else Kind.IDLE, CpuSet.parse(pod["shared"]))
    return Owner((*slices, Part(Kind.ENDED, left), shared), f"{pod['namespace']}/{pod['name']}", letter)


def grouped(cpus: list[Json], key: str) -> dict[int, CpuSet]:
    """The ``topology.cpus`` of a Status document by one of their keys, ascending."""
    bits: dict[int, int] = {}
    for cpu in cpus:
        bits[cpu[key]] = bits.get(cpu[key], 0) | 1 << cpu["id"]
    return {group: CpuSet(bits[group]) for group in sorted(bits)}
