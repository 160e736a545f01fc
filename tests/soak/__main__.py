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
from collections.abc import Callable
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
class Soak:
    """A run, and what came of it."""

    seed: int
    """Of the first node; each next one has the next."""
    seconds: float
    steps_at_most: int | None = None
    look_s: float = 60.0
    """How often it is looked at what the process holds."""
    tell: Callable[[str], None] = lambda _: None
    began_at_s: float = field(default_factory=time.monotonic)
    steps: int = 0
    nodes: int = 0
    pods: int = 0
    writes: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self._at_s >= self.seconds or self.steps == self.steps_at_most

    @property
    def _at_s(self) -> float:
        return time.monotonic() - self.began_at_s

    def run(self) -> None:
        """One node after another; the last is cut short."""
        with patch("pinfold.agent.sources.ApiServerPods", QUICK):
            while not self.is_over:
                self._node(self.seed + self.nodes)
                self.nodes += 1

    def _node(self, seed: int) -> None:
        kernel = KERNELS[seed % len(KERNELS)]
        with tempfile.TemporaryDirectory(prefix="pinfold-soak-") as tmp, LocalApiServer() as server:
            churn = Churn(kernel, Path(tmp), seed, server)
            try:
                for _ in range(STEPS):
                    if self.is_over:
                        break
                    churn.step()
                    self.steps += 1
                    self._look()
            except BrokenError as error:
                self.broken.append(f"seed {seed}, {kernel}: {error}")
                self.tell(f"BROKEN: {self.broken[-1]}")
            finally:
                churn.close()
            self.pods += churn.count
            self.writes += churn.ground.count
            self.counts += churn.counts

    def _look(self) -> None:
        if not self.held or self._at_s >= self.held[-1].at_s + self.look_s:
            self.held.append(Held.now(self._at_s))
            self.tell(f"{self._at_s:6.0f} s  {self.steps} steps, {self.held[-1]}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    tell = partial(print, flush=True)
    soak = Soak(args.seed, args.seconds, look_s=max(5.0, min(60.0, args.seconds / 40)), tell=tell)
    soak.run()
    for name, count in soak.counts.most_common():
        print(f"{count:7} {name}")
    leaked = leaks(soak.held)
    last = args.seed + soak.nodes - 1
    print(f"{soak.nodes} nodes, {soak.pods} pods, {soak.writes} writes, seeds {args.seed} to {last}")
    print(f"{soak.steps} steps, {len(soak.broken)} broken, {'; '.join(leaked) or 'no leak'}")
    return 1 if soak.broken or leaked else 0


if __name__ == "__main__":
    sys.exit(main())
