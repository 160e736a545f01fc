"""What could be otherwise in a module: each function's code, changed a little in one place (mutmut's own changes)."""

import difflib
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

import libcst
from mutmut.mutation.file_mutation import create_mutations, deep_replace

PACKAGE = Path(__file__).resolve().parents[2] / "daemon/pinfold"
_DECORATOR = re.compile(r"(?m)^ *@[\w.]+(\(.*\))?$")
"""Left out: mutmut passes over what is decorated, since it writes modules; here only code is exchanged."""


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    """``planning.take.take.3``: the third change of that function."""
    function: FunctionType
    code: CodeType
    change: tuple[str, ...]
    """The lines that differ, as in a diff."""


def mutants(source: str) -> Iterator[Mutant]:
    """Those of the module at *source*, below ``daemon/pinfold``; none of what runs when a module is imported."""
    name = source.removesuffix(".py").replace("/", ".")
    text = _DECORATOR.sub("", (PACKAGE / source).read_text())
    tree, mutations, _, _ = create_mutations(source, text)
    functions = dict(_functions(tree))
    counts = dict.fromkeys(functions.values(), 0)
    for mutation in mutations:
        outer = mutation.contained_by_top_level_function
        if not isinstance(outer, libcst.FunctionDef):
            continue
        counts[functions[outer]] += 1
        changed = deep_replace(outer, mutation.original_node, mutation.mutated_node)
        assert isinstance(changed, libcst.FunctionDef)
        yield Mutant(
            f"{name}.{functions[outer]}.{counts[functions[outer]]}",
            _running(importlib.import_module(f"pinfold.{name}"), functions[outer]),
            _compiled(changed),
            tuple(_difference(_text(outer), _text(changed))),
        )


def _functions(tree: libcst.Module) -> Iterator[tuple[libcst.FunctionDef, str]]:
    """With their names, ``CpuSet.parse``."""
    for node in tree.body:
        if isinstance(node, libcst.FunctionDef):
            yield node, node.name.value
        elif isinstance(node, libcst.ClassDef):
            for inner in node.body.body:
                if isinstance(inner, libcst.FunctionDef):
                    yield inner, f"{node.name.value}.{inner.name.value}"


def _running(place: object, name: str) -> FunctionType:
    """The function that runs under this name, whatever it is decorated with."""
    for part in name.split("."):
        place = vars(place)[part]
    while not isinstance(place, FunctionType):
        wrapped = (getattr(place, field, None) for field in ("fget", "__func__", "__wrapped__", "func"))
        place = next(one for one in wrapped if one is not None)
    return place


def _compiled(function: libcst.FunctionDef) -> CodeType:
    """Compiled alone: its defaults and what is around it stay as they are."""
    codes = (one for one in compile(_text(function), "mutant", "exec").co_consts if isinstance(one, CodeType))
    return next(code for code in codes if code.co_name == function.name.value)


def _text(function: libcst.FunctionDef) -> str:
    return str(libcst.Module([function]).code)


def _difference(before: str, after: str) -> Iterator[str]:
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0):
        if line[:1] in "+-" and not line.startswith(("---", "+++")):
            yield line
