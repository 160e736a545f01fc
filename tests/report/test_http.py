"""The endpoint over real sockets: what it answers, whom it refuses, and that nobody can hold it up."""

import gzip
import http.client
import json
import re
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.samples import crowd, picture

from pinfold import __version__
from pinfold.report import http as endpoint_http
from pinfold.report.http import MAX_CONNECTIONS, Endpoint, ListenError, MetricsPort
from pinfold.report.routes import Readings
from pinfold.report.snapshot import Snapshot

LOCAL = "127.0.0.1:0"


class Node:
    """What a loop would give to read; the tests turn its knobs."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = picture()
        self.heartbeat_age = 0.0

    def readings(self) -> Readings:
        return Readings(
            snapshot=lambda: self.snapshot,
            config=lambda: {"manage": "requested"},
            heartbeat_age_seconds=lambda: self.heartbeat_age,
            stale_after_seconds=30.0,
            decision=lambda: {"kind": "Decision"} if self.snapshot else None,
        )


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def endpoint(node: Node) -> Iterator[Endpoint]:
    with Endpoint(node.readings(), listen=LOCAL, metrics=MetricsPort(LOCAL, None, None, "worker-1")) as started:
        yield started


def get(
    endpoint: Endpoint, path: str, listener: int = 0, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(endpoint.addresses[listener], timeout=30)
    with closing(connection):
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def exchange(address: str, request: bytes) -> bytes:
    """Send raw bytes, and read until the other side closes."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_status_is_the_snapshots_document(endpoint: Endpoint, node: Node) -> None:
    status, headers, body = get(endpoint, "/status")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["node"] == "worker-1"
    assert node.snapshot is not None
    node.snapshot = replace(node.snapshot, generation=43)
    assert json.loads(get(endpoint, "/status")[2])["generation"] == 43


def test_configz_and_version_are_told(endpoint: Endpoint) -> None:
    assert json.loads(get(endpoint, "/configz")[2]) == {"pinfold": {"manage": "requested"}}
    assert json.loads(get(endpoint, "/version")[2])["version"] == __version__


def test_the_page_links_every_path_and_each_of_them_answers(endpoint: Endpoint) -> None:
    status, headers, body = get(endpoint, "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    paths = re.findall(r'href="(/[^"]*)"', body.decode())
    assert set(paths) == {
        "/livez",
        "/healthz",
        "/readyz",
        "/metrics",
        "/status",
        "/usage/cpus",
        "/usage/pods",
        "/decision",
        "/configz",
        "/version",
    }
    assert {path: get(endpoint, path)[0] for path in paths} == dict.fromkeys(paths, 200)
    assert get(endpoint, "/nothing")[0] == 404


def test_a_status_that_is_known_is_not_sent_again(endpoint: Endpoint, node: Node) -> None:
    tag = get(endpoint, "/status")[1]["etag"]
    assert node.snapshot is not None
    node.snapshot = replace(node.snapshot, at=node.snapshot.at + 10, counters=node.snapshot.counters.reconciled(0.1))
    status, headers, body = get(endpoint, "/status", If_None_Match=tag)
    assert (status, body, headers["etag"]) == (304, b"", tag)
    assert json.loads(get(endpoint, "/usage/cpus")[2])["etag"] == tag


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda of: replace(of, generation=of.generation + 1), id="the-node-changed"),
        pytest.param(lambda of: replace(of, started_at=of.started_at + 60), id="the-daemon-started-anew"),
        pytest.param(lambda of: replace(of, counters=of.counters.failed("OSError", 1.0, "")), id="the-loop-failed"),
    ],
)
def test_a_status_that_is_another_is_sent(
    endpoint: Endpoint, node: Node, changed: Callable[[Snapshot], Snapshot]
) -> None:
    tag = get(endpoint, "/status")[1]["etag"]
    assert node.snapshot is not None
    node.snapshot = changed(node.snapshot)
    assert get(endpoint, "/status", If_None_Match=tag)[0] == 200


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
def test_a_loop_that_stopped_turning_is_not_alive(endpoint: Endpoint, node: Node, path: str) -> None:
    assert get(endpoint, path)[::2] == (200, b"ok\n")
    node.heartbeat_age = 31.0
    status, _, body = get(endpoint, path)
    assert status == 500
    assert b"[-]heartbeat failed: the loop last turned 31 s ago; 30 s are allowed" in body


def test_before_the_first_reconcile_it_is_alive_and_not_ready(endpoint: Endpoint, node: Node) -> None:
    node.snapshot = None
    assert get(endpoint, "/livez")[0] == 200
    assert get(endpoint, "/readyz?verbose")[::2] == (
        500,
        b"[+]heartbeat ok\n[-]reconciled failed: the first reconcile is not done\nreadyz check failed\n",
    )
    assert get(endpoint, "/status")[0] == 503
    assert get(endpoint, "/metrics")[0] == 200


