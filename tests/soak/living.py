"""Pods on a real node, and whether each has what it asked for, by the kernel's word alone. In the guest."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from tests.crash.hotplug import online
from tests.crash.node import pod
from tests.vm.node import Node, Task, everyone
from tests.vm.node.tasks import CGROUPS, parse

UID = "11111111-2222-4333-8444"
CONTAINERS = ("engine", "proxy")


@dataclass(slots=True)
class Living:
    """A pod, as its author has it."""

    manifest: dict[str, Any]
    cpus: int
    """Of its pool; 0: it runs with everybody."""
    engine: int
    """Of these, its engine's alone; 0: there is no slice."""

    @classmethod
    def of(cls, number: int, cpus: int, engine: int) -> Self:
        raw = pod(number, cpus, engine)
        raw["metadata"]["uid"] = f"{UID}-{number:012}"
        if not engine:
            raw["spec"]["containers"] = [{"name": name, "image": "x"} for name in CONTAINERS]
        if not cpus:
            del raw["spec"]["resources"]
            noise = {"env": [{"name": "THREADS", "value": "2"}], "resources": {"requests": {"cpu": "100m"}}}
            raw["spec"]["containers"][0] |= noise
        return cls(raw, cpus, engine)

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.manifest["metadata"]["uid"])

    def resize(self, cpus: int) -> None:
        amounts = {"cpu": str(cpus), "memory": "64Mi"}
        self.cpus, self.manifest["spec"]["resources"] = cpus, {"requests": amounts, "limits": amounts}


def broken(pods: Iterable[Living], node: Node) -> Iterator[str]:
    """Each task of the machine against what the pods asked for, on the CPUs that are online."""
    there, engines = online(), {one.cgroup for one in node.processes() if one.container == "engine"}
    runs = [(task, parse(task.cpus) & there) for task in everyone()]
    yield from (f"{task} is without a CPU" for task, cpus in runs if not cpus)
    for one in (one for one in pods if one.cpus):
        inside = f"/{node.prepare(one.manifest).relative_to(CGROUPS)}/"
        own: frozenset[int] = frozenset()
        for size, is_alone in ((one.engine, True), (one.cpus - one.engine, False)):
            mine = [
                (task, cpus)
                for task, cpus in runs
                if task.cgroup.startswith(inside) and (bool(one.engine) and task.cgroup in engines) is is_alone
            ]
            sets = {cpus for _, cpus in mine}
            if [len(cpus) for cpus in sets] != [size] * bool(size) or any(cpus & own for cpus in sets):
                whose = "its engine" if is_alone else "the others"
                yield f"{one.name} owes {size} CPUs to {whose}: {_told(mine)}"
            own = own.union(*sets)
        others = [(task, cpus) for task, cpus in runs if cpus & own and not task.cgroup.startswith(inside)]
        if others:
            yield f"others may run on {sorted(own)} of {one.name}: {_told(others)}"


def _told(runs: list[tuple[Task, frozenset[int]]]) -> str:
    return "; ".join(f"{task.comm} of {task.cgroup} on {task.cpus}" for task, _ in runs[:5])
