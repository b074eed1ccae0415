import os
import re
import socket
import struct
import threading

from sportello import Http, Lines, Server, check, connect, finish, folder, same, step, until, write

DESCRIPTORS = 1024
STREAMS = 100
home = folder("sportello-descriptors-")
write(home / "files/index.html", "ours")


class Silent:
    """An upstream that takes every connection, and says nothing to anyone."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.held = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                self.held.append(self.listener.accept()[0])
            except OSError:
                return

    def open(self):
        """How many of its connections still have somebody at their other end."""
        count = 0
        for connection in list(self.held):
            connection.setblocking(False)
            try:
                while data := connection.recv(65536):
                    pass
                gone = data == b""
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                connection.close()
                self.held.remove(connection)
            else:
                count += 1
        return count


class Streams:
    """A connection of HTTP/2 in the clear (RFC 9113 §3.3), with requests that are only begun."""

    def __init__(self, port, path, count):
        self.socket = connect(port)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(4, 0, 0, b""))
        path, host = path.encode(), f"127.0.0.1:{port}".encode()
        # RFC 7541: :method GET, :scheme http, and :path and :authority as literals.
        block = b"\x82\x86\x04" + bytes([len(path)]) + path + b"\x01" + bytes([len(host)]) + host
        # END_STREAM and END_HEADERS.
        self.socket.sendall(b"".join(self.frame(1, 5, 2 * number + 1, block) for number in range(count)))
        self.answered = set()
        self.is_refused = False
        threading.Thread(target=self._read, daemon=True).start()

    @staticmethod
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    def _read(self):
        file = self.socket.makefile("rb")
        while len(head := file.read(9)) == 9:
            kind, flags, stream = head[3], head[4], struct.unpack(">I", head[5:])[0]
            file.read(int.from_bytes(head[:3], "big"))
            if kind == 4 and not flags & 1:
                self.socket.sendall(self.frame(4, 1, 0, b""))
            if kind in (1, 3):
                self.answered.add(stream)

    def close(self):
        # A thread reads from it: shutdown ends that too.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


usual, few = Silent(), Silent()
server = Server(prefix=("sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh"), config=write(home / "sportello.kdl", f'''
state "{home}/state"
workers 2
channel web port=0 protocol=http
channel second port=0 protocol=http
channel mail port=0 protocol=smtp
domain example.org {{
    mail {{ capture; }}
    site "*" {{
        route "/slow" {{ proxy "http://127.0.0.1:{usual.port}" {{ timeout connect="1s"; }} }}
        route "/few" {{ proxy "http://127.0.0.1:{few.port}" {{ parallel 10; timeout connect="1s"; }} }}
        root "files"
    }}
}}
'''))


def descriptors():
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def everybody_else_is_served():
    for port in (server.web, server.ports["second"]) * 5:
        with Http(port) as client:
            same(client.ask("GET", "/")[2], b"ours")
    with Lines(server.mail) as session:
        same(session.reply()[0], 220)


limits = open(f"/proc/{server.pid}/limits").read()
same(re.search(r"Max open files\s+(\d+)\s+(\d+)", limits).groups(), (str(DESCRIPTORS), str(DESCRIPTORS)))
# An eighth of the descriptors, for each of two proxies half of that.
MOST = DESCRIPTORS * 3 // 4 // 6 // 2
quiet = descriptors()

with step("so many requests are under way as the usual bound says, and no more: the others have 503, and everybody else is served"):
    clients = [Streams(server.web, "/slow", STREAMS) for _ in range(8)]
    until(lambda: usual.open() == MOST, f"{MOST} requests are upstream")
    everybody_else_is_served()
    until(lambda: sum(len(client.answered) for client in clients) == 8 * STREAMS - MOST, "the others are answered", 60)
    same(usual.open(), MOST)
    check(descriptors() <= quiet + MOST + 2 * len(clients) + 20, f"{descriptors()} descriptors, {quiet} before")
    everybody_else_is_served()

with step("a bound that is written holds beside it"):
    more = Streams(server.web, "/few", 30)
    until(lambda: len(more.answered) == 20, "twenty are answered", 60)
    same((few.open(), usual.open()), (10, MOST))
    everybody_else_is_served()
    clients.append(more)

with step("with who leaves all of it is free again"):
    for client in clients:
        client.close()
    until(lambda: usual.open() == 0 and few.open() == 0, "nobody is asked any more")
    until(lambda: descriptors() <= quiet + 10, "the descriptors are free")
    again = Streams(server.web, "/few", 10)
    until(lambda: few.open() == 10, "as many again")
    again.close()
    check("cannot accept" not in server.stderr(), server.stderr()[-2000:])

server.stop()
finish()
