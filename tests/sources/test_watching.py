from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.specimens import pod, uid

from pinfold.pods.model import InvalidPod
from pinfold.sources.answers import Busy, Change, Closed, Ending, Event, Expired, Failed, Page, Silent
from pinfold.sources.watching import LONGEST_PAUSE_S, LONGEST_RETRY_AFTER_S, Course, List, Watch

LISTED = Course().listed(Page({uid(1): pod(1)}, "50"))
STANDING = LISTED.answered()


def test_the_first_list_takes_what_the_cache_holds_and_the_watch_begins_at_its_version() -> None:
    assert Course().ask == List("0")
    assert LISTED.ask == Watch("50")
    assert LISTED.pods.synced
    assert LISTED.pods.objects == {uid(1): pod(1)}


def test_a_list_in_pages_shows_nothing_before_its_last_page() -> None:
    first = Course().listed(Page({uid(1): pod(1)}, "50", "more"))
    assert first.ask == List("0", "more")
    assert not first.pods.synced
    whole = first.listed(Page({uid(2): pod(2)}, "50"))
    assert whole.pods.objects.keys() == {uid(1), uid(2)}


def test_what_was_left_out_of_a_page_is_told_with_the_whole_list_and_no_longer_than_it_holds() -> None:
    large = InvalidPod("InvalidPod", "too large", "trading/engine-3")
    whole = Course().listed(Page({uid(1): pod(1)}, "50", "more", (large,))).listed(Page({uid(2): pod(2)}, "50"))
    assert whole.pods.faults == (large,)
    again = whole.answered().ended(Expired("410"), 1.0, 0.5).listed(Page(whole.pods.objects, "60"))
    assert again.pods.faults == ()
    assert again.changes == whole.changes + 1


def test_a_list_that_breaks_off_between_pages_begins_anew() -> None:
    broken = Course().listed(Page({uid(1): pod(1)}, "50", "more")).ended(Failed("reset"), 0.1, 0.5)
    assert broken.ask == List("0")
    assert broken.listed(Page({uid(2): pod(2)}, "51")).pods.objects.keys() == {uid(2)}


@pytest.mark.parametrize(
    ("event", "left"),
    [
        pytest.param(Event(Change.ADDED, "51", uid(2), pod(2)), {uid(1), uid(2)}, id="added"),
        pytest.param(Event(Change.MODIFIED, "51", uid(1), pod(1, cpu="4")), {uid(1)}, id="modified"),
        pytest.param(Event(Change.DELETED, "51", uid(1), pod(1)), set(), id="deleted"),
        pytest.param(Event(Change.DELETED, "51", uid(7), pod(7)), {uid(1)}, id="deleted-and-never-seen"),
        pytest.param(Event(Change.BOOKMARK, "51"), {uid(1)}, id="bookmark"),
    ],
)
def test_every_event_is_the_next_point_to_resume_at(event: Event, left: set[str]) -> None:
    course = STANDING.told(event)
    assert course.ask == Watch("51")
    assert course.pods.objects.keys() == left
    assert course.ended(Closed(), 300.0, 0.5).ask == Watch("51")


@pytest.mark.parametrize(
    ("event", "wakes"),
    [
        pytest.param(Event(Change.BOOKMARK, "51"), False, id="bookmark"),
        pytest.param(Event(Change.MODIFIED, "51", uid(1), pod(1)), False, id="nothing-that-is-read-changed"),
        pytest.param(Event(Change.MODIFIED, "51", uid(1), pod(1, cpu="4")), True, id="resized"),
        pytest.param(Event(Change.DELETED, "51", uid(7), pod(7)), False, id="deleted-and-never-seen"),
        pytest.param(Event(Change.DELETED, "51", uid(1), pod(1)), True, id="deleted"),
    ],
)
def test_only_what_is_read_counts_as_a_change(event: Event, wakes: bool) -> None:
    if event.pod:
        event = replace(event, pod={**event.pod, "metadata": {**event.pod["metadata"], "resourceVersion": "51"}})
    after = STANDING.told(event)
    assert after.changes - STANDING.changes == wakes
    assert (after.pods.objects == STANDING.pods.objects) is not wakes, "nobody reads an object again that is the same"


