"""What can be pointed at on the page, and how an owner looks wherever it shows.

A pod is ``#pod=namespace/name``, a pool of the node ``#pool=node-shared``.
"""

from functools import reduce

from pinfold.report.ownership import Kind, Owner
from pinfold.report.page.markup import Html, el, fragment

HUES = 10
"""Owners whose letters are so far apart have the same colour."""

_TAIL = 6


def of_pod(full_name: str) -> str:
    return f"pod={full_name}"


def of_pool(kind: Kind) -> str:
    return f"pool={kind.replace(' ', '-')}"


def of_owner(owner: Owner) -> str:
    return of_pod(owner.name) if owner.name else of_pool(owner.parts[0].kind)


def look(kind: Kind, letter: str = "") -> str:
    """The classes that pattern and colour what belongs to an owner; without a letter it is the node, with its signs."""
    pattern = f"k-{kind.replace(' ', '-')}"
    if not letter:
        return pattern
    number = reduce(lambda number, one: number * 26 + ord(one) - ord("A") + 1, letter, 0)
    return f"{pattern} h{(number - 1) % HUES}"


def swatch(kind: Kind, letter: str = "") -> Html:
    return el("span", class_=f"swatch {look(kind, letter)}", role="img", aria_label=kind)


def pod_link(full_name: str) -> Html:
    """Where there is no room it is cut in the middle: pods of one kind differ in their last letters."""
    parts = (el("span", full_name[:-_TAIL]), el("span", full_name[-_TAIL:]))
    return el("a", *parts, class_="name", href=fragment(of_pod(full_name)))


def pool_link(kind: Kind) -> Html:
    return el("a", kind, class_="name", href=fragment(of_pool(kind)))
