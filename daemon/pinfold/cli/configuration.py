"""The configuration that a command runs under: file < environment < flags."""

import os
from argparse import Namespace
from pathlib import Path

from pinfold.config import Config, load


def configured(options: Namespace, **flags: str | None) -> Config:
    """*flags*: dotted keys with ``__`` for the dot, from flags of their own. Raises ConfigError."""
    named = {key.replace("__", "."): value for key, value in flags.items() if value is not None}
    path = Path(options.config) if options.config else None
    return load(path, os.environ, {**dict(options.set), **named})
