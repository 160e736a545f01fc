"""The thread that lists and watches, against an API server that can be told to fail."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict
from tests.apiserver import Drop, Fault, Garbage, Hang, LocalApiServer, Refuse, Slow
from tests.apiserver.certificates import server_context
from tests.apiserver.marks import needs_openssl
from tests.apiserver.store import encoded
from tests.apiserver.waiting import DEADLINE_S, until
from tests.sources.specimens import large, pod, uid

from pinfold.sources.apiserver import ApiServerPods, Timing
from pinfold.sources.client import ApiServer, ApiServerError

PATIENT = Timing(watch_s=(240, 240), pause_factor=0.02)
QUICK = Timing(list_read_s=0.5, watch_read_s=0.5, pause_factor=0.02)


class Watcher:
    """A source, what it woke, and its server."""

    def __init__(self, server: LocalApiServer, directory: Path, timing: Timing) -> None:
        self.woken = threading.Semaphore(0)
        api = ApiServer.from_kubeconfig(server.kubeconfig(directory / "kubeconfig"))
        self.source = ApiServerPods(api, "here", self.woken.release, timing)
        self.source.start()

    def sees(self, *numbers: int) -> None:
        wanted = {uid(number) for number in numbers}
        until(lambda: self.source.picture.synced and self.source.picture.objects.keys() == wanted, f"sees {numbers}")


@pytest.fixture
def server() -> Iterator[LocalApiServer]:
    with LocalApiServer() as server:
        yield server


@pytest.fixture
def watcher(server: LocalApiServer, tmp_path: Path) -> Iterator[Watcher]:
    watcher = Watcher(server, tmp_path, PATIENT)
    yield watcher
    watcher.source.close()


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as entries:
        yield entries


def _watching(server: LocalApiServer) -> None:
    until(lambda: server.open_watches == 1, "one watch is open")


def test_pods_of_this_node_appear_change_and_go(server: LocalApiServer, watcher: Watcher) -> None:
    server.put_pod(pod(1))
    server.put_pod(pod(2, node="elsewhere"))
    watcher.sees(1)
    _watching(server)
    server.put_pod(pod(3))
    watcher.sees(1, 3)
    server.put_pod(pod(1, cpu="4"))
    until(
        lambda: watcher.source.picture.objects[uid(1)]["spec"]["resources"]["requests"]["cpu"] == "4", "the new request"
    )
    server.delete_pod(uid(3))
    watcher.sees(1)


def test_what_it_asks_is_what_the_api_server_can_serve_from_its_cache(server: LocalApiServer, watcher: Watcher) -> None:
    watcher.sees()
    _watching(server)
    (listed,) = server.asked("list")
    assert listed.query == {
        "fieldSelector": "spec.nodeName=here",
        "limit": "500",
        "resourceVersion": "0",
        "resourceVersionMatch": "NotOlderThan",
    }
    watched = server.asked("watch")[0].query
    assert watched == {
        "fieldSelector": "spec.nodeName=here",
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "1000",
        "timeoutSeconds": "240",
    }
    assert listed.headers["User-Agent"].startswith("pinfold/")


def test_every_change_rings_and_what_changes_nothing_does_not(server: LocalApiServer, watcher: Watcher) -> None:
    watcher.sees()
    assert watcher.woken.acquire(timeout=DEADLINE_S)
    _watching(server)
    server.put_pod(pod(1))
    assert watcher.woken.acquire(timeout=DEADLINE_S)
    server.put_pod(pod(1))  # a heartbeat of its status: only the version moves
    server.put_pod(pod(2))
    watcher.sees(1, 2)
    assert watcher.woken.acquire(timeout=DEADLINE_S)
    assert not watcher.woken.acquire(blocking=False)


def test_a_list_comes_in_pages(server: LocalApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinfold.sources.apiserver.PAGE_ITEMS", 2)
    server.pages_from_cache = True
    for number in range(5):
        server.put_pod(pod(number))
    watcher = Watcher(server, tmp_path, QUICK)
    watcher.sees(0, 1, 2, 3, 4)
    assert len(server.asked("list")) == 3
    watcher.source.close()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Drop(), id="reset"),
        pytest.param(Hang(), id="no-answer"),
        pytest.param(Slow(0.8), id="slower-than-the-read-time-out"),
        pytest.param(Refuse(500), id="500"),
        pytest.param(Refuse(403), id="rbac-not-there-yet"),
        pytest.param(Refuse(429, retry_after_s=1), id="429"),
        pytest.param(Refuse(410), id="410"),
        pytest.param(Garbage(b"<html>welcome to the proxy</html>"), id="a-proxys-page"),
        pytest.param(Garbage(b'{"kind":"PodList","metadata":{"resourceVersion":"1"'), id="half-an-answer"),
    ],
)
@pytest.mark.parametrize("on", ["list", "watch"])
def test_it_gets_over_a_request_that_fails(server: LocalApiServer, tmp_path: Path, fault: Fault, on: str) -> None:
    server.put_pod(pod(1))
    server.fault(fault, on, times=2)
    watcher = Watcher(server, tmp_path, QUICK)
    watcher.sees(1)
    _watching(server)
    server.put_pod(pod(2))
    watcher.sees(1, 2)
    assert watcher.source.health.error == ""
    assert watcher.source.health.away_since is None
    watcher.source.close()


def test_a_429_is_told_at_once_and_not_slept_away_in_the_client(server: LocalApiServer, tmp_path: Path) -> None:
    server.put_pod(pod(1))
    server.fault(Refuse(429, retry_after_s=30), "list")
    watcher = Watcher(server, tmp_path, PATIENT)
    until(lambda: "429" in watcher.source.health.error, "the refusal")
    watcher.sees(1)
    assert len(server.asked("list")) == 2
    watcher.source.close()


def _half_a_line(server: LocalApiServer) -> None:
    server.say(b'{"type":"ADDED","object":{"metadata":{"uid":')
    server.end_watches()


@pytest.mark.parametrize(
    ("happens", "errors"),
    [
        pytest.param(LocalApiServer.end_watches, 0, id="closed-in-good-order"),
        pytest.param(LocalApiServer.cut_watches, 1, id="reset"),
        pytest.param(_half_a_line, 1, id="half-a-line"),
        pytest.param(lambda server: server.say(b"garbage\n"), 1, id="garbage"),
        pytest.param(lambda server: server.say(b"\xff\xfe\n"), 1, id="bytes-that-are-no-text"),
        pytest.param(lambda server: server.error_event(500), 1, id="error-event"),
    ],
)
def test_a_watch_that_is_over_is_resumed_where_it_stood_and_not_one_line_is_logged(
    server: LocalApiServer,
    watcher: Watcher,
    logs: list[EventDict],
    happens: Callable[[LocalApiServer], None],
    errors: int,
) -> None:
    watcher.sees()
    _watching(server)
    server.put_pod(pod(1))
    watcher.sees(1)
    happens(server)
    until(lambda: len(server.asked("watch")) == 2, "a second watch")
    server.put_pod(pod(2))
    watcher.sees(1, 2)
    assert server.asked("watch")[1].query["resourceVersion"] == "1001"
    assert len(server.asked("list")) == 1
    assert watcher.source.health.errors == errors
    assert watcher.source.health.reconnects == 1
    assert logs == []


def test_events_are_heard_however_they_are_cut(server: LocalApiServer, watcher: Watcher) -> None:
    _watching(server)
    first, second = (encoded({"type": "ADDED", "object": pod(number)}) + b"\n" for number in (1, 2))
    for piece in (first[:9], first[9:-1], first[-1:] + second[:5], second[5:] + b"\n" + first + second[:1]):
        server.say(piece)
    watcher.sees(1, 2)
    assert watcher.source.health.errors == 0


def test_a_line_without_end_is_given_up(
    server: LocalApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinfold.sources.apiserver.LINE_LIMIT_BYTES", 1 << 20)
    watcher = Watcher(server, tmp_path, QUICK)
    _watching(server)
    for _ in range(5):
        server.say(b"x" * (1 << 18))
    until(lambda: watcher.source.health.errors == 1, "the watch is given up")
    server.put_pod(pod(1))
    watcher.sees(1)
    watcher.source.close()


def test_the_largest_pods_that_etcd_takes_are_heard_from_a_watch_and_in_a_list(
    server: LocalApiServer, tmp_path: Path, watcher: Watcher
) -> None:
    """Each 1.45 MB in etcd, and 8.7 MB of JSON; eight of them are more than 64 MiB."""
    _watching(server)
    server.put_pod(large(0, 1_450_000))
    server.put_pod(pod(1))
    watcher.sees(0, 1)
    assert watcher.source.health.errors == 0
    watcher.source.close()
    for number in range(2, 9):
        server.put_pod(large(number, 1_450_000))
    late = Watcher(server, tmp_path, PATIENT)
    late.sees(*range(9))
    assert late.source.picture.faults == ()
    late.source.close()


def test_a_pod_that_is_too_large_is_told_of_and_keeps_nobody_else_from_being_seen(
    server: LocalApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinfold.sources.json_stream.MAX_VALUE_BYTES", 1 << 20)
    monkeypatch.setattr("pinfold.sources.apiserver.LINE_LIMIT_BYTES", 1 << 20)
    watcher = Watcher(server, tmp_path, QUICK)
    server.put_pod(pod(0))
    watcher.sees(0)
    server.put_pod(large(1, 200_000))
    server.put_pod(pod(2))
    watcher.sees(0, 2)
    (fault,) = watcher.source.picture.faults
    assert fault.where == "trading/engine-1"
    server.put_pod(pod(3))
    watcher.sees(0, 2, 3)
    assert watcher.source.health.error == ""
    server.delete_pod(uid(1))
    until(lambda: not watcher.source.picture.faults, "the fault is over with the pod")
    watcher.sees(0, 2, 3)
    watcher.source.close()


def test_a_silent_watch_is_resumed_and_is_no_error(
    server: LocalApiServer, tmp_path: Path, logs: list[EventDict]
) -> None:
    watcher = Watcher(server, tmp_path, replace(PATIENT, watch_read_s=0.5))
    until(lambda: watcher.source.health.reconnects >= 2, "two read time-outs")
    server.put_pod(pod(1))
    watcher.sees(1)
    assert watcher.source.health.errors == 0
    assert logs == []
    watcher.source.close()


def test_bookmarks_move_the_point_to_resume_at(server: LocalApiServer, watcher: Watcher) -> None:
    _watching(server)
    server.put_pod(pod(9, node="elsewhere"))  # moves the version, and is none of ours
    server.bookmark()
    until(lambda: watcher.source.picture.resource_version == "1001", "the bookmark is heard")
    server.end_watches()
    until(lambda: len(server.asked("watch")) >= 2, "a second watch")
    assert server.asked("watch")[1].query["resourceVersion"] == "1001"


def _expired_status(server: LocalApiServer) -> None:
    server.fault(Refuse(410), "watch")


@pytest.mark.parametrize(
    "expire",
    [pytest.param(LocalApiServer.forget_history, id="error-event"), pytest.param(_expired_status, id="status")],
)
def test_after_a_410_a_list_tells_what_was_missed(
    server: LocalApiServer, watcher: Watcher, logs: list[EventDict], expire: Callable[[LocalApiServer], None]
) -> None:
    _watching(server)
    server.put_pod(pod(1))
    watcher.sees(1)
    with server.store.lock:  # no new watch before all of this has happened
        server.end_watches()
        expire(server)
        server.delete_pod(uid(1))
        server.put_pod(pod(2))
        server.forget_history()
    watcher.sees(2)
    _watching(server)
    server.put_pod(pod(3))
    watcher.sees(2, 3)
    assert logs == []


def test_a_restart_of_the_server_loses_no_pod_and_is_told_in_two_lines(
    server: LocalApiServer, watcher: Watcher, logs: list[EventDict]
) -> None:
    server.put_pod(pod(1))
    server.put_pod(pod(2))
    watcher.sees(1, 2)
    _watching(server)
    server.stop()
    until(lambda: watcher.source.health.errors >= 5, "five attempts at a closed port")
    assert watcher.source.health.away_since is not None
    assert watcher.source.picture.objects.keys() == {uid(1), uid(2)}
    server.delete_pod(uid(2))
    server.put_pod(pod(3))
    server.forget_history()  # an outage long enough for the compaction: the watch gets a 410
    server.start()
    watcher.sees(1, 3)
    _watching(server)
    server.put_pod(pod(4))
    watcher.sees(1, 3, 4)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("apiserver.lost", "warning"),
        ("apiserver.found", "info"),
    ]
    assert "Connection refused" in logs[0]["reason"]
    assert watcher.source.health.relists == 1


def test_it_starts_before_its_server_does(server: LocalApiServer, tmp_path: Path) -> None:
    server.stop()
    watcher = Watcher(server, tmp_path, QUICK)
    until(lambda: watcher.source.health.errors >= 3, "three attempts")
    assert not watcher.source.picture.synced
    server.put_pod(pod(1))
    server.start()
    watcher.sees(1)
    watcher.source.close()


def test_a_restored_etcd_that_counts_from_an_older_version_is_listed_anew(
    server: LocalApiServer, watcher: Watcher
) -> None:
    server.put_pod(pod(1))
    watcher.sees(1)
    _watching(server)
    server.stop()
    server.store.version = 500
    server.delete_pod(uid(1))
    server.put_pod(pod(2))
    server.fault(Refuse(410), "watch")
    server.start()
    watcher.sees(2)
    assert [request.query.get("resourceVersion") for request in server.asked("list")] == ["0", "1001", None]


def test_close_ends_the_thread_out_of_a_read(server: LocalApiServer, tmp_path: Path) -> None:
    watcher = Watcher(server, tmp_path, Timing())
    _watching(server)
    watcher.source.close(DEADLINE_S)
    assert "api-server-pods" not in {thread.name for thread in threading.enumerate()}
    assert watcher.source.health.errors == 0


def test_an_answer_that_is_over_can_still_be_shut(server: LocalApiServer, tmp_path: Path) -> None:
    """Whoever shuts it has taken it up while its own thread was still reading."""
    api = ApiServer.from_kubeconfig(server.kubeconfig(tmp_path / "kubeconfig"))
    with api.ask("GET", "/api/v1/pods") as closed:
        pass
    with api.ask("GET", "/api/v1/pods") as read:
        read.body(1 << 20)
        read.shut()
    closed.shut()
    read.shut()
    api.close()


@needs_openssl
def test_a_pod_of_the_cluster_asks_over_tls_with_the_token_of_its_service_account(tmp_path: Path) -> None:
    tls = server_context(tmp_path, stem="ca")
    token = tmp_path / "token"
    token.write_text("of-the-service-account")
    with LocalApiServer(tls=tls, token=token.read_text()) as server:
        server.put_pod(pod(1))
        host, port = server.url.removeprefix("https://").split(":")
        api = ApiServer.in_cluster(tmp_path, {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port})
        source = ApiServerPods(api, "here", lambda: None, QUICK)
        source.start()
        until(lambda: source.picture.objects.keys() == {uid(1)}, "the pod")
        server.token = token.read_text()[::-1]
        server.cut_watches()
        until(lambda: "401" in source.health.error, "a refusal")
        server.token = token.read_text()
        until(lambda: source.health.error == "", "it is let in again")
        source.close()


@needs_openssl
def test_a_token_that_was_rotated_is_read_anew_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: list[EventDict]
) -> None:
    """The old one is refused once the kubelet has written the new one; a running watch outlives it."""
    tls = server_context(tmp_path, stem="ca")
    (tmp_path / "token").write_text("first")
    late = 0

    class Clock:
        timedelta = timedelta

        class datetime:  # noqa: N801 the module's name
            @staticmethod
            def now() -> datetime:
                return datetime.now() + timedelta(seconds=late)  # noqa: DTZ005 as the client does

    monkeypatch.setattr("kubernetes.config.incluster_config.datetime", Clock)
    with LocalApiServer(tls=tls, token="first") as server:  # noqa: S106
        host, port = server.url.removeprefix("https://").split(":")
        api = ApiServer.in_cluster(tmp_path, {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port})
        source = ApiServerPods(api, "here", lambda: None, PATIENT)
        source.start()
        _watching(server)
        (tmp_path / "token").write_text("second")
        server.token = "second"  # noqa: S105
        server.put_pod(pod(1))
        until(lambda: source.picture.objects.keys() == {uid(1)}, "the watch that stood goes on")
        late = 61
        server.end_watches()
        server.put_pod(pod(2))
        until(lambda: source.picture.objects.keys() == {uid(1), uid(2)}, "the next one asks with the new token")
        source.close()
    assert not logs
    assert server.asked("watch")[-1].headers["authorization"] == "bearer second"


@needs_openssl
def test_a_token_file_of_a_kubeconfig_is_read_for_each_request(tmp_path: Path, logs: list[EventDict]) -> None:
    tls = server_context(tmp_path, stem="ca")
    token = tmp_path / "token"
    token.write_text("first\n")
    with LocalApiServer(tls=tls, token="first") as server:  # noqa: S106
        trust = tmp_path / "ca.crt"
        kubeconfig = server.kubeconfig(tmp_path / "kubeconfig", trust, token_file="token")  # noqa: S106
        api = ApiServer.from_kubeconfig(kubeconfig)
        kubelet = ApiServer.at_kubelet(server.url.removeprefix("https://"), trust, "", kubeconfig)
        source = ApiServerPods(api, "here", lambda: None, PATIENT)
        source.start()
        _watching(server)
        token.write_text("second\n")
        server.token = "second"  # noqa: S105
        server.end_watches()
        server.put_pod(pod(1))
        until(lambda: source.picture.objects.keys() == {uid(1)}, "the next watch asks with the new token")
        source.close()
        for content in (b"second", b"", b"\xff"):  # the last two: while it is being written
            token.write_bytes(content)
            with kubelet.ask("GET", "/pods") as answer, api.ask("GET", "/api/v1/pods") as other:
                assert {answer.status, other.status} == {200}
        token.unlink()
        with kubelet.ask("GET", "/pods") as answer:
            assert answer.status == 200
    assert not logs


def test_a_missing_service_account_and_a_broken_kubeconfig_are_told(tmp_path: Path) -> None:
    with pytest.raises(ApiServerError, match="service account"):
        ApiServer.in_cluster(tmp_path, {})
    for text in ("", "{", "[]", "clusters: []\n", "current-context: x\ncontexts: 5\nclusters: 7\n"):
        (tmp_path / "config").write_text(text)
        with pytest.raises(ApiServerError, match="config is no kubeconfig"):
            ApiServer.from_kubeconfig(tmp_path / "config")
    with pytest.raises(ApiServerError, match="absent is no kubeconfig"):
        ApiServer.from_kubeconfig(tmp_path / "absent")
