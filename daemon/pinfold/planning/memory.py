"""On which NUMA nodes a request for memory and huge pages is booked, or why it can not be.

Pure. Source: the kubelet's static memory policy, ``calculateHints``, ``Allocate``; KEP-1769.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pinfold.cpuset import NodeSet
from pinfold.planning.books import Books
from pinfold.planning.hints import Hint, Hints, Room
from pinfold.planning.ledger import Block
from pinfold.planning.reasons import Refused, Word
from pinfold.planning.sets import Amount, fewest
from pinfold.pods.model import HUGEPAGES, MEMORY, Amounts
from pinfold.pods.quantity import amount_text


@dataclass(frozen=True, slots=True)
class Booking:
    books: Books
    blocks: tuple[Block, ...]
    """One for each resource, all on the same nodes."""
    reusable: tuple[Block, ...]
    """The reusable blocks, less what was used of them; those of size 0 stay."""


def memory_of(request: Amounts) -> Mapping[str, int]:
    """The memory and huge pages of *request*."""
    return {name: size for name, size in request.items() if size and (name == MEMORY or name.startswith(HUGEPAGES))}


def memory_hints(books: Books, request: Amounts, reusable: Sequence[Block] = ()) -> Hints | None:
    """Where *request* could be booked; None, no preference, where it asks for no memory, or for more than there is.

    *reusable* are the blocks of the pod's earlier standard init containers. One node may not be used alone and in a
    group, nor in two groups. The kubelet's memory manager never says "impossible": it refuses when it books.
    """
    needs = memory_of(request)
    if not needs:
        return None
    every = NodeSet.of(books.nodes)
    narrowest = fewest(every.bits, 0, [Amount(need, books.allocatable(name)) for name, need in needs.items()])
    amounts = _free(books, needs)
    room = Room(books.unused, NodeSet(), tuple(amounts.values()), narrowest or len(every))
    groups = {book.group.bits for book in books.nodes.values() if book.assignments}
    listed = tuple(
        Hint(group, len(group) == room.narrowest)
        for group in map(NodeSet, sorted(groups))
        if _held(group, amounts, reusable)
    )
    if not listed and not room.holds(room.nodes):
        return None
    return Hints(tuple(needs), listed, room)


def booked_hints(blocks: Sequence[Block], request: Amounts) -> tuple[Hints, ...]:
    """What a request that is booked already says: the nodes of its blocks.

    Nothing where the blocks no longer match it, in kind or in size.
    """
    if {block.resource: block.size_bytes for block in blocks} != memory_of(request):
        return ()
    return tuple(Hints((block.resource,), (Hint(block.nodes, preferred=True),)) for block in blocks)


def book(books: Books, request: Amounts, hint: Hint, reusable: Sequence[Block] = ()) -> Booking | Refused:
    """Book *request* on the nodes of the *hint*, on more where they have too little, or on the best where it has none.

    *reusable* is used first; only the rest is newly booked.
    """
    needs = memory_of(request)
    if not needs:
        return Booking(books, (), tuple(reusable))
    chosen = _chosen(books, needs, hint, reusable)
    if isinstance(chosen, str):
        return _refused(books, needs, chosen)
    blocks = tuple(Block(chosen, name, need) for name, need in needs.items())
    new = [
        replace(block, size_bytes=max(block.size_bytes - _reusable(chosen, block.resource, reusable), 0))
        for block in blocks
    ]
    return Booking(books.booked(new), blocks, _used(reusable, blocks))


def _chosen(books: Books, needs: Amounts, hint: Hint, reusable: Sequence[Block]) -> NodeSet | str:
    """The nodes to book on, or the kubelet's words for why there are none."""
    said = memory_hints(books, needs, reusable)
    nodes = hint.nodes
    if nodes is None:
        best = said and said.best()
        if not best or best.nodes is None:
            return "failed to get the default NUMA affinity, no NUMA nodes with enough memory is available"
        if hint.preferred and not best.preferred:
            return "failed to find the default preferred hint"
        nodes = best.nodes
    if not _held(nodes, _free(books, needs), reusable):
        best = said and said.best(including=nodes)
        if not best or best.nodes is None:
            return "failed to find NUMA nodes to extend the current topology hint"
        if hint.preferred and not best.preferred:
            return "failed to find the extended preferred hint"
        nodes = best.nodes
    if any(book.assignments and book.group != nodes for node, book in books.nodes.items() if node in nodes):
        return "preferred hint violates NUMA node allocation"
    return nodes


def _free(books: Books, needs: Amounts) -> Mapping[str, Amount]:
    return {name: Amount(need, books.free(name)) for name, need in needs.items()}


def _held(nodes: NodeSet, amounts: Mapping[str, Amount], reusable: Sequence[Block]) -> bool:
    """Whether what is free on *nodes*, and what is reusable on just these, is enough."""
    return all(
        amount.held_by(nodes.bits) + _reusable(nodes, name, reusable) >= amount.need for name, amount in amounts.items()
    )


def _reusable(nodes: NodeSet, resource: str, reusable: Sequence[Block]) -> int:
    """The reusable bytes of *resource* on just these nodes."""
    return sum(one.size_bytes for one in reusable if one.nodes == nodes and one.resource == resource)


def _used(reusable: Sequence[Block], blocks: Sequence[Block]) -> tuple[Block, ...]:
    """*reusable* less what *blocks* take of it, from the first on."""
    rest = {(block.nodes, block.resource): block.size_bytes for block in blocks}
    left = []
    for one in reusable:
        taken = min(one.size_bytes, rest.get((one.nodes, one.resource), 0))
        if taken:
            rest[one.nodes, one.resource] -= taken
        left.append(replace(one, size_bytes=one.size_bytes - taken))
    return tuple(left)


def _refused(books: Books, needs: Amounts, why: str) -> Refused:
    figures = []
    for name, need in needs.items():
        free = books.free(name)
        most = max(free.values(), default=0)
        figures.append(
            f"{name} wanted {amount_text(name, need)}, free {amount_text(name, sum(free.values()))},"
            f" at most {amount_text(name, most)} on one NUMA node"
        )
    return Refused(
        Word.UNEXPECTED_ADMISSION,
        f"[memorymanager] {why}: {'; '.join(figures)}",
        can_pass=True,
        remedy="enough free memory on NUMA nodes that are not in use with others",
    )
