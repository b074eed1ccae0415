"""Servers behind the proxy, each playing the part that a scenario gives it, a thread for each connection."""

import base64
import hashlib
import socket
import threading


class Upstream:
    """A server that plays a part on each connection, and keeps what it was told."""

    def __init__(self, part):
        self.part, self.heard, self.connections = part, [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection):
        with connection, connection.makefile("rb") as file:
            try:
                while head := self.head(file):
                    self.heard.append(head)
                    if self.part(connection, file, head) == "leave":
                        return
            except OSError:
                pass

    @staticmethod
    def head(file):
        lines = []
        while (line := file.readline()) not in (b"\r\n", b""):
            lines.append(line.decode("latin-1").rstrip("\r\n"))
        return lines

    def close(self):
        self.listener.close()


def field(head, name):
    return [line.split(":", 1)[1].strip() for line in head[1:] if line.lower().startswith(name + ":")]


def body_of(file, head):
    if field(head, "transfer-encoding") == ["chunked"]:
        pieces = []
        while size := int(file.readline(), 16):
            pieces.append(file.read(size))
            file.readline()
        file.readline()
        return b"".join(pieces)
    return file.read(int((field(head, "content-length") or ["0"])[0]))


def websocket(connection, file, head):
    """RFC 6455, as far as short masked frames: each is given back."""
    key = field(head, "sec-websocket-key")[0].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key).digest())
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while begin := file.read(2):
        mask = file.read(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(file.read(begin[1] & 127)))
        connection.sendall(begin[:1] + bytes([len(data)]) + data)
    return "leave"
