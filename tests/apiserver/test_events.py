"""Events, sent over HTTP to an API server that checks them as a real one does."""

import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from structlog.typing import EventDict

from pinfold.errors import PinfoldError
from pinfold.pods.model import Pod
from pinfold.pods.reader import read_pod
from pinfold.report.event_sender import EventSender, Pace
from pinfold.report.events import EventType, Occurrence, body, series
from pinfold.sources.client import ApiServer
from tests.apiserver import Drop, Fault, Hang, LocalApiServer, Refuse
from tests.apiserver.events import refused
from tests.apiserver.waiting import DEADLINE_S, until
from tests.sources.specimens import pod, uid

QUICK = Pace(per_s=1000.0, first_pause_s=0.02, longest_pause_s=0.1)


def _refusal(number: int = 1, reason: str = "TopologyAffinityError", after_s: float = 0.0) -> Occurrence:
    note = "wants 4 CPUs on one NUMA node; the emptiest node has 3 free"
    return Occurrence("trading", f"engine-{number}", uid(number), reason, "Pinning", note, time.time() + after_s)


@pytest.fixture
def server() -> Iterator[LocalApiServer]:
    with LocalApiServer() as server:
        yield server


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as entries:
        yield entries


Started = Callable[[Pace], EventSender]


@pytest.fixture
def started(server: LocalApiServer, tmp_path: Path) -> Iterator[Started]:
    api = ApiServer.from_kubeconfig(server.kubeconfig(tmp_path / "kubeconfig"))
    senders: list[EventSender] = []

    def start(pace: Pace) -> EventSender:
        senders.append(EventSender(api.send, "pinfold-here", pace))
        senders[-1].start()
        return senders[-1]

    yield start
    for sender in senders:
        sender.close(DEADLINE_S)
    assert "events" not in {thread.name for thread in threading.enumerate()}


def test_an_event_says_what_happened_to_which_pod_and_who_says_so() -> None:
    happened = Occurrence("trading", "engine-1", uid(1), "TopologyAffinityError", "Pinning", "wants 4", 1793606400.25)
    event = body(happened, "pinfold-here")
    assert event.pop("metadata") == {"namespace": "trading", "name": happened.event_name}
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": "2026-11-02T08:00:00.250000Z",
        "reportingController": "pinfold.dev/agent",
        "reportingInstance": "pinfold-here",
        "action": "Pinning",
        "reason": "TopologyAffinityError",
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "trading",
            "name": "engine-1",
            "uid": uid(1),
        },
        "note": "wants 4",
        "type": "Warning",
    }


def test_an_event_on_a_static_pod_refers_to_its_mirror() -> None:
    mirror = pod(1)
    for name in ("config.hash", "config.mirror"):
        mirror["metadata"]["annotations"][f"kubernetes.io/{name}"] = "0" * 32
    read = read_pod(mirror, "api")
    assert isinstance(read, Pod)
    happened = Occurrence.of(read, "PoolPinned", "Pinning", "", 0.0, EventType.NORMAL)
    assert happened.uid == uid(1)
    assert "uid" not in str(body(replace(happened, uid=""), "x")["regarding"])


@given(
    note=st.text(max_size=2000) | st.text(alphabet="\x1b\u202e\ud83d\ud800€", min_size=300, max_size=1200),
    instance=st.text(min_size=1, max_size=300),
    name=st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True).filter(
        lambda name: not any(bad in name for bad in ("..", ".-", "-."))
    ),
    at=st.floats(0, 4e9),
)
def test_an_api_server_takes_every_event(note: str, instance: str, name: str, at: float) -> None:
    happened = Occurrence("trading", name, uid(1), "TopologyAffinityError", "Pinning", note, at)
    event = body(happened, instance)
    assert refused(event, "trading") == ""
    assert str(event["note"]).isprintable()
    assert refused(event | series(2, at), "trading") == ""
    datetime.fromisoformat(str(event["eventTime"]))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a" * 253, id="as-long-as-a-name-may-be"),
        pytest.param("a" * 235 + ".b", id="cut-behind-a-dot"),
    ],
)
def test_a_long_pod_name_leaves_room_for_what_makes_the_events_name_its_own(name: str) -> None:
    first = replace(_refusal(), name=name)
    assert refused(body(first, "x"), "trading") == ""
    assert first.event_name != replace(first, note="another fact").event_name
    assert first.event_name == replace(first, at=2.0).event_name


