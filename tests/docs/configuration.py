"""Write docs/configuration.md from the fields of the configuration: ``python -m tests.docs.configuration``."""

import ast
import inspect
import types
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from pinfold import config
from pinfold.cpuset import CpuSet

PAGE = Path(__file__).resolve().parents[2] / "docs/configuration.md"
_TOP = """# Configuration

Generated from the code by `make docs`; a test holds it.

One YAML file, `/etc/pinfold/config.yaml` or what `--config` names. An environment variable overrides a key of the file,
and `--set key=value` overrides both: `report.listen` is `PINFOLD_REPORT_LISTEN` and `--set report.listen=…`. Words and
values are the kubelet's (`KubeletConfiguration`) where it has them. SIGHUP reads it again; a file with a fault is
refused with its line and the remedy, and the old one holds. `pinfold config check` shows what holds, with all defaults.

```yaml
apiVersion: pinfold.dev/v1alpha1
kind: PinfoldConfiguration
reservedSystemCPUs: 0-1
topologyManagerPolicy: single-numa-node
```

| key | default | values | meaning |
|---|---|---|---|
"""


class Key(NamedTuple):
    name: str
    default: str
    values: str
    meaning: str


def told() -> tuple[Key, ...]:
    return tuple(_keys(config.Config, "", config.Config().dumped()))


def _keys(model: type[BaseModel], above: str, defaults: Mapping[str, Any]) -> Iterator[Key]:
    meanings = _meanings(model)
    for name, field in model.model_fields.items():
        alias = field.alias or to_camel(name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _keys(inner, f"{above}{alias}.", defaults[alias])
            continue
        of_each = next((one for one in get_args(inner) if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if of_each:
            yield Key(f"{above}{alias}", "none", "a list of", meanings[name])
            yield from _keys(of_each, f"{above}{alias}[].", {})
            continue
        values = _values(Annotated[(inner, *field.metadata)] if field.metadata else inner)
        yield Key(f"{above}{alias}", _default(defaults.get(alias)), values, meanings[name])


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Field → the text below it in the source, as one line."""
    (tree,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(tree, ast.ClassDef)
    told: dict[str, str] = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                told[name] = " ".join(words.split()).replace("``", "`")
    return told


def _default(value: object) -> str:
    match value:
        case None | "" | [] | {}:
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case _:
            return f"`{value}`"


def _values(kind: Any) -> str:  # noqa: ANN401
    origin, parts = get_origin(kind), get_args(kind)
    match kind:
        case _ if "_seconds" in str(parts):
            return "a duration, `0.1s` to `24h`"
        case _ if origin is Annotated:
            bounds = [
                f"{word} {getattr(one, name)}" for one in parts[1:] for name, word in _BOUNDS if hasattr(one, name)
            ]
            return " ".join([_values(parts[0]), *bounds])
        case _ if origin is Literal:
            return ", ".join(f"`{one}`" for one in parts)
        case _ if origin is dict:
            return f"{_values(parts[0])}: each {_values(parts[1])}"
        case _ if origin in {frozenset, tuple, list}:
            return f"a list of {_values(parts[0])}"
        case _ if origin is types.UnionType or parts:
            return ", ".join(_values(one) for one in parts if one is not type(None))
        case type() if issubclass(kind, StrEnum):
            return ", ".join(f"`{one.value}`" for one in kind)
    return _WORDS[kind]


_BOUNDS = (("ge", "from"), ("le", "to"))
_WORDS = {str: "text", bool: "`true`, `false`", int: "a whole number", float: "a number", CpuSet: "a CPU list, `0-3,8`"}


def page() -> str:
    rows = (f"| `{one.name}` | {one.default} | {one.values} | {one.meaning} |" for one in told())
    return _TOP + "".join(f"{row.replace('|  |', '| |')}\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(page())
