"""A headless Chromium, driven as a person would drive it, through the DevTools protocol over a WebSocket."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.conftest import REPOSITORY, tool

SCREENSHOTS = REPOSITORY / "build" / "screenshots"
PATIENCE = 30.0
"""Seconds until what is waited for must have come: busy machines are slow."""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--remote-debugging-port=0",
]
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), " ": (32, " "), "Backspace": (8, "")}
SHIFT = 8


class Tab:
    """A page: what it shows, what it said and asked for, and the keys and clicks that are given to it."""

    def __init__(self, connection: ClientConnection, session: str) -> None:
        self._connection = connection
        self._session = session
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network", "Audits", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its result; what the page said meanwhile is noted."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters, "sessionId": self._session}
        self._connection.send(json.dumps(command))
        while True:
            message = json.loads(self._connection.recv(timeout=PATIENCE))
            if message.get("id") == number:
                assert "error" not in message, (method, message)
                return message["result"]
            self._note(message.get("method", ""), message.get("params", {}))

    def _note(self, event: str, told: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(told["args"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif event == "Audits.issueAdded" and "NavigationEntryMarkedSkippable" not in json.dumps(told):
            # The one left out is about steps back over views that nobody touched: tests look at some of those.
            self.complaints.append(json.dumps(told["issue"]))

    def forgive(self, words: str) -> None:
        """Strike out complaints that hold these words; there must be one."""
        left = [complaint for complaint in self.complaints if words not in complaint]
        assert left != self.complaints, (words, self.complaints)
        self.complaints = left

    def open(self, url: str) -> None:
        """Go there, and wait until the page and its modules are loaded; a new fragment alone loads nothing."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, expression: str) -> Any:
        """The value of this JavaScript, awaited; it fails as the script does."""
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until this JavaScript is true of the page."""
        deadline = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"never true: {expression}\n{self.text('main')}\n{self.complaints}"
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def texts(self, selector: str) -> list[str]:
        """The same of everything that is selected."""
        return self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.innerText)")

    def says(self, selector: str, words: str) -> None:
        """Wait until these words stand there."""
        self.until(f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(words)})")

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of the first such element, once there is one."""
        quoted = json.dumps(selector)
        self.until(f"document.querySelector({quoted})?.getClientRects().length")
        middle = (
            f"(() => {{ const one = document.querySelector({quoted}); one.scrollIntoView({{block: 'center'}});"
            " const box = one.getClientRects()[0]; return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        x, y = self.run(middle)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key of `KEYS`."""
        code, text = KEYS[key]
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": SHIFT * shift}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **pressed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def fill(self, selector: str, text: str) -> None:
        """Put the caret into a field, replace what is there and press Enter at once."""
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.press("Backspace")
        self.type(text)
        self.press("Enter")

    def size(self, width: int, height: int, *, dark: bool = False, still: bool = True) -> None:
        """The window's size in pixels, and what its owner prefers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, motion])

    def picture(self, name: str) -> bytes:
        """What the window shows, as PNG; kept as build/screenshots/NAME.png."""
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (SCREENSHOTS / f"{name}.png").write_bytes(png)
        return png


class Browser:
    """Chromium with a profile of its own; every tab is a person of its own, without what others stored."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._connection.send(json.dumps({"id": 0, "method": method, "params": parameters}))
        while (message := json.loads(self._connection.recv(timeout=PATIENCE))).get("id") != 0:
            pass
        return message["result"]

    @contextmanager
    def tab(self) -> Iterator[Tab]:
        """An empty tab, closed at the end."""
        context = self._call("Target.createBrowserContext")["browserContextId"]
        target = self._call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self._connection, session)
        tab.size(1280, 1100)
        try:
            yield tab
        finally:
            self._call("Target.disposeBrowserContext", browserContextId=context)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium with this folder as its profile; where there is none, `tests.conftest.tool` says so."""
    command = [tool("chromium", "chromium-browser"), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(_address(profile, process), proxy=None, max_size=None) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Where Chromium says that it listens, on loopback, once it does."""
    said = profile / "DevToolsActivePort"
    deadline = time.monotonic() + PATIENCE
    while not (said.is_file() and said.read_text().count("\n")):
        assert process.poll() is None, "Chromium did not start"
        assert time.monotonic() < deadline, "Chromium does not listen"
        time.sleep(0.05)
    port, path = said.read_text().split()
    return f"ws://127.0.0.1:{port}{path}"
