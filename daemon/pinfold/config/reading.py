"""Where a configuration stands: file < environment < flags, and the line of each fault in it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from pinfold.config.forms import Fault, Place, UnknownKey, key_of, typed
from pinfold.config.keys import API_VERSION, KIND, Config
from pinfold.errors import PinfoldError

DEFAULT_PATH: Final = Path("/etc/pinfold/config.yaml")
MAX_FILE_BYTES: Final = 1 << 20
_SHOWN: Final = 100


class ConfigError(PinfoldError):
    """The configuration cannot be used; one line for each fault, with the place and the remedy."""

    exit_code = os.EX_CONFIG


def load(path: Path | None, environment: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Config:
    """Read *path* (None: the default path, where it is there), then the environment, then *flags*.

    *flags* maps dotted keys to text: ``report.listen`` → ``127.0.0.1:0``. An environment variable is the key in
    capitals: ``PINFOLD_REPORT_LISTEN``; NODE_NAME serves as ``nodeName``. Raises ConfigError.
    """
    data: dict[str, Any] = {}
    lines: dict[Place, int] = {}
    origin = "the environment or the flags"
    if path is not None or DEFAULT_PATH.is_file():
        origin = str(path or DEFAULT_PATH)
        data, lines = _parsed(path or DEFAULT_PATH)
    if name := environment.get("NODE_NAME"):
        _put(data, ("nodeName",), name)
    if any(variable.startswith("PINFOLD_") for variable in environment):
        keys = {_variable(key): key for key in scalar_keys(Config)}
        for variable in sorted(environment.keys() & keys.keys()):
            _put(data, keys[variable], _scalar(environment[variable]))
    for dotted, text in (flags or {}).items():
        _put(data, tuple(dotted.split(".")), _scalar(text))
    return config_of(data, lines, origin)


def config_of(data: Mapping[str, Any], lines: Mapping[Place, int] | None = None, origin: str = "") -> Config:
    """The configuration of these keys and values; *lines*: where in *origin* they stand. Raises ConfigError."""
    faults: list[Fault | UnknownKey] = []
    config: Config = typed(Config, data, (), faults)
    if faults:
        raise ConfigError("\n".join(_told(fault, lines or {}, origin) for fault in faults))
    return config


def _parsed(path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_FILE_BYTES)
        loader = yaml.CSafeLoader(text)
        node = loader.get_single_node()
        lines: dict[Place, int] = {}
        _note_lines(node, (), lines, set())
        data = loader.construct_document(node) if node else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Name a readable file with --config.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise ConfigError(f"{path} is no YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: the top level is no mapping. Begin with apiVersion: {API_VERSION}, kind: {KIND}.")
    return data, lines


def _note_lines(node: yaml.Node | None, at: Place, lines: dict[Place, int], seen: set[int]) -> None:
    """Note the line (from 1) of every key below *node*; twice the same key is an error, which YAML would hide.

    *seen*: ids of nodes. A second time it is an alias, with which a bundle of a kilobyte could ask for all memory.
    """
    if node is not None and not isinstance(node, yaml.ScalarNode) and id(node) in seen:
        raise ConfigError(f"line {lines.get(at, 1)}: {'.'.join(at)}: an alias. Write out what it stands for.")
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, str(key.value))
            if place in lines:
                raise ConfigError(
                    f"line {key.start_mark.line + 1}: {'.'.join(place)} stands here a second time "
                    f"(first in line {lines[place]}). Keep one."
                )
            lines[place] = key.start_mark.line + 1
            _note_lines(value, place, lines, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*at, str(index))] = value.start_mark.line + 1
            _note_lines(value, (*at, str(index)), lines, seen)


def _told(fault: Fault | UnknownKey, lines: Mapping[Place, int], origin: str) -> str:
    known = next((fault.at[:end] for end in range(len(fault.at), 0, -1) if fault.at[:end] in lines), ())
    where = f"{origin}, line {lines[known]}" if known else origin
    name = ".".join(known or fault.at)
    match fault:
        case UnknownKey(at, others):
            from difflib import get_close_matches

            near = get_close_matches(at[-1], others, 1)
            meant = f"did you mean {near[0]}?" if near else f"write one of {', '.join(others)}."
            return f"{where}: unknown key {'.'.join(at)}: {meant}"
        case Fault(value=value, remedy=remedy):
            return f"{where}: {name}: {_shown(value)}: write {remedy}."


def _shown(value: object) -> str:
    """As the file has it, where that is short."""
    text = json.dumps(value) if isinstance(value, str | int | float | None) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _variable(key: Place) -> str:
    """The environment's name of a key: ``PINFOLD_REPORT_LISTEN``."""
    return "PINFOLD_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", "_".join(key)).upper()


def _scalar(text: str) -> object:
    """A flag's or variable's text as YAML reads it, so that true, 3 and [a, b] mean what they mean in the file."""
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader) if text else text
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def _put(data: dict[str, Any], key: Place, value: object) -> None:
    for part in key[:-1]:
        inner = data.get(part)
        data = data.setdefault(part, {}) if isinstance(inner, dict | None) else {}
    data[key[-1]] = value


def scalar_keys(record: Any, at: Place = ()) -> list[Place]:  # noqa: ANN401
    """The keys that one variable or flag can set, dotted."""
    keys: list[Place] = []
    for field in fields(record):
        key = (*at, key_of(field.name))
        keys += scalar_keys(field.type, key) if is_dataclass(field.type) else [key]
    return keys
