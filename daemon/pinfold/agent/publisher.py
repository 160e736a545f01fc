"""One thread that keeps this node's NodeResourceTopology as the newest snapshot says.

The loop tells and goes on; what it tells while a request is under way replaces what waited. An object that another
manager owns is never touched: two owners would fight over it, and that is told instead.
"""

import json
import threading
from collections.abc import Mapping
from typing import Any, Final

import structlog

from pinfold.report.node_topology import COLLECTION, described, is_ours, made, says
from pinfold.report.snapshot import Snapshot
from pinfold.sources.client import ApiServer, ApiServerError

LOOK_AGAIN_S: Final = 300.0
"""Somebody may have deleted or changed it; or gave it up."""
PAUSE_S: Final = 1.0
"""Between two writes: a scheduler needs no more."""
_LIMIT_BYTES: Final = 4 << 20

log = structlog.get_logger(__name__)


class TopologyPublisher:
    """``tell`` is for the loop, ``fault`` for any thread."""

    def __init__(
        self, server: ApiServer, node: str, pause_s: float = PAUSE_S, look_again_s: float = LOOK_AGAIN_S
    ) -> None:
        self.fault = ""
        """Why the object is not as it should be, one sentence; empty: it is."""
        self._server, self._node = server, node
        self._pause_s, self._look_again_s = pause_s, look_again_s
        self._newest: Snapshot | None = None
        self._published: Mapping[str, Any] | None = None
        self._rang = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node-topology", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def tell(self, snapshot: Snapshot) -> None:
        """Never waits."""
        before, self._newest = self._newest, snapshot
        if before is None or before.generation != snapshot.generation:
            self._rang.set()

    def close(self, wait_s: float = 5.0) -> None:
        """The object stays: a restart disturbs no scheduler."""
        self._closing.set()
        self._rang.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            if not self._rang.wait(self._look_again_s / 10 if self.fault else self._look_again_s):
                self._published = None  # look at it though nothing changed
            self._rang.clear()
            if self._newest and not self._closing.is_set():
                self._publish(described(self._newest))
                self._closing.wait(self._pause_s)

    def _publish(self, content: Mapping[str, Any]) -> None:
        if content == self._published:
            return
        try:
            fault = self._written(content)
        except ApiServerError as error:
            fault = f"the NodeResourceTopology cannot be published: {error}."
        except Exception as error:
            log.exception("topology.faulted")
            fault = f"the NodeResourceTopology cannot be published: {error!r}."
        if fault and fault != self.fault:
            log.warning("topology.unpublished", reason=fault)
        self.fault, self._published = fault, None if fault else content

    def _written(self, content: Mapping[str, Any]) -> str:
        """Why not; empty: it says *content*. Raises ApiServerError."""
        path = f"{COLLECTION}/{self._node}"
        with self._server.ask("GET", path) as answer:
            status, held = answer.status, answer.body(_LIMIT_BYTES)
        if status == 404:
            return _refusal(self._server.send("POST", COLLECTION, made(self._node, content)))
        if status != 200:
            return _refusal(status)
        found = json.loads(held)
        if not is_ours(found):
            return (
                f"the NodeResourceTopology {self._node} is another manager's: Pinfold publishes none beside it. "
                f"Stop that one and delete the object, or switch report.nodeResourceTopology off."
            )
        return (
            "" if says(found, content) else _refusal(self._server.send("PUT", path, made(self._node, content, found)))
        )


def _refusal(status: int) -> str:
    match status:
        case 200 | 201:
            return ""
        case 404:
            return "the cluster has no NodeResourceTopology (topology.node.k8s.io/v1alpha2): install its CRD."
        case 403:
            return "Pinfold may not write NodeResourceTopologies: apply deploy/components/node-resource-topology."
        case _:
            return f"the NodeResourceTopology cannot be published: the API server answered {status}."
