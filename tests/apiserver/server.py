"""The HTTP of an API server: list, watch, Events and pods, as the documentation of the Kubernetes API tells them.

Tests reach it in two ways: as a client over HTTP, and by these methods, which play the cluster and its misfortunes.
"""

import base64
import contextlib
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

from tests.apiserver import execution, reviews
from tests.apiserver.events import refused
from tests.apiserver.faults import Drop, Fault, Garbage, Hang, Refuse, Slow
from tests.apiserver.objects import Objects
from tests.apiserver.store import CUT, END, ExpiredError, Pod, Store, encoded

_PODS: Final = re.compile(r"/api/v1/(?:namespaces/(?P<namespace>[^/]+)/)?pods(?:/(?P<name>[^/]+))?")
_EVICTION: Final = re.compile(r"/api/v1/namespaces/[^/]+/pods/(?P<name>[^/]+)/eviction")
_EVENTS: Final = re.compile(r"/apis/events\.k8s\.io/v1/namespaces/(?P<namespace>[^/]+)/events(?:/(?P<name>[^/]+))?")
_REASONS: Final = {404: "NotFound", 409: "AlreadyExists", 410: "Expired", 422: "Invalid", 429: "TooManyRequests"}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    @property
    def kind(self) -> str:
        """``list``, ``watch``, ``events``, ``reviews`` or ``pods``: what a fault can be put on."""
        if self.path in reviews.PATHS:
            return "reviews"
        if _EVENTS.fullmatch(self.path):
            return "events"
        if _EVICTION.fullmatch(self.path):
            return "evictions"
        if self.method != "GET":
            return "pods"
        return "watch" if self.query.get("watch") == "true" else "list"


class LocalApiServer:
    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None, token: str = "") -> None:
        self.store = Store()
        self.events: dict[str, dict[str, Any]] = {}
        """By ``namespace/name``."""
        self.users: dict[str, reviews.User] = {}
        """Token → who bears it, for the reviews."""
        self.objects = Objects()
        self.container: execution.Container | None = None
        """What an ``exec`` into a pod runs in; None: nobody answers."""
        self.requests: list[Request] = []
        self.token = token
        """What a request must bear; empty: anything goes."""
        self.protected: set[str] = set()
        """Names of pods whose disruption budget allows no eviction."""
        self.configz: dict[str, Any] = {}
        """As a kubelet, which answers /pods and /configz, it is configured so."""
        self.pages_from_cache = False
        """Honour ``limit`` at a resourceVersion too, which the watch cache of a real one does not."""
        self._port = port
        self._tls = tls
        self._faults: dict[str, deque[Fault]] = {}
        self._stopped = threading.Event()
        self._connections: set[socket.socket] = set()
        self._http: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen; on the port that it had before, where it was stopped."""
        self._stopped.clear()
        self._http = _Listener(self, self._port)
        self._port = self._http.server_address[1]
        if self._tls:
            self._http.socket = self._tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Go away as a process does: the port is closed and every connection is reset. What was stored stays."""
        assert self._http is not None
        assert self._thread is not None
        self._stopped.set()
        self._http.shutdown()
        self._thread.join()
        for connection in tuple(self._connections):
            _reset(connection)
        self.store.say([CUT])
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if not self._stopped.is_set():
            self.stop()

    def kubeconfig(self, path: Path, authority: Path | None = None, token_file: str = "") -> Path:
        """Write one that leads here, to *path*; over TLS, *authority* is whom it trusts (None: anybody).

        It bears the token itself, or names the *token_file* that does.
        """
        user = {"tokenFile": token_file} if token_file else {"token": self.token} if self.token else {}
        cluster: dict[str, Any] = {"server": self.url}
        if authority:
            cluster["certificate-authority"] = str(authority)
        elif self._tls:
            cluster["insecure-skip-tls-verify"] = True
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": [{"name": "node", "user": user}],
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": "node"}}],
            "current-context": "local",
        }
        path.write_text(json.dumps(config))
        return path

    # What happens in the cluster

    def put_pod(self, pod: Pod) -> None:
        self.store.put(pod)

    def delete_pod(self, uid: str) -> None:
        self.store.delete(uid)

    def forget_history(self) -> None:
        """Compact etcd: every watch and every continue token from before gets a 410."""
        self.store.forget_history()

    # What goes wrong

    def fault(self, fault: Fault, on: str, times: int = 1) -> None:
        """Let the next *times* requests of one kind (``list``, ``watch``, ``events``) meet *fault*."""
        self._faults.setdefault(on, deque()).extend([fault] * times)

    def say(self, words: bytes) -> None:
        """Put bytes on every open watch: garbage, half a line."""
        self.store.say([words])

    def bookmark(self) -> None:
        version = str(self.store.version)
        self._say_event("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": version}})

    def error_event(self, code: int, message: str = "as the test asked") -> None:
        self._say_event("ERROR", status(code, message))

    def end_watches(self) -> None:
        """Close every watch in good order, as after timeoutSeconds."""
        self.store.say([END])

    def cut_watches(self) -> None:
        """Reset the connection of every watch."""
        self.store.say([CUT])

    @property
    def open_watches(self) -> int:
        return len(self.store.streams)

    def asked(self, kind: str) -> list[Request]:
        return [request for request in tuple(self.requests) if request.kind == kind]

    def next_fault(self, kind: str) -> Fault | None:
        try:
            return self._faults[kind].popleft()
        except (KeyError, IndexError):
            return None

    def _say_event(self, change: str, content: Mapping[str, Any]) -> None:
        self.store.say([json.dumps({"type": change, "object": content}).encode() + b"\n"])


