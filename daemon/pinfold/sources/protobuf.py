"""Messages of protobuf out of a table of the fields that are read; all others are passed over.

protobuf itself is loaded when the first message comes: who has no such source goes without.
"""

from collections.abc import Mapping
from typing import Any, Final

from pinfold.errors import PinfoldError

Table = Mapping[str, Mapping[str, tuple[int, str]]]
"""Message → field → its number and type: a scalar's or a message's name, ``repeated X``, ``map X`` from text to X."""

_PACKAGE: Final = "pinfold"
_REPEATED, _MAP = "repeated ", "map "
_SCALARS: Final = ("string", "bytes", "bool", "int32", "int64")


class ProtobufError(PinfoldError):
    """Bytes that are no such message."""


def classes(table: Table) -> Mapping[str, Any]:
    """A class for each message of *table*. Source: google.protobuf.descriptor_pb2."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    of_field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="messages.proto", package=_PACKAGE, syntax="proto2")

    def add(message: Any, name: str, number: int, kind: str, *, repeated: bool = False) -> None:  # noqa: ANN401
        label = of_field.LABEL_REPEATED if repeated else of_field.LABEL_OPTIONAL
        field = message.field.add(name=name, number=number, label=label)
        if kind in _SCALARS:
            field.type = getattr(of_field, f"TYPE_{kind.upper()}")
        else:
            field.type, field.type_name = of_field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"

    for name, fields in table.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            if kind.startswith(_MAP):
                entry = message.nested_type.add(name=f"{field[0].upper()}{field[1:]}Entry")
                entry.options.map_entry = True
                add(entry, "key", 1, "string")
                add(entry, "value", 2, kind.removeprefix(_MAP))
                add(message, field, number, f"{name}.{entry.name}", repeated=True)
            else:
                add(message, field, number, kind.removeprefix(_REPEATED), repeated=kind.startswith(_REPEATED))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in table}


def parsed(kind: Any, data: bytes) -> Any:  # noqa: ANN401  its fields are those of the table
    """*data* as a message of the class *kind*. Raises ProtobufError."""
    from google.protobuf.message import DecodeError

    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise ProtobufError(f"{len(data)} bytes that are no {kind.DESCRIPTOR.name}: {error}") from error
    return message


def text(value: Any) -> Any:  # noqa: ANN401  of any scalar type
    """Text that is not UTF-8 comes as bytes: what is none becomes U+FFFD, as in Go's JSON."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
