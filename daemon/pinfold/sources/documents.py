"""Objects out of the text of a manifest: YAML or JSON, one document or many, a List or each by itself.

Bytes in, values out; the numbers and words are read as the kubelet's YAML reads them. What an alias may blow up, and
how deep a nesting goes, is bounded before a single object is made.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from pinfold.pods.model import InvalidPod
from pinfold.sources.picture import RawPod

MAX_DEPTH: Final = 100
MAX_BLOW_UP: Final = 10
"""How many times its written nodes a document may have when its aliases are spelled out."""
MAX_NUMBER_DIGITS: Final = 400
_LISTS: Final = ("List", "PodList")


@dataclass(frozen=True, slots=True)
class Documents:
    objects: Mapping[str, RawPod] = field(default_factory=dict)
    """By the name given, ``web.yaml``; ``web.yaml[1]`` where there are several. Whole: not trimmed."""
    faults: tuple[InvalidPod, ...] = ()


class _Loader(yaml.CSafeLoader):
    """Scalars as in the kubelet's YAML: no dates, no base-60 numbers, ``1e3`` is a number."""


_Loader.yaml_implicit_resolvers = {}  # none of the base class's
for _tag, _form in {
    "bool": r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE",
    "null": r"~|null|Null|NULL|",
    "merge": r"<<",
    "int": r"[-+]?(?:0b[01]{1,64}|0o?[0-7]{1,22}|0x[0-9a-fA-F]{1,16}|0|[1-9][0-9]{0,19})",
    "float": r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_form})\Z"), None)


def read(data: bytes, name: str) -> Documents:
    """The objects of one file; *name* is fit to be shown. A fault in the text leaves nothing of the file."""
    try:
        text = data.decode("utf-8-sig")
        documents = [json.loads(text)] if text.lstrip().startswith("{") else list(_documents(text))
    except UnicodeDecodeError as error:
        return _faulty(name, f"byte {error.start} is no UTF-8. Save the file as UTF-8.")
    except json.JSONDecodeError as error:
        return _faulty(name, f"line {error.lineno}: no JSON: {error.msg}. Correct it, or write YAML without braces.")
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        return _faulty(name, f"{line}no YAML: {error.problem}. Correct it.")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return _faulty(name, f"no YAML: {' '.join(str(error).split())[:200]}. Correct it.")
    several = [one for document in documents for one in _each(document)]
    objects: dict[str, RawPod] = {}
    faults: list[InvalidPod] = []
    for index, one in enumerate(several):
        where = name if len(several) == 1 else f"{name}[{index}]"
        if isinstance(one, Mapping):
            objects[where] = one
        else:
            message = f"{type(one).__name__} where an object should be. Begin with apiVersion: v1, kind: Pod."
            faults.append(InvalidPod("InvalidPod", message, where))
    return Documents(objects, tuple(faults))


def _faulty(name: str, message: str) -> Documents:
    return Documents(faults=(InvalidPod("InvalidPod", message, name),))


def _each(document: object) -> Iterator[object]:
    if isinstance(document, Mapping) and document.get("kind") in _LISTS and isinstance(document.get("items"), list):
        yield from document["items"]
    elif document is not None:  # nothing but comments
        yield document


def _documents(text: str) -> Iterator[object]:
    loader = _Loader(text)
    try:
        while loader.check_node() and (node := loader.get_node()):
            written: dict[int, int] = {}
            if _size(node, written, 0) > MAX_BLOW_UP * max(len(written), 1000):
                raise yaml.MarkedYAMLError(problem="its aliases blow up", problem_mark=node.start_mark)
            yield loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, sizes: dict[int, int], depth: int) -> int:
    """How many nodes *node* is with its aliases spelled out; *sizes* remembers each node by id."""
    if depth > MAX_DEPTH:
        raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH}", problem_mark=node.start_mark)
    if (known := sizes.get(id(node))) is not None:
        if not known:
            raise yaml.MarkedYAMLError(problem="an alias within itself", problem_mark=node.start_mark)
        return known
    sizes[id(node)] = 0
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_size(one, sizes, depth + 1) for one in node.value)
    elif isinstance(node, yaml.MappingNode):
        size += sum(_size(one, sizes, depth + 1) for pair in node.value for one in pair)
    elif len(node.value) > MAX_NUMBER_DIGITS and node.tag.endswith((":int", ":float")):
        raise yaml.MarkedYAMLError(problem="a number without measure", problem_mark=node.start_mark)
    sizes[id(node)] = size
    return size