def test_an_empty_node_is_news_once() -> None:
    first = Course().listed(Page({}, "50"))
    assert first.changes == 1
    again = first.answered().ended(Expired("410"), 1.0, 0.5).listed(Page({}, "60"))
    assert again.changes == 1


@pytest.mark.parametrize(
    ("ending", "lasted_s"),
    [
        pytest.param(Closed(), 300.0, id="timeoutSeconds-ran-out"),
        pytest.param(Silent(), 90.0, id="read-time-out"),
    ],
)
def test_a_watch_that_had_its_time_is_resumed_at_once_and_nobody_is_told(ending: Ending, lasted_s: float) -> None:
    course = STANDING.ended(ending, lasted_s, 0.5)
    assert (course.ask, course.pause_s, course.away, course.errors, course.reconnects) == (
        Watch("50"),
        0.0,
        False,
        0,
        1,
    )


def test_a_watch_that_breaks_off_once_is_resumed_after_a_pause_and_nobody_is_told() -> None:
    course = STANDING.ended(Failed("reset"), 5.0, 0.0)
    assert (course.ask, course.pause_s, course.away, course.errors) == (Watch("50"), 0.4, False, 1)


def test_what_no_watch_gets_past_is_passed_by_a_list_not_older_than_what_is_known() -> None:
    """Whoever resumes at the same version meets the same event again."""
    course = STANDING
    for _ in range(2):
        course = course.ended(Failed("no event"), 0.1, 0.0)
        assert course.ask == Watch("50")
        course = course.answered()
    course = course.ended(Failed("no event"), 0.1, 0.0)
    assert (course.ask, course.relists) == (List("50"), 1)
    past = course.listed(Page({uid(2): pod(2)}, "80"))
    assert past.ask == Watch("80")
    assert past.answered().ended(Failed("no event"), 0.1, 0.0).ask == List("80"), "it has not spoken yet"
    spoke = past.answered().told(Event(Change.BOOKMARK, "81"))
    assert spoke.ended(Failed("reset"), 5.0, 0.0).ask == Watch("81")


def test_each_line_that_cannot_be_read_costs_a_list_and_no_longer_pause_than_the_one_before() -> None:
    course, pauses = STANDING, []
    for _ in range(9):
        course = course.ended(Failed("a line too long"), 5.0, 0.5)
        if isinstance(course.ask, List):
            pauses.append(course.pause_s)
            course = course.listed(Page({uid(1): pod(1)}, "60"))
        course = course.answered()
    assert len(pauses) == 7
    assert len(set(pauses)) == 1


def test_a_server_that_is_away_is_not_asked_for_a_list_when_it_is_back() -> None:
    course = STANDING
    for _ in range(20):
        course = course.ended(Failed("refused"), 0.0, 0.5)
    assert course.ask == Watch("50")


@pytest.mark.parametrize(
    ("before", "ending", "lasted_s"),
    [
        pytest.param(Course(), Failed("refused"), 0.0, id="nobody-listens"),
        pytest.param(Course(), Silent(), 30.0, id="a-list-is-not-answered"),
        pytest.param(LISTED, Silent(), 90.0, id="a-watch-is-not-answered"),
        pytest.param(LISTED, Failed("403 pods is forbidden"), 0.0, id="a-watch-is-refused"),
        pytest.param(STANDING.ended(Closed(), 300.0, 0.5), Failed("refused"), 0.0, id="a-watch-is-not-resumed"),
        pytest.param(STANDING.ended(Closed(), 0.1, 0.5).answered(), Closed(), 0.1, id="watches-are-closed-at-once"),
    ],
)
def test_a_request_without_a_good_answer_is_an_outage(before: Course, ending: Ending, lasted_s: float) -> None:
    course = before.ended(ending, lasted_s, 0.5)
    assert course.away
    assert course.error
    assert course.pause_s > 0


def test_the_pods_stay_through_an_outage_and_an_answer_ends_it() -> None:
    course = STANDING
    for _ in range(20):
        course = course.ended(Failed("refused"), 0.0, 1.0)
    assert course.away
    assert course.pods == STANDING.pods
    assert course.pause_s == LONGEST_PAUSE_S
    back = course.answered()
    assert not back.away
    assert back.pods == STANDING.pods


