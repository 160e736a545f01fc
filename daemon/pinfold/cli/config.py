"""``pinfold config check``: whether the configuration can be used on this machine, and what it is with all defaults."""

import os
import sys
from argparse import Namespace
from pathlib import Path

import yaml

from pinfold.cli.output import say_json
from pinfold.config import load, policy
from pinfold.report.plain import plain
from pinfold.topology.sysfs import read_topology


def main(options: Namespace) -> int:
    config = load(Path(options.config) if options.config else None, os.environ)
    _, warnings = policy(config, read_topology(Path(config.sysfs_root)))
    for warning in warnings:
        print(f"pinfold: {plain(warning)}", file=sys.stderr)
    if options.output == "json":
        say_json(config.dumped())
    else:
        sys.stdout.write(yaml.safe_dump(config.dumped(), sort_keys=False))
    return 0