def test_verbose_names_the_checks(endpoint: Endpoint) -> None:
    assert get(endpoint, "/readyz?verbose")[2] == b"[+]heartbeat ok\n[+]reconciled ok\nreadyz check passed\n"


def test_the_metrics_listener_shows_metrics_and_health_and_no_document(endpoint: Endpoint) -> None:
    shown = {path: get(endpoint, path, listener=1)[0] for path in ("/metrics", "/livez", "/readyz")}
    assert set(shown.values()) == {200}
    hidden = {
        path: get(endpoint, path, listener=1)[0] for path in ("/", "/status", "/usage/cpus", "/configz", "/version")
    }
    assert set(hidden.values()) == {404}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("localhost:9732", 200, id="localhost"),
        pytest.param("127.0.0.1", 200, id="without-port"),
        pytest.param("[::1]:9732", 200, id="ipv6"),
        pytest.param("10.2.3.4:9732", 200, id="the-hosts-own-ip-cannot-be-rebound"),
        pytest.param("evil.example", 421, id="dns-rebinding"),
        pytest.param("evil.example:9732", 421, id="dns-rebinding-with-port"),
        pytest.param("localhost.evil.example", 421, id="prefix-of-a-foreign-name"),
        pytest.param("127.0.0.1.evil.example", 421, id="address-as-a-prefix"),
        pytest.param("[evil]", 421, id="brackets-make-no-address"),
    ],
)
def test_a_foreign_host_is_refused(endpoint: Endpoint, host: str, status: int) -> None:
    assert get(endpoint, "/version", Host=host)[0] == status
    assert get(endpoint, "/metrics", listener=1, Host=host)[0] == status


