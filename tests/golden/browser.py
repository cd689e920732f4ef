"""Headless Chromium, driven through chromedriver's W3C protocol, with no further package."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--no-first-run",
]


def missing_program() -> str | None:
    """Why there can be no browser here, ``None`` if there can; CI has promised one."""
    if os.environ.get("CI") == "true":
        return None
    for name in ("chromium", "chromedriver"):
        if shutil.which(name) is None:
            return f"no {name} on this machine; .ci/chromium.sh installs it"
    return None


@dataclass
class Browser:
    """One session."""

    url: str

    def call(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        answer = requests.request(
            method, self.url + path, json=body if method == "POST" else None, timeout=600
        )
        answer.raise_for_status()
        return answer.json()["value"]

    def cdp(self, command: str, **params: Any) -> Any:
        """A command of the Chrome DevTools protocol."""
        return self.call("/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, page: Path) -> None:
        self.call("/url", {"url": page.resolve().as_uri()})

    def resize(self, width: int, height: int = 900) -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str = "light", media: str = "screen") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", media=media, features=features)

    def script(self, code: str) -> Any:
        return self.call("/execute/sync", {"script": code, "args": []})

    def wait_for(self, promise: str) -> Any:
        """What a promise of JavaScript gives in the end."""
        code = f"const done = arguments[0]; ({promise}).then(done, error => done(String(error)));"
        return self.call("/execute/async", {"script": code, "args": []})

    def log(self, kind: str) -> list[dict[str, Any]]:
        return list(self.call("/se/log", {"type": kind}))

    def requested(self) -> list[str]:
        """URLs of everything requested since this was last asked."""
        events = (json.loads(entry["message"])["message"] for entry in self.log("performance"))
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def picture(self, path: Path | None = None, *, whole: bool = False) -> bytes:
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        data = base64.b64decode(shot["data"])
        if path is not None:
            path.write_bytes(data)
        return data

    def sheets(self) -> int:
        """On how many sheets the page is printed."""
        printed = self.cdp("Page.printToPDF", preferCSSPageSize=True)["data"]
        return len(re.findall(rb"/Type */Page\b", base64.b64decode(printed)))


@contextmanager
def browse(*, scripts: bool = True) -> Iterator[Browser]:
    """A browser, closed at the end; ``scripts=False`` is one where nobody's scripts run."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    session = None
    try:
        port = _port(driver)
        chrome: dict[str, Any] = {"args": OPTIONS, "perfLoggingPrefs": {"enableNetwork": True}}
        if not scripts:
            chrome["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        wanted = {
            "browserName": "chrome",
            "timeouts": {"script": None},  # a busy machine is no fault of a page
            "goog:chromeOptions": chrome,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        server = Browser(f"http://127.0.0.1:{port}/session")
        session = server.call("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        yield Browser(f"{server.url}/{session}")
    finally:
        if session is not None:
            requests.delete(f"{server.url}/{session}", timeout=60)
        driver.terminate()
        driver.wait(30)


def _port(driver: subprocess.Popen[str]) -> int:
    assert driver.stdout is not None
    deadline = time.monotonic() + 60
    for line in driver.stdout:
        match = re.search(r"started successfully on port (\d+)", line)
        if match:
            return int(match[1])
        assert time.monotonic() < deadline
    raise AssertionError("chromedriver ended")
