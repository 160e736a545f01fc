import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.specimens import pod, uid

from pinfold.sources.answers import Busy, Change, Ending, Event, Expired, Failed, Page, event, page, refusal
from pinfold.sources.picture import trimmed


def _line(change: str, content: object) -> bytes:
    return json.dumps({"type": change, "object": content}).encode()


def _status(code: int, **details: object) -> dict[str, object]:
    return {"kind": "Status", "code": code, "message": "as the test asked", "details": details}


def test_a_page_holds_trimmed_pods_by_uid_and_the_way_to_the_next() -> None:
    listed = page([json.dumps({"metadata": {"resourceVersion": "9", "continue": "t"}, "items": [pod(1)]}).encode()])
    assert listed == Page({uid(1): trimmed(pod(1))}, "9", "t")


def test_a_list_without_items_is_an_empty_node() -> None:
    assert page([b'{"kind":"PodList","metadata":{"resourceVersion":"9"},"items":null}']) == Page({}, "9")


def test_a_list_without_end_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinfold.sources.answers.MAX_PODS", 3)
    items = (b'%s{"metadata":{"uid":"%d"}}' % (b"," if number else b"", number) for number in range(10**9))
    assert page(itertools.chain([b'{"items":['], items)) == Failed(
        "the answer is no PodList: ValueError('more than 3 pods')"
    )


def test_the_pages_before_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinfold.sources.answers.MAX_PODS", 3)
    one = [json.dumps({"items": [pod(1)]}).encode()]
    assert isinstance(page(one, versioned=False, already=2), Page)
    assert isinstance(page(one, versioned=False, already=3), Failed)


def test_an_event_holds_the_version_to_resume_at() -> None:
    assert event(_line("MODIFIED", pod(1))) == Event(Change.MODIFIED, "7", uid(1), trimmed(pod(1)))
    assert event(_line("BOOKMARK", {"metadata": {"resourceVersion": "12"}})) == Event(Change.BOOKMARK, "12")


@pytest.mark.parametrize(
    ("line", "ending"),
    [
        pytest.param(_line("ERROR", _status(410)), Expired("410 as the test asked"), id="expired"),
        pytest.param(_line("ERROR", _status(500)), Failed("500 as the test asked"), id="internal-error"),
        pytest.param(
            _line("ERROR", _status(429, retryAfterSeconds=3)),
            Busy("429 as the test asked", 3.0),
            id="too-many-requests",
        ),
    ],
)
def test_an_error_event_says_why_the_watch_is_over(line: bytes, ending: Ending) -> None:
    assert event(line) == ending


@pytest.mark.parametrize(
    ("code", "body", "retry_after_s", "ending"),
    [
        pytest.param(410, b"{}", 0.0, Expired("410"), id="gone"),
        pytest.param(
            504,
            json.dumps(_status(504, causes=[{"reason": "ResourceVersionTooLarge"}], retryAfterSeconds=1)).encode(),
            0.0,
            Expired("504 as the test asked"),
            id="newer-than-the-server-knows",
        ),
        pytest.param(429, b"", 4.0, Busy("429", 4.0), id="the-header-says-how-long"),
        pytest.param(503, b"{}", 2.0, Busy("503", 2.0), id="starting-up"),
        pytest.param(502, b"<html>Bad Gateway</html>", 0.0, Failed("502"), id="a-proxys-page"),
        pytest.param(403, json.dumps(_status(403)).encode(), 0.0, Failed("403 as the test asked"), id="rbac"),
        pytest.param(
            500, b'{"details":{"retryAfterSeconds":"soon"}}', 0.0, Failed("500"), id="a-status-of-wrong-types"
        ),
        pytest.param(
            500, b'{"details":{"retryAfterSeconds":1' + b"0" * 400 + b"}}", 0.0, Failed("500"), id="beyond-a-float"
        ),
    ],
)
def test_a_status_becomes_what_to_do(code: int, body: bytes, retry_after_s: float, ending: Ending) -> None:
    assert refusal(code, body, retry_after_s) == ending


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"garbage", id="no-json"),
        pytest.param(b"[" * 100_000, id="nested-beyond-the-stack"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b'{"type":"ADDED"}', id="no-object"),
        pytest.param(_line("ADDED", {"metadata": {"resourceVersion": "1"}}), id="no-uid"),
        pytest.param(_line("ADDED", {"metadata": {"uid": "u"}}), id="no-version"),
        pytest.param(_line("ADDED", {"metadata": {"uid": 1, "resourceVersion": "1"}}), id="a-uid-that-is-a-number"),
        pytest.param(_line("RENAMED", pod(1)), id="an-unknown-type"),
        pytest.param(_line("ERROR", "gone"), id="an-error-without-status"),
    ],
)
def test_garbage_is_a_failure_and_no_exception(line: bytes) -> None:
    assert isinstance(event(line), Failed)
    assert isinstance(page([line]), Failed)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_raise(body: bytes) -> None:
    event(body)
    page([body])
    refusal(500, body)
