import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.pods.reader import read_pods
from pinfold.sources.documents import Documents, read

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {k0: 1, k1: 2}\n" + "".join(
    f"m{n}: &m{n} {{<<: [{','.join([f'*m{n - 1}' if n else '*a'] * 10)}]}}\n" for n in range(8)
)


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        pytest.param("kind: Pod", {"f": {"kind": "Pod"}}, id="one-document"),
        pytest.param('{"kind": "Pod"}', {"f": {"kind": "Pod"}}, id="json"),
        pytest.param('\ufeff \n\t{"kind":\t"Pod"}', {"f": {"kind": "Pod"}}, id="json-with-tabs-and-a-byte-order-mark"),
        pytest.param("---\na: 1\n---\n# nothing\n---\nb: 2\n", {"f[0]": {"a": 1}, "f[1]": {"b": 2}}, id="documents"),
        pytest.param("kind: List\nitems: [{a: 1}, {b: 2}]", {"f[0]": {"a": 1}, "f[1]": {"b": 2}}, id="list"),
        pytest.param('{"kind":"PodList","items":[{"a":1}]}', {"f": {"a": 1}}, id="pod-list-of-one"),
        pytest.param("kind: PodList\nitems: []", {}, id="pod-list-of-none"),
        pytest.param("kind: [List]", {"f": {"kind": ["List"]}}, id="a-kind-that-is-a-list"),
        pytest.param("kind: List", {"f": {"kind": "List"}}, id="list-without-items"),
        pytest.param("# nothing yet\n", {}, id="comment-only"),
        pytest.param("", {}, id="empty"),
        pytest.param("a: &x {c: 1}\nb: {<<: *x, d: 2}", {"f": {"a": {"c": 1}, "b": {"c": 1, "d": 2}}}, id="anchors"),
    ],
)
def test_every_form_of_a_manifest_gives_its_objects(text: str, objects: dict[str, dict[str, object]]) -> None:
    assert read(text.encode(), "f") == Documents(objects)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("2026-11-02T08:00:00Z", "2026-11-02T08:00:00Z", id="a-time-stays-text"),
        pytest.param("1:30", "1:30", id="no-base-60"),
        pytest.param("1_000", "1_000", id="no-underscores"),
        pytest.param("100m", "100m", id="quantity"),
        pytest.param("2", 2, id="a-number-of-cpus"),
        pytest.param("0.5", 0.5, id="half-a-cpu"),
        pytest.param("1e3", 1000.0, id="an-exponent-without-a-point"),
        pytest.param(".inf", ".inf", id="no-infinity"),
        pytest.param("yes", True, id="yaml-1.1-yes"),
        pytest.param('"yes"', "yes", id="quoted"),
        pytest.param("~", None, id="null"),
        pytest.param("", None, id="nothing-is-null"),
    ],
)
def test_scalars_are_what_the_kubelet_reads(text: str, value: object) -> None:
    assert read(f"v: {text}".encode(), "f").objects["f"]["v"] == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"kind: Pod\nspec: {a: 1\n", "line 3: no YAML: did not find expected", id="yaml-syntax"),
        pytest.param(b"kind: Pod\nspec:\n\tcontainers: []", "line 3: no YAML: found character", id="a-tab"),
        pytest.param(b'{"kind": "Pod",\n "spec": }', "line 2: no JSON: Expecting value", id="json-syntax"),
        pytest.param(b"\xff\xfek", "byte 0 is no UTF-8", id="utf-16"),
        pytest.param(b"a: \x00", "no YAML: unacceptable character", id="a-nul"),
        pytest.param(b"- kind: Pod", "list where an object should be", id="a-list"),
        pytest.param(b"see the wiki", "str where an object should be", id="prose"),
        pytest.param(b"a: !!python/name:os.system", "line 1: no YAML: could not determine a constructor", id="a-tag"),
        pytest.param(b"? [a]\n: b", "line 1: no YAML: found unhashable key", id="a-list-as-key"),
        pytest.param(b"a: *b", "line 1: no YAML: found undefined alias", id="an-alias-of-nothing"),
        pytest.param(b"a: &a {b: *a}", "an alias within itself", id="a-cycle"),
        pytest.param(BOMB.encode(), "its aliases blow up", id="alias-bomb"),
        pytest.param(MERGE_BOMB.encode(), "its aliases blow up", id="merge-bomb"),
        pytest.param(b"[" * 10**6, "nesting", id="flow-nested-beyond-the-stack"),
        pytest.param(b"- " * 10**6, "nesting", id="block-nested-beyond-the-stack"),
        pytest.param(b"a: " + b"[" * 200 + b"]" * 200, "nested deeper than 100", id="nested"),
        pytest.param(b'{"a":' * 10**5, "recursion", id="json-nested-beyond-the-stack"),
        pytest.param(b"a: !!int '" + b"1:" * 10**5 + b"1'", "a number without measure", id="base-60-by-its-tag"),
        pytest.param(b'{"a": ' + b"9" * 10**5 + b"}", "digits", id="a-json-number-without-measure"),
    ],
)
def test_a_bad_file_is_one_fault_with_line_and_cause_in_a_moment(data: bytes, message: str) -> None:
    began = time.process_time()
    documents = read(data, "web.yaml")
    assert time.process_time() - began < 10
    assert documents.objects == {}
    (fault,) = documents.faults
    assert fault.where == "web.yaml"
    assert message in fault.message


def test_a_bad_document_of_a_list_leaves_the_others() -> None:
    documents = read(b"kind: List\nitems: [{a: 1}, 2, {b: 3}]", "f")
    assert documents.objects == {"f[0]": {"a": 1}, "f[2]": {"b": 3}}
    assert [fault.where for fault in documents.faults] == ["f[1]"]


@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(str.encode)
    | st.text(alphabet="ab:&*-[]{}<>!? \n\t\"'#|,%@", max_size=60).map(str.encode)
)
def test_no_bytes_raise_here_or_in_the_reader(data: bytes) -> None:
    read_pods(read(data, "f").objects.items())


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5) | st.lists(st.integers(0, 9)),
    )
)
def test_json_comes_back_as_it_was(value: dict[str, object]) -> None:
    if value.get("kind") not in ("List", "PodList"):
        assert read(json.dumps(value).encode(), "f").objects == {"f": value}
