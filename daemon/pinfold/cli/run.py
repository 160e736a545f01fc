"""``pinfold run``: the daemon."""

from argparse import Namespace
from pathlib import Path

from pinfold.agent.daemon import run
from pinfold.cli.configuration import configured


def main(options: Namespace) -> int:
    manifests = str(Path(options.manifests).absolute()) if options.manifests else None
    run(lambda: configured(options, sources__manifests__path=manifests))
    return 0
