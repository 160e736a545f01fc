"""``pinfold status``: the node as the daemon last published it; with ``--watch`` anew whenever it changes."""

import gc
import json
import sys
import time
from argparse import Namespace
from typing import Any

from pinfold.cli.connection import UnreachableError, newer, status
from pinfold.cli.output import say, say_json
from pinfold.cli.screen import Screen, is_terminal
from pinfold.cli.terminal import Ink, Line, paragraph
from pinfold.cli.view import shown

PERIOD_S = 1.0


def main(options: Namespace) -> int:
    if options.watch:
        gc.enable()
        return _watch_on_screen(options) if is_terminal() and options.output == "text" else _watch(options)
    document = status(options)
    if options.output == "json":
        say_json(document)
    else:
        say(shown(document, every_pod=options.all))
    return 0


def _watch_on_screen(options: Namespace) -> int:
    """Until q is pressed. A daemon that does not answer is told above what it said last."""
    document = status(options)
    tag = ""
    away: list[Line] = []
    with Screen() as screen:
        screen.draw(shown(document, every_pod=options.all))
        while screen.rests(PERIOD_S):
            try:
                fresh, tag = newer(options, tag)
                document, away = fresh or document, []
            except UnreachableError as error:
                away = [*paragraph("", str(error), Ink.BAD), ()]
            screen.draw([*away, *shown(document, every_pod=options.all)])
    return 0


def _watch(options: Namespace) -> int:
    """Until interrupted: each change in full, as JSON one line each."""
    document, tag = newer(options, "")
    while True:
        if document:
            _say(document, options)
        time.sleep(PERIOD_S)
        try:
            document, tag = newer(options, tag)
        except UnreachableError as error:
            document = None
            print(f"pinfold: {error}", file=sys.stderr)


def _say(document: dict[str, Any], options: Namespace) -> None:
    if options.output == "json":
        print(json.dumps(document, separators=(",", ":")))
    else:
        say([*shown(document, every_pod=options.all), ()])
    sys.stdout.flush()
