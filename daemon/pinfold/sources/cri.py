"""What containers are called, by their runtime itself: for those whose bundles cannot be read. One thread that asks.

As from a bundle only names come from here. Source: ``k8s.io/cri-api/pkg/apis/runtime/v1/api.proto``, ListContainers;
the kubelet's label on each container, ``pkg/kubelet/types/labels.go``.
"""

import random
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import structlog

from pinfold.sources.bundles import is_container_id, is_container_name
from pinfold.sources.grpc_call import Call, GrpcError
from pinfold.sources.protobuf import ProtobufError, Table, classes, parsed, text
from pinfold.sources.watching import pause_s

METHOD: Final = "/runtime.v1.RuntimeService/ListContainers"
ANSWER_LIMIT_BYTES: Final = 16 << 20
"""What kubelets take from a runtime."""
TIMEOUT_S: Final = 10.0
SPACING_S: Final = 0.1
"""Between two questions, however many containers appear."""
_NAME: Final = "io.kubernetes.container.name"
_FIELDS: Final[Table] = {
    "ListContainersResponse": {"containers": (1, "repeated Container")},
    "Container": {"id": (1, "string"), "labels": (8, "map string")},
}

log = structlog.get_logger(__name__)


class Cri:
    """``names`` may be read from any thread at any time. *path*: the runtime's socket."""

    def __init__(
        self,
        path: Path,
        wake: Callable[[], None],
        pause_factor: float = 1.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.names: Mapping[str, str] = {}
        """Runtime's id → container name, of all that it told last; another object at each change."""
        self.error = ""
        """Why it last failed; empty while it answers, or where it was not asked yet."""
        self._path, self._wake, self._pause_factor, self._draw = path, wake, pause_factor, draw
        self._asked_for: frozenset[str] = frozenset()
        self._asked, self._closing = threading.Event(), threading.Event()
        self._call: Call | None = None
        self._thread = threading.Thread(target=self._run, name="cri", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self, unnamed: Collection[str]) -> None:
        """Ask now, if there is one among the containers *unnamed* that it was not asked for before."""
        before, self._asked_for = self._asked_for, frozenset(unnamed)
        if not self._asked_for <= before:
            self._asked.set()

    def again(self) -> None:
        """For the timer: whoever is still unnamed may be asked for once more."""
        self._asked_for = frozenset()

    def close(self, wait_s: float = 5.0) -> None:
        self._closing.set()
        self._asked.set()
        if call := self._call:
            call.shut()
        self._thread.join(wait_s)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            self._asked.wait()
            self._asked.clear()
            if self._closing.is_set():
                return
            try:
                self._look()
                error = ""
            except (GrpcError, ProtobufError) as problem:
                error = str(problem)
            except Exception as problem:
                log.exception("cri.faulted")
                error = repr(problem)
            if error and not self.error:
                log.warning("cri.lost", reason=error)
            if self.error and not error:
                log.info("cri.found")
            failures = failures + 1 if error else 0
            self.error = error
            self._closing.wait(pause_s(failures, self._draw()) * self._pause_factor if error else SPACING_S)
            if error:
                self._asked.set()

    def _look(self) -> None:
        """Raises GrpcError, ProtobufError."""
        with closing(Call(self._path, METHOD, b"", TIMEOUT_S, ANSWER_LIMIT_BYTES)) as self._call:
            try:
                answers = list(self._call.messages()) if not self._closing.is_set() else []
            finally:
                self._call = None
        names = {key: name for answer in answers for key, name in named(answer).items()}
        if names != self.names:
            self.names = names
            self._wake()


def named(answer: bytes) -> Mapping[str, str]:
    """The names in a ``ListContainersResponse``, of containers of Kubernetes. Raises ProtobufError."""
    containers = parsed(messages()["ListContainersResponse"], answer).containers
    told = {text(one.id): text(one.labels[_NAME]) for one in containers if _NAME in one.labels}
    return {key: name for key, name in told.items() if is_container_id(key) and is_container_name(name)}


@lru_cache(maxsize=1)
def messages() -> Mapping[str, Any]:
    """Their classes by name."""
    return classes(_FIELDS)
