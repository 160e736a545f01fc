import selectors
import threading

from pinfold.sources.wakeup import Timer, Wakeup


def test_a_ring_from_another_thread_ends_the_selectors_sleep_and_many_are_one() -> None:
    wakeup = Wakeup()
    with selectors.DefaultSelector() as selector:
        selector.register(wakeup, selectors.EVENT_READ)
        assert not selector.select(0)
        ringing = [threading.Thread(target=wakeup.wake) for _ in range(10)]
        for thread in ringing:
            thread.start()
        assert selector.select(30)
        for thread in ringing:
            thread.join()
        assert wakeup.drain()
        assert not selector.select(0)
    wakeup.close()


def test_drain_says_whether_anybody_rang() -> None:
    wakeup = Wakeup()
    assert not wakeup.drain()
    wakeup.wake()
    assert wakeup.drain()
    assert not wakeup.drain()
    wakeup.close()


def test_a_ring_after_the_end_is_heard_by_nobody() -> None:
    wakeup = Wakeup()
    wakeup.close()
    wakeup.wake()
    wakeup.close()


def test_a_timer_is_due_a_period_after_it_was_restarted_however_late_that_was() -> None:
    timer = Timer(period_s=10.0, due_at_s=100.0)
    assert timer.remaining_s(95.0) == 5.0
    assert not timer.due(99.9)
    assert timer.due(100.0)
    assert timer.remaining_s(170.0) == 0.0
    assert timer.restarted(170.0).due_at_s == 180.0
