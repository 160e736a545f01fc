import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinfold.sources.json_stream import MAX_VALUE_BYTES, LeftOut, members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def _cut(text: bytes, length: int) -> list[bytes]:
    return [text[at : at + length] for at in range(0, len(text), length)]


@example(document={"items": [0.5, -1e-05], "kind": 12.0}, indent=None, escaped=True, length=1)
@given(
    document=st.dictionaries(st.sampled_from(["items", "kind", "metadata", "ü"]), VALUES),
    indent=st.sampled_from([None, 2]),
    escaped=st.booleans(),
    length=st.integers(1, 40),
)
def test_however_it_is_cut_every_member_is_what_json_says(
    document: dict[str, object], indent: int | None, escaped: bool, length: int
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=escaped).encode()
    read = list(members(_cut(text, length), each="items"))
    items = document.get("items")
    if isinstance(items, list):
        assert [value for key, value in read if key == "items"] == items
        read = [pair for pair in read if pair[0] != "items"]
        document = {key: value for key, value in document.items() if key != "items"}
    assert dict(read) == document
    assert len(read) == len(document)


@given(
    text=st.text(alphabet='{}[],:"ab1 -.eE\\', max_size=30) | st.just('{"items":[{"a":1},{"b":[2,3]}],"c":4}'),
    length=st.integers(1, 10),
    cut=st.integers(0, 40),
)
def test_what_json_refuses_is_refused(text: str, length: int, cut: int) -> None:
    text = text[: len(text) - cut] if cut < len(text) else text
    try:
        whole = isinstance(json.loads(text), dict)
    except ValueError:
        whole = False
    try:
        list(members(_cut(text.encode(), length), each="items"))
    except ValueError:
        assert not whole
    else:
        assert whole or ",}" in text.replace(" ", "") or ",]" in text.replace(" ", "")


def test_the_first_items_are_there_before_the_last_has_come() -> None:
    came: list[int] = []

    def pieces() -> object:
        for number in range(3):
            came.append(number)
            yield b'{"items":[{"a":0}' if number == 0 else b',{"a":%d}' % number
        yield b"]}"

    reading = members(pieces(), each="items")  # type: ignore[arg-type]
    assert next(reading) == ("items", {"a": 0})
    assert came == [0, 1]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 4096])
def test_an_item_that_is_too_long_is_left_out_wherever_it_is_cut_and_the_others_are_read(
    monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr("pinfold.sources.json_stream.MAX_VALUE_BYTES", 700)
    tricky = {"name": "ü", "a": '"]}\\' * 2000, "b": [{"]": "{[\\"}], "c": "\\" * 9}
    document = {"items": [{"a": "ü"}, tricky, {"a": 1}, tricky], "kind": "PodList"}
    text = json.dumps(document, ensure_ascii=False).encode()
    first, large, second, last, kind = members(_cut(text, length), each="items")
    assert [first, second, kind] == [("items", {"a": "ü"}), ("items", {"a": 1}), ("kind", "PodList")]
    for _, left in (large, last):
        assert isinstance(left, LeftOut)
        assert "longer than 700 bytes" in left.why
        assert left.begins.startswith('{"name": ')
        assert len(left.begins) <= 400
    for end in (len(text) // 4, len(text) * 3 // 4):
        with pytest.raises(ValueError, match="in the middle of a value"):
            list(members(_cut(text[:end], length), each="items"))


def test_an_item_that_nests_too_deep_is_left_out_and_the_others_are_read() -> None:
    deep = b'{"a":' * 10**5 + b"1" + b"}" * 10**5
    first, left, last = members(_cut(b'{"items":[{},' + deep + b",{}]}", 1 << 16), each="items")
    assert first == last == ("items", {})
    assert isinstance(left[1], LeftOut)
    assert "too deep" in left[1].why


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        pytest.param(b"", "'' where '{' should be", id="nothing"),
        pytest.param(b"<html>", "'<' where '{' should be", id="a-page"),
        pytest.param(b'{"items":[{"a":1}', "'' where ',' should be", id="half"),
        pytest.param(b'{"a":1} {"b":2}', "after the end", id="two-objects"),
        pytest.param(b'{"a":"\xff"}', "utf-8", id="no-utf-8"),
        pytest.param(b'{"a":"' + b"x" * (2 * MAX_VALUE_BYTES + 9), "longer than", id="a-text-without-end"),
    ],
)
def test_what_is_no_object_is_told(text: bytes, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        list(members(_cut(text, 1 << 16), each="items"))


def test_what_nests_too_deep_is_an_error_and_no_crash() -> None:
    with pytest.raises(RecursionError):
        list(members([b'{"a":' + b"[" * 10**6], each="items"))
