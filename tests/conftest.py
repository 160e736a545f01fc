"""What holds for every test: a slow day fails none of them, and the same code gives the same answer twice.

With PINFOLD_EXPLORE=N the property tests draw other cases each time, N for each property that names no number.
"""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "explore",
    deadline=None,
    max_examples=int(os.environ.get("PINFOLD_EXPLORE") or 100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("explore" if os.environ.get("PINFOLD_EXPLORE") else "house")

# In the background of a shell without job control SIGINT is ignored, and whoever is started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def short_tmp_path() -> Iterator[Path]:
    """For a Unix socket: its path has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)
