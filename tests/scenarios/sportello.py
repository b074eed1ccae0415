"""What every scenario needs: the real binary started, watched and stopped, and checks that say what they found.

A scenario is a list of `with step("what is proven"):` blocks and ends with `finish()`. A step that fails does not keep
the next from running. Nothing here sleeps and hopes: every wait asks for a condition and has a deadline.
"""

import atexit
import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

BINARY = os.environ["SPORTELLO"]
PATIENCE = 15.0  # seconds: how long a condition may take on a busy machine

_failures = []
_passed = 0
_servers = []


# --- steps and checks -------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def step(what):
    global _passed
    started = time.monotonic()
    try:
        yield
    except Exception as error:  # noqa: BLE001 — a step may fail in any way, and the next one must still run
        _failures.append(what)
        print(f"FAIL {what}: {type(error).__name__}: {error}")
        print("".join(traceback.format_tb(error.__traceback__)[1:]).rstrip())
        for server in _servers:
            said = server.stderr()[-2000:].strip()
            if said:
                print("server said:\n    " + said.replace("\n", "\n    "))
    else:
        _passed += 1
        print(f"ok   {what} ({time.monotonic() - started:.2f} s)")


def finish():
    """Stops what is still running, prints the sum, and exits with what came of it."""
    for server in list(_servers):
        with step(f"the server of this scenario stops cleanly (pid {server.pid})"):
            server.stop()
    print(f"{_passed} steps" + (f", {len(_failures)} FAILED: {'; '.join(_failures)}" if _failures else ""))
    sys.stdout.flush()
    sys.exit(1 if _failures else 0)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def same(found, expected, what=""):
    if found != expected:
        raise AssertionError(f"{what + ': ' if what else ''}found {brief(found)}, expected {brief(expected)}")


def contains(text, piece, what=""):
    if piece not in text:
        raise AssertionError(f"{what + ': ' if what else ''}{brief(piece)} is not in {brief(text)}")


def brief(value):
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:300]} … {text[-200:]} ({len(text)} characters)"


def until(condition, what, seconds=PATIENCE):
    """Asks again and again until the condition gives something true, and gives that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


# --- folders and children ---------------------------------------------------------------------------------------------

def folder(prefix="sportello-"):
    """A fresh folder, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def write(path, content, mode=None):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    if mode is not None:
        path.chmod(mode)
    return path


def program(path, lines, shell="/bin/sh"):
    """An executable script."""
    return write(path, f"#!{shell}\n{lines}\n", 0o755)


def run(*words, stdin=None, seconds=60, env=None, cwd=None):
    """Runs a command to its end; text in and out."""
    binary = isinstance(stdin, bytes)
    return subprocess.run([str(word) for word in words], input=stdin if stdin is not None else ("" if not binary else b""),
                          capture_output=True, text=not binary, timeout=seconds, env=env, cwd=cwd,
                          preexec_fn=_die_with_parent)


_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nothing outlives a scenario that is ended from outside
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever began all this under nohup: a server heeds it as it was written


def alive(pid):
    """Whether a process runs; one that is dead and not yet awaited does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in "ZX"


def children(pid):
    """All descendants of a process, by asking every process for its parent."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(entry.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1])
    found, queue = [], [pid]
    while queue:
        parent = queue.pop()
        mine = [child for child, its in parents.items() if its == parent]
        found += mine
        queue += mine
    return found


