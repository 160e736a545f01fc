"""Asks the running daemon: over its unix socket, or over its address on this node."""

import http.client
import json
import os
import socket
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from pinfold.cli.main import ADDRESS, SOCKET
from pinfold.errors import PinfoldError

TIMEOUT_SECONDS = 10.0
_NOT_MODIFIED = 304


class UnreachableError(PinfoldError):
    """No daemon answers, or it cannot answer yet."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def status(options: Namespace) -> dict[str, Any]:
    """The Status document of the daemon that *options* name. Raises UnreachableError."""
    return ask(options, "/status")


def ask(options: Namespace, path: str) -> dict[str, Any]:
    """The JSON document that the daemon answers *path* with. Raises UnreachableError."""
    _, body, _ = _answer(options, path)
    document: dict[str, Any] = json.loads(body)
    return document


def newer(options: Namespace, known: str) -> tuple[dict[str, Any] | None, str]:
    """The Status document and its tag; None where it is the *known* one still. Raises UnreachableError."""
    code, body, tag = _answer(options, "/status", known)
    return (None if code == _NOT_MODIFIED else json.loads(body)), tag


def _answer(options: Namespace, path: str, known: str = "") -> tuple[int, bytes, str]:
    """Status, body and tag of what came from the first place that answers."""
    tried = []
    for place, connect in _places(options):
        try:
            with closing(connect()) as connection:
                connection.request("GET", path, headers={"If-None-Match": known} if known else {})
                response = connection.getresponse()
                body = response.read()
        except (OSError, http.client.HTTPException) as error:
            tried.append(f"{place}: {getattr(error, 'strerror', None) or error}")
            continue
        if response.status not in {200, _NOT_MODIFIED}:
            raise UnreachableError(f"{place} answered {body.decode(errors='replace').strip()}. Try again in a moment.")
        return response.status, body, response.headers.get("ETag", "")
    raise UnreachableError(
        f"no daemon answers. {'; '.join(tried)}. Start it (pinfold run), or name it with --address or --socket."
    )


def _places(options: Namespace) -> Iterator[tuple[str, Callable[[], http.client.HTTPConnection]]]:
    """What was named, by a flag or in the environment; else both defaults."""
    path = options.socket or (not options.address and os.environ.get("PINFOLD_REPORT_SOCKET")) or ""
    address = options.address or (not path and os.environ.get("PINFOLD_REPORT_LISTEN")) or ""
    if path or not address:
        yield path or SOCKET, lambda: _UnixConnection(path or SOCKET)
    if address or not path:
        yield address or ADDRESS, lambda: http.client.HTTPConnection(address or ADDRESS, timeout=TIMEOUT_SECONDS)
