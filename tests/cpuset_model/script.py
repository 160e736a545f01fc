"""The notation of docs/kernel.md, run on the model.

One statement a line; K, S, B, podA, podB, podC, c1 and c2 are its names, *root* the root cgroup::

    podA.excl=2-3                 this write is taken
    podC.excl=3-4 ! EINVAL        this one is refused
    podA.part is root invalid (Parent is not a partition root)
    task t1 in c1                 it enters; also: task t1 in podA ! EBUSY
    task t1 wants 1-3             sched_setaffinity
    task t1 runs on 2-3           its Cpus_allowed
    cpu 3 off                     also: cpu 3 on
    mkdir c1/d, rmdir podC, unprivileged podA.part=root
"""

import re
from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet

from pinfold.cpuset import CpuSet, NodeSet

from .kernel import Kernel
from .words import Errno
from .world import World

PLACES = {
    "root": "",
    "K": "K",
    "S": "S",
    "B": "K/B",
    "podA": "K/podA",
    "podB": "K/B/podB",
    "podC": "K/podC",
    "c1": "K/podA/c1",
    "c2": "K/podA/c2",
}
FILES = {
    "cpus": "cpuset.cpus",
    "excl": "cpuset.cpus.exclusive",
    "xeff": "cpuset.cpus.exclusive.effective",
    "eff": "cpuset.cpus.effective",
    "part": "cpuset.cpus.partition",
    "isolated": "cpuset.cpus.isolated",
    "mems": "cpuset.mems",
    "memseff": "cpuset.mems.effective",
    "control": "cgroup.subtree_control",
    "type": "cgroup.type",
}
_WRITE = re.compile(r"(unprivileged )?(\S+?)\.(\w+)=(.*?)(?: ! (\w+))?")
_READ = re.compile(r"(\S+)\.(\w+) is ?(.*)")
_TASK = re.compile(r"task (\w+) (in|wants|runs on) (.+?)(?: ! (\w+))?")
_CPU = re.compile(r"cpu (\d+) (off|on)(?: ! (\w+))?")
_DIR = re.compile(r"(mkdir|rmdir) (\S+)(?: ! (\w+))?")


def node(kernel: Kernel, isolcpus: str = "") -> World:
    """Eight CPUs, two nodes, the tree of docs/kernel.md with cpuset on everywhere and no set written."""
    world = World.boot(kernel, CpuSet.parse("0-7"), NodeSet.parse("0-1"), CpuSet.parse(isolcpus))
    world.write("", "cgroup.subtree_control", "+cpuset")
    for place in ("K", "S", "B", "podA", "podC", "podB", "c1", "c2"):
        world.mkdir(PLACES[place])
        if place in ("K", "B", "podA"):
            world.write(PLACES[place], "cgroup.subtree_control", "+cpuset")
    return world


def run(world: World, script: str) -> None:
    """Raises AssertionError where a statement does not hold."""
    for statement in filter(None, map(str.strip, script.splitlines())):
        got, expected = _statement(world, statement)
        assert got == expected, f"{world.kernel}: {statement}: got {got!r}"


def by_kernel(cases: Iterable[ParameterSet]) -> list[ParameterSet]:
    """Each case once for each of the kernels that are its first value."""
    return [
        pytest.param(kernel, *case.values[1:], id=f"{case.id}-on-{kernel}")
        for case in cases
        for kernel in _kernels(case)
    ]


def _kernels(case: ParameterSet) -> tuple[Kernel, ...]:
    first = case.values[0]
    assert isinstance(first, tuple)
    return first


def _statement(world: World, text: str) -> tuple[str, str]:
    if match := _TASK.fullmatch(text):
        return _task(world, *match.groups())
    if match := _CPU.fullmatch(text):
        cpu, way, errno = match.groups()
        return _said(world.offline(int(cpu)) if way == "off" else world.online(int(cpu))), errno or ""
    if match := _DIR.fullmatch(text):
        verb, place, errno = match.groups()
        return _said(world.mkdir(_path(place)) if verb == "mkdir" else world.rmdir(_path(place))), errno or ""
    if match := _READ.fullmatch(text):
        place, file, expected = match.groups()
        got = world.read(_path(place), FILES[file])
        return (got.name if isinstance(got, Errno) else got), expected
    if match := _WRITE.fullmatch(text):
        unprivileged, place, file, value, errno = match.groups()
        return _said(world.write(_path(place), FILES[file], value, privileged=not unprivileged)), errno or ""
    raise ValueError(f"no statement: {text!r}")


def _task(world: World, name: str, verb: str, what: str, errno: str | None) -> tuple[str, str]:
    if verb == "runs on":
        return str(world.allowed(name)), what
    if verb == "wants":
        return _said(world.set_affinity(name, CpuSet.parse(what))), errno or ""
    if name not in [task for path in world.paths() for task in world.tasks(path)]:
        world.spawn(name)
    return _said(world.move(name, _path(what))), errno or ""


def _path(place: str) -> str:
    head, slash, rest = place.partition("/")
    return f"{PLACES.get(head, head)}{slash}{rest}"


def _said(outcome: Errno | None) -> str:
    return outcome.name if outcome else ""
