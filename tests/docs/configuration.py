"""Write docs/configuration.md from the fields of the configuration: ``python -m tests.docs.configuration``."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pinfold.config import Config
from pinfold.config.forms import form_of, key_of

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
    return tuple(_keys(Config, "", Config().dumped()))


def _keys(record: Any, above: str, defaults: Mapping[str, Any]) -> Iterator[Key]:  # noqa: ANN401
    meanings = _meanings(record)
    for field in fields(record):
        name, kind = key_of(field.name), field.type
        if is_dataclass(kind):
            yield from _keys(kind, f"{above}{name}.", defaults[name])
        elif of_each := next((one for one in get_args(kind) if is_dataclass(one)), None):
            yield Key(f"{above}{name}", "none", "a list of", meanings[field.name])
            yield from _keys(of_each, f"{above}{name}[].", {})
        else:
            yield Key(f"{above}{name}", _default(defaults.get(name)), _values(kind), meanings[field.name])


def _meanings(record: type) -> dict[str, str]:
    """Field → the text below it in the source, as one line."""
    (tree,) = ast.parse(inspect.getsource(record)).body
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
        case _ if origin is Literal:
            return ", ".join(f"`{one}`" for one in parts)
        case _ if origin is dict:
            return f"{_values(parts[0])}: each {_values(parts[1])}"
        case _ if origin in {frozenset, tuple}:
            return f"a list of {_values(parts[0])}"
        case _ if parts and parts[-1] is type(None):
            return _values(parts[0])
        case type() if issubclass(kind, StrEnum):
            return ", ".join(f"`{one.value}`" for one in kind)
    return form_of(kind).what


def page() -> str:
    rows = (f"| `{one.name}` | {one.default} | {one.values} | {one.meaning} |" for one in told())
    return _TOP + "".join(f"{row.replace('|  |', '| |')}\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(page())