def test_whom_everybody_may_read_answers_to_the_nodes_name_too(endpoint: Endpoint) -> None:
    assert get(endpoint, "/metrics", listener=1, Host="worker-1:9733")[0] == 200
    assert get(endpoint, "/version", Host="worker-1:9732")[0] == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(endpoint: Endpoint, method: str) -> None:
    status, headers, _ = get(endpoint, "/status", method=method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_head_answers_with_the_headers_of_get(endpoint: Endpoint) -> None:
    of_get, of_head = get(endpoint, "/version"), get(endpoint, "/version", method="HEAD")
    assert of_head[2] == b""
    assert of_head[1]["content-length"] == of_get[1]["content-length"] == str(len(of_get[2]))


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        pytest.param("gzip", True, id="gzip"),
        pytest.param("br, gzip;q=0.5", True, id="one-of-several"),
        pytest.param("gzip;q=0", False, id="gzip-forbidden"),
        pytest.param("x-gzip-like", False, id="another-word"),
        pytest.param("", False, id="nothing-said"),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/status"])
def test_an_answer_is_packed_for_whom_takes_it(endpoint: Endpoint, path: str, accepted: str, packed: bool) -> None:
    _, headers, body = get(endpoint, path, Accept_Encoding=accepted)
    assert (headers.get("content-encoding") == "gzip") is packed
    assert b"worker-1" in (plain := gzip.decompress(body) if packed else body) or b"pinfold_cpus" in plain


def test_openmetrics_is_given_to_whom_asks(endpoint: Endpoint) -> None:
    _, headers, body = get(endpoint, "/metrics", Accept="application/openmetrics-text;version=1.0.0")
    assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


def test_a_connection_is_kept_for_the_next_request(endpoint: Endpoint) -> None:
    connection = http.client.HTTPConnection(endpoint.addresses[0], timeout=30)
    with closing(connection):
        for _ in range(3):
            connection.request("GET", "/livez")
            assert connection.getresponse().read() == b"ok\n"
            kept = connection.sock
            assert kept is not None


@pytest.mark.parametrize(
    ("request_bytes", "statuses"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", [200], id="no-host-is-no-browser"),
        pytest.param(b"GET /version\r\n\r\n", [], id="http-0.9-gets-a-bare-body"),
        pytest.param(b"GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n", [400], id="absolute-form"),
        pytest.param(b"GET //[/status HTTP/1.1\r\nHost: localhost\r\n\r\n", [404], id="what-breaks-a-url-parser"),
        pytest.param(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", [414], id="a-path-without-end"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", [431], id="headers-without-end"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", [], id="tls-on-a-plain-port"),
        pytest.param(b"BREW /status HTTP/1.1\r\nHost: localhost\r\n\r\n", [405], id="an-unknown-method"),
        pytest.param(
            b"GET /livez HTTP/1.1\r\nContent-Length: 24\r\n\r\nGET /status HTTP/1.1\r\n\r\n",
            [200],
            id="a-body-is-no-second-request",
        ),
    ],
)
def test_hostile_bytes_get_an_error_and_the_next_client_an_answer(
    endpoint: Endpoint, request_bytes: bytes, statuses: list[int]
) -> None:
    answers = exchange(endpoint.addresses[0], request_bytes)
    told = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]
    assert told == statuses
    assert get(endpoint, "/livez")[0] == 200


def sends_until_cut(connection: socket.socket, data: bytes, tries: int, pause: float) -> int:
    for sent in range(tries):
        try:
            connection.sendall(data)
        except ConnectionError:
            return sent
        time.sleep(pause)
    return tries


def test_a_client_that_drips_is_cut_off(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_http, "REQUEST_SECONDS", 0.5)
    host, _, port = endpoint.addresses[0].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        # A byte each 50 ms: never silent for as long as the limit.
        assert sends_until_cut(connection, b"X", 600, 0.05) < 600


def fill(endpoint: Endpoint, count: int) -> list[socket.socket]:
    host, _, port = endpoint.addresses[0].rpartition(":")
    return [socket.create_connection((host, int(port)), timeout=30) for _ in range(count)]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_idle_clients_fill_one_listener_and_not_the_other_and_it_recovers(endpoint: Endpoint) -> None:
    held = fill(endpoint, MAX_CONNECTIONS)
    try:
        until(lambda: get(endpoint, "/livez")[0] == 503)
        assert get(endpoint, "/livez", listener=1)[0] == 200
    finally:
        for connection in held:
            connection.close()
    until(lambda: get(endpoint, "/livez")[0] == 200)


def test_a_client_that_takes_nothing_is_cut_off(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_http, "ANSWER_SECONDS", 0.5)
    node.snapshot = crowd()
    with Endpoint(node.readings(), listen=LOCAL) as endpoint:
        host, _, port = endpoint.addresses[0].rpartition(":")
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            connection.connect((host, int(port)))
            request = b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"
            # What the kernel buffers for the client is as good as taken; then nobody reads.
            assert sends_until_cut(connection, request * 100, 10_000, 0) < 10_000


def test_the_unix_socket_is_the_owners_alone_and_its_file_goes_with_the_daemon(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "run" / "pinfold.sock"
    with Endpoint(node.readings(), unix_socket=str(path)) as endpoint:
        assert endpoint.addresses == (str(path),)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(path))
            connection.sendall(b"GET /status HTTP/1.0\r\n\r\n")
            assert b"worker-1" in b"".join(iter(lambda: connection.recv(65536), b""))
    assert not path.exists()


def test_a_socket_that_a_killed_daemon_left_is_taken_over(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "pinfold.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert path.exists()
    with Endpoint(node.readings(), unix_socket=str(path)) as endpoint:
        assert endpoint.addresses == (str(path),)


def test_a_socket_on_which_another_daemon_answers_is_left_alone(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "pinfold.sock"
    with Endpoint(node.readings(), unix_socket=str(path)):
        with pytest.raises(ListenError, match="another Pinfold does"):
            Endpoint(node.readings(), unix_socket=str(path))
        assert path.exists()


def test_an_address_that_is_taken_is_told_and_the_other_listeners_are_closed(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        free = f"127.0.0.1:{_free_port()}"
        with pytest.raises(ListenError, match=f"cannot listen on {busy}"):
            Endpoint(node.readings(), listen=free, metrics=MetricsPort(busy, None, None))
        with Endpoint(node.readings(), listen=free) as endpoint:
            assert endpoint.addresses == (free,)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


@pytest.mark.parametrize(
    "address", ["127.0.0.1:99999", "127.0.0.1:http", "nobody.invalid:9732", "127.0.0.1"], ids=lambda text: text
)
def test_an_address_that_is_none_is_told(node: Node, address: str) -> None:
    with pytest.raises(ListenError, match="cannot listen on"):
        Endpoint(node.readings(), listen=address)


def test_an_idle_endpoint_does_not_wake_up(endpoint: Endpoint) -> None:
    """Voluntary switches of its threads, as the kernel counts them."""
    assert get(endpoint, "/livez")[0] == 200
    ids = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("http ")]
    assert len(ids) == 2

    def switches() -> list[str]:
        lines = [Path(f"/proc/self/task/{id_}/status").read_text().splitlines() for id_ in ids]
        return [line for text in lines for line in text if line.startswith("voluntary")]

    def rests() -> bool:
        before = switches()
        time.sleep(0.3)
        return switches() == before

    until(rests)
    before = switches()
    time.sleep(1.5)
    assert switches() == before


@pytest.mark.parametrize("listen", ["[::1]:0", "::1:0"], ids=["brackets", "as-the-kubelet-gives-a-host-ip"])
def test_an_ipv6_address_is_listened_on(node: Node, listen: str) -> None:
    try:
        with Endpoint(node.readings(), listen=listen) as endpoint:
            assert get(endpoint, "/livez")[0] == 200
    except ListenError as error:
        if "Cannot assign" not in str(error) and "not supported" not in str(error):
            raise
        pytest.skip("no IPv6 on this host")
