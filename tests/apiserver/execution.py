"""``exec`` into a container over a WebSocket, as kubectl asks for it since 1.30: one command, its output, its status.

Source: RFC 6455; k8s.io/apimachinery/pkg/util/remotecommand (v5.channel.k8s.io): each message begins with the number of
its channel. Nothing is read from the client: the commands of the tests take no input.
"""

import base64
import hashlib
import json
import re
import struct
import subprocess
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, urlsplit

PATH: Final = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/pods/(?P<name>[^/]+)/exec")
PROTOCOL: Final = "v5.channel.k8s.io"
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STDOUT, _STDERR, _ERROR = 1, 2, 3

Container = Callable[[str, list[str]], subprocess.CompletedProcess[bytes]]
"""What runs a command in the pod of that name."""


def accepted(key: str) -> str:
    """Sec-WebSocket-Accept for a client's key."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324 the RFC's own


def command(target: str) -> list[str]:
    """The words of the command in the query of *target*."""
    return parse_qs(urlsplit(target).query).get("command", [])


def frames(done: subprocess.CompletedProcess[bytes]) -> bytes:
    """Everything that the server says of *done*, its farewell included."""
    said = [(_STDOUT, done.stdout), (_STDERR, done.stderr), (_ERROR, _status(done.returncode))]
    return b"".join(_frame(0x2, bytes([channel]) + data) for channel, data in said if data) + _frame(0x8, b"\x03\xe8")


def _status(code: int) -> bytes:
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    details = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
    message = f"command terminated with non-zero exit code: exit status {code}"
    status = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": details}
    return json.dumps(status).encode()


def _frame(opcode: int, data: bytes) -> bytes:
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
    return head + data
