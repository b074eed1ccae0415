import os
import socket
import threading
import time
from pathlib import Path

from resp import Resp
from sportello import Http, Server, check, connect, finish, folder, resident, same, step, until

web = folder("sportello-web-")
(web / "hello.txt").write_bytes(b"hello")
with open(web / "large.bin", "wb") as file:
    file.truncate(256 << 20)
server = Server(web)


class Sleeper:
    """A client that misbehaves until it is ended; remembers what it was told and when."""

    def __init__(self, port, first=b"", drip=b"", receive=True):
        self.started = time.monotonic()
        self.after = None
        self.said = b""
        self.socket = socket.socket()
        if not receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(first)
        self.drip, self.receive = drip, receive
        self.known = False
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    def _wait(self):
        self.socket.settimeout(0.5)
        while self.after is None and time.monotonic() - self.started < 120:
            try:
                if self.drip:
                    self.socket.sendall(self.drip)
                if self.receive:
                    piece = self.socket.recv(4096)
                    if not piece:
                        break
                    self.said += piece
                elif self._forgotten():
                    break
                else:
                    time.sleep(0.5)  # between two looks
            except TimeoutError:
                continue
            except OSError:
                break
        self.after = time.monotonic() - self.started

    def _forgotten(self):
        """Whether the server has known this connection and given it up. Who does not read does not see its end either."""
        mine = "%s:%d" % self.socket.getsockname()
        known = any(each["peer"] == mine for each in server.api("/api/v1/status")["connections"])
        ended = self.known and not known
        self.known = self.known or known
        return ended


# They take half a minute, so they all begin here and are looked at last. (The deadlines of mail are minutes, as RFC 5321
# §4.5.3.2 asks; they are tested on a clock of their own in net.)
sleepers = {
    "web says nothing": Sleeper(server.web),
    "web stops within a head": Sleeper(server.web, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "),
    "web crawls within a head": Sleeper(server.web, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", drip=b"a"),
    "web stops within a body": Sleeper(server.desk, b"POST /inbox/delete-all HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nab"),
    "web does not read": Sleeper(server.web, b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n", receive=False),
    "commands stops within a request": Sleeper(server.commands, b"*2\r\n$4\r\nECHO\r\n$100\r\nabc"),
}

with step("a thousand connections are held while others are served, and cost little"):
    before = resident(server.pid)
    held = []
    for number in range(1000):
        client = Http(server.web)
        same(client.ask("GET", "/hello.txt")[0], 200)
        held.append(client)
    each = (resident(server.pid) - before) * 1024 / 1000
    with Resp(server.commands) as client:
        same(client.ask("PING"), "PONG")
    for client in held:
        same(client.ask("GET", "/hello.txt")[2], b"hello", "still alive")
    for client in held:
        client.close()
    print(f"     {each:.0f} bytes resident for each idle connection")
    check(each < 16384, f"{each:.0f} bytes each")
    until(lambda: server.api("/api/v1/status")["connections_open"] < 100, "they are forgotten")

with step("out of descriptors: it backs off without spinning, keeps serving who is in, and recovers"):
    small = Server(web, "--workers", "2", prefix=["prlimit", "--nofile=96:96"])
    inside = Http(small.web)
    same(inside.ask("GET", "/hello.txt")[0], 200)
    crowd = []
    for _ in range(200):
        crowd.append(connect(small.web))
    cpu = lambda: sum(map(int, Path(f"/proc/{small.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    same(inside.ask("GET", "/hello.txt")[0], 200, "who is in is served")
    spent, started = cpu(), time.monotonic()
    until(lambda: time.monotonic() - started > 2, "two seconds of watching")
    used = (cpu() - spent) / os.sysconf("SC_CLK_TCK")
    check(used < 0.5, f"it used {used:.2f} s of processor in two seconds of waiting")
    for each in crowd:
        each.close()

    def served():
        try:
            with Http(small.web, 2) as client:
                return client.ask("GET", "/hello.txt")[0] == 200
        except (OSError, AssertionError):
            return False

    until(served, "new connections are taken again")
    with Resp(small.commands) as client:
        same(client.ask("PING"), "PONG")
    inside.close()
    small.stop()

with step("who says nothing, stops, crawls or does not read is ended by a deadline"):
    for name, sleeper in sleepers.items():
        sleeper.thread.join(90)
    times = {name: round(sleeper.after or 999, 1) for name, sleeper in sleepers.items()}
    print("     " + ", ".join(f"{name}: {after} s" for name, after in times.items()))
    late = {name: after for name, after in times.items() if not 15 < after < 80}
    same(late, {}, "ended too early or too late")
    for name, word in [("web stops within a head", b"HTTP/1.1 408"), ("web crawls within a head", b"HTTP/1.1 408")]:
        check(word in sleepers[name].said, f"{name}: {sleepers[name].said[-200:]}")

finish()
