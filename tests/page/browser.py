"""Chromium without a window, told what to do over two pipes (``--remote-debugging-pipe``): no driver, no web socket.

Source: chromedevtools.github.io/devtools-protocol. Messages are JSON, each ended by a zero byte.
"""

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 60.0
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
)

KEYS = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}


class BrowserError(Exception):
    """Chromium did not do what it was told, or said that the page is faulty."""


class Browser:
    """One process. Raises BrowserError where it says nothing for too long."""

    def __init__(self) -> None:
        if CHROMIUM is None:
            raise BrowserError("no chromium here")
        self._profile = tempfile.mkdtemp(prefix="pinfold-chromium-")
        down, self._down = os.pipe()
        self._up, up = os.pipe()
        # The pipes are to be its descriptors 3 and 4; the shell puts them there, whatever their numbers here.
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                f'exec 3<&{down} 4>&{up}; exec "$@"',
                "bash",
                CHROMIUM,
                *_FLAGS,
                f"--user-data-dir={self._profile}",
            ],
            pass_fds=(down, up),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(down)
        os.close(up)
        self._rest = b""
        self._count = 0

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        os.close(self._down)
        os.close(self._up)
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, method: str, session: str | None = None, **parameters: object) -> int:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._down, json.dumps(message).encode() + b"\0")
        return self._count

    def receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._up], [], [], max(deadline - time.monotonic(), 0))
            piece = os.read(self._up, 1 << 20) if ready else b""
            if not piece:
                raise BrowserError("chromium says nothing")
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    @contextmanager
    def tab(self) -> Iterator["Tab"]:
        """A page with a memory of its own."""
        context = self._call("Target.createBrowserContext")["browserContextId"]
        target = self._call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Audits"):
            tab.call(f"{domain}.enable")
        yield tab
        self._call("Target.disposeBrowserContext", browserContextId=context)

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        return Tab(self, None).call(method, **parameters)


class Tab:
    """A page, and all that it complained about."""

    def __init__(self, browser: Browser, session: str | None) -> None:
        self._browser, self._session = browser, session
        self.complaints: list[str] = []
        """Uncaught errors, errors and warnings of the console, violations of the content security policy."""

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = self._browser.send(method, self._session, **parameters)
        deadline = time.monotonic() + PATIENCE_S
        while (message := self._browser.receive(deadline)).get("id") != number:
            self._hear(message)
        if "error" in message:
            raise BrowserError(f"{method}: {message['error']}")
        result: dict[str, Any] = message["result"]
        return result

    def _hear(self, message: dict[str, Any]) -> None:
        said = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in {"error", "warning", "assert"}:
                self.complaints.append(json.dumps(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(said["entry"]["text"])
            case "Audits.issueAdded":
                self.complaints.append(json.dumps(said["issue"]))

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until it is true."""
        wait_until(lambda: bool(self.evaluate(f"Boolean({expression})")), expression)

    def press(self, key: str) -> None:
        facts = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **facts, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def shape(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, whole: bool = False) -> bytes:
        """A PNG; *whole*: also what lies below."""
        return b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"])

    def accessibility(self) -> list[tuple[str, str]]:
        """Role and name of all that assistive technology is told, in order."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise BrowserError(f"never: {what}")
        time.sleep(0.05)