def test_pauses_double_until_a_watch_speaks() -> None:
    course, pauses = STANDING, []
    for _ in range(7):
        course = course.ended(Failed("reset"), 0.0, 1.0)
        pauses.append(course.pause_s)
    assert pauses == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    spoke = course.answered().told(Event(Change.BOOKMARK, "51"))
    assert spoke.ended(Failed("reset"), 0.0, 1.0).pause_s == 0.8


def test_a_410_is_followed_by_a_list_that_is_not_older_than_what_is_known() -> None:
    course = STANDING.ended(Expired("410 too old resource version"), 5.0, 0.5)
    assert (course.ask, course.pause_s, course.away, course.errors, course.relists) == (List("50"), 0.0, False, 0, 1)
    missed = course.listed(Page({uid(2): pod(2)}, "80"))
    assert missed.pods.objects.keys() == {uid(2)}
    assert missed.changes == STANDING.changes + 1


def test_a_list_that_is_refused_for_its_version_is_asked_of_etcd() -> None:
    """A restored etcd counts from an older version: what we know is then newer than all there is."""
    course = STANDING.ended(Expired("410"), 5.0, 0.5).ended(Expired("504 Too large resource version"), 0.1, 0.5)
    assert course.ask == List("")
    assert course.ended(Failed("reset"), 0.0, 0.5).ask == List("")


def test_a_server_that_says_410_to_every_watch_is_asked_ever_more_seldom() -> None:
    course, pauses = STANDING, []
    for version in range(60, 66):
        course = course.ended(Expired("410"), 0.1, 1.0)
        pauses.append(course.pause_s)
        course = course.listed(Page({}, str(version))).answered()
    assert pauses == [0.0, 1.6, 3.2, 6.4, 12.8, 25.6]
    assert course.told(Event(Change.BOOKMARK, "70")).ended(Expired("410"), 60.0, 1.0).pause_s == 0.0


@pytest.mark.parametrize(
    ("asked_s", "pause_s"),
    [
        pytest.param(7.0, 7.4, id="what-the-server-asks-and-the-jitter"),
        pytest.param(1e9, LONGEST_RETRY_AFTER_S + 0.4, id="never-for-hours"),
    ],
)
def test_a_429_waits_as_long_as_the_server_asks(asked_s: float, pause_s: float) -> None:
    assert STANDING.ended(Busy("429", asked_s), 0.1, 0.0).pause_s == pytest.approx(pause_s)


EVENTS = st.builds(
    lambda change, version, number: Event(
        change, str(version), *(() if change is Change.BOOKMARK else (uid(number), pod(number)))
    ),
    st.sampled_from(Change),
    st.integers(1, 10**6),
    st.integers(0, 5),
)
PAGES = st.builds(
    lambda numbers, version, token: Page({uid(one): pod(one) for one in numbers}, str(version), token),
    st.sets(st.integers(0, 5)),
    st.integers(1, 10**6),
    st.sampled_from(["", "more"]),
)
ENDINGS = st.one_of(
    st.just(Closed()),
    st.just(Silent()),
    st.builds(Expired, st.just("410")),
    st.builds(Busy, st.just("429"), st.floats(0, 1e12)),
    st.builds(Failed, st.just("reset")),
)


@given(st.lists(st.tuples(st.one_of(EVENTS, PAGES, ENDINGS), st.floats(0, 500), st.floats(0, 1))))
def test_whatever_is_answered_no_pod_is_lost_but_by_a_whole_list_or_its_own_deletion(
    answers: list[tuple[Event | Page | Ending, float, float]],
) -> None:
    course = Course()
    for answer, lasted_s, draw in answers:
        before = course
        match answer, course.ask:
            case Page(), List():
                course = course.listed(answer)
                if answer.token:
                    assert course.pods == before.pods
            case Event(), Watch():
                course = course.answered().told(answer)
                gone = before.pods.objects.keys() - course.pods.objects.keys()
                assert gone <= ({answer.uid} if answer.change is Change.DELETED else set())
            case ((Page() | Event()), _):
                continue
            case _:
                course = course.ended(answer, lasted_s, draw)
                assert course.pods == before.pods
        assert 0 <= course.pause_s <= LONGEST_PAUSE_S + LONGEST_RETRY_AFTER_S
        assert course.pods.synced or not before.pods.synced
        assert bool(course.error) or not course.away
