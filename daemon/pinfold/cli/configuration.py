"""The configuration that a command runs under: file < environment < flags. What reads one is imported when it must."""

import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from pinfold.planning.policy import Policy
from pinfold.topology.model import Topology

if TYPE_CHECKING:
    from pinfold.config import Config

PREFIX = "PINFOLD_"
DEFAULT_PATH = Path("/etc/pinfold/config.yaml")
"""As ``config`` has it."""


def configured(options: Namespace, **flags: str | None) -> "Config":
    """*flags*: dotted keys with ``__`` for the dot, from flags of their own. Raises ConfigError."""
    from pinfold.config import load

    named = {key.replace("__", "."): value for key, value in flags.items() if value is not None}
    path = Path(options.config) if options.config else None
    return load(path, os.environ, {**dict(options.set), **named})


def node_policy(options: Namespace, topology: Topology) -> tuple[Policy, tuple[str, ...]]:
    """The policy on this machine, and what a person should be told about it. Raises ConfigError.

    Where nothing is configured, the defaults, without the library that reads configurations: half the time of a plan.
    """
    default = Policy(topology.cores[topology.by_id[topology.online.lowest()].core])
    named = options.config or options.set or any(name.startswith(PREFIX) for name in os.environ)
    if not named and not DEFAULT_PATH.is_file() and topology.online - default.reserved:
        return default, ()
    from pinfold.config import policy

    return policy(configured(options), topology)
