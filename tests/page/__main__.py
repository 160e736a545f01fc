"""``python -m tests.page DIRECTORY``: the page as a person sees it, in pictures to look at."""

import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

from pinfold.report.http import Endpoint
from tests.page.browser import Browser
from tests.page.nodes import Node, demo, large

LOOKS: dict[str, dict[str, int | bool]] = {
    "light": {"width": 1440, "height": 900},
    "dark": {"width": 1440, "height": 900, "dark": True},
    "phone": {"width": 390, "height": 844, "phone": True},
}


def shares(node: Node) -> dict[int, float]:
    """Slices are busy, shared pools half, the rest a little."""
    found = dict.fromkeys(node.snapshot.topology.online, 0.06)
    for one in node.snapshot.pods:
        found |= {cpu: 0.95 - cpu % 5 * 0.11 for cpu in one.exclusive}
        found |= {cpu: 0.2 + cpu % 3 * 0.15 for cpu in one.shared}
    return found


def main(directory: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    directory.mkdir(parents=True, exist_ok=True)
    makers: dict[str, Callable[[Path], Node]] = {"demo": demo, "large": large}
    with tempfile.TemporaryDirectory() as scratch, Browser() as browser:
        for name, make in makers.items():
            node = make(Path(scratch) / name)
            node.busy = shares(node)
            with Endpoint(node.readings(), listen="127.0.0.1:0") as endpoint:
                url = f"http://{endpoint.addresses[0]}/"
                first = next(pod.full_name for pod in node.snapshot.pods if pod.pool)
                for look, shape in LOOKS.items():
                    with browser.tab() as tab:
                        tab.shape(**shape)  # type: ignore[arg-type]
                        tab.open(url)
                        tab.until("document.querySelector('.busy').textContent")
                        (directory / f"{name}-{look}.png").write_bytes(tab.screenshot(whole=True))
                        (directory / f"{name}-{look}-top.png").write_bytes(tab.screenshot())
                        tab.evaluate("document.getElementById('pods').scrollIntoView()")
                        (directory / f"{name}-{look}-pods.png").write_bytes(tab.screenshot())
                        tab.evaluate(f"location.hash = '#pod={first}'")
                        (directory / f"{name}-{look}-pod.png").write_bytes(tab.screenshot())
                        print(name, look, tab.complaints)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
