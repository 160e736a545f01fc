"""Text from outside, fit to be shown: with nothing in it that a terminal or a page would obey, hide or turn around."""


def plain(text: str) -> str:
    """*text* with every such character written out as an escape."""
    return text if text.isprintable() else "".join(map(_plain, text))


def _plain(one: str) -> str:
    return one if one.isprintable() else one.encode("unicode_escape").decode()
