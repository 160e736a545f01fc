"""Kubernetes quantities: exact, rounded up, and never a hostile number."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.pods.quantity import QuantityError, amount_text, bytes_text, cpu_text, millicpu, whole


@pytest.mark.parametrize(
    ("value", "expected_millicpu"),
    [
        pytest.param("2", 2000, id="whole"),
        pytest.param("500m", 500, id="milli"),
        pytest.param("0.1", 100, id="decimal-without-a-float-in-between"),
        pytest.param("100n", 1, id="nano-rounds-up"),
        pytest.param("1u", 1, id="micro-rounds-up"),
        pytest.param("1.0001", 1001, id="a-little-more-rounds-up"),
        pytest.param(".5", 500, id="no-digit-before-the-point"),
        pytest.param("1.", 1000, id="no-digit-after-the-point"),
        pytest.param("+1", 1000, id="plus"),
        pytest.param("-0", 0, id="minus-zero"),
        pytest.param("1k", 1_000_000, id="kilo"),
        pytest.param("1e3", 1_000_000, id="exponent"),
        pytest.param("2E-3", 2, id="negative-exponent"),
        pytest.param("1e0", 1000, id="exponent-of-zero"),
        pytest.param(2, 2000, id="a-number-in-yaml"),
        pytest.param(0.5, 500, id="a-float-in-yaml"),
        pytest.param(1e-07, 1, id="a-float-that-python-writes-with-an-exponent"),
        pytest.param(None, 0, id="null-is-zero"),
        pytest.param("1000000000", 10**12, id="a-billion-cpus-is-a-quantity"),
    ],
)
def test_cpu_quantities_are_read_as_kubernetes_reads_them(value: object, expected_millicpu: int) -> None:
    assert millicpu(value) == expected_millicpu


@pytest.mark.parametrize(
    ("value", "expected_bytes"),
    [
        pytest.param("8Gi", 8 << 30, id="gibi"),
        pytest.param("1.5Gi", 3 << 29, id="a-fraction-of-a-gibi"),
        pytest.param("0.1Ki", 103, id="102.4-rounds-up"),
        pytest.param("8G", 8 * 10**9, id="giga"),
        pytest.param("1E", 10**18, id="exa-is-no-exponent"),
        pytest.param("1m", 1, id="a-thousandth-of-a-byte-is-one"),
        pytest.param("7Ei", 7 << 60, id="the-largest-suffix"),
        pytest.param(1024, 1024, id="a-number"),
    ],
)
def test_byte_quantities_are_read_as_kubernetes_reads_them(value: object, expected_bytes: int) -> None:
    assert whole(value) == expected_bytes


@pytest.mark.parametrize(
    ("value", "says"),
    [
        pytest.param("2x", "'2x' is no quantity", id="unknown-suffix"),
        pytest.param("", "'' is no quantity", id="empty"),
        pytest.param(".", "'.' is no quantity", id="a-point-alone"),
        pytest.param("1 ", "'1 ' is no quantity", id="space"),
        pytest.param("1\n", "is no quantity", id="newline"),
        pytest.param("\u0661", "is no quantity", id="digits-of-another-script"),
        pytest.param("1Kib", "is no quantity", id="suffix-and-more"),
        pytest.param("-1", "is negative", id="negative"),
        pytest.param(-1, "is negative", id="a-negative-number"),
        pytest.param(True, "a bool is no quantity", id="true"),
        pytest.param([], "a list is no quantity", id="a-list"),
        pytest.param(float("nan"), "'nan' is no quantity", id="nan"),
        pytest.param("9" * 31, "is no quantity", id="more-digits-than-anybody-needs"),
        pytest.param("1e999", "more than any machine has", id="an-exponent-that-is-a-bomb"),
        pytest.param("9Ei", "more than any machine has", id="more-than-int64"),
        pytest.param(10**30, "more than any machine has", id="a-huge-number"),
        pytest.param("1" + "0" * 5000, "is no quantity", id="a-very-long-text"),
    ],
)
def test_what_is_no_quantity_is_refused(value: object, says: str) -> None:
    with pytest.raises(QuantityError, match=says):
        whole(value)


@given(
    st.integers(0, 10**6),
    st.integers(0, 999_999),
    st.sampled_from(["n", "u", "m", "", "k", "M", "Ki", "Mi", "Gi", "e2", "E-4"]),
)
def test_every_quantity_is_the_exact_value_rounded_up(number: int, fraction: int, suffix: str) -> None:
    scale = {
        "n": Fraction(1, 10**9),
        "u": Fraction(1, 10**6),
        "m": Fraction(1, 1000),
        "": Fraction(1),
        "k": Fraction(1000),
        "M": Fraction(10**6),
        "Ki": Fraction(1 << 10),
        "Mi": Fraction(1 << 20),
        "Gi": Fraction(1 << 30),
        "e2": Fraction(100),
        "E-4": Fraction(1, 10**4),
    }[suffix]
    exact = (number + Fraction(fraction, 10**6)) * scale
    assert 0 <= whole(f"{number}.{fraction:06}{suffix}") - exact < 1


@given(st.integers(0, (1 << 62)))
def test_an_amount_that_is_told_is_read_as_the_same(amount: int) -> None:
    assert whole(bytes_text(amount)) == amount
    assert millicpu(cpu_text(amount // 1000)) == amount // 1000
    assert amount_text("memory", amount) == bytes_text(amount)
    assert amount_text("cpu", amount) == cpu_text(amount)


def test_amounts_are_told_as_their_authors_write_them() -> None:
    assert (cpu_text(2000), cpu_text(100)) == ("2", "100m")
    assert (bytes_text(8 << 30), bytes_text(1536 << 20), bytes_text(1000), bytes_text(0)) == (
        "8Gi",
        "1536Mi",
        "1000",
        "0",
    )
