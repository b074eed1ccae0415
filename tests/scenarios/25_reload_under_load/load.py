"""Clients that ask without a pause, and the application they are passed on to: one event loop in a thread of its own."""

import asyncio
import os
import ssl
import threading

HELLO = (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3: the answer to that key


async def head_of(reader):
    """The first line and the fields of a request or an answer; None where there is no more."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    except asyncio.IncompleteReadError as ended:
        if ended.partial:
            raise
        return None, {}
    return lines[0], {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}


async def body_of(reader, fields):
    if fields.get("transfer-encoding") == "chunked":
        pieces = []
        while size := int(await reader.readline(), 16):
            pieces.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
        return b"".join(pieces)
    return await reader.readexactly(int(fields.get("content-length", 0)))


class Application:
    """Says its name, and how much it was given; at /ws it gives every frame back, at /slow it answers when it may."""

    def __init__(self, load, name):
        self.name, self.may = name, threading.Event()
        self.slow = self.open = 0
        self.server = load.do(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        self.open += 1
        try:
            while (line := (await head_of(reader)))[0]:
                first, fields = line
                if " /ws " in first:
                    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n")
                    while True:
                        writer.write(frame(await message(reader)))
                length = len(await body_of(reader, fields))
                if " /api/slow " in first:
                    self.slow += 1
                    while not self.may.is_set():
                        await asyncio.sleep(0.01)
                text = f"{self.name} {length}".encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()


def frame(text, mask=b""):
    """One frame of RFC 6455 §5.2 with up to 125 bytes; a client's are masked."""
    data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text)) if mask else text
    return bytes([0x81, len(data) | (0x80 if mask else 0)]) + mask + data


async def message(reader):
    begin = await reader.readexactly(2)
    mask = await reader.readexactly(4) if begin[1] & 0x80 else b""
    data = await reader.readexactly(begin[1] & 0x7F)
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)) if mask else data


class Load:
    """What goes wrong is in `lost`; how much went well is in `served`, by the kind of client."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.clients, self.lost, self.served, self.ends = [], [], {}, False
        self.trusting = ssl.create_default_context()
        self.trusting.check_hostname, self.trusting.verify_mode = False, ssl.CERT_NONE

    def do(self, coroutine, seconds=60):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def begin(self, kind, client):
        self.served.setdefault(kind, 0)
        self.clients.append(asyncio.run_coroutine_threadsafe(self._watched(kind, client), self.loop))

    def end(self):
        """Lets every client finish what it has begun; how many requests and echoes there were."""
        self.ends = True
        for client in self.clients:
            client.result(60)
        total = sum(count for kind, count in self.served.items() if isinstance(kind, str))
        self.clients, self.served, self.ends = [], {}, False
        return total

    async def _watched(self, kind, client):
        try:
            await client
        except Exception as error:  # noqa: BLE001 — whatever it is, it was not to be
            self.lost.append(f"{kind}: {error!r}")

    async def _open(self, port, secure):
        return await asyncio.open_connection("127.0.0.1", port, limit=1 << 20, ssl=self.trusting if secure else None,
                                             server_hostname="localhost" if secure else None)

    async def asking(self, kind, port, target, fits, secure=False, keeps=True):
        """GET again and again, each answer looked at by `fits`; on one connection, or on a new one each time."""
        reader = None
        while not self.ends:
            if not reader:
                reader, writer = await self._open(port, secure)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            first, fields = await head_of(reader)
            body = await body_of(reader, fields) if first else None
            if not first or " 200 " not in first or not fits(body) or "close" in fields.get("connection", ""):
                self.lost.append(f"{kind}: {first} {fields} {body}")
                break
            self.served[kind] += 1
            if not keeps:
                writer.close()
                await writer.wait_closed()
                reader = None
        if reader:
            writer.close()

    async def echoing(self, kind, number, port, secure):
        """A WebSocket on which a word goes to the application and comes back, again and again."""
        reader, writer = await self._open(port, secure)
        writer.write(HELLO)
        first, _ = await head_of(reader)
        assert first and " 101 " in first, first
        count = 0
        self.served[(kind, number)] = 0
        while not self.ends:
            count += 1
            word = f"word {count} of {number}".encode()
            writer.write(frame(word, os.urandom(4)))
            back = await message(reader)
            if back != word:
                self.lost.append(f"{kind} {number}: {back} for {word}")
            self.served[(kind, number)] = count
            self.served[kind] += 1
            await asyncio.sleep(0.02)  # fifty of them leave room for the others
        writer.close()

