import http.server
import os
import re
import signal
import ssl
import threading

from sportello import BINARY, Server, check, connect, contains, finish, folder, run, same, step, write

place = folder("sportello-http2-")
web, other, private = place / "web", place / "other", place / "private"
write(web / "index.html", "hello\n")
LARGE = os.urandom(1 << 20) * 12
write(web / "large.bin", LARGE)
write(web / "text.txt", "the same line again and again\n" * 2000)
write(other / "index.html", "other\n")
write(private / "index.html", "for members\n")


def openssl(*words):
    result = run("openssl", *words)
    same(result.returncode, 0, result.stderr)


def authority(name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-subj", f"/CN={name}", "-keyout", place / f"{name}.key", "-out", place / f"{name}.pem")
    return place / f"{name}.pem"


CA, members = authority("ca"), authority("members")
NAMES = ("www.example.org", "other.example.org", "members.example.org")
openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/O=Site",
        "-keyout", place / "site.key", "-out", place / "site.csr")
write(place / "site.ext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in NAMES))
openssl("x509", "-req", "-in", place / "site.csr", "-CA", CA, "-CAkey", place / "ca.key", "-days", "20",
        "-extfile", place / "site.ext", "-out", place / "site.pem")


class App(http.server.BaseHTTPRequestHandler):
    """Gives back what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])) if "content-length" in self.headers else b"".join(self.chunks())
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        begun.release()
        go_on.acquire()
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"done\n")

    def chunks(self):
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, *_):
        pass


begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
app = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
threading.Thread(target=app.serve_forever, daemon=True).start()

file = place / "sportello.kdl"


def config(more=""):
    return write(file, f"""
state "{place}/state"
certificate "{place}/site.pem" key="{place}/site.key"
channel web port=0 protocol=http tls=auto
channel plain port=0 protocol=http
channel desk port=0 protocol=http {{ desk; }}

domain example.org {{
    site www.example.org {{
        route "/app/*" {{ proxy "http://127.0.0.1:{app.server_port}"; }}
        root "{web}"
        compress gzip
        {more}
    }}
    site other.example.org {{ root "{other}"; }}
    site members.example.org {{
        root "{private}"
        tls {{ client-certificate require ca="{members}"; }}
    }}
}}
""")


server = Server(config=config())
WEB, PLAIN = server.web, server.ports["plain"]
PLACES = {"TLS": ("--http2", WEB, "https"), "plain TCP": ("--http2-prior-knowledge", PLAIN, "http")}


def words(how, *more, host="www.example.org", path="/"):
    version, port, scheme = PLACES[how]
    resolved = [word for name in NAMES for word in ("--resolve", f"{name}:{port}:127.0.0.1")]
    return ["curl", "-sS", "--cacert", str(CA), version, *resolved, *more, f"{scheme}://{host}:{port}{path}"]


def curl(how, *more, **what):
    """Status and body of one request; it must be of HTTP/2."""
    target = place / "body"
    target.unlink(missing_ok=True)
    said = run(*words(how, "-o", target, "-w", "%{http_version} %{http_code}", *more, **what))
    same(said.returncode, 0, said.stderr)
    version, status = said.stdout.split()
    same(version, "2")
    return int(status), target.read_bytes() if target.exists() else b""


def head(how, *more, **what):
    """Status and fields."""
    said = run(*words(how, "-D", "-", "-o", "/dev/null", *more, **what))
    same(said.returncode, 0, said.stderr)
    first, *lines = said.stdout.strip().splitlines()
    check(first.startswith("HTTP/2 "), first)
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines)


for how in PLACES:
    with step(f"over {how}: pages, ranges, conditions, heads and what is not there"):
        same(curl(how), (200, b"hello\n"))
        same(curl(how, "-r", "1-3"), (206, b"ell"))
        same(curl(how, path="/missing")[0], 404)
        same(curl(how, "-X", "POST", "-d", "a=b")[0], 405)
        status, fields = head(how)
        same((status, fields["content-length"]), (200, "6"))
        same(head(how, "-H", f"if-none-match: {fields['etag']}")[0], 304)
        same(head(how, "-H", 'if-match: "no"')[0], 412)
        status, of_head = head(how, "-I")
        same((status, {**of_head, "date": ""}), (200, {**fields, "date": ""}))
        for name in ("connection", "keep-alive", "transfer-encoding"):
            check(name not in fields, f"{name} in {fields}")

    with step(f"over {how}: an answer in the coding that was asked for"):
        plain = curl(how, path="/text.txt")[1]
        same(head(how, "-H", "accept-encoding: gzip", path="/text.txt")[1]["content-encoding"], "gzip")
        same(curl(how, "--compressed", path="/text.txt"), (200, plain))

    with step(f"over {how}: a large file comes whole through the windows, and a part of it"):
        status, body = curl(how, path="/large.bin")
        check((status, body) == (200, LARGE), f"{status}, {len(body)} bytes")
        status, body = curl(how, "-r", "5000000-9999999", path="/large.bin")
        check((status, body) == (206, LARGE[5000000:10000000]), f"{status}, {len(body)} bytes")

    with step(f"over {how}: bodies pass to a proxied route and back, with and without a length"):
        sent = write(place / "sent", LARGE)
        status, body = curl(how, "--data-binary", f"@{sent}", path="/app/echo")
        check((status, body) == (200, LARGE), f"{status}, {len(body)} bytes")
        status, body = curl(how, "-X", "POST", "-T", "-", "-H", "expect:", path="/app/echo")
        same((status, body), (200, b""))


DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7


class Frames:
    """A connection of HTTP/2, frame by frame, as no client would tell of it."""

    def __init__(self, port, name=None):
        self.socket, self.scheme = connect(port), "https" if name else "http"
        if name:
            context = ssl.create_default_context(cafile=CA)
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname=name)
            same(self.socket.selected_alpn_protocol(), "h2")
        self.file = self.socket.makefile("rb")
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.send(SETTINGS)
        self.last = -1

    def send(self, kind, flags=0, stream=0, payload=b""):
        self.socket.sendall(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)

    def ask(self, path="/", host="www.example.org", scheme=None):
        """Begins a stream; its number."""
        self.last += 2
        fields = {":method": "GET", ":scheme": scheme or self.scheme, ":authority": host, ":path": path}
        # Literals without indexing (RFC 7541 §6.2.2).
        block = b"".join(b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in field) for field in fields.items())
        self.send(HEADERS, 5, self.last, block)
        return self.last

    def next(self):
        """Kind, flags, stream and payload of the next frame; nothing at the end."""
        head = self.file.read(9)
        if len(head) < 9:
            return None
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
        payload = self.file.read(int.from_bytes(head[:3], "big"))
        if kind == PING and not flags:
            self.send(PING, 1, 0, payload)
        return kind, flags, stream, payload

    def content(self, stream):
        pieces = []
        while True:
            frame = self.next()
            check(frame, f"the connection ended before stream {stream}")
            kind, flags, its, payload = frame
            check((kind, its) != (RESET, stream), f"stream {stream} was reset")
            if its == stream:
                pieces.append(payload if kind == DATA else b"")
                if flags & 1:
                    return b"".join(pieces)

    def until(self, kind):
        while frame := self.next():
            if frame[0] == kind:
                return frame
        raise AssertionError(f"no frame of kind {kind}")


with step("several hosts on one connection, but none whose clients are asked for a certificate"):
    client = Frames(WEB, "www.example.org")
    same(client.content(client.ask()), b"hello\n")
    same(client.content(client.ask(host="other.example.org")), b"other\n")
    contains(client.content(client.ask(host="members.example.org")).decode(), "421")
    contains(client.content(client.ask(host="elsewhere.example")).decode(), "421")
    same(client.content(client.ask()), b"hello\n")

with step("a scheme that is not the connection's is misdirected"):
    for client, foreign in ((Frames(WEB, "www.example.org"), "http"), (Frames(PLAIN), "https")):
        contains(client.content(client.ask(scheme=foreign)), b"421")
        same(client.content(client.ask()), b"hello\n")

with step("nghttp: a page with many streams at once, a body, what is pushed to nobody"):
    said = run("nghttp", "-nv", "-m", "20", "-H", ":authority: www.example.org", f"http://127.0.0.1:{PLAIN}/large.bin")
    same(said.returncode, 0, said.stderr)
    same(len(re.findall(r":status: 200", said.stdout)), 20, said.stdout[-2000:])
    check("PUSH_PROMISE" not in said.stdout, "pushed")
    for name, most in (("MAX_CONCURRENT_STREAMS", 128), ("MAX_HEADER_LIST_SIZE", 16384)):
        contains(said.stdout, f"SETTINGS_{name}(0x0{3 if most == 128 else 6}):{most}")

with step("h2load: thousands of requests on a few connections, each answered, over TLS and in the clear"):
    for url in (f"https://127.0.0.1:{WEB}/", f"http://127.0.0.1:{PLAIN}/"):
        said = run("h2load", "-c4", "-m32", "-n4000", "-H", ":authority: www.example.org", url)
        same(said.returncode, 0, said.stderr)
        contains(said.stdout, "4000 succeeded, 0 failed, 0 errored")
        contains(said.stdout, "4000 2xx")

with step("a reload loses nothing: streams in flight end, and the next one of the connection is answered anew"):
    client = Frames(WEB, "www.example.org")
    waiting = client.ask("/app/wait")
    begun.acquire()
    config('header set x-new "1"')
    same(run(BINARY, "reload", "--state", server.state).returncode, 0)
    same(head("TLS")[1].get("x-new"), "1")
    same(client.content(client.ask()), b"hello\n")
    go_on.release()
    same(client.content(waiting), b"done\n")
    same(client.content(client.ask()), b"hello\n")

with step("a stop says GOAWAY, ends what was begun, begins nothing more, and closes"):
    clients = [Frames(WEB, "www.example.org"), Frames(PLAIN)]
    waiting = [client.ask("/app/wait") for client in clients]
    for _ in clients:
        begun.acquire()
    server.signal(signal.SIGTERM)
    for client in clients:
        same(client.until(GOAWAY)[3][4:8], bytes(4), "NO_ERROR")
    for _ in clients:
        go_on.release()
    for client, stream in zip(clients, waiting):
        same(client.content(stream), b"done\n")
        while frame := client.next():
            same(frame[0], GOAWAY)
    same(server.wait(), 0)
    server._forget()

app.shutdown()
finish()
