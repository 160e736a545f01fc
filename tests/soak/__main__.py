"""Churn on model kernels for as long as is asked for, every promise checked at each step, and what the process holds.

    python -m tests.soak --seconds 3600 --seed 1

One node after another, each on the next kernel, with the daemon's own loop and an API server over HTTP. Ends with
``N steps, 0 broken, no leak``; a broken promise names the seed of its node and the story so far.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import patch

import structlog

from pinfold.sources.apiserver import ApiServerPods, Timing
from tests.apiserver.server import LocalApiServer
from tests.cpuset_model import KERNELS

from .churn import BrokenError, Churn
from .growth import Held, leaks

STEPS = 400
"""Of one node."""
QUICK = partial(ApiServerPods, timing=Timing(pause_factor=1 / 200))
"""A run has no half minute for a pause between two requests."""


@dataclass(slots=True)
class Soaked:
    """What came of a run."""

    steps: int = 0
    nodes: int = 0
    pods: int = 0
    writes: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)


def soaked(seconds: float, seed: int, *, told: bool = False, look_s: float = 60.0) -> Soaked:
    """Whole nodes until *seconds* are over; the last is cut short."""
    soak = Soaked()
    began = time.monotonic()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with patch("pinfold.agent.sources.ApiServerPods", QUICK):
        while time.monotonic() < began + seconds:
            _node(soak, seed + soak.nodes, began, seconds, look_s, told=told)
            soak.nodes += 1
    return soak


def _node(soak: Soaked, seed: int, began: float, seconds: float, look_s: float, *, told: bool) -> None:
    kernel = KERNELS[seed % len(KERNELS)]
    with tempfile.TemporaryDirectory(prefix="pinfold-soak-") as tmp, LocalApiServer() as server:
        churn = Churn(kernel, Path(tmp), seed, server)
        try:
            for _ in range(STEPS):
                if time.monotonic() >= began + seconds:
                    break
                churn.step()
                soak.steps += 1
                at_s = time.monotonic() - began
                if not soak.held or at_s >= soak.held[-1].at_s + look_s:
                    soak.held.append(Held.now(at_s))
                    if told:
                        print(f"{at_s:6.0f} s  {soak.steps} steps, {soak.held[-1]}", flush=True)
        except BrokenError as error:
            soak.broken.append(f"seed {seed}, {kernel}: {error}")
            if told:
                print(f"BROKEN: {soak.broken[-1]}", flush=True)
        finally:
            churn.close()
        soak.pods += churn.count
        soak.writes += churn.ground.count
        soak.counts += churn.counts


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    soak = soaked(args.seconds, args.seed, told=True, look_s=max(5.0, min(60.0, args.seconds / 40)))
    for name, count in soak.counts.most_common():
        print(f"{count:7} {name}")
    leaked = leaks(soak.held)
    print(
        f"{soak.nodes} nodes, {soak.pods} pods, {soak.writes} writes, seeds {args.seed} to {args.seed + soak.nodes - 1}"
    )
    print(f"{soak.steps} steps, {len(soak.broken)} broken, {'; '.join(leaked) or 'no leak'}")
    return 1 if soak.broken or leaked else 0


if __name__ == "__main__":
    sys.exit(main())
