"""What an API server keeps: pods, their versions, and the history that a watch is served from."""

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final

Pod = Mapping[str, Any]

END: Final = object()
"""In a stream: the watch is closed in good order."""
CUT: Final = object()
"""In a stream: the connection is reset."""


def encoded(value: object) -> bytes:
    """JSON as Go writes it: what a browser could take for a tag is six bytes each."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026").encode()


class ExpiredError(Exception):
    """The version asked for is no longer, or not yet, in the history."""


@dataclass(frozen=True, eq=False)
class Stream:
    """One open watch: what is put in goes out on the wire, byte for byte."""

    node: str
    out: "SimpleQueue[object]" = field(default_factory=SimpleQueue)


class Store:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.version = 1000
        self.pods: dict[str, Pod] = {}
        self.streams: list[Stream] = []
        self.late = False
        """Nothing of what happens is told on the watches that are open, as when they are far behind."""
        self._oldest = self.version
        self._history: list[tuple[int, str, bytes]] = []
        """Version, node, line."""

    def put(self, pod: Pod) -> Pod:
        """Create or replace, by ``metadata.uid``."""
        with self.lock:
            change = "MODIFIED" if pod["metadata"]["uid"] in self.pods else "ADDED"
            stored = self._stamped(pod)
            self.pods[pod["metadata"]["uid"]] = stored
            self._tell(change, stored)
            return stored

    def delete(self, uid: str) -> Pod:
        with self.lock:
            gone = self._stamped(self.pods.pop(uid))
            self._tell("DELETED", gone)
            return gone

    def forget_history(self) -> None:
        """Compact: every version before this one is too old for a watch, and for the token of a list."""
        with self.lock:
            self.version += 1
            self._oldest = self.version
            self._history.clear()

    def watch(self, node: str, version: int) -> Stream:
        """A stream that begins after *version*. Raises ExpiredError."""
        with self.lock:
            if version < self._oldest:
                raise ExpiredError(f"too old resource version: {version} ({self._oldest})")
            stream = Stream(node)
            for at, where, line in self._history:
                if at > version and node in {"", where}:
                    stream.out.put(line)
            self.streams.append(stream)
            return stream

    def close(self, stream: Stream) -> None:
        with self.lock:
            self.streams = [one for one in self.streams if one is not stream]

    def page(self, node: str, version: int, after: str, limit: int) -> tuple[list[Pod], str]:
        """Up to *limit* pods of *node* with a UID above *after*, and the last of these if more follow."""
        with self.lock:
            if after and version < self._oldest:
                raise ExpiredError("The provided continue parameter is too old")
            mine = [uid for uid, pod in sorted(self.pods.items()) if node in {"", _node(pod)} and uid > after]
            taken = mine[:limit] if limit else mine
            return [self.pods[uid] for uid in taken], taken[-1] if len(taken) < len(mine) else ""

    def say(self, words: Iterable[object]) -> None:
        """Put *words* (bytes, END, CUT) on every open watch."""
        with self.lock:
            for word in words:
                for stream in self.streams:
                    stream.out.put(word)

    def _stamped(self, pod: Pod) -> Pod:
        self.version += 1
        return {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(self.version)}}

    def _tell(self, change: str, pod: Pod) -> None:
        line = encoded({"type": change, "object": pod}) + b"\n"
        self._history.append((self.version, _node(pod), line))
        for stream in self.streams if not self.late else ():
            if stream.node in {"", _node(pod)}:
                stream.out.put(line)


def _node(pod: Pod) -> str:
    return str(pod.get("spec", {}).get("nodeName", ""))
