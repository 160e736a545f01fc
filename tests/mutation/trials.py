"""One run of pytest in which each mutant is tried: the tests are collected once, and a fork runs those that reach it.

A mutant is a function's code, exchanged in the fork: so that nothing is written, imported or collected anew.
"""

import mmap
import os
import resource
import signal
import struct
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from types import CodeType, FrameType

import pytest
from hypothesis import Phase, settings

from .mutants import Mutant

SLOWER = 10
"""Where a test takes so many times the processor time that it should, the mutant was noticed by time."""
MEMORY_BYTES = 4 << 30


class Outcome(StrEnum):
    NOTICED = "noticed"
    BY_TIME = "noticed by time"
    SURVIVED = "survived"
    UNREACHED = "untested"
    """No test of those that are run calls the function."""


class Trials:
    """A plugin of pytest that runs its own loop: first each test as it is, then the mutants."""

    def __init__(
        self, mutants: Sequence[Mutant], seconds: float, examples: int, told: Callable[[Mutant, Outcome], None]
    ) -> None:
        """Tests of *seconds* in all try a mutant, the quickest first; properties draw *examples*."""
        self.mutants = mutants
        self.seconds = seconds
        self.examples = examples
        self.told = told
        self._costs: dict[pytest.Item, float] = {}
        self._reaching: dict[CodeType, list[pytest.Item]] = defaultdict(list)
        self._found_by: dict[CodeType, Counter[int]] = defaultdict(Counter)
        self._failed = False

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            assert isinstance(item, pytest.Function)
            test = item.obj
            if getattr(test, "is_hypothesis_test", False):
                drawn = test._hypothesis_internal_use_settings
                test._hypothesis_internal_use_settings = settings(
                    drawn,
                    max_examples=min(drawn.max_examples, self.examples),
                    phases=(Phase.explicit, Phase.generate),
                    database=None,
                )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        codes = {mutant.function.__code__ for mutant in self.mutants}
        for item in session.items:
            for code in self._called(item, codes):
                self._reaching[code].append(item)
        self._try_all(session.items)
        return True

    def _called(self, item: pytest.Item, codes: set[CodeType]) -> set[CodeType]:
        called: set[CodeType] = set()

        def note(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and frame.f_code in codes:
                called.add(frame.f_code)

        began = time.process_time()
        sys.setprofile(note)
        try:
            self._run(item)
        finally:
            sys.setprofile(None)
        self._costs[item] = time.process_time() - began
        if self._failed:
            raise pytest.UsageError(f"{item.nodeid} fails without any change")
        return called

    def _run(self, item: pytest.Item) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)

    def _try_all(self, items: Sequence[pytest.Item]) -> None:
        """As many at a time as there are processors."""
        places = {item: place for place, item in enumerate(items, 1)}
        with mmap.mmap(-1, 4 * len(self.mutants)) as found:
            under_way: dict[int, int] = {}
            for number, mutant in enumerate(self.mutants):
                code = mutant.function.__code__
                if not self._reaching[code]:
                    self.told(mutant, Outcome.UNREACHED)
                    continue
                chosen = list(self._chosen(code, places))
                child = os.fork()
                if not child:
                    self._try(mutant, chosen, places, found, 4 * number)
                under_way[child] = number
                if len(under_way) == (os.cpu_count() or 1):
                    self._end_one(under_way, found)
            while under_way:
                self._end_one(under_way, found)

    def _chosen(self, code: CodeType, places: dict[pytest.Item, int]) -> Iterator[pytest.Item]:
        """First those that found most of the function's mutants."""
        spent, kept = 0.0, list[pytest.Item]()
        for item in sorted(self._reaching[code], key=self._costs.__getitem__):
            spent += self._costs[item]
            if kept and spent > self.seconds:
                break
            kept.append(item)
        ranked = self._found_by[code]
        yield from sorted(kept, key=lambda item: -ranked[places[item]])

    def _try(
        self, mutant: Mutant, chosen: list[pytest.Item], places: dict[pytest.Item, int], found: mmap.mmap, at: int
    ) -> None:
        """In the fork, which ends here."""
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        _forget()
        mutant.function.__code__ = mutant.code
        for item in chosen:
            signal.setitimer(signal.ITIMER_PROF, 1 + SLOWER * self._costs[item])
            try:
                self._run(item)
            except BaseException:  # noqa: BLE001  the machinery of the tests stumbled over it
                self._failed = True
            if self._failed:
                struct.pack_into("i", found, at, places[item])
                break
        os._exit(0)

    def _end_one(self, under_way: dict[int, int], found: mmap.mmap) -> None:
        child, status = os.wait()
        number = under_way.pop(child)
        mutant = self.mutants[number]
        (place,) = struct.unpack_from("i", found, 4 * number)
        if place:
            self._found_by[mutant.function.__code__][place] += 1
        by_time = Outcome.BY_TIME if os.WIFSIGNALED(status) else Outcome.SURVIVED
        self.told(mutant, Outcome.NOTICED if place else by_time)


def _forget() -> None:
    """What the unchanged code has left in caches."""
    for name, module in [*sys.modules.items()]:
        for value in vars(module).values() if name.startswith("pinfold") else ():
            if callable(clear := getattr(value, "cache_clear", None)):
                clear()
