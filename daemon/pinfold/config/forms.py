"""How a value of the file becomes that of a key, or a fault that says what to write instead.

The annotation of a key says how: ``bool``, ``str``, StrEnum, Literal; ``Annotated[…, Form]`` where the text has a form
of its own; ``X | None``, and tuple, frozenset and dict of such; a dataclass is a mapping whose keys are its fields.
Pure, and a tenth of what a library for it takes to import, which every command would wait for.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from ipaddress import ip_address
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pinfold.cpuset import CpuSet
from pinfold.pods.quantity import whole

Place = tuple[str, ...]
"""Where a value stands: the keys down to it, and the index in a list."""


class Form(NamedTuple):
    what: str
    """What to write, for people."""
    read: Callable[[object], Any]
    """Raises ValueError, with a word on it where there is more to say than ``what``."""


@dataclass(frozen=True, slots=True)
class Fault:
    at: Place
    value: object
    remedy: str


@dataclass(frozen=True, slots=True)
class UnknownKey:
    at: Place
    known: tuple[str, ...]
    """The keys that could stand there."""


def typed(kind: Any, value: object, at: Place, faults: list[Fault | UnknownKey]) -> Any:  # noqa: ANN401
    """*value* as the annotation *kind* says. Where it cannot be, a fault is added, and the result means nothing."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return None if value is None else typed(parts[0], value, at, faults)
    if is_dataclass(kind):
        return _record(kind, value, at, faults)
    if origin in {tuple, frozenset}:
        if isinstance(value, list):
            return origin(typed(parts[0], one, (*at, str(index)), faults) for index, one in enumerate(value))
        faults.append(Fault(at, value, "a list: [a, b]"))
    elif origin is dict:
        if isinstance(value, Mapping):
            places = {key: (*at, str(key)) for key in value}
            return {
                typed(parts[0], key, places[key], faults): typed(parts[1], inner, places[key], faults)
                for key, inner in value.items()
            }
        faults.append(Fault(at, value, "keys and values: {key: value}"))
    else:
        form = form_of(kind)
        try:
            return form.read(value)
        except ValueError as error:
            faults.append(Fault(at, value, f"{form.what} ({error})" if str(error) else form.what))
    return None


def _record(kind: Any, value: object, at: Place, faults: list[Fault | UnknownKey]) -> Any:  # noqa: ANN401
    declared = {key_of(field.name): field for field in fields(kind)}
    if not isinstance(value, Mapping):
        faults.append(Fault(at, value, f"keys below it, such as {next(iter(declared))}, or leave it out"))
        return None
    before = len(faults)
    faults += [UnknownKey((*at, str(key)), tuple(declared)) for key in value if key not in declared]
    read = {
        field.name: typed(field.type, value[key], (*at, key), faults) for key, field in declared.items() if key in value
    }
    for key, field in declared.items():
        if key not in value and field.default is field.default_factory is MISSING:
            faults.append(Fault(at, value, f"{key} there too"))
    if len(faults) > before:
        return None
    try:
        return kind(**read)
    except ValueError as error:  # keys that do not go together
        faults.append(Fault(at, value, str(error)))
    return None


def key_of(field: str) -> str:
    """The field's name as the file has it, and the kubelet: ``reservedSystemCPUs``."""
    return re.sub("_(.)", lambda found: found[1].upper(), field).replace("Cpus", "CPUs")


def written(value: object) -> Any:  # noqa: ANN401
    """*value* as JSON values under the file's own keys: what is read again as the same."""
    match value:
        case CpuSet():
            return str(value)
        case float():
            return f"{value:g}s"  # there are no other numbers with a fraction but durations
        case StrEnum():
            return value.value
        case tuple():
            return [written(one) for one in value]
        case frozenset():
            return sorted(map(written, value))
        case dict():
            return {str(written(key)): written(inner) for key, inner in value.items()}
        case _ if is_dataclass(value):
            return {key_of(field.name): written(getattr(value, field.name)) for field in fields(value)}
    return value


def form_of(kind: Any) -> Form:  # noqa: ANN401
    """That of a single value."""
    if get_origin(kind) is Annotated:
        form: Form = kind.__metadata__[-1]
        return form
    if get_origin(kind) is Literal:
        return words({word: word for word in get_args(kind)})
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return words({word.value: word for word in kind})
    return _PLAIN[kind]


def words(meanings: Mapping[str, object]) -> Form:
    """One of some words."""
    *others, last = meanings
    what = f"{', '.join(others)} or {last}" if others else last

    def read(value: object) -> object:
        word = "off" if value is False else value  # YAML reads irqGuard: off as a boolean
        if not isinstance(word, str) or word not in meanings:
            raise ValueError
        return meanings[word]

    return Form(what, read)


def whole_number(least: int, most: int) -> Form:
    def read(value: object) -> int:
        if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    return Form(f"a whole number from {least} to {most}", read)


def _boolean(value: object) -> bool:
    """The kubelet's options are a map to strings."""
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("in quotes, since YAML reads something else")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, str) and value and (match := _DURATION.fullmatch(value)):
        hours, minutes, seconds = match.groups()
        value = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 86400:
        raise ValueError
    return float(value)


def _cpus(value: object) -> CpuSet:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError
    return CpuSet.parse(str(value))  # YAML reads reservedSystemCPUs: 0 as a number


def _address(value: object) -> str:
    match = _ADDRESS.fullmatch(_text(value))
    if value and (match is None or int(match[1]) > 65535):
        raise ValueError
    return _text(value)


def _own_address(value: object) -> str:
    host = _address(value).rpartition(":")[0].removeprefix("[").removesuffix("]")
    if value and host != "localhost" and not ip_address(host).is_loopback:
        raise ValueError
    return _text(value)


def _endpoint(value: object) -> str:
    text = _text(value)
    if text and not text.startswith("unix:///"):
        raise ValueError
    return text


_DURATION = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?")
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[0-9a-fA-F:.]+|[A-Za-z0-9._-]+):(\d{1,5})")
"""An IPv6 address needs no brackets: $(HOST_IP):9733 has none."""
_PLAIN = {
    bool: Form("true or false", _boolean),
    str: Form("text", _text),
}

Bytes = Annotated[int, Form("a quantity such as 512Mi or 8Gi", whole)]
Cpus = Annotated[CpuSet, Form("a CPU list such as 0-3,8", _cpus)]
Seconds = Annotated[float, Form("a duration such as 10s or 1m30s, from 0.1s to 24h", _seconds)]
Address = Annotated[str, Form("HOST:PORT, such as 127.0.0.1:9733, or nothing for no listener", _address)]
OwnAddress = Annotated[
    str, Form("an address of this node alone, such as 127.0.0.1:9732; metricsListen is for others", _own_address)
]
Endpoint = Annotated[str, Form("a socket such as unix:///run/containerd/containerd.sock, or nothing", _endpoint)]
Switch = Annotated[
    bool | Literal["auto"],
    Form("auto, true or false", lambda value: value if value == "auto" else _boolean(value)),
]
