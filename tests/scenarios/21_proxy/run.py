import gzip
import os
import shutil
import socket
import subprocess
import threading

from sportello import (Http, Server, alive, check, connect, contains, finish, folder, free_ports, refusing_port, run, same,
                       step, until, write)
from upstream import Upstream, body_of, field, websocket

home = folder("sportello-proxy-")


def echo(connection, file, head):
    body = body_of(file, head)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Echo: 1\r\n\r\n" % len(body) + body)


def events(connection, file, head):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(3):
        connection.sendall(b"9\r\ndata: %d\n\n\r\n" % number)
        go_on.acquire()
    connection.sendall(b"0\r\n\r\n")


def says(answer):
    def part(connection, file, head):
        body_of(file, head)
        connection.sendall(answer)
        return "leave"
    return part


PAGE = b"<p>a word, and another</p>\n" * 500


def pages(connection, file, head):
    """Pages with a tag; one that is encoded already, where that is liked."""
    body_of(file, head)
    if '"v1"' in "".join(field(head, "if-none-match")):
        return connection.sendall(b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n')
    page, fields = PAGE, b'Content-Type: text/html\r\nETag: "v1"\r\n'
    if "/packed" in head[0]:
        page, fields = gzip.compress(PAGE), fields + b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
    if "/tarball" in head[0]:
        fields = b"Content-Type: application/gzip\r\n"
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: %d\r\n\r\n" % len(page) + page)


def breaks_off(connection, file, head):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    go_on.acquire()  # until the client has read it
    return "leave"


def breaks_off_in_chunks(connection, file, head):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    go_on.acquire()
    return "leave"


go_on = threading.Semaphore(0)
app, streaming, sockets, library = Upstream(echo), Upstream(events), Upstream(websocket), Upstream(pages)
liars = {
    "both": Upstream(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    "split": Upstream(says(b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n")),
    "unasked": Upstream(says(b"HTTP/1.1 101 No\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")),
    "short": Upstream(breaks_off),
    "endless": Upstream(breaks_off_in_chunks),
    "wordless": Upstream(says(b"HTTP/1.1 404 No\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
                              b'ETag: "up"\r\nContent-Length: 0\r\n\r\n')),
}
GONE = refusing_port()

write(home / "files/index.html", "ours")
routes = "".join(f'        route "/{name}" {{ proxy "http://127.0.0.1:{liar.port}" }}\n' for name, liar in liars.items())
server = Server(config=write(home / "sportello.kdl", f'''
state "{home}/state"
channel web port=0 protocol=http
channel desk port=0 protocol=http {{
    desk
}}
domain example.org {{
    site "*" {{
        route "/api/*" {{ proxy "http://127.0.0.1:{app.port}" }}
        route "/pages/*" {{
            compress br gzip
            route "/pages/secret/*" {{
                compress off
                proxy "http://127.0.0.1:{library.port}"
            }}
            proxy "http://127.0.0.1:{library.port}"
        }}
        route "/events" {{ proxy "http://127.0.0.1:{streaming.port}" }}
        route "/ws" {{ proxy "http://127.0.0.1:{sockets.port}" }}
        route "/gone" {{ proxy "http://127.0.0.1:{GONE}" }}
        route "/nowhere" {{ proxy "http://none.invalid:80" {{ timeout connect="3s"; }} }}
        route "/either" {{ proxy "http://127.0.0.1:{GONE}" "http://127.0.0.1:{app.port}" }}
{routes}
        root "files"
    }}
}}
'''))
WEB = server.web

with step("a request goes upstream written anew, and its answer comes back"):
    with Http(WEB) as client:
        status, fields, body = client.ask("POST", "/api/a%20b?c=d", [
            "Connection: X-Hop", "X-Hop: 1", "X-Forwarded-For: 10.0.0.1", "X_Forwarded_For: 10.0.0.2",
            "Forwarded: for=10.0.0.3", "Proxy: http://evil", "X-Own: 2"], body=b"hello")
        same((status, body, fields.get("x-echo")), (200, b"hello", "1"))
    head = app.heard[-1]
    same(head[0], "POST /api/a%20b?c=d HTTP/1.1")
    same(field(head, "host"), [f"127.0.0.1:{WEB}"])
    same(field(head, "x-forwarded-for"), ["127.0.0.1"])
    same(field(head, "forwarded"), [f'for=127.0.0.1;host="127.0.0.1:{WEB}";proto=http'])
    same(field(head, "via"), ["1.1 sportello"])
    same(field(head, "x-own"), ["2"])
    for name in ("x-hop", "x_forwarded_for", "proxy", "connection", "transfer-encoding"):
        same(field(head, name), [], name)

with step("what an upstream says is encoded once, as the client likes it; a 304 says what the whole would"):
    with Http(WEB) as client:
        def page(path, *fields):
            status, said, body = client.ask("GET", path, fields)
            return status, said.get("content-encoding"), said.get("etag"), said.get("vary", "").lower(), body
        for liked, coding in (("gzip", "gzip"), ("gzip, br", "br"), ("gzip;q=1, br;q=0.5", "gzip"), ("gzip;q=0, br;q=0", None), ("zstd", None)):
            status, said, tag, vary, body = page("/pages/a", f"Accept-Encoding: {liked}")
            same((status, said, tag, vary), (200, coding, 'W/"v1"' if coding else '"v1"', "accept-encoding"), liked)
            check(len(body) < 1_000 if coding else body == PAGE, liked)
            check(coding != "gzip" or gzip.decompress(body) == PAGE, liked)
        same(page("/pages/a")[1:], (None, '"v1"', "accept-encoding", PAGE))
        # What is encoded already, and what gains nothing, is passed on as it is.
        status, said, _, vary, body = page("/pages/packed", "Accept-Encoding: gzip, br")
        same((status, said, vary, gzip.decompress(body)), (200, "gzip", "accept-encoding", PAGE))
        same(page("/pages/tarball", "Accept-Encoding: gzip")[:4], (200, None, None, ""))
        for known, tag in (('W/"v1"', 'W/"v1"'), ('"v1"', '"v1"')):
            same(page("/pages/a", "Accept-Encoding: gzip", f"If-None-Match: {known}"), (304, None, tag, "accept-encoding", b""))
        same(page("/pages/secret/a", "Accept-Encoding: gzip"), (200, None, '"v1"', "", PAGE))
    read = run("curl", "-s", "--compressed", "-H", "Accept-Encoding: br", f"http://127.0.0.1:{WEB}/pages/a")
    same(read.stdout.encode(), PAGE, "curl reads br")

with step("large bodies pass both ways in pieces, with and without a length"):
    large = os.urandom(3 << 20)
    with Http(WEB) as client:
        same(client.ask("PUT", "/api/large", body=large)[2], large)
        chunks = b"".join(b"%x\r\n" % len(piece) + piece + b"\r\n"
                          for piece in (large[at:at + 50_000] for at in range(0, len(large), 50_000)))
        client.send(f"POST /api/x HTTP/1.1\r\nHost: 127.0.0.1:{WEB}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                    + chunks + b"0\r\n\r\n")
        same(client.answer()[2], large)
    check(app.connections <= 2 * (os.cpu_count() or 1), f"{app.connections} connections for one client")

with step("events pass as they come"):
    with Http(WEB) as client:
        client.send(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{WEB}\r\n\r\n".encode())
        same(client.head()[0], 200)
        for number in range(3):
            same(client.file.readline(), b"9\r\n")
            same(client.exactly(11), b"data: %d\n\n\r\n" % number)
            go_on.release()
        same(client.exactly(5), b"0\r\n\r\n")

with step("what cannot be read in one way only is a 502, and what breaks does not end well"):
    for name in ("both", "split", "unasked"):
        with Http(WEB) as client:
            same(client.ask("GET", f"/{name}")[0], 502, name)
    with Http(WEB) as client:
        client.send(f"GET /short HTTP/1.1\r\nHost: 127.0.0.1:{WEB}\r\n\r\n".encode())
        same((client.head()[1]["content-length"], client.exactly(3)), ("9", b"abc"))
        go_on.release()
        check(client.ended(), "it ends where its upstream left")

with step("where only the end of the connection ends an answer, one that breaks off ends in a reset"):
    connection = connect(WEB)
    connection.sendall(f"GET /endless HTTP/1.0\r\nHost: 127.0.0.1:{WEB}\r\n\r\n".encode())
    said = b""
    while not said.endswith(b"\r\n\r\nabc"):
        said += connection.recv(65536)
    go_on.release()
    try:
        check(False, f"it ended as if that were all: {connection.recv(65536)!r}")
    except ConnectionResetError:
        pass
    connection.close()

with step("an upstream's answer without words passes as it is"):
    for method in ("GET", "HEAD"):
        with Http(WEB) as client:
            status, fields, body = client.ask(method, "/wordless")
            same((status, body, fields["content-length"]), (404, b"", "0"), method)
            same([fields[name] for name in ("content-type", "content-encoding", "etag")],
                 ["application/json", "gzip", '"up"'], method)
        words = ["-I"] if method == "HEAD" else ["-i"]
        result = run("curl", "-s", "--http2-prior-knowledge", *words, f"http://127.0.0.1:{WEB}/wordless")
        head, _, body = result.stdout.replace("\r\n", "\n").partition("\n\n")
        same((body, head.count("content-type:"), "content-length: 0" in head), ("", 1, True), head)

with step("an upstream that is not there is a 502, or another one's matter"):
    with Http(WEB) as client:
        same(client.ask("GET", "/gone")[0], 502)
        check(client.ask("GET", "/nowhere")[0] in (502, 504), "a name without an address")
        for _ in range(4):
            same(client.ask("POST", "/either", body=b"x")[::2], (200, b"x"))


def handshake(path, extra=b""):
    connection = connect(WEB)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{WEB}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode() + extra)
    return connection, connection.makefile("rb")


def frame(data):
    mask = os.urandom(4)
    return bytes([0x81, 0x80 | len(data)]) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


with step("a WebSocket is a way through, and only where the upstream agrees"):
    connection, file = handshake("/ws", frame(b"first"))
    head = Upstream.head(file)
    same(head[0].split()[1], "101")
    same(field(head, "sec-websocket-accept"), ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="])
    same(field(head, "upgrade"), ["websocket"])
    for data in (b"first", b"second"):
        if data != b"first":
            connection.sendall(frame(data))
        same(file.read(2 + len(data)), bytes([0x81, len(data)]) + data)
    connection.shutdown(socket.SHUT_WR)
    same(file.read(), b"", "the end passes too")
    connection.close()
    connection, file = handshake("/api/no")
    same(Upstream.head(file)[0].split()[1], "200")
    connection.close()

with step("it is no open proxy"):
    before = len(app.heard)
    for request in (f"GET http://127.0.0.1:{app.port}/ HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\n\r\n",
                    f"CONNECT 127.0.0.1:{app.port} HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\n\r\n"):
        with Http(WEB) as client:
            client.send(request.encode())
            status, _, body = client.answer()
            check(status >= 400 or body == b"ours", f"{status} {body!r}")
    same(len(app.heard), before)

with step("files beside it are served"):
    with Http(WEB) as client:
        same(client.ask("GET", "/")[::2], (200, b"ours"))

server.stop()

if shutil.which("nginx"):
    with step("nginx is an upstream like any other"):
        nginx_home = folder("sportello-nginx-")
        write(nginx_home / "www/hello.txt", "hello from behind")
        (port,) = free_ports(1)
        conf = write(nginx_home / "nginx.conf", f'''
daemon off; pid {nginx_home}/pid; error_log {nginx_home}/error.log; worker_processes 1; user root;
events {{ }}
http {{
    access_log off; client_body_temp_path {nginx_home}/b; proxy_temp_path {nginx_home}/p;
    fastcgi_temp_path {nginx_home}/f; uwsgi_temp_path {nginx_home}/u; scgi_temp_path {nginx_home}/s;
    server {{ listen 127.0.0.1:{port}; root {nginx_home}/www; }}
}}
''')
        behind = subprocess.Popen(["nginx", "-c", str(conf), "-e", str(nginx_home / "error.log")])
        try:
            def is_up():
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    return True
                except OSError:
                    return False
            until(is_up, "nginx takes connections")
            with Server(config=write(home / "nginx.kdl", f'''
state "{home}/state2"
channel web port=0 protocol=http
domain example.org {{
    site "*" {{ proxy "http://127.0.0.1:{port}" }}
}}
''')) as front, Http(front.web) as client:
                for _ in range(3):
                    same(client.ask("GET", "/hello.txt")[::2], (200, b"hello from behind"))
                status, fields, _ = client.ask("HEAD", "/hello.txt")
                same((status, fields["content-length"]), (200, "17"))
                status, fields, body = client.ask("GET", "/hello.txt", ["Range: bytes=0-4"])
                same((status, body, fields["content-range"]), (206, b"hello", "bytes 0-4/17"))
                etag = fields["etag"]
                same(client.ask("GET", "/hello.txt", [f"If-None-Match: {etag}"])[0], 304)
                same(client.ask("GET", "/none")[0], 404)
        finally:
            behind.terminate()
            behind.wait(10)

for upstream in (app, streaming, sockets, library, *liars.values()):
    upstream.close()
finish()
