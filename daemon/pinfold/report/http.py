"""The endpoint's sockets: who may connect, for how long, and how many at once.

A client can be slow, hostile or many; none of it reaches the loop. What is answered is decided in ``routes``.
"""

import errno
import gzip
import io
import socket
import socketserver
import ssl
import sys
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import structlog

from pinfold.errors import PinfoldError
from pinfold.report.access import ALLOWED, Access
from pinfold.report.certificate import Certificate
from pinfold.report.routes import TEXT, Answer, Readings, Routes

REQUEST_SECONDS = 10.0
"""For one whole request to arrive, the silence before it on a kept connection included."""
ANSWER_SECONDS = 10.0
"""For one whole answer to be taken."""
MAX_CONNECTIONS = 16
"""At once, for each listener; a further one is told 503."""
GZIP_FROM_BYTES = 1024

_OVERLOADED = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_CLOSED = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}

log = structlog.get_logger()


class ListenError(PinfoldError):
    """An address or a socket that cannot be listened on."""


@dataclass(frozen=True, slots=True)
class MetricsPort:
    """The listener that others can reach: it shows metrics and health alone."""

    address: str
    """HOST:PORT."""
    access: Access | None
    """Who may read the metrics; None: everybody."""
    certificate: Certificate | None
    """None: plain HTTP."""
    node: str = ""
    """Host may name the node, beside its addresses."""


class _Patience(socket.SocketIO):
    """Reads until a deadline, however slowly the client drips; a socket's own time-out starts anew with every byte."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, "r")
        self._connection = connection
        self.deadline = 0.0

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401  (the base class's own word)
        self._connection.settimeout(max(self.deadline - time.monotonic(), 0.001))
        return super().readinto(buffer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "pinfold"
    sys_version = ""
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = TEXT
    server: "_Listener"

    def setup(self) -> None:
        super().setup()
        self._patience = _Patience(self.connection)
        self.rfile = io.BufferedReader(self._patience)

    def handle_one_request(self) -> None:
        self._patience.deadline = time.monotonic() + REQUEST_SECONDS
        super().handle_one_request()

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        self.connection.settimeout(ANSWER_SECONDS)
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads would be taken for the next request
        if self.command not in {"GET", "HEAD"}:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "the endpoint only reads")
        elif not self.path.startswith("/"):
            self._refuse(HTTPStatus.BAD_REQUEST, "the request names no path")
        elif not self.server.any_host and not _is_own(self.headers.get("Host", ""), self.server.node):
            # A page in a browser can make its own name resolve to this address; its Host then names the page.
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "Host is neither an IP address nor a name of this node")
        else:
            return True
        return False

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if self.server.access and not self.server.routes.is_health(path):
            verdict = self.server.access.verdict(self.headers.get("Authorization", ""), path)
            if verdict is not ALLOWED:
                self._refuse(verdict.status, verdict.why)
                return
        accept, known = self.headers.get("Accept", ""), self.headers.get("If-None-Match", "")
        self._send(self.server.routes.answer(path, query, accept, known, metrics_only=self.server.metrics_only))

    do_HEAD = do_GET  # noqa: N815  (http.server's own word)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(Answer(status, TEXT, f"{status} {why}\n".encode()))

    def _send(self, answer: Answer) -> None:
        body = answer.body
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        for name, value in {**_CLOSED, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Vary", "Accept, Accept-Encoding")
        if len(body) >= GZIP_FROM_BYTES and _takes_gzip(self.headers.get("Accept-Encoding", "")):
            body = gzip.compress(body, compresslevel=5, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        if answer.status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if answer.status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        log.debug("http.request", request=format % args)


def _is_own(host: str, node: str) -> bool:
    """Whether *host* can be no other's name; an old client that sends none is no browser."""
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    if name in {"", "localhost", node}:
        return True
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _takes_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.lower().split(","):
        coding, _, quality = item.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


