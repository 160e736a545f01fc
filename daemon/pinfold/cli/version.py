"""``pinfold version``."""

import platform
from argparse import Namespace

from pinfold import __version__
from pinfold.cli.output import say_json


def main(options: Namespace) -> int:
    if options.output == "json":
        say_json({"version": __version__, "python": platform.python_version(), "architecture": platform.machine()})
    else:
        print(f"pinfold {__version__}")
    return 0