def status(code: int, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, ""),
        "details": details or {},
        "code": code,
    }


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, api: LocalApiServer, port: int) -> None:
        self.api = api
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, *_: object) -> None:
        """A client that went away is an ordinary day."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    @property
    def api(self) -> LocalApiServer:
        return self.server.api

    def setup(self) -> None:
        super().setup()
        self.api._connections.add(self.connection)

    def finish(self) -> None:
        self.api._connections.discard(self.connection)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Tests read ``requests``."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 http.server's names

    def _serve(self) -> None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        request = Request(self.command, url.path, dict(parse_qsl(url.query)), dict(self.headers), body)
        self.api.requests.append(request)
        if self._met(self.api.next_fault(request.kind)):
            return
        if self.api.token and self.headers.get("Authorization", "").lower() != f"bearer {self.api.token}".lower():
            self._refuse(401, "Unauthorized")
        elif self.api.objects.knows(request.path):
            self._object(request)
        elif match := execution.PATH.fullmatch(request.path):
            self._exec(match["name"])
        elif request.kind == "watch":
            self._watch(request)
        elif request.kind == "list" and _PODS.fullmatch(request.path):
            self._list(request)
        elif request.path in {"/pods", "/configz"}:
            self._answer(200, encoded(self._as_kubelet(request)))
        elif request.kind == "events":
            self._event(request)
        elif request.kind == "reviews":
            self._answer(201, json.dumps(reviews.reviewed(request.body, self.api.users)).encode())
        elif match := _EVICTION.fullmatch(request.path):
            self._evict(request, match["name"])
        elif match := _PODS.fullmatch(request.path):
            self._pod(request, match["name"] or "")
        else:
            self._refuse(404, "the server could not find the requested resource")

    def _as_kubelet(self, request: Request) -> dict[str, Any]:
        if request.path == "/configz":
            return {"kubeletconfig": self.api.configz}
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [*self.api.store.pods.values()]}

    def _met(self, fault: Fault | None) -> bool:
        """Whether *fault* took the place of the answer."""
        match fault:
            case None:
                return False
            case Slow(seconds):
                self.api._stopped.wait(seconds)
                return False
            case Hang():
                self.api._stopped.wait()
                self.close_connection = True
            case Drop():
                self._cut()
            case Garbage(body):
                self._answer(200, body)
            case Refuse(code, retry_after_s, message):
                self._refuse(code, message, retry_after_s=retry_after_s)
        return True

    def _object(self, request: Request) -> None:
        code, answer = self.api.objects.answer(request.method, request.path, request.body)
        if code >= 400:
            self._refuse(code, answer)
        else:
            self._answer(code, json.dumps(answer).encode())

    def _exec(self, pod: str) -> None:
        if self.api.container is None or self.headers.get("Upgrade", "").lower() != "websocket":
            self._refuse(404, f"no exec into {pod}")
            return
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", execution.accepted(self.headers["Sec-WebSocket-Key"]))
        self.send_header("Sec-WebSocket-Protocol", execution.PROTOCOL)
        self.end_headers()
        self.wfile.write(execution.frames(self.api.container(pod, execution.command(self.path))))

    def _list(self, request: Request) -> None:
        if (match := _PODS.fullmatch(request.path)) and match["name"]:
            self._one(match["namespace"], match["name"])
            return
        query, store = request.query, self.api.store
        asked = query.get("resourceVersion", "")
        token = json.loads(base64.b64decode(query["continue"])) if "continue" in query else None
        with store.lock:
            version = token["version"] if token else store.version
            if asked and int(asked) > store.version:
                cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
                self._refuse(504, "Too large resource version", {"causes": [cause], "retryAfterSeconds": 1})
                return
            limit = int(query.get("limit") or 0) if not asked or self.api.pages_from_cache else 0
            try:
                pods, last = store.page(_node_asked(query), version, token["after"] if token else "", limit)
            except ExpiredError as error:
                self._refuse(410, str(error))
                return
        if match and match["namespace"]:
            pods = [pod for pod in pods if pod["metadata"].get("namespace") == match["namespace"]]
        labels = [pair.partition("=")[::2] for pair in query.get("labelSelector", "").split(",") if pair]
        pods = [pod for pod in pods if all(pod["metadata"].get("labels", {}).get(key) == one for key, one in labels)]
        metadata = {"resourceVersion": str(version)}
        if last:
            metadata["continue"] = base64.b64encode(json.dumps({"version": version, "after": last}).encode()).decode()
        listed = {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": pods}
        self._answer(200, encoded(listed))

    def _one(self, namespace: str, name: str) -> None:
        for pod in tuple(self.api.store.pods.values()):
            if (pod["metadata"].get("namespace"), pod["metadata"]["name"]) == (namespace, name):
                self._answer(200, json.dumps(pod).encode())
                return
        self._refuse(404, f'pods "{name}" not found')

    def _watch(self, request: Request) -> None:
        """As a real one: a version that is too old is told by an ERROR event after the 200."""
        deadline = time.monotonic() + float(request.query.get("timeoutSeconds") or 3600)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            stream = self.api.store.watch(_node_asked(request.query), int(request.query["resourceVersion"]))
        except ExpiredError as error:
            self._chunk(json.dumps({"type": "ERROR", "object": status(410, str(error))}).encode() + b"\n")
            self._chunk(b"")
            return
        try:
            while not self.api._stopped.is_set() and (left_s := deadline - time.monotonic()) > 0:
                try:
                    word = stream.out.get(timeout=left_s)
                except Empty:
                    break
                if word is END:
                    break
                if word is CUT:
                    self._cut()
                    return
                assert isinstance(word, bytes)
                self._chunk(word)
            self._chunk(b"")
        except OSError:
            self.close_connection = True
        finally:
            self.api.store.close(stream)

    def _event(self, request: Request) -> None:
        match = _EVENTS.fullmatch(request.path)
        assert match is not None
        if request.method == "PATCH":
            key = f"{match['namespace']}/{match['name']}"
            if key not in self.api.events:
                self._refuse(404, f"events {key} not found")
                return
            self.api.events[key] |= request.body
            self._answer(200, json.dumps(self.api.events[key]).encode())
        elif faults := refused(request.body, match["namespace"]):
            self._refuse(422, faults)
        elif (key := f"{match['namespace']}/{request.body['metadata']['name']}") in self.api.events:
            self._refuse(409, f"events {key} already exists")
        else:
            self.api.events[key] = request.body
            self._answer(201, json.dumps(request.body).encode())

    def _evict(self, request: Request, name: str) -> None:
        body = request.body
        if (body["apiVersion"], body["kind"], body["metadata"]["name"]) != ("policy/v1", "Eviction", name):
            self._refuse(422, "no Eviction of this pod")
        elif name in self.api.protected:
            self._refuse(429, "Cannot evict pod as it would violate the pod's disruption budget.")
        else:
            uid = body["deleteOptions"]["preconditions"]["uid"]
            for pod in tuple(self.api.store.pods.values()):
                if pod["metadata"]["name"] == name:
                    if pod["metadata"]["uid"] != uid:
                        self._refuse(409, "the UID in the precondition is another one")
                    else:
                        self.api.store.delete(uid)
                        self._answer(201, json.dumps({"kind": "Status", "status": "Success"}).encode())
                    return
            self._refuse(404, f"pods {name} not found")

    def _pod(self, request: Request, name: str) -> None:
        """What a kubelet or a benchmark in another process does."""
        if request.method in {"POST", "PUT"}:
            self._answer(201, json.dumps(self.api.store.put(request.body)).encode())
            return
        for uid, pod in tuple(self.api.store.pods.items()):
            if pod["metadata"]["name"] == name:
                self._answer(200, json.dumps(self.api.store.delete(uid)).encode())
                return
        self._refuse(404, f"pods {name} not found")

    def _refuse(
        self, code: int, message: str, details: Mapping[str, Any] | None = None, retry_after_s: int | None = None
    ) -> None:
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        self._answer(code, json.dumps(status(code, message, details)).encode(), headers)

    def _answer(self, code: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _cut(self) -> None:
        self.close_connection = True
        _reset(self.connection)


def _node_asked(query: Mapping[str, str]) -> str:
    return query.get("fieldSelector", "").removeprefix("spec.nodeName=")


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
