"""The Status document against its published schema."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from tests.report.samples import crowd, picture

from pinfold.report.snapshot import Snapshot
from pinfold.report.status import to_json

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/status.schema.json").read_text())


def empty() -> Snapshot:
    return replace(picture(), pods=(), sources=(), invalid=(), recent=(), warnings=())


def ending() -> Snapshot:
    of = picture()
    return replace(of, pods=tuple(replace(pod, decision=None, qos=None) for pod in of.pods))


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(picture, id="pinned-drifted-refused-unmanaged"),
        pytest.param(crowd, id="many"),
        pytest.param(empty, id="nothing-there"),
        pytest.param(ending, id="all-pods-end"),
    ],
)
def test_a_status_is_what_the_schema_says(of: Callable[[], Snapshot]) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    document = json.loads(json.dumps(to_json(of())))
    faults = Draft202012Validator(SCHEMA, format_checker=FormatChecker()).iter_errors(document)
    assert [f"{fault.json_path}: {fault.message}" for fault in faults] == []


def objects(schema: object, at: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield at, schema
        for key, value in schema.items():
            yield from objects(value, f"{at}.{key}")


def test_the_schema_takes_no_field_that_it_does_not_name_and_misses_none() -> None:
    for at, schema in objects(SCHEMA):
        assert schema["additionalProperties"] is False, at
        assert schema["required"] == list(schema["properties"]), at


def test_cpus_are_the_kernels_lists_and_the_kernels_word_stands_beside_the_wish() -> None:
    document = to_json(picture())
    engine = next(pod for pod in document["pods"] if pod["name"] == "match-engine")
    assert (engine["pool"], engine["exclusive"], engine["shared"], engine["mems"]) == ("2-5", "2-4", "5", "0")
    assert engine["kernel"]["partition"] == "root"
    assert engine["containers"][0]["kernel"]["cpus"] == "2-4"
    assert engine["containers"][1]["kernel"] is None
    assert document["time"] == "2026-11-24T08:00:00.250Z"