class _Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """One listening socket with a thread for itself and one for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: Any, routes: Routes, metrics: MetricsPort | None = None) -> None:  # noqa: ANN401
        self.routes = routes
        self.metrics_only = metrics is not None
        self.access = metrics.access if metrics else None
        self.certificate = metrics.certificate if metrics else None
        self.node = metrics.node if metrics else ""
        # A page of somebody else's has no token, and reaches no unix socket.
        self.any_host = self.access is not None or self.address_family is socket.AF_UNIX
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._thread: threading.Thread | None = None
        self._stopped = False
        super().__init__(address, _Handler)

    @property
    def name(self) -> str:
        host, port = self.server_address[:2]
        return f"{host!s}:{port!s}"

    def start(self) -> None:
        self._thread = threading.Thread(target=self._serve, name=f"http {self.name}", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        """``serve_forever`` wakes twice a second to see whether it should end; this one sleeps until it must."""
        while not self._stopped:
            self.handle_request()

    def stop(self) -> None:
        self._stopped = True
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread: accept then says EINVAL
        if self._thread:
            self._thread.join()
        self.server_close()

    def get_request(self) -> tuple[Any, Any]:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                time.sleep(0.5)  # the connection stays in the queue, and the thread would spin on it
            raise

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        request.settimeout(0)
        try:
            request.send(_OVERLOADED)
        except OSError:
            log.debug("http.refused", client=str(client_address))
        self.shutdown_request(request)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """In the connection's own thread: a handshake that drags on holds up nobody else."""
        if self.certificate is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(REQUEST_SECONDS)
        with self.certificate.context().wrap_socket(request, server_side=True) as ciphered:
            super().finish_request(ciphered, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """The edge of a connection's thread: called with the exception at hand."""
        error = sys.exception()
        if isinstance(error, ConnectionError | TimeoutError | ssl.SSLError):
            log.debug("http.gone", client=str(client_address), reason=str(error))
        else:
            log.error("http.failed", client=str(client_address), exc_info=error)


class _Tcp6Listener(_Listener):
    address_family = socket.AF_INET6

    @property
    def name(self) -> str:
        host, port = self.server_address[:2]
        return f"[{host!s}]:{port!s}"


class _UnixListener(_Listener):
    address_family = socket.AF_UNIX
    allow_reuse_address = False

    @property
    def name(self) -> str:
        return str(self.server_address)

    def server_bind(self) -> None:
        super().server_bind()
        Path(self.name).chmod(0o600)  # before listen(): nobody came in yet

    def stop(self) -> None:
        super().stop()
        Path(self.name).unlink(missing_ok=True)


class Endpoint:
    """All listeners of the daemon. Raises ListenError when made, and then none of them is left open."""

    def __init__(
        self, readings: Readings, listen: str = "", metrics: MetricsPort | None = None, unix_socket: str = ""
    ) -> None:
        """*listen* is HOST:PORT (port 0: any), *unix_socket* a path; empty: no such listener."""
        routes = Routes(readings)
        self._listeners: list[_Listener] = []
        try:
            if listen:
                self._listeners.append(_tcp(listen, routes))
            if metrics:
                self._listeners.append(_tcp(metrics.address, routes, metrics))
            if unix_socket:
                self._listeners.append(_unix(unix_socket, routes))
        except ListenError:
            self.stop()
            raise

    @property
    def addresses(self) -> tuple[str, ...]:
        """HOST:PORT or path of each listener, as bound."""
        return tuple(listener.name for listener in self._listeners)

    def start(self) -> None:
        for listener in self._listeners:
            listener.start()
        log.info("http.listening", addresses=self.addresses)

    def stop(self) -> None:
        for listener in self._listeners:
            listener.stop()
        self._listeners = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _tcp(address: str, routes: Routes, metrics: MetricsPort | None = None) -> _Listener:
    host, _, port = address.rpartition(":")
    kind = _Tcp6Listener if ":" in host else _Listener
    try:
        place = (host.removeprefix("[").removesuffix("]"), int(port))
        listener = kind(place, routes, metrics)
    except (OSError, ValueError, OverflowError) as error:
        key = "report.metricsListen" if metrics else "report.listen"
        raise ListenError(f"cannot listen on {address}: {error}. Choose another address in {key}.") from error
    # Inherited by what is accepted: an answer's header and body are two writes, and the second must not wait.
    listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _unix(path: str, routes: Routes) -> _Listener:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if _answers(path):
            raise ListenError(f"cannot listen on {path}: another Pinfold does. Stop it, or name another report.socket.")
        Path(path).unlink(missing_ok=True)
        return _UnixListener(path, routes)
    except OSError as error:
        raise ListenError(f"cannot listen on {path}: {error}. Name another path in report.socket.") from error


def _answers(path: str) -> bool:
    """Whether a living process listens there; what a killed one left behind refuses the connection."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True