def test_each_pod_and_cause_is_told_once(server: LocalApiServer, started: Started) -> None:
    events = started(QUICK)
    for _ in range(3):
        events.tell(_refusal(1))
        events.tell(_refusal(2))
    events.tell(_refusal(1, reason="SMTAlignmentError"))
    until(lambda: len(server.events) == 3, "three Events")
    assert {(event["regarding"]["uid"], event["reason"]) for event in server.events.values()} == {
        (uid(1), "TopologyAffinityError"),
        (uid(2), "TopologyAffinityError"),
        (uid(1), "SMTAlignmentError"),
    }
    assert len(server.asked("events")) == 3


def test_what_happens_again_later_is_counted_in_its_series(server: LocalApiServer, started: Started) -> None:
    events = started(replace(QUICK, oldest_s=1e6))
    for after_s in (0.0, 10.0, 20.0, 301.0, 310.0):
        events.tell(_refusal(1, after_s=after_s))
    until(lambda: len(server.asked("events")) == 2, "an Event and its series")
    until(lambda: events.counts.sent == 2, "both are counted")
    (event,) = server.events.values()
    assert event["series"]["count"] == 4
    assert server.asked("events")[1].headers["Content-Type"] == "application/merge-patch+json"


def test_another_note_is_another_event_and_what_is_true_again_is_told_at_once(
    server: LocalApiServer, started: Started
) -> None:
    events = started(QUICK)
    for note, after_s in (
        ("owns 2-5", 0.0),
        ("owns 2-7", 1.0),
        ("owns 2-5", 2.0),
        ("owns 2-7", 3.0),
        ("owns 2-5", 4.0),
    ):
        events.tell(replace(_refusal(1, after_s=after_s), note=note, is_change=after_s > 0))
    until(lambda: events.counts.sent == 5, "each change")
    told = [(event["note"], event.get("series", {}).get("count")) for event in server.events.values()]
    assert told == [("owns 2-5", 3), ("owns 2-7", 2)]


def test_after_a_restart_what_was_told_is_not_told_again_and_what_comes_again_goes_on_in_its_series(
    server: LocalApiServer, started: Started
) -> None:
    before = started(QUICK)
    before.tell(_refusal(1))
    until(lambda: before.counts.sent == 1, "the Event")
    told = deepcopy(server.events)
    events = started(QUICK)
    events.tell(_refusal(1, after_s=60.0))
    until(lambda: events.counts.sent == 1, "409: it is there")
    assert server.events == told
    afterwards = started(QUICK)
    afterwards.tell(replace(_refusal(1, after_s=120.0), is_change=True))
    until(lambda: afterwards.counts.sent == 1, "a change")
    (event,) = server.events.values()
    assert event["series"]["count"] == 2
    assert afterwards.counts.refused == 0


def test_a_series_whose_event_has_expired_begins_anew(server: LocalApiServer, started: Started) -> None:
    events = started(replace(QUICK, oldest_s=1e6))
    events.tell(_refusal(1))
    until(lambda: len(server.events) == 1, "the Event")
    server.events.clear()
    events.tell(_refusal(1, after_s=4000.0))
    until(lambda: len(server.events) == 1, "a new Event")
    assert events.counts.refused == 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Drop(), id="reset"),
        pytest.param(Refuse(500), id="500"),
        pytest.param(Refuse(429, retry_after_s=0), id="429"),
    ],
)
def test_it_tries_again_while_there_is_no_good_answer(server: LocalApiServer, started: Started, fault: Fault) -> None:
    server.fault(fault, "events", times=3)
    events = started(QUICK)
    events.tell(_refusal(1))
    until(lambda: len(server.events) == 1, "the Event")
    until(lambda: events.counts.error == "", "all is well")
    assert (events.counts.sent, events.counts.dropped, events.counts.refused) == (1, 0, 0)


