"""How a command's answer reaches stdout: text for people, JSON for machines."""

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

from pinfold.cli.terminal import Line, is_coloured, written


def say(lines: Iterable[Line]) -> None:
    sys.stdout.write(written(lines, is_coloured(sys.stdout, os.environ)))


def say_json(document: Any) -> None:  # noqa: ANN401
    """In ASCII: a terminal obeys nothing in it."""
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")
