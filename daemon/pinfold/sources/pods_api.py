"""The pods of this node as its kubelet tells of them: one thread that watches the Pods API's socket.

It needs no rights in the cluster, and goes on while the API server is away. Source: KEP-4188,
``k8s.io/kubelet/pkg/apis/pods/v1alpha1/api.proto``, ``pkg/kubelet/apis/pods``; 1.36 by its feature gate, 1.37 for all.
"""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from pinfold.sources.answers import Change, Event
from pinfold.sources.grpc_call import Call, GrpcError
from pinfold.sources.kubelet import KubeletHealth
from pinfold.sources.picture import Pods, RawPod, as_before
from pinfold.sources.pod_protobuf import watch_event
from pinfold.sources.protobuf import ProtobufError
from pinfold.sources.watching import pause_s

SOCKET: Final = "pods-api/pods-api.sock"
"""Below the kubelet's directory."""
METHOD: Final = "/v1alpha1.Pods/WatchPods"
MESSAGE_LIMIT_BYTES: Final = 8 << 20
"""A pod is at most 3 MiB: the largest request that the API server takes."""
FIRST_S: Final = 10.0
"""How long it may take until all pods that are there were told."""

log = structlog.get_logger(__name__)


class PodsApi:
    """``picture`` and ``health`` may be read from any thread at any time. *root*: the kubelet's directory."""

    def __init__(
        self,
        root: Path,
        wake: Callable[[], None],
        pause_factor: float = 1.0,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.picture = Pods()
        self.health = KubeletHealth()
        self._path = root / SOCKET
        self._wake, self._pause_factor, self._now, self._draw = wake, pause_factor, now, draw
        self._call: Call | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pods-api", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def stands(self) -> bool:
        """Whether ``picture`` is what the kubelet knows now."""
        return self.picture.synced and not self.health.error

    def close(self, wait_s: float = 5.0) -> None:
        """End the thread, from a read too."""
        self._closing.set()
        if call := self._call:
            call.shut()
        self._thread.join(wait_s)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            heard_at = self.health.heard_at
            try:
                self._watch()
                error = "the kubelet ended the watch"
            except (GrpcError, ProtobufError) as problem:
                error = str(problem)
            except Exception as problem:
                log.exception("podsapi.faulted")
                error = repr(problem)
            if self._closing.is_set():
                return
            failures = 0 if self.health.heard_at != heard_at else failures + 1
            self._heard(error)
            self._closing.wait(pause_s(failures, self._draw()) * self._pause_factor)

    def _watch(self) -> None:
        """One watch, to its end. Raises GrpcError, ProtobufError."""
        self._call = call = Call(self._path, METHOD, b"", FIRST_S, MESSAGE_LIMIT_BYTES)
        first: dict[str, RawPod] | None = {}
        """The pods that are there, until all were told."""
        try:
            for message in call.messages() if not self._closing.is_set() else ():
                match watch_event(message):
                    case Event(Change.BOOKMARK):
                        if first is not None:
                            self._show(first, resynced=True)
                            first = None
                            call.patient()
                        self._heard("")
                    case Event(change, _, uid, pod):
                        objects = first if first is not None else dict(self.picture.objects)
                        if change is Change.DELETED:
                            objects.pop(uid, None)
                        else:
                            objects[uid] = as_before(self.picture.objects.get(uid), pod)
                        if first is None:
                            self._show(objects)
                            self._heard("")
        finally:
            self._call = None
            call.close()

    def _show(self, objects: dict[str, RawPod], *, resynced: bool = False) -> None:
        before = self.picture.objects
        same = before.keys() == objects.keys() and all(before[uid] is one for uid, one in objects.items())
        if not same or (resynced and not self.picture.synced):
            self.picture = Pods(objects, synced=True)
            self._wake()

    def _heard(self, error: str) -> None:
        """The kubelet told something, or *error* keeps it from that."""
        before = self.health
        if error and not before.error:
            log.warning("podsapi.lost", reason=error)
        if before.error and not error:
            log.info("podsapi.found")
        self.health = before.heard(error, self._now())
        if self.health.differs(before):
            self._wake()
