"""``pinfold status``: the node as the daemon last published it."""

from argparse import Namespace

from pinfold.cli.connection import status
from pinfold.cli.output import say, say_json
from pinfold.cli.view import shown


def main(options: Namespace) -> int:
    document = status(options)
    if options.output == "json":
        say_json(document)
    else:
        say(shown(document, every_pod=options.all))
    return 0
