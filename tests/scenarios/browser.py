"""A headless Chromium, driven over its DevTools protocol: pages looked at, screenshots kept, every request it makes seen.

Only what the scenarios need; no Selenium, no Playwright: a WebSocket and JSON.
"""

import base64
import itertools
import json
import shutil
import struct
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

import websocket

from sportello import PATIENCE, _die_with_parent, check, until

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
         "--disable-extensions", "--mute-audio", "--hide-scrollbars", "--remote-debugging-port=0",
         "--remote-allow-origins=*"]


class Browser:
    """One browser with a profile of its own, and with `flags` beside the usual ones."""

    def __init__(self, *flags):
        self.profile = Path(tempfile.mkdtemp(prefix="sportello-chromium-"))
        # Chromium starts many processes; its own group lets them all be ended.
        self.process = subprocess.Popen(["chromium", *FLAGS, *flags, f"--user-data-dir={self.profile}", "about:blank"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=_die_with_parent)
        port_file = self.profile / "DevToolsActivePort"
        until(lambda: port_file.exists() and len(port_file.read_text().splitlines()) >= 2, "Chromium opens its port", 60)
        port, path = port_file.read_text().splitlines()[:2]
        self.socket = websocket.create_connection(f"ws://127.0.0.1:{port}{path}", timeout=PATIENCE,
                                                  max_size=None, suppress_origin=True)
        self.numbers = itertools.count(1)
        self.events = []

    def call(self, method, session=None, **parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self.socket.send(json.dumps(message))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == number:
                check("error" not in answer, f"{method}: {answer.get('error')}")
                return answer["result"]
            self.events.append(answer)
        raise AssertionError(f"{method}: no answer")

    def page(self, width=1280, height=900, dark=False, javascript=True):
        return Page(self, width, height, dark, javascript)

    def close(self):
        try:
            self.call("Browser.close")
        except (AssertionError, websocket.WebSocketException, OSError):
            pass
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Page:
    """One tab. `requests` are the addresses it asked for, `problems` what its console and its scripts complained of."""

    def __init__(self, browser, width, height, dark, javascript):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        if not javascript:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def open(self, url):
        result = self.call("Page.navigate", url=url)
        check("errorText" not in result, f"{url}: {result.get('errorText')}")
        until(lambda: self.evaluate("document.readyState") == "complete", f"{url} is loaded")
        return self

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        check("exceptionDetails" not in result, f"{expression}: {result.get('exceptionDetails')}")
        return result["result"].get("value")

    def text(self):
        return self.evaluate("document.body.innerText")

    def screenshot(self, path):
        """Keeps a picture of the whole page, as long as it is; gives a small one to be looked at by `colours`."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._picture(1))
        return self._picture(0.25)

    def _picture(self, scale):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 4000), "scale": scale}
        answer = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def width(self):
        """How wide the content is: wider than the window means scrolling sideways."""
        return self.evaluate("document.documentElement.scrollWidth")

    def _events(self):
        return [event for event in self.browser.events if event.get("sessionId") == self.session]

    @property
    def requests(self):
        return [event["params"]["request"]["url"] for event in self._events()
                if event["method"] == "Network.requestWillBeSent"]

    @property
    def problems(self):
        found = []
        for event in self._events():
            parameters = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(parameters["exceptionDetails"].get("exception", {}).get("description", "an exception"))
            elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
                found.append(parameters["entry"]["text"] + " " + parameters["entry"].get("url", ""))
        return found

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)


def colours(png):
    """How many different colours a PNG has, and its mean brightness, 0 to 255."""
    check(png[:8] == b"\x89PNG\r\n\x1a\n", "a PNG")
    at, data, width, height, channels = 8, b"", 0, 0, 0
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            check(depth == 8 and colour in (2, 6), f"an 8-bit colour PNG, not {depth}/{colour}")
            channels = 3 if colour == 2 else 4
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    raw, stride = zlib.decompress(data), width * channels
    previous, seen, total, counted = bytearray(stride), set(), 0, 0
    for row in range(height):
        start = row * (stride + 1)
        line = _unfiltered(raw[start], bytearray(raw[start + 1:start + 1 + stride]), previous, channels)
        pixels = [bytes(line[i:i + 3]) for i in range(0, stride, channels)]
        seen.update(pixels)
        total += sum(map(sum, pixels))
        counted += 3 * len(pixels)
        previous = line
    return len(seen), total / max(counted, 1)


def _unfiltered(kind, line, above, step):
    # PNG (RFC 2083 §6): each line is stored as the difference to the left, above, their mean, or Paeth's guess.
    for i in range(len(line)) if kind else ():
        left = line[i - step] if i >= step else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = above[i]
        elif kind == 3:
            guess = (left + above[i]) // 2
        else:
            corner = above[i - step] if i >= step else 0
            p = left + above[i] - corner
            a, b, c = abs(p - left), abs(p - above[i]), abs(p - corner)
            guess = left if a <= b and a <= c else above[i] if b <= c else corner
        line[i] = (line[i] + guess) & 255
    return line
