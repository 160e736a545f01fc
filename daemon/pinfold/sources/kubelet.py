"""The pods of this node as its kubelet knows them, and how it is configured: one thread that asks at intervals.

The kubelet has no watch: it is asked at once where a cgroup has appeared whose pod nobody knows. It answers also
while the API server is away. Source: ``pkg/kubelet/server``, ``/pods`` and ``/configz``; KEP-2862 for the rights.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from pinfold.sources.answers import PAGE_LIMIT_BYTES, Failed, Page, page
from pinfold.sources.client import ApiServer, ApiServerError
from pinfold.sources.kubelet_config import KubeletConfig, kubelet_config
from pinfold.sources.picture import Pods

CONFIG_LIMIT_BYTES: Final = 1 << 20
READ_TIMEOUT_S: Final = 10.0
SPACING_S: Final = 0.1
"""Between two questions, however many pods appear."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KubeletHealth:
    """Times are seconds since the epoch."""

    error: str = ""
    """Why it last failed; empty while it answers, or where it was not asked yet."""
    heard_at: float | None = None
    asked: bool = False
    """Whether it was asked once, and did answer or did not."""

    def heard(self, error: str, at: float) -> "KubeletHealth":
        """It answered, *at* a time, or *error* kept it from that."""
        return KubeletHealth(error, self.heard_at if error else at, asked=True)

    def differs(self, before: "KubeletHealth") -> bool:
        """Whether it came, or went, since *before*."""
        return not before.asked or bool(self.error) is not bool(before.error)


class KubeletPods:
    """``picture``, ``config`` and ``health`` may be read from any thread at any time."""

    def __init__(
        self, server: ApiServer, wake: Callable[[], None], period_s: float, now: Callable[[], float] = time.time
    ) -> None:
        self.picture = Pods()
        self.config: KubeletConfig | None = None
        self.health = KubeletHealth()
        self.server = server
        self._wake = wake
        self._period_s = period_s
        self._now = now
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet-pods", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self) -> None:
        """Ask now: somebody is there whom nobody knows. From any thread."""
        self._asked.set()

    def close(self, wait_s: float = 5.0) -> None:
        self._closing.set()
        self._asked.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._asked.clear()
            try:
                error = self._look()
            except ApiServerError as problem:
                error = str(problem)
            except Exception as problem:
                log.exception("kubelet.faulted")
                error = repr(problem)
            self._heard(error)
            if not self._closing.wait(SPACING_S):
                self._asked.wait(self._period_s)

    def _look(self) -> str:
        """Ask for both; why it failed, or nothing."""
        with self.server.ask("GET", "/pods", read_timeout_s=READ_TIMEOUT_S) as answer:
            if answer.status != 200:
                return f"/pods: {answer.status} {_told(answer.body(CONFIG_LIMIT_BYTES))}"
            match page(answer.pieces(PAGE_LIMIT_BYTES), versioned=False):
                case Failed(error):
                    return f"/pods: {error}"
                case Page(objects, faults=faults):
                    self._show(Pods(objects, synced=True, faults=faults))
        with self.server.ask("GET", "/configz", read_timeout_s=READ_TIMEOUT_S) as answer:
            body = answer.body(CONFIG_LIMIT_BYTES)
            if answer.status != 200:
                return f"/configz: {answer.status} {_told(body)}"
        match kubelet_config(body):
            case KubeletConfig() as config:
                if config != self.config:
                    self.config = config
                    self._wake()
                return ""
            case error:
                return error

    def _show(self, picture: Pods) -> None:
        if picture != self.picture:
            self.picture = picture
            self._wake()

    def _heard(self, error: str) -> None:
        before = self.health
        if error and not before.error:
            log.warning("kubelet.lost", reason=error)
        if before.error and not error:
            log.info("kubelet.found")
        self.health = before.heard(error, self._now())
        if self.health.differs(before):
            self._wake()


def _told(body: bytes) -> str:
    """The kubelet refuses in plain text."""
    return ascii(body[:200].decode(errors="replace").strip())[1:-1]
