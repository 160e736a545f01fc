"""Raw Kubernetes JSON, walked with its path, so that every complaint can say where.

Pure. ``null`` is the same as absent, as in Kubernetes' own decoding.
"""

from collections.abc import Iterator, Mapping

from pinfold.errors import PinfoldError


class FieldError(PinfoldError, ValueError):
    """What stands at a path and should not. ``reason`` is the word of the InvalidPod that it becomes."""

    def __init__(self, path: str, problem: str, reason: str = "InvalidPod") -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.reason = reason


class Field:
    """A value and where it stands: thousands are made of a node's pods, and hardly ever is a path asked for."""

    __slots__ = ("_key", "_outer", "value")

    def __init__(self, value: object, key: str | int = "", outer: "Field | None" = None) -> None:
        """*key* leads to it in *outer*; of the outermost it is the path."""
        self.value = value
        self._key, self._outer = key, outer

    @property
    def path(self) -> str:
        """The path that leads to it: ``spec.containers[1].name``."""
        outer = "" if self._outer is None else self._outer.path
        if isinstance(self._key, int):
            return f"{outer}[{self._key}]"
        return f"{outer}.{self._key}" if outer else self._key

    def __getitem__(self, key: str) -> "Field":
        """The field *key* of an object; absent fields hold None. Raises FieldError where this is no object."""
        whole = self.value
        return Field(whole.get(key) if type(whole) is dict else self.mapping().get(key), key, self)

    def __bool__(self) -> bool:
        """Whether there is anything but null here."""
        return self.value is not None

    def mapping(self) -> Mapping[str, object]:
        """An object; empty where the field is absent."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise FieldError(self.path, f"is {_kind(self.value)}, not an object")
        return self.value

    def children(self) -> Iterator[tuple[str, "Field"]]:
        """Key and field of each entry of an object."""
        for key in self.mapping():
            if not isinstance(key, str):
                raise FieldError(self.path, f"has the key {key!r}, which is no text")
            yield key, self[key]

    def items(self) -> Iterator["Field"]:
        """The fields of a list."""
        if self.value is None:
            return
        if not isinstance(self.value, list | tuple):
            raise FieldError(self.path, f"is {_kind(self.value)}, not a list")
        for index, value in enumerate(self.value):
            yield Field(value, index, self)

    def text(self) -> str:
        """Text; empty where the field is absent."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            raise FieldError(self.path, f"is {_kind(self.value)}, not text")
        return self.value


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"
