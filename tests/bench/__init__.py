"""Benchmarks: tables for people; nothing here asserts a time."""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("pinfold") is None:  # run from a checkout that is not installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))
