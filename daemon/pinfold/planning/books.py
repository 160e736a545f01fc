"""What each NUMA node has of memory and huge pages, what of it is booked, and which nodes are booked together.

Pure: a booking gives new books. Source: the memory manager's state, ``NUMANodeState`` and ``MemoryTable``; KEP-1769.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pinfold.cpuset import NodeSet
from pinfold.planning.ledger import Block
from pinfold.pods.model import MEMORY, Amounts
from pinfold.topology.model import NumaNode, Topology


@dataclass(frozen=True, slots=True)
class Table:
    """One resource on one node."""

    total_bytes: int
    system_reserved_bytes: int
    allocatable_bytes: int
    """What pods may book."""
    reserved_bytes: int = 0
    """What they have booked."""

    @property
    def free_bytes(self) -> int:
        return self.allocatable_bytes - self.reserved_bytes


@dataclass(frozen=True, slots=True)
class NodeBook:
    tables: Mapping[str, Table]
    """By resource name; absent: the node has none of it."""
    group: NodeSet
    """The nodes that are booked together with this one, itself included; alone, or not booked: itself."""
    assignments: int = 0
    """Blocks booked on it, each resource counted."""


@dataclass(frozen=True, slots=True)
class Books:
    nodes: Mapping[int, NodeBook]

    def allocatable(self, resource: str) -> Mapping[int, int]:
        return {
            node: book.tables[resource].allocatable_bytes
            for node, book in self.nodes.items()
            if resource in book.tables
        }

    def free(self, resource: str) -> Mapping[int, int]:
        return {node: book.tables[resource].free_bytes for node, book in self.nodes.items() if resource in book.tables}

    @property
    def known(self) -> NodeSet:
        return NodeSet.of(self.nodes)

    @property
    def unused(self) -> NodeSet:
        """Nodes on which nothing is booked: those that may yet be joined to any others."""
        return NodeSet.of(node for node, book in self.nodes.items() if not book.assignments)

    def booked(self, blocks: Iterable[Block]) -> "Books":
        """With *blocks* booked: nodes filled one after the other, ascending.

        What does not fit is not booked, nor what lies on a node that is gone.
        """
        nodes = dict(self.nodes)
        for block in blocks:
            rest = block.size_bytes
            for node in block.nodes & self.known:
                book = nodes[node]
                given, tables = _moved(book.tables, block.resource, rest)
                nodes[node] = NodeBook(tables, block.nodes, book.assignments + 1)
                rest -= given
        return Books(nodes)

    def released(self, blocks: Iterable[Block]) -> "Books":
        """With *blocks* given back: nodes emptied one after the other, ascending."""
        nodes = dict(self.nodes)
        for block in blocks:
            rest = block.size_bytes
            for node in block.nodes & self.known:
                book = nodes[node]
                given, tables = _moved(book.tables, block.resource, -rest)
                group = book.group if book.assignments > 1 else NodeSet.of([node])
                nodes[node] = NodeBook(tables, group, book.assignments - 1)
                rest += given
        return Books(nodes)


def _moved(tables: Mapping[str, Table], resource: str, wanted: int) -> tuple[int, Mapping[str, Table]]:
    """The bytes of *wanted* that could be booked (below zero: given back), and the tables after that."""
    table = tables.get(resource)
    if table is None:
        return 0, tables
    given = max(min(wanted, table.free_bytes), -table.reserved_bytes)
    return given, {**tables, resource: replace(table, reserved_bytes=table.reserved_bytes + given)}


def empty_books(topology: Topology, reserved: Mapping[int, Amounts]) -> Books:
    """The books of a machine that runs no pod; *reserved* is what no pod may book, by node."""
    return Books({node.id: _empty(node, reserved.get(node.id, {})) for node in topology.nodes})


def _empty(node: NumaNode, reserved: Amounts) -> NodeBook:
    hugepages = sum(node.hugepages_bytes.values())
    tables = {
        resource: Table(total, kept, max(total - kept - (hugepages if resource == MEMORY else 0), 0))
        for resource, total in {MEMORY: node.memory_bytes, **node.hugepages_bytes}.items()
        for kept in [reserved.get(resource, 0)]
    }
    return NodeBook(tables, NodeSet.of([node.id]))


def reserved_in_proportion(topology: Topology, reserved: Amounts) -> Mapping[int, Amounts]:
    """What to reserve on each node where only the sum is known: by the node's share of the machine's memory.

    The parts add up to *reserved*; what division leaves over goes to the lowest nodes.
    """
    spread: dict[int, dict[str, int]] = {node.id: {} for node in topology.nodes}
    for resource, amount in reserved.items():
        sizes = {node.id: _size(node, resource) for node in topology.nodes}
        rest, left = amount, sum(sizes.values())
        for node, size in sorted(sizes.items(), reverse=True):
            part = rest * size // left if left else 0
            spread[node][resource] = part
            rest, left = rest - part, left - size
    return spread


def _size(node: NumaNode, resource: str) -> int:
    return node.memory_bytes if resource == MEMORY else node.hugepages_bytes.get(resource, 0)
