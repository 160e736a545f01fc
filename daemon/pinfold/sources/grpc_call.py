"""One server-streaming gRPC call over a Unix socket.

HTTP/2 is h2's; what gRPC lays over it is a prefix before each message and a status at the end. Source: gRPC over
HTTP2 (grpc/doc/PROTOCOL-HTTP2.md). grpcio would take fifteen times the memory, and threads of its own.
"""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from pinfold.errors import PinfoldError

_PREFIX: Final = 5
"""Bytes: compressed or not, and the length of what follows."""
_PIECE_BYTES: Final = 1 << 16
OK: Final = "0"
_CODES: Final = {
    "1": "CANCELLED",
    "2": "UNKNOWN",
    "4": "DEADLINE_EXCEEDED",
    "7": "PERMISSION_DENIED",
    "8": "RESOURCE_EXHAUSTED",
    "9": "FAILED_PRECONDITION",
    "12": "UNIMPLEMENTED",
    "13": "INTERNAL",
    "14": "UNAVAILABLE",
    "16": "UNAUTHENTICATED",
}


class GrpcError(PinfoldError):
    """The server is not there, is none, or ended the call with another status than OK."""


class Call:
    """Raises GrpcError where nobody listens at *path*. *method*: ``/package.Service/Method``; *request*: its message.

    Silence of *timeout_s* is an error, until `patient`.
    """

    def __init__(self, path: Path, method: str, request: bytes, timeout_s: float, limit_bytes: int) -> None:
        self._path, self._method, self._request, self._limit = path, method, request, limit_bytes
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise GrpcError(f"{path}: {error.strerror or error}") from error

    def patient(self) -> None:
        """From now on the server may be silent for as long as it likes."""
        self._socket.settimeout(None)

    def shut(self) -> None:
        """End a read that another thread sits in."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            return

    def close(self) -> None:
        self._socket.close()

    def messages(self) -> Iterator[bytes]:
        """Each message as it comes, until the server ends the call with OK. Raises GrpcError."""
        import h2.exceptions

        try:
            yield from self._messages()
        except TimeoutError as error:
            raise GrpcError(f"{self._path}: no answer within {self._socket.gettimeout():g} s") from error
        except OSError as error:
            raise GrpcError(f"{self._path}: {error.strerror or error}") from error
        except h2.exceptions.H2Error as error:
            raise GrpcError(f"{self._path}: no HTTP/2, or the server is going away: {error}") from error

    def _messages(self) -> Iterator[bytes]:
        import h2.connection
        import h2.events

        connection = h2.connection.H2Connection()
        connection.initiate_connection()
        stream = connection.get_next_available_stream_id()
        headers = {":method": "POST", ":scheme": "http", ":path": self._method, ":authority": "localhost"}
        headers |= {"te": "trailers", "content-type": "application/grpc", "user-agent": "pinfold"}
        connection.send_headers(stream, list(headers.items()))
        connection.send_data(stream, b"\0" + len(self._request).to_bytes(4) + self._request, end_stream=True)
        held, status = bytearray(), dict[str, str]()
        while True:
            if due := connection.data_to_send():
                self._socket.sendall(due)
            piece = self._socket.recv(_PIECE_BYTES)
            for event in connection.receive_data(piece):
                match event:
                    case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                        status |= {_text(name): _text(value) for name, value in event.headers}
                    case h2.events.DataReceived():
                        connection.acknowledge_received_data(event.flow_controlled_length, stream)
                        held += event.data
                        while (end := self._end(held)) <= len(held):
                            yield bytes(held[_PREFIX:end])
                            del held[:end]
                    case h2.events.StreamEnded():
                        return self._ended(status)
                    case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                        raise GrpcError(f"{self._path}: the call was broken off: {event.error_code}")
            if not piece:
                raise GrpcError(f"{self._path}: the connection was closed")

    def _end(self, held: bytearray) -> int:
        """Where the first message in *held* ends, which may be in what is still to come."""
        if len(held) < _PREFIX:
            return _PREFIX
        if held[0]:
            raise GrpcError(f"{self._path}: a compressed message, which was not asked for")
        if (length := int.from_bytes(held[1:_PREFIX])) > self._limit:
            raise GrpcError(f"{self._path}: a message of {length} bytes; at most {self._limit} are taken")
        return _PREFIX + length

    def _ended(self, status: dict[str, str]) -> None:
        """Raises GrpcError where the server did not end the call with OK."""
        code = status.get("grpc-status", "")
        if code != OK:
            told = ascii(unquote(status.get("grpc-message", ""))[:200])[1:-1]
            named = _CODES.get(code, f"gRPC status {code}") if code else f"HTTP {status.get(':status', '?')}, no gRPC"
            raise GrpcError(f"{self._path}: {named}{f': {told}' if told else ''}")


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
