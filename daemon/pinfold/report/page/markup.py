"""HTML as values. Text is escaped where it becomes part of an element, and nowhere else; so none can be forgotten.

Characters that would hide it or turn the words around it are written out.
"""

from html import escape
from typing import TypeAlias
from urllib.parse import quote

from pinfold.report.plain import plain

_VOID = frozenset({"col", "link", "meta"})


class Html(str):
    """Markup; every other string is text."""

    __slots__ = ()


Child: TypeAlias = "str | Html | None"
Attribute: TypeAlias = "str | int | None"


def el(tag: str, /, *children: Child, **attributes: Attribute) -> Html:
    """One element. ``class_`` and ``aria_label`` name the attributes class and aria-label; None leaves one out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(plain(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{words}>" if tag in _VOID else f"<{tag}{words}>{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Siblings; None is nothing."""
    return Html("".join(one if isinstance(one, Html) else escape(plain(one)) for one in children if one))


def fragment(anchor: str) -> str:
    """The reference to an element's id on the page."""
    return f"#{quote(anchor, safe='=/')}"
