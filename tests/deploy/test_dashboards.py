"""The dashboards over a real Prometheus that scrapes a node: each panel has something to show."""

import json
import time
from dataclasses import replace
from pathlib import Path

from tests.deploy.prometheus import DEPLOY, TOKEN, needed, prometheus, shipped_port
from tests.page.nodes import Node, demo

PATIENCE_S = 120.0

pytestmark = needed


def panels() -> dict[str, str]:
    """Title and place → what it asks, of the demo's node."""
    found = {}
    for file in sorted((DEPLOY / "monitoring/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for number, target in enumerate(panel["targets"]):
                query = target["expr"].replace("$__rate_interval", "1m").replace("$node", "worker-1")
                found[f"{file.stem}: {panel['title']} {number}"] = query
    return found


def a_second_passes(node: Node) -> None:
    """In which all that is counted happens once."""
    node.pass_seconds(1)
    counters = node.snapshot.counters.reconciled(0.004, writes=3, writes_refused=1).mended({"rewritten": 1})
    counters = counters.confined("pod", {"seen": 0.01, "confined": 0.02}).started_outside(1, 1)
    node.snapshot = replace(node.snapshot, counters=counters)


def test_every_panel_shows_numbers(tmp_path: Path) -> None:
    """Of the demo's node, where a pod is refused and another drifted."""
    node = demo(tmp_path / "node")
    empty = panels()
    assert len(empty) > 30
    with shipped_port(node.readings(), tmp_path) as address, prometheus(address, tmp_path, TOKEN) as query:
        deadline = time.monotonic() + PATIENCE_S
        while empty and time.monotonic() < deadline:
            a_second_passes(node)
            time.sleep(1)
            for panel, text in list(empty.items()):
                if any(one["value"][1] != "NaN" for one in query(text)):
                    del empty[panel]
    assert empty == {}