def resident(pid):
    """Resident memory in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


# --- the server -------------------------------------------------------------------------------------------------------

class Server:
    """One running Sportello on free ports, with a state folder of its own; or what a configuration says."""

    def __init__(self, root=".", *flags, state=None, env=None, prefix=(), config=None):
        self.root = Path(root)
        self.state = Path(state) if state else None if config else folder("sportello-state-")
        what = ["--config", str(config)] if config else [
            str(self.root), "--state", str(self.state), "--web", "0", "--mail", "0", "--commands", "0", "--desk", "0"]
        self.words = [*map(str, prefix), BINARY, "serve", *what, "--json", *map(str, flags)]
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self._errors, env=env, preexec_fn=_die_with_parent)
        self.pid = self.process.pid
        self._lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        _servers.append(self)
        try:
            line = until(lambda: self._lines or self.process.poll() is not None, "the ready line of JSON")
            check(line is not True and self._lines, f"it ended with {self.process.poll()}: {self.stderr()}")
            self.ready = json.loads(self._lines[0])
        except Exception:
            self.kill()
            raise
        self.address = self.ready["address"]
        self.state = Path(self.ready["state"]) if config else self.state
        self.ports = {channel["name"]: channel["port"] for channel in self.ready["channels"]}
        self.web, self.mail, self.commands, self.desk = (self.ports.get(n) for n in ("web", "mail", "commands", "desk"))

    def _read(self):
        for line in self.process.stdout:
            self._lines.append(line.decode())

    def stdout(self):
        return "".join(self._lines)

    def stderr(self):
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=PATIENCE):
        return self.process.wait(seconds)

    def stop(self, seconds=30.0):
        """SIGTERM; it must end well, and leave no process behind."""
        family = children(self.pid)
        self.signal(signal.SIGTERM)
        try:
            code = self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not stop within {seconds} s of SIGTERM") from None
        self._forget()
        same(code, 0, f"exit code after SIGTERM; it said {self.stderr()[-1000:]}")
        until(lambda: not any(map(alive, family)), f"its children {family} end with it")

    def kill(self):
        """SIGKILL, as the kernel does it when memory is out."""
        family = children(self.pid) if alive(self.pid) else []
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(PATIENCE)
        self._forget()
        return family

    def _forget(self):
        if self in _servers:
            _servers.remove(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if self.process.poll() is None:
            self.stop() if kind is None else self.kill()

    # What the desk's API says.
    def api(self, path, method="GET", body=None):
        status, fields, content = Http(self.desk).ask(method, path, body=body, accept="application/json")
        check(200 <= status < 300, f"{method} {path}: {status} {brief(content)}")
        return json.loads(content) if content else None


@atexit.register
def _stop_all():
    for server in list(_servers):
        with contextlib.suppress(Exception):
            server.kill()


def _ended(*_):
    sys.exit(1)


signal.signal(signal.SIGTERM, _ended)
_libc.prctl(1, signal.SIGTERM)


# --- sockets ----------------------------------------------------------------------------------------------------------

def free_ports(count):
    """Ports that nobody has, from below those that the kernel gives to whoever asks for any: nobody gets one by chance."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    held = []
    with contextlib.ExitStack() as sockets:
        while len(held) < count:
            each = sockets.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                each.bind(("127.0.0.1", random.randrange(lowest // 2, lowest)))
                held.append(each.getsockname()[1])
    return held


_refusing = []


def refusing_port():
    """A port at which nobody listens, nor will as long as this scenario runs."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    _refusing.append(held)
    return held.getsockname()[1]


def connect(port, seconds=PATIENCE, address="127.0.0.1"):
    connection = socket.create_connection((address, port), timeout=seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def everything(connection, limit=1 << 30):
    """Reads until the other side closes; a reset counts as an end."""
    pieces, total = [], 0
    while total < limit:
        try:
            piece = connection.recv(1 << 16)
        except ConnectionResetError:
            break
        if not piece:
            break
        pieces.append(piece)
        total += len(piece)
    return b"".join(pieces)


def exchange(port, data, seconds=PATIENCE, half_close=False):
    """Sends, and reads until the server closes."""
    with connect(port, seconds) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return everything(connection)


class Connection:
    """A connection, its bytes to be read as a file; closed when its `with` ends."""

    def __init__(self, port, seconds=PATIENCE):
        self.socket = connect(port, seconds)
        self.file = self.socket.makefile("rb")

    def ended(self):
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Lines(Connection):
    """A connection read line by line (SMTP, text commands)."""

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def line(self):
        return self.file.readline()

    def reply(self):
        """One SMTP reply: its code and its text lines."""
        lines = []
        while True:
            line = self.line()
            check(line, f"the connection ended within a reply, after {lines}")
            lines.append(line.decode(errors="replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return int(lines[-1][:3]), lines

    def ask(self, command):
        self.send(command + "\r\n")
        return self.reply()

    def ended(self):
        """Whether the server closes now; what it says before that is lost."""
        with contextlib.suppress(ConnectionResetError):
            return everything(self.socket) is not None
        return True


class Http(Connection):
    """A connection that speaks HTTP as exactly as it is told to, and reads answers strictly."""

    def __init__(self, port, seconds=PATIENCE):
        super().__init__(port, seconds)
        self.port = port

    def ask(self, method, path, fields=(), body=None, accept=None, host=None):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *fields]
        if accept:
            lines.append(f"Accept: {accept}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        return self.answer(method)

    def send(self, data):
        self.socket.sendall(data)

    def head(self):
        """Status and fields of the next answer."""
        line = self.file.readline()
        check(line, "the connection ended before an answer")
        check(line.startswith(b"HTTP/1.1 ") and line.endswith(b"\r\n"), f"a status line: {line!r}")
        status, fields = int(line.split()[1]), {}
        while True:
            line = self.file.readline()
            check(line.endswith(b"\r\n"), f"a field line: {line!r}")
            if line == b"\r\n":
                return status, fields
            name, value = line.decode("latin-1").rstrip("\r\n").split(":", 1)
            check(name.strip() == name, f"no space around a field's name: {line!r}")
            fields[name.lower()] = value.strip()

    def answer(self, method="GET"):
        """The next final answer: status, fields, body."""
        status, fields = self.head()
        while status < 200:
            status, fields = self.head()
        return status, fields, self.body(method, status, fields)

    def body(self, method, status, fields):
        if method == "HEAD" or status in (204, 304):
            return b""
        if fields.get("transfer-encoding") == "chunked":
            pieces = []
            while True:
                size = int(self.file.readline().split(b";")[0], 16)
                pieces.append(self.exactly(size))
                same(self.file.readline(), b"\r\n", "after a chunk")
                if size == 0:
                    return b"".join(pieces)
        if "content-length" in fields:
            return self.exactly(int(fields["content-length"]))
        return self.file.read()

    def exactly(self, count):
        data = self.file.read(count)
        same(len(data), count, "bytes of a body")
        return data
