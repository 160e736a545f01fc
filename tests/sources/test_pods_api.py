"""The thread that watches the kubelet's Pods API, over real gRPC."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs
from tests.apiserver.waiting import until
from tests.sources.pods_server import ADDED, LocalKubelet, encoded, event
from tests.sources.specimens import pod, uid

from pinfold.sources.grpc_call import Call, GrpcError
from pinfold.sources.picture import trimmed
from pinfold.sources.pods_api import METHOD, SOCKET, PodsApi

Watching = Callable[[], PodsApi]


@pytest.fixture
def kubelet(short_tmp_path: Path) -> Iterator[LocalKubelet]:
    with LocalKubelet(short_tmp_path) as kubelet:
        yield kubelet


@pytest.fixture
def watching(short_tmp_path: Path) -> Iterator[Watching]:
    made: list[PodsApi] = []

    def watch() -> PodsApi:
        made.append(PodsApi(short_tmp_path, lambda: None, pause_factor=0.01))
        made[-1].start()
        until(lambda: made[-1].health.asked, "it was asked")
        return made[-1]

    yield watch
    for one in made:
        one.close()


def test_pods_that_are_there_come_go_and_change(kubelet: LocalKubelet, watching: Watching) -> None:
    kubelet.put(pod(1))
    watched = watching()
    assert watched.stands
    told = {name: value for name, value in trimmed(pod(1)).items() if name != "kind"}
    assert _full(watched.picture.objects) == {uid(1): _full(told)}
    kubelet.put(pod(2))
    until(lambda: watched.picture.objects.keys() == {uid(1), uid(2)}, "the second pod")
    kubelet.put(pod(1, cpu="4"))
    until(lambda: watched.picture.objects[uid(1)]["spec"]["resources"]["limits"]["cpu"] == "4", "the resize")
    kubelet.delete(pod(2))
    until(lambda: watched.picture.objects.keys() == {uid(1)}, "the second pod's end")


def test_nobody_wakes_for_what_pinfold_does_not_read(kubelet: LocalKubelet, short_tmp_path: Path) -> None:
    kubelet.put(pod(1))
    rang = threading.Event()
    watched = PodsApi(short_tmp_path, rang.set)
    watched.start()
    until(lambda: watched.stands and rang.is_set(), "the first picture")
    before, heard_at = watched.picture, watched.health.heard_at
    rang.clear()
    raw = pod(1)
    kubelet.put({**raw, "metadata": {**raw["metadata"], "resourceVersion": "8"}})
    until(lambda: watched.health.heard_at != heard_at, "the change")
    assert watched.picture is before
    assert not rang.is_set()
    watched.close()


def test_more_pods_than_one_window_of_http2_holds_are_told(kubelet: LocalKubelet, watching: Watching) -> None:
    """An annotation may have 256 KiB."""
    for number in range(40):
        raw = pod(number)
        annotations = {"pinfold.dev/scope": "pod", "large": "x" * (200 << 10)}
        kubelet.put({**raw, "metadata": {**raw["metadata"], "annotations": annotations}})
    watched = watching()
    assert watched.picture.objects.keys() == {uid(number) for number in range(40)}
    assert "large" not in watched.picture.objects[uid(1)]["metadata"]["annotations"]


def test_while_the_kubelet_restarts_its_pods_stay_and_then_the_gone_are_gone(
    kubelet: LocalKubelet, watching: Watching
) -> None:
    for number in (1, 2):
        kubelet.put(pod(number))
    with capture_logs() as logs:
        watched = watching()
        kubelet.leave()
        until(lambda: bool(watched.health.error), "it is told")
        assert watched.picture.objects.keys() == {uid(1), uid(2)}
        assert not watched.stands
        kubelet.delete(pod(2))
        kubelet.put(pod(3))
        kubelet.serve()
        until(lambda: watched.stands, "the kubelet is back")
    assert watched.picture.objects.keys() == {uid(1), uid(3)}
    assert [one["event"] for one in logs] == ["podsapi.lost", "podsapi.found"]


def test_a_kubelet_that_cannot_tell_yet_is_asked_again(kubelet: LocalKubelet, watching: Watching) -> None:
    kubelet.refusal = (grpc.StatusCode.FAILED_PRECONDITION, "Kubelet is initializing")
    watched = watching()
    assert watched.health.error.endswith(f"{SOCKET}: FAILED_PRECONDITION: Kubelet is initializing")
    assert not watched.picture.synced
    kubelet.refusal = None
    until(lambda: watched.stands, "it can")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        pytest.param(b"\xff" * 9, "9 bytes that are no WatchPodsEvent", id="no-protobuf"),
        pytest.param(event(ADDED, b"\xff" * 9), "9 bytes that are no Pod", id="no-pod"),
        pytest.param(event(ADDED), "a pod without metadata.uid", id="no-uid"),
        pytest.param(bytes(9 << 20), "a message of 9437184 bytes", id="too-large"),
    ],
)
def test_what_is_no_pod_ends_the_watch_and_loses_nothing(
    kubelet: LocalKubelet, watching: Watching, message: bytes, told: str
) -> None:
    kubelet.put(pod(1))
    watched = watching()
    kubelet.before_sync = message
    before = kubelet.watches
    kubelet.tell(message)
    until(lambda: kubelet.watches > before and told in watched.health.error, "it was told")
    assert watched.picture.objects.keys() == {uid(1)}
    kubelet.before_sync = b""
    until(lambda: watched.stands, "good messages again")


def test_a_pod_with_text_that_is_none_and_a_time_that_no_year_has_keeps_nobody_from_being_seen(
    kubelet: LocalKubelet, watching: Watching
) -> None:
    """Anybody may put any bytes into an annotation, by protobuf."""
    own_uid = b"\x2a\x24" + uid(9).encode()
    annotation = b"\x62\x08\x0a\x01k\x12\x03\xff\xfe\xfd"
    created = b"\x42\x0a\x08" + b"\xff" * 8 + b"\x7f"
    metadata = own_uid + annotation + created
    kubelet.pods[uid(9)] = b"\x0a" + bytes([len(metadata)]) + metadata
    kubelet.put(pod(1))
    watched = watching()
    assert watched.picture.objects.keys() == {uid(1), uid(9)}
    assert "creationTimestamp" not in watched.picture.objects[uid(9)]["metadata"]


def test_an_event_of_a_kind_to_come_is_passed_over(kubelet: LocalKubelet, watching: Watching) -> None:
    kubelet.before_sync = event(17, encoded(pod(2)))
    kubelet.put(pod(1))
    assert watching().picture.objects.keys() == {uid(1)}


def test_who_listens_and_speaks_no_grpc_is_told(short_tmp_path: Path) -> None:
    (short_tmp_path / SOCKET).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(short_tmp_path / SOCKET))
        listening.listen()

        def answer(text: bytes) -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(text)

        settings_of_a_stream = b"\0\0\0\4\0\0\0\0\1"
        answers = {b"HTTP/1.1 400 \r\n\r\n": "closed", settings_of_a_stream: "no HTTP/2", b"": "closed"}
        for text, told in answers.items():
            thread = threading.Thread(target=answer, args=(text,))
            thread.start()
            with pytest.raises(GrpcError, match=told):
                heard(short_tmp_path)
            thread.join()


@pytest.mark.usefixtures("kubelet")
def test_a_method_that_the_server_does_not_have_is_told(short_tmp_path: Path) -> None:
    with pytest.raises(GrpcError, match="UNIMPLEMENTED: Method not found"):
        heard(short_tmp_path, method="/v1.Pods/WatchPods")


def test_a_silent_kubelet_is_told_after_a_while(kubelet: LocalKubelet, short_tmp_path: Path) -> None:
    kubelet.is_silent = True
    with pytest.raises(GrpcError, match=r"no answer within 0\.2 s"):
        heard(short_tmp_path, timeout_s=0.2)


def test_without_a_socket_it_waits_for_one(short_tmp_path: Path, watching: Watching) -> None:
    watched = watching()
    assert watched.health.error == f"{short_tmp_path / SOCKET}: No such file or directory"
    with LocalKubelet(short_tmp_path) as kubelet:
        kubelet.put(pod(1))
        until(lambda: watched.picture.objects.keys() == {uid(1)}, "the socket is there")
    watched.close()
    assert not any(one.name == "pods-api" for one in threading.enumerate())


def heard(short_tmp_path: Path, method: str = METHOD, timeout_s: float = 10) -> list[bytes]:
    with closing(Call(short_tmp_path / SOCKET, method, b"", timeout_s, 1 << 20)) as call:
        return list(call.messages())


def _full(value: object) -> object:
    """Without what is empty, and what protobuf is not asked for."""
    if isinstance(value, dict):
        return {name: full for name, one in value.items() if name != "claims" and (full := _full(one)) != {}}
    return [_full(one) for one in value] if isinstance(value, list) else value
