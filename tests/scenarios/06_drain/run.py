import os
import signal
import socket
import subprocess
import time

from inbox import inbox
from resp import Resp
from sportello import Http, Lines, Server, alive, check, connect, contains, everything, finish, folder, program, same, step, until

bin_ = folder("sportello-bin-")
marks = folder("sportello-marks-")
web = folder("sportello-web-")
BIG = os.urandom(1 << 20) * 24
(web / "big.bin").write_bytes(BIG)
# Runs until the test lets it go on: no guess about time.
wait = program(bin_ / "wait", f'echo $$ > {marks}/$1; while [ ! -e {marks}/$1.go ]; do sleep 0.05; done; echo finished')


def refused(port):
    try:
        connect(port, 2).close()
    except OSError:
        return True
    return False


class Busy:
    """A server with a download, a message and a program in flight, and an idle connection on each channel."""

    def __init__(self, name):
        self.name = name
        self.server = Server(web, "--command", f"wait={wait}")
        self.download = socket.socket()
        self.download.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        self.download.settimeout(30)
        self.download.connect(("127.0.0.1", self.server.web))
        self.download.sendall(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.begun = self.download.recv(1000)
        self.mail = Lines(self.server.mail, 30)
        self.mail.reply()
        for command in ("EHLO client.example", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA"):
            self.mail.ask(command)
        self.mail.send("Subject: in flight\r\n\r\nthe first half\r\n")
        self.command = Resp(self.server.commands)
        self.command.send("wait", name)
        self.pid = int(until(lambda: (marks / name).exists() and (marks / name).read_text(), "the program runs"))
        web_client = Http(self.server.web)  # has asked once: before that the kernel alone knows of it (TCP_DEFER_ACCEPT)
        web_client.ask("GET", "/")
        self.idle = [web_client.socket, connect(self.server.commands)]

    def stopping(self):
        self.server.signal(signal.SIGTERM)
        until(lambda: "waiting for" in self.server.stderr(), "it says that it waits")
        for port in (self.server.web, self.server.mail, self.server.commands, self.server.desk):
            until(lambda: refused(port), f"port {port} takes no new connection")

    def close(self):
        self.server._forget()
        for each in (self.download, self.mail, self.command, *self.idle):
            each.close()


with step("after SIGTERM what is in flight finishes, what idles is closed, and it is said what was waited for"):
    busy = Busy("first")
    busy.stopping()
    said = busy.server.stderr()
    for piece in ("3 requests", "/big.bin", "DATA", "wait"):
        contains(said, piece)
    for idle in busy.idle:
        idle.settimeout(10)
        same(idle.recv(10), b"", "an idle connection is closed")
    received = bytearray(busy.begun)
    length = len(received.split(b"\r\n\r\n", 1)[0]) + 4 + len(BIG)
    while len(received) < length:
        piece = busy.download.recv(1 << 18)
        check(piece, f"the download ended after {len(received)} of {length} bytes")
        received += piece
    check(bytes(received[-len(BIG):]) == BIG, "the download is whole")
    busy.mail.send("the second half\r\n.\r\n")
    same(busy.mail.reply()[0], 250, "the message is taken")
    code, lines = busy.mail.reply()
    same(code, 421, "then the session is told that it ends")
    check(alive(busy.pid), "the program still runs")
    (marks / "first.go").touch()
    same(busy.command.read(), b"finished\n")
    same(busy.server.wait(20), 0, "exit code")
    contains(busy.server.stderr(), "all finished")
    state = busy.server.state
    busy.close()
    check(not (state / "listening.json").exists(), "the ready line is taken away")

with step("the message that was accepted while stopping is there after the next start"):
    with Server(web, state=state) as server:
        same([message["subject"] for message in inbox(server)], ["in flight"])

with step("a second signal ends the wait: everything in flight is cut, the program killed, and it is said"):
    busy = Busy("second")
    busy.stopping()
    started = time.monotonic()
    busy.server.signal(signal.SIGINT)
    same(busy.server.wait(20), 0, "exit code")
    check(time.monotonic() - started < 8, "at once")
    until(lambda: not alive(busy.pid), "the program is gone")
    contains(busy.server.stderr(), "cut short")
    state = busy.server.state
    busy.close()
    with Server(web, state=state) as server:
        same(inbox(server), [], "the message cut in the middle is not there")

with step("with nothing in flight it stops at once, on SIGINT as on SIGTERM"):
    for number in (signal.SIGINT, signal.SIGTERM):
        server = Server(web)
        idle = [connect(port) for port in (server.web, server.mail, server.commands, server.desk)]
        server.signal(number)
        same(server.wait(20), 0)
        check("cut short" not in server.stderr(), "it did not wait for the end of the grace")
        server._forget()
        for each in idle:
            each.close()

with step("an event stream, which has no end of its own, is ended whole and not waited for"):
    server = Server(web)
    watcher = connect(server.desk)
    watcher.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    seen = b""
    while b"event: history" not in seen:
        seen += watcher.recv(1 << 16)
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    rest = everything(watcher)
    check(rest.endswith(b"\r\n0\r\n\r\n") or rest == b"0\r\n\r\n", f"the last chunk: {rest[-60:]}")
    watcher.close()
    same(server.wait(20), 0)
    server._forget()
    check(time.monotonic() - started < 8, "before the grace is over")
    check("waiting for" not in server.stderr() or "all finished" in server.stderr(), server.stderr()[-300:])

finish()
