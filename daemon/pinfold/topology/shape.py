"""A regular machine in words: ``2x8x2``, for the question what pods would get on a machine that is not there.

Pure.
"""

import re

from pinfold.cpuset import CpuSet
from pinfold.errors import PinfoldError
from pinfold.topology.model import Cpu, NumaNode, Topology

NODE_MEMORY_BYTES = 256 << 30
"""Of each NUMA node: what is asked here is CPUs."""
MAX_CPUS = 8192
"""As many as a kernel can be built for (NR_CPUS)."""
_WORDS = re.compile(r"([1-9][0-9]{0,3})x(?:([1-9][0-9]{0,3})x)?([1-9][0-9]{0,3})x([1-9])")


class ShapeError(PinfoldError, ValueError):
    """Words that are no machine."""


def is_shape(words: str) -> bool:
    return _WORDS.fullmatch(words) is not None


def shaped(words: str) -> Topology:
    """SOCKETSxCORESxTHREADS with a NUMA node a socket, or SOCKETSxNODESxCORESxTHREADS: nodes a socket, cores a node.

    CPUs are numbered through all cores' first threads, then through their second ones. Raises ShapeError.
    """
    match = _WORDS.fullmatch(words)
    if match is None:
        raise ShapeError(f"{words!r} is no machine: write SOCKETSxCORESxTHREADS, such as 2x8x2.")
    sockets, nodes, cores, threads = (int(number or 1) for number in match.groups())
    count = sockets * nodes * cores
    if count * threads > MAX_CPUS:
        raise ShapeError(f"{words} has {count * threads} CPUs: more than {MAX_CPUS}, the most that a kernel knows.")
    cpus = tuple(
        Cpu(
            id=thread * count + core,
            core=core,
            socket=core // (nodes * cores),
            node=core // cores,
            uncore=core // (nodes * cores),
        )
        for thread in range(threads)
        for core in range(count)
    )
    every = range(sockets * nodes)
    return Topology(
        cpus=cpus,
        nodes=tuple(
            NumaNode(
                id=node,
                cpus=CpuSet.of(cpu.id for cpu in cpus if cpu.node == node),
                memory_bytes=NODE_MEMORY_BYTES,
                distances={to: 10 if to == node else 12 if to // nodes == node // nodes else 21 for to in every},
            )
            for node in every
        ),
        possible=CpuSet.of(cpu.id for cpu in cpus),
    )
