"""One thread that asks the API server to evict: it honours disruption budgets, and may take its time.

Source: ``policy/v1`` Eviction; 429 where a PodDisruptionBudget does not allow it now.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from pinfold.agent.evicting import Candidate, Restraint
from pinfold.report.counters import Evictions
from pinfold.sources.client import ApiServer, ApiServerError

AGAIN_S: Final = 30.0
"""After no good answer, and after a budget that does not allow it now."""
REFUSED_S: Final = 600.0
"""After a refusal: somebody must give Pinfold the right to."""
LOOK_S: Final = 5.0

log = structlog.get_logger(__name__)


class Evictor:
    """``want`` is for the loop's thread; ``counts`` for any."""

    def __init__(self, server: ApiServer, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts = Evictions()
        self._server = server
        self._clock = clock
        self._wanted: tuple[Candidate, ...] = ()
        self._restraint = Restraint(at_s=clock())
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evictions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def want(self, wanted: tuple[Candidate, ...]) -> None:
        """Who is to go, as of now; never waits."""
        self._wanted = wanted

    def close(self, wait_s: float = 5.0) -> None:
        self._closing.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            wanted = self._wanted
            self._restraint = self._restraint.hearing(wanted, self._clock())
            for one in wanted:
                if self._restraint.allows(one, self._clock()) and not self._closing.is_set():
                    try:
                        self._evict(one)
                    except Exception:
                        log.exception("eviction.faulted", pod=one.full_name)
                        self._restraint = self._restraint.postpone(one, self._clock() + REFUSED_S)

    def _evict(self, one: Candidate) -> None:
        path = f"/api/v1/namespaces/{one.namespace}/pods/{one.name}/eviction"
        metadata = {"name": one.name, "namespace": one.namespace}
        options = {"preconditions": {"uid": one.api_uid}}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}
        status, wait_s, error = 0, 0.0, ""
        try:
            with self._server.ask("POST", path, body=body) as answer:
                status, wait_s = answer.status, answer.retry_after_s
                answer.body(1 << 20)
        except ApiServerError as problem:
            error = str(problem)
        self._settle(one, status, wait_s, error or f"the API server answered {status}")

    def _settle(self, one: Candidate, status: int, wait_s: float, error: str) -> None:
        now_s, counts = self._clock(), self.counts
        facts = {"pod": one.full_name, "pod_uid": one.uid}
        if status in {200, 201}:
            self._restraint = self._restraint.evicted(one, now_s)
            self.counts = replace(counts, evicted=counts.evicted + 1, error="")
            log.warning("pod.evicted", **facts, reason=one.reason.value)
        elif status in {404, 409}:  # it is gone, or another one has its name
            self._restraint = self._restraint.postpone(one, float("inf"))
        elif status == 429:
            self._restraint = self._restraint.postpone(one, now_s + max(wait_s, AGAIN_S))
            self.counts = replace(counts, held_back=counts.held_back + 1, error="a disruption budget does not allow it")
            log.info("eviction.held_back", **facts)
        elif status == 0 or status >= 500:
            self._restraint = self._restraint.postpone(one, now_s + AGAIN_S)
            self.counts = replace(counts, error=error)
        else:
            self._restraint = self._restraint.postpone(one, now_s + REFUSED_S)
            self.counts = replace(counts, refused=counts.refused + 1, error=error)
            if not counts.refused:  # once: the count tells the rest
                log.error("eviction.refused", **facts, reason=error, remedy="apply deploy/overlays/evict")
