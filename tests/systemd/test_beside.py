"""What goes on beside the loop is on disk as Pinfold's before it is asked for."""

from collections.abc import Iterator

import pytest

from pinfold.agent.beside import Beside
from pinfold.agent.enforcement import Enforced, Kept, NodeCgroups
from pinfold.cgroups.layout import Layout
from pinfold.cgroups.systemd_properties import Property
from pinfold.config import config_of
from tests.agent.bench import Fs
from tests.cpuset_model.kernel import V6_1

from .test_properties import ALL, FOUND, HELD, WANTS, node


@pytest.fixture
def beside() -> Iterator[Beside]:
    config = config_of({"memoryMigrationMaxSize": "1Gi"})
    made = Beside(config, NodeCgroups(config, Fs.boot(V6_1, 8)), lambda: None)
    assert made.units
    made.units.reached = True
    yield made
    made.close()


def _enforced(layout: Layout) -> Enforced:
    return Enforced(node(HELD, FOUND), Kept(FOUND), layout, (), ())


def test_properties_are_ours_from_the_moment_that_they_are_wanted_until_they_are_given_back(beside: Beside) -> None:
    due = beside.due(_enforced(Layout(WANTS)), frozenset())
    assert (due.properties, due.returned, due.places) == (ALL, {}, frozenset(ALL))
    ended = beside.due(_enforced(Layout()), due.places)
    assert (ended.properties, frozenset(ended.returned), ended.places) == ({}, frozenset(ALL), frozenset(ALL))


def test_nothing_is_ours_on_disk_while_nobody_knows_that_systemd_hears(beside: Beside) -> None:
    assert beside.units
    beside.units.reached = False
    due = beside.due(_enforced(Layout(WANTS)), frozenset())
    assert (due.probes, due.properties, due.places) == (True, {}, frozenset())


def test_a_property_that_the_checkpoint_no_longer_finds_a_unit_for_is_forgotten(beside: Beside) -> None:
    gone = frozenset({("kubepods-podgone.slice", Property.MEMORY_LOW.value)})
    assert beside.due(_enforced(Layout()), gone).places == frozenset()