def test_an_attempt_whose_answer_was_lost_makes_no_second_event_and_no_series() -> None:
    there: list[str] = []

    def send(method: str, _path: str, _content: object) -> int:
        there.append(method)
        if len(there) == 1:
            raise PinfoldError("the answer is lost")
        return 409

    events = EventSender(send, "pinfold-here", QUICK)
    events.start()
    events.tell(replace(_refusal(1), is_change=True))
    until(lambda: events.counts.sent == 1, "409 is as good as 201")
    events.close()
    assert there == ["POST", "POST"]


def test_what_is_there_after_a_server_was_too_busy_was_told_by_another() -> None:
    asked: list[str] = []
    answers = iter((429, 409, 200))

    def send(method: str, _path: str, _content: object) -> int:
        asked.append(method)
        return next(answers)

    events = EventSender(send, "pinfold-here", QUICK)
    events.start()
    events.tell(replace(_refusal(1), is_change=True))
    until(lambda: events.counts.sent == 1, "the change")
    events.close()
    assert asked == ["POST", "POST", "PATCH"]


def test_a_refused_event_is_counted_logged_once_and_not_sent_again(
    server: LocalApiServer, started: Started, logs: list[EventDict]
) -> None:
    server.fault(Refuse(403), "events", times=2)
    events = started(QUICK)
    events.tell(_refusal(1))
    events.tell(_refusal(2))
    events.tell(_refusal(3))
    until(lambda: events.counts.sent == 1, "the third is taken")
    assert events.counts.refused == 2
    assert len(server.asked("events")) == 3
    assert [entry["event"] for entry in logs] == ["event.refused"]
    events.tell(_refusal(1))
    until(lambda: events.counts.sent == 2, "the rights are there now, and it happened again")


def test_what_grows_old_while_the_server_is_away_is_dropped_and_the_rest_is_sent(
    server: LocalApiServer, started: Started
) -> None:
    server.stop()
    events = started(QUICK)
    events.tell(_refusal(1, after_s=-599.0))
    until(lambda: events.counts.dropped == 1, "older than ten minutes")
    events.tell(_refusal(2))
    until(lambda: "refused" in events.counts.error, "an attempt at a closed port")
    server.start()
    until(lambda: events.counts.sent == 1, "the Event")
    assert events.counts.dropped == 1


def test_a_full_queue_drops_and_the_loop_never_waits(server: LocalApiServer, started: Started) -> None:
    server.fault(Hang(), "events")
    events = started(replace(QUICK, queue=4))
    events.tell(_refusal(0))
    until(lambda: len(server.asked("events")) == 1, "the thread hangs in a request")
    began = time.process_time()
    for number in range(1, 10001):
        events.tell(_refusal(number))
    assert time.process_time() - began < 10
    assert events.counts.dropped == 10000 - 4
    server.stop()


def test_a_flood_is_sent_at_its_pace() -> None:
    moments: list[float] = []

    def send(*_: object) -> int:
        moments.append(time.monotonic())
        return 201

    events = EventSender(send, "pinfold-here", Pace(burst=5, per_s=50.0))
    events.start()
    for number in range(15):
        events.tell(_refusal(number))
    until(lambda: len(moments) == 15, "all are sent")
    assert moments[14] - moments[0] >= 10 / 50 * 0.9
    events.close()


def test_only_so_many_series_are_remembered(server: LocalApiServer, started: Started) -> None:
    events = started(replace(QUICK, causes=2, burst=100))
    for number in (1, 2, 3, 1):
        events.tell(_refusal(number))
    until(lambda: events.counts.sent == 4, "the first was forgotten, and is told again")
    assert [one.method for one in server.asked("events")] == ["POST"] * 4
    assert len(server.events) == 3, "where its Event is there already"
