"""Vectors about the static memory policy, for pods that are booked container by container. Sizes are MiB."""

from collections.abc import Sequence

from pinfold.cpuset import NodeSet
from pinfold.planning.books import Books, NodeBook, Table
from pinfold.planning.ledger import Block
from pinfold.planning.memory import book, booked_hints, memory_hints, memory_of
from pinfold.planning.reasons import Refused
from pinfold.pods.model import ContainerKind
from pinfold.pods.needs import requests
from tests.planning.kubelet_merge import spelled_out
from tests.vectors.case import Case, Outcome, Told, op, refusal
from tests.vectors.merge_ops import hint_of, told
from tests.vectors.pods import named_containers, pod_of, wanted_of

MIB = 1 << 20


def books_of(case: Case) -> Books:
    return Books({int(node): book_of(told) for node, told in (case.given["nodes"] or {}).items()})


def book_of(told: Told) -> NodeBook:
    tables = {
        name: Table(*(told[field] * MIB for field in ("total", "system_reserved", "allocatable", "reserved")))
        for name, told in told["resources"].items()
    }
    return NodeBook(tables, NodeSet.of(told["cells"]), told["assignments"])


def books_told(books: Books) -> Told:
    return {
        str(node): {
            "resources": {name: table_told(table) for name, table in book.tables.items()},
            "cells": list(book.group),
            "assignments": book.assignments,
        }
        for node, book in books.nodes.items()
    }


def table_told(table: Table) -> Told:
    return {
        "allocatable": table.allocatable_bytes // MIB,
        "free": table.free_bytes // MIB,
        "reserved": table.reserved_bytes // MIB,
        "system_reserved": table.system_reserved_bytes // MIB,
        "total": table.total_bytes // MIB,
    }


def blocks_of(told: Sequence[Told]) -> tuple[Block, ...]:
    return tuple(Block(NodeSet.of(one["numa"]), one["type"], one["size"] * MIB) for one in told)


def blocks_told(blocks: Sequence[Block]) -> list[Told]:
    return [{"numa": list(one.nodes), "type": one.resource, "size": one.size_bytes // MIB} for one in blocks]


@op("memory allocate")
def allocated(case: Case) -> Outcome:
    return allocated_containers(case)


@op("memory allocate-containers")
def allocated_containers(case: Case) -> Outcome:
    """One container after the other, each with the hint that is given, using what its init containers leave."""
    pod, books, hint = pod_of(case.given["pod"]), books_of(case), hint_of(case.given["hint"])
    asked = wanted_of(case, pod).container_memory
    got = {name: blocks_of(held) for name, held in case.given["assignments"].items()}
    inits: list[str] = []
    for short_name, one in named_containers(case.given["pod"], pod):
        name = case.full_name(short_name)
        if name not in got and one.name in asked:
            reusable = [block for init in inits for block in got[init]]
            booking = book(books, asked[one.name], hint, reusable)
            if isinstance(booking, Refused):
                return refusal(booking)
            left = list(booking.reusable)
            for init in inits:
                got[init] = tuple(left[: len(got[init])])
                left = left[len(got[init]) :]
            books, got[name] = booking.books, booking.blocks
        if one.kind is ContainerKind.INIT and name in got:
            inits.append(name)
    return {"assignments": {name: blocks_told(blocks) for name, blocks in got.items()}, "nodes": books_told(books)}


@op("memory remove")
def removed(case: Case) -> Outcome:
    got = {name: blocks_of(held) for name, held in case.given["assignments"].items()}
    books = books_of(case).released(got.pop(case.given["remove"], ()))
    return {"assignments": {name: blocks_told(blocks) for name, blocks in got.items()}, "nodes": books_told(books)}


@op("memory hints")
def hints(case: Case) -> Outcome:
    """Those of the pod's first container: what it holds already says where it is."""
    pod, books = pod_of(case.given["pod"]), books_of(case)
    name, container = next(named_containers(case.given["pod"], pod))
    asked = wanted_of(case, pod).container_memory.get(container.name, {})
    if held := case.given["assignments"].get(case.full_name(name)):
        said = booked_hints(blocks_of(held), asked)
    else:
        said = tuple(one for one in [memory_hints(books, asked)] if one is not None)
    every = NodeSet.of(books.nodes) | NodeSet.union(hint.nodes for one in said for hint in one.listed if hint.nodes)
    hints = {name: [told(one) for one in spelled_out(each, every)] for each in said for name in each.resources}
    return {"hints": hints or None}


@op("memory pod-request")
def pod_request(case: Case) -> Outcome:
    amounts = memory_of(requests(pod_of(case.given["pod"]).containers))
    return {"request": {name: size // MIB for name, size in amounts.items()}}
