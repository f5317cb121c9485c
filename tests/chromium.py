"""A real headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
_START_S = 30.0


class Tab:
    """One open page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=20)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def value(self, script: str) -> Any:
        """What a JavaScript expression gives; a promise is waited for."""
        found = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str, what: str, timeout_s: float = 20) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + timeout_s
        while not await self.value(script):
            assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
            await asyncio.sleep(0.05)

    async def press(self, key: str, code: str) -> None:
        """Press and release one key."""
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code)

    async def look(self, width: int, height: int, *, dark: bool, path: Path) -> None:
        """Save a picture of the page at that size, in the light or the dark theme."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[theme])
        await asyncio.sleep(1.5)
        picture = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(picture["data"]))


@asynccontextmanager
async def opened(address: str, folder: Path) -> AsyncIterator[Tab]:
    """A browser of its own with this page open; `folder` is its profile."""
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--disable-background-networking", "--remote-debugging-port=0", "--no-first-run"),
        *(f"--user-data-dir={folder}", address),
    ]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with aiohttp.ClientSession() as session:
            target = await _target(session, folder / "DevToolsActivePort")
            async with session.ws_connect(target, max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.until("location.protocol === 'http:' && document.readyState === "
                                "'complete'", "the page to load")  # fmt: skip
                yield tab
    finally:
        browser.kill()
        browser.wait()


async def _target(session: aiohttp.ClientSession, port_file: Path) -> str:
    deadline = time.monotonic() + _START_S
    while True:
        assert time.monotonic() < deadline, "Chromium does not start"
        await asyncio.sleep(0.1)
        if not port_file.exists() or not (lines := port_file.read_text().split()):
            continue
        try:
            async with session.get(f"http://127.0.0.1:{lines[0]}/json/list") as answer:
                targets = json.loads(await answer.text())
        except aiohttp.ClientError:
            continue
        for target in targets:
            if target["type"] == "page":
                address: str = target["webSocketDebuggerUrl"]
                return address
