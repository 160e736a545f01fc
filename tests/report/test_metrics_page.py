"""The reference of the metrics is what the code tells, and what it tells is well named."""

import re

import pytest
from tests.report.metrics_page import PAGE, page, told

from pinfold.report.families import Family, Kind

EVERY = pytest.mark.parametrize("family", told(), ids=lambda family: family.name)


def test_the_page_is_what_the_code_tells() -> None:
    assert PAGE.read_text() == page(), "make docs writes it anew"


def test_no_name_is_told_twice() -> None:
    names = [family.name for family in told()]
    assert len(names) == len(set(names))


@EVERY
def test_a_family_is_explained_in_one_line_that_a_table_can_hold(family: Family) -> None:
    assert re.fullmatch(r"[^|\n]{10,160}\.", family.documentation)


@EVERY
def test_only_a_counter_ends_in_total(family: Family) -> None:
    assert family.name.endswith("_total") is (family.kind is Kind.COUNTER)
