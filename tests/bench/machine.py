"""What a measurement was taken with, for the files that `make bench` and `make prove` write."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any


def described(version: str) -> dict[str, Any]:
    """The machine, the versions and the commit; ``commit`` is empty outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    models = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "pinfold": version,
        "commit": subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpu": models[0] if models else platform.machine(),
        "cpus": os.cpu_count(),
    }


def _cpuinfo() -> list[str]:
    return Path("/proc/cpuinfo").read_text().splitlines()
