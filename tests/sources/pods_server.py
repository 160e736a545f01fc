"""A kubelet's Pods API on a socket, by grpcio: what it tells and how it fails is told to it."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import grpc

from pinfold.sources.pod_protobuf import messages
from pinfold.sources.pods_api import SOCKET

ADDED, MODIFIED, DELETED, INITIAL_SYNC_COMPLETE = 1, 2, 3, 4


def encoded(raw: Mapping[str, Any]) -> bytes:
    """A v1 Pod of JSON as protobuf, as far as Pinfold reads it; `golden` has bytes of the API's own types."""
    message = messages()["Pod"]()
    _fill(message, raw)
    return bytes(message.SerializeToString())


def event(kind: int, pod: bytes = b"") -> bytes:
    return bytes(messages()["WatchPodsEvent"](type=kind, pod=pod).SerializeToString())


def _fill(message: Any, raw: Mapping[str, Any]) -> None:  # noqa: ANN401
    for field in message.DESCRIPTOR.fields:
        if field.name not in raw:
            continue
        value, target = raw[field.name], getattr(message, field.name)
        kind = field.message_type.name if field.message_type else ""
        if kind.endswith("Entry"):
            for key, one in value.items():
                if isinstance(one, str) and field.message_type.fields_by_name["value"].message_type is None:
                    target[key] = one
                else:
                    target[key].string = one
        elif kind == "Time":
            target.seconds = int(datetime.fromisoformat(value).timestamp())
        elif isinstance(value, list):
            for one in value:
                element = target.add()
                _fill(element.ephemeralContainerCommon if kind == "EphemeralContainer" else element, one)
        elif kind:
            target.SetInParent()
            _fill(target, value)
        else:
            setattr(message, field.name, value)


class LocalKubelet:
    """Serves below *root*, the kubelet's directory, until it is left; `serve` again is a restart."""

    def __init__(self, root: Path) -> None:
        self._path = root / SOCKET
        self.pods: dict[str, bytes] = {}
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.before_sync = b""
        """A message more, before all are told."""
        self.is_silent = False
        self.watches = 0
        self._told: list[SimpleQueue[bytes | None]] = []
        self._server: grpc.Server | None = None

    def __enter__(self) -> Self:
        self.serve()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.leave()

    def serve(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handler = grpc.unary_stream_rpc_method_handler(self._watch)
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("v1alpha1.Pods", {"WatchPods": handler}),)
        )
        self._server.add_insecure_port(f"unix:{self._path}")
        self._server.start()

    def leave(self) -> None:
        self.tell(None)
        if self._server:
            self._server.stop(grace=0).wait()
        with suppress(FileNotFoundError):
            self._path.unlink()
        self._server = None

    def put(self, pod: Mapping[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        kind = MODIFIED if uid in self.pods else ADDED
        self.pods[uid] = encoded(pod)
        self.tell(event(kind, self.pods[uid]))

    def delete(self, pod: Mapping[str, Any]) -> None:
        """Of who was deleted the kubelet tells name, namespace and UID."""
        kept = {name: pod["metadata"][name] for name in ("uid", "name", "namespace")}
        del self.pods[kept["uid"]]
        self.tell(event(DELETED, encoded({"metadata": kept})))

    def tell(self, message: bytes | None) -> None:
        """*message* to all who watch; None ends their watches."""
        for told in self._told:
            told.put(message)

    def _watch(self, _request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.watches += 1
        if self.refusal:
            context.abort(*self.refusal)
        while self.is_silent and context.is_active():
            time.sleep(0.01)
        told: SimpleQueue[bytes | None] = SimpleQueue()
        self._told.append(told)
        context.add_callback(lambda: told.put(None))
        try:
            for pod in list(self.pods.values()):
                yield event(ADDED, pod)
            if self.before_sync:
                yield self.before_sync
            yield event(INITIAL_SYNC_COMPLETE)
            while (message := told.get()) is not None:
                yield message
        finally:
            self._told.remove(told)
