"""What can remain of a set of NUMA nodes when one hint of each resource is chosen and all are intersected.

Pure. A node remains unless some hint leaves it out, and a hint may leave out only what the resource can spare.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pinfold.cpuset import NodeSet
from pinfold.planning.closeness import Closeness
from pinfold.planning.hints import Room
from pinfold.planning.sets import Amount, Patience, best

_SCALE = 1 << 20

Spare = tuple[int, ...]
"""What the sets of one room may leave out and still hold enough, by amount."""


@dataclass(frozen=True, slots=True)
class Intersection:
    """What can remain of *nodes*, all of them in each of the *rooms*."""

    nodes: int
    rooms: Sequence[Room]
    patience: Patience

    def best(self, size: int, near: Closeness | None) -> int | None:
        """The best set of *size* that can remain."""
        if len(self.rooms) == 1:
            room = self.rooms[0]
            outside = room.nodes.bits & ~self.nodes
            amounts = [Amount(amount.need - amount.held_by(outside), amount.of) for amount in room.amounts]
            return best(self.nodes, room.required.bits & self.nodes, size, amounts, near, patience=self.patience)
        spares = [
            tuple(amount.held_by(room.nodes.bits) - amount.need for amount in room.amounts) for room in self.rooms
        ]
        shares = {node: self._share(node, spares) for node in NodeSet(self.nodes)}
        required = NodeSet.of(node for node, share in shares.items() if share is None)
        known = {node: share for node, share in shares.items() if share is not None}
        amount = Amount(sum(known.values()) - len(self.rooms) * _SCALE, known)

        def divided(remaining: int) -> bool:
            left_out = sorted(NodeSet(self.nodes & ~remaining), key=lambda node: -known[node])
            return self._divided(left_out, spares)

        return best(self.nodes, required.bits, size, [amount], near, divided, self.patience)

    def _share(self, node: int, spares: Sequence[Spare]) -> int | None:
        """The least part of a room's spare that leaving out *node* uses, on average over its amounts."""
        parts = []
        for room, spare in zip(self.rooms, spares, strict=True):
            rest = _without(node, room, spare)
            if rest is not None:
                used = [(had - has) * _SCALE // had if had else 0 for had, has in zip(spare, rest, strict=True)]
                parts.append(sum(used) // len(used))
        return min(parts, default=None)

    def _divided(self, left_out: Sequence[int], spares: Sequence[Spare]) -> bool:
        """Whether the rooms can leave out these nodes, each node one of them."""
        walk = [iter([tuple(spares)])]
        while walk and self.patience:
            rest = next(walk[-1], None)
            if rest is None:
                walk.pop()
            elif len(walk) > len(left_out):
                return True
            else:
                self.patience.spend(4 * len(self.rooms))
                walk.append(self._leaving(left_out[len(walk) - 1], rest))
        return False

    def _leaving(self, node: int, spares: tuple[Spare, ...]) -> Iterator[tuple[Spare, ...]]:
        """What is left to spare when one of the rooms, each of them in turn, leaves out *node*."""
        tried: list[tuple[Room, Spare]] = []
        for place, (room, spare) in enumerate(zip(self.rooms, spares, strict=True)):
            rest = _without(node, room, spare)
            if rest is not None and not any(room is other and spare == same for other, same in tried):
                tried.append((room, spare))
                yield (*spares[:place], rest, *spares[place + 1 :])


def _without(node: int, room: Room, spare: Spare) -> Spare | None:
    """What *room* can spare once it has left out *node*; None: it can not leave it out."""
    rest = tuple(has - amount.of.get(node, 0) for has, amount in zip(spare, room.amounts, strict=True))
    return None if node in room.required or min(rest) < 0 else rest
