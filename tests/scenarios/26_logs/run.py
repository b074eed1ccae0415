import base64
import json
import re
import sys
import threading
import urllib.request

from php import Pool
from sportello import BINARY, Http, Server, check, contains, finish, folder, refusing_port, run, same, step, until, write
from upstream import Upstream, field, websocket

here = folder("sportello-logs-")
here.chmod(0o755)  # scripts run as another user, where this one is root
write(here / "files/index.html", "home\n")
write(here / "php/trace.php", "<?php echo ($_SERVER['HTTP_TRACEPARENT'] ?? '-').' '.($_SERVER['HTTP_TRACESTATE'] ?? '-');")
write(here / "staff", "ada:$2y$05$yVl8V3/d31IWU4Psb760..tTpkEKeB6yYvdKqQxAH4s7E4oyH7PIG\n")
ADA = "Authorization: Basic " + base64.b64encode(b"ada:secret").decode()
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ID = TRACE.split("-")[1]


late = threading.Event()


def plays(connection, _, head):
    if "/late" in head[0]:
        late.wait(0.3)
    status = b"503 No" if "/broken" in head[0] else b"201 Made"
    connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")


app, sockets, pool = Upstream(plays), Upstream(websocket), Pool(here)
gone = refusing_port()

server = Server(config=write(here / "sportello.kdl", f"""
state "state"
workers 2
hostname mx.example.org
trusted-proxies "127.0.0.1" "10.0.0.0/8"
channel web port=0 protocol=http {{ slow "300ms"; }}
channel tls port=0 protocol=http tls=local
channel desk port=0 protocol=http {{ desk; }}
domain "*" {{
    site "*" {{
        log "{here}/json.log" format=json
        route "/api/*" {{
            route "/api/broken" {{ proxy "http://127.0.0.1:{app.port}" }}
            proxy "http://127.0.0.1:{app.port}"
        }}
        route "/either" {{ proxy "http://127.0.0.1:{gone}" "http://127.0.0.1:{app.port}" }}
        route "/ws" {{ proxy "http://127.0.0.1:{sockets.port}" }}
        route "/staff" {{ login "staff" realm=staff; respond 200 "yes" }}
        route "*.php" {{ fastcgi "unix:{pool.socket}" {{ root "php"; }} }}
        root "files"
    }}
}}
"""))
WEB, TLS, DESK = server.ports["web"], server.ports["tls"], server.ports["desk"]
seen = 0


def lines(count=1):
    """The next lines of the log."""
    global seen
    log = here / "json.log"
    until(lambda: log.exists() and log.read_text().count("\n") >= seen + count, f"{count} lines more")
    text = log.read_text()
    told = [json.loads(line) for line in text.splitlines()][seen:]
    same(len(told), count, text)
    seen += count
    return told


def ask(path, *fields, method="GET"):
    with Http(WEB) as client:
        status, _, body = client.ask(method, path, fields)
    return status, body


with step("who asked is whom the proxies that are trusted name, walking from the right"):
    for said, expect in (("203.0.113.9", "203.0.113.9"), ("1.1.1.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
                         ("1.1.1.1, nonsense, 10.1.1.1", "10.1.1.1"), ("", "127.0.0.1")):
        for path in ("/", "/staff"):
            ask(path, *([f"X-Forwarded-For: {said}"] if said else []))
            same(lines()[0]["client"], expect, f"{path} {said}")

with step("whoever logged in is named, whoever failed to is not"):
    same((ask("/staff", ADA)[0], ask("/staff")[0]), (200, 401))
    # Two workers may have answered, each with lines of its own.
    same(sorted((one["status"], one.get("user"), one["route"]) for one in lines(2)),
         [(200, "ada", "/staff"), (401, None, "/staff")])

with step("an upstream is named with its status and its times; a trace goes on by a step of its own, its state unchanged"):
    same(ask("/api/x", f"traceparent: {TRACE}", "tracestate: a=1, b=2")[0], 201)
    told = lines()[0]
    same((told["upstream"], told["upstream_status"], told["status"], told["trace"]),
         (f"http://127.0.0.1:{app.port}", 201, 201, ID))
    check(0 <= told["upstream_connect_us"] <= told["upstream_us"] <= told["us"], str(told))
    (passed,), state = field(app.heard[-1], "traceparent"), field(app.heard[-1], "tracestate")
    same((passed[:36], passed[52:], state), (TRACE[:36], "-01", ["a=1, b=2"]))
    check(passed != TRACE, "the step is our own")

with step("without a trace, or with one that is none, a new one begins, and its number is in the log"):
    for bad in ([], ["traceparent: 00-zz-01", "tracestate: a=1"], [f"traceparent: {TRACE}"] * 2):
        ask("/api/x", *bad)
        (passed,) = field(app.heard[-1], "traceparent")
        check(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", passed) and ID not in passed, passed)
        same((lines()[0]["trace"], field(app.heard[-1], "tracestate")), (passed.split("-")[1], []))
    ask("/")
    check(re.fullmatch("[0-9a-f]{32}", lines()[0]["trace"]), "a file's line has one too")

with step("a FastCGI application is told the same, and is named"):
    status, body = ask("/trace.php", f"traceparent: {TRACE}", "tracestate: a=1")
    same((status, body[:36], body[-3:]), (200, TRACE[:36].encode(), b"a=1"))
    told = lines()[0]
    same((told["upstream"], told["upstream_status"], told["trace"]), (f"unix:{pool.socket}", 200, ID))

with step("one that was asked in vain before is counted"):
    for _ in range(4):
        ask("/either")
    told = lines(4)
    same({one["upstream"] for one in told}, {f"http://127.0.0.1:{app.port}"})
    check(any(one.get("upstreams_before") == 1 for one in told), str(told))

with step("over TLS and HTTP/2 the same is told, with the version and the name that was asked for"):
    for words, protocol in ((["--http2"], "HTTP/2.0"), (["--http1.1"], "HTTP/1.1")):
        done = run("curl", "-sk", *words, "--resolve", f"localhost:{TLS}:127.0.0.1", "-H", "X-Forwarded-For: 203.0.113.7",
                   "-H", f"traceparent: {TRACE}", f"https://localhost:{TLS}/api/x?y")
        same((done.returncode, done.stdout), (0, "ok"), done.stderr)
        told = lines()[0]
        same((told["protocol"], told["tls"], told["sni"], told["client"], told["target"], told["status"], told["trace"]),
             (protocol, "TLSv1.3", "localhost", "203.0.113.7", "/api/x?y", 201, ID))
        contains(told["agent"], "curl/")

with step("hostile bytes in whatever a client says break no line"):
    evil = b"\"}\\\x1b[2J\xff\xe2\x80\xae'"
    with Http(WEB) as client:
        client.send(b"GET /%%22%%0a?x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: " % WEB + evil.replace(b"\x1b", b"")
                    + b"\r\nReferer: " + evil.replace(b"\x1b", b"") + b"\r\nX-Forwarded-For: " + evil.replace(b"\x1b", b"")
                    + b"\r\n\r\n")
        status = client.answer()[0]
    told = lines()[0]
    same(told["status"], status)
    raw = (here / "json.log").read_bytes()
    check(b"\x1b" not in raw and "\u202e" not in raw.decode(), "nothing for a terminal")


KINDS = {"counter", "gauge", "histogram"}
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? ([0-9.e+-]+|\+Inf|NaN)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')


def metrics():
    """The page, read as strictly as its format is written (Prometheus text 0.0.4)."""
    with urllib.request.urlopen(f"http://127.0.0.1:{DESK}/metrics") as answer:
        same(answer.headers["Content-Type"].split(";")[0], "text/plain")
        text = answer.read().decode()
    check(text.endswith("\n"), "the last line ends")
    kinds, samples, family = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            check(family not in kinds and kind in KINDS, line)
            kinds[family] = kind
            continue
        found = SAMPLE.fullmatch(line)
        check(found, f"a sample: {line}")
        name, labels = found[1], tuple(sorted(LABEL.findall(found[2] or "")))
        parts = [family + end for end in ("_bucket", "_sum", "_count")] if kinds[family] == "histogram" else [family]
        check(name in parts, f"{line} under {family}")
        check((name, labels) not in samples, f"twice: {line}")
        samples[name, labels] = float(found[3])
    return samples


def value(samples, name, **labels):
    return samples[name, tuple(sorted(labels.items()))]


with step("what took long is told of once, with where the time went, and a tunnel only if its beginning did"):
    late.clear()
    same(ask("/api/late")[0], 201)
    line = until(lambda: [line for line in server.stderr().splitlines() if "a request was slow" in line], "the log tells it")
    same(len(line), 1, str(line))
    for piece in ("route=/api/*", "status=201", "upstream=http://127.0.0.1", "head_ms=0", "connect_ms=", "target=/api/late"):
        contains(line[0], piece)
    ms = {name: int(value) for name, value in re.findall(r" (\w*ms)=(\d+)", line[0])}
    check(ms["ms"] >= 300 and ms["first_byte_ms"] >= 290, str(ms))
    lines()

total = "sportello_http_requests_total"

with step("metrics count by site and route, with times in buckets that only grow, and what was asked of others"):
    before = metrics()
    count = "sportello_http_request_duration_seconds_count"
    asked = {route: value(before, count, site="*", route=route) for route in ("", "/api/*", "/staff")}
    same(asked, {"": 6.0, "/api/*": 7.0, "/staff": 6.0})
    for _ in range(3):
        same((ask("/api/x")[0], ask("/api/broken")[0], ask("/")[0]), (201, 503, 200))
    now = metrics()
    for route, kind in (("/api/*", "2xx"), ("/api/* /api/broken", "5xx"), ("", "2xx")):
        labels = {"site": "*", "route": route, "class": kind}
        same(value(now, total, **labels) - value(before, total, **labels), 3.0, str(labels))
    for route in asked:
        buckets = [value(now, "sportello_http_request_duration_seconds_bucket", site="*", route=route, le=le)
                   for le in ("0.0001", "0.001", "0.005", "0.025", "0.1", "0.25", "1", "2.5", "10", "+Inf")]
        same(buckets, sorted(buckets))
        same(buckets[-1], value(now, count, site="*", route=route))
    this = {"site": "*", "upstream": f"http://127.0.0.1:{app.port}"}
    same(value(now, "sportello_upstream_up", **this), 1.0)
    same(value(now, "sportello_upstream_requests_total", **this) - value(before, "sportello_upstream_requests_total", **this), 6.0)
    check(1 <= value(now, "sportello_upstream_connections_total", **this) <= app.connections, "connections")
    check(value(now, "sportello_upstream_retries_total", site="*", upstream=f"http://127.0.0.1:{gone}") >= 1, "retries")
    same(value(now, "sportello_fastcgi_requests_total", site="*", application=f"unix:{pool.socket}"), 1.0)
    tunnel = Http(WEB)
    tunnel.send(f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{WEB}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    same(tunnel.head()[0], 101)
    this = {"site": "*", "upstream": f"http://127.0.0.1:{sockets.port}"}
    same(value(metrics(), "sportello_tunnels_open", **this), 1.0)
    tunnel.close()
    until(lambda: value(metrics(), "sportello_tunnels_open", **this) == 0.0, "the tunnel ends")

with step("counts go on over a reload, and what a client says names no series"):
    before = value(metrics(), total, site="*", route="", **{"class": "2xx"})
    same(run(BINARY, "reload", "--state", server.state).returncode, 0)
    ask("/")
    same(value(metrics(), total, site="*", route="", **{"class": "2xx"}), before + 1)
    check("curl" not in str(metrics()), "nothing that a client sends")

# Becomes the server, whose standard output is a pipe of which its child reads the first line and then no more.
DEAF = """
import ctypes, os, signal, sys
out, server = os.pipe()
if os.fork():
    os.dup2(server, 1)
    os.close(out); os.close(server)
    os.execv(sys.argv[1], sys.argv[1:])
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.close(server)
line = b''
while not line.endswith(b'\\n'):
    line += os.read(out, 1)
os.write(1, line)
signal.pause()
"""

with step("a log that nobody reads keeps no other waiting, nor who is served; what it loses is told"):
    deaf = Server(prefix=(sys.executable, "-c", DEAF), config=write(here / "deaf.kdl", f"""
state "deaf"
workers 1
channel web port=0 protocol=http
domain localhost {{
    site a.localhost {{ log "-"; respond 200 "a" }}
    site b.localhost {{ log "{here}/b.log"; respond 200 "b" }}
}}
"""))
    long = "x" * 2000
    with Http(deaf.web) as client:
        for number in range(3000):
            same(client.ask("GET", "/", [f"User-Agent: {long}", f"Referer: {long}"], host="a.localhost")[0], 200)
            if "lost" in deaf.stderr():
                break
        contains(deaf.stderr(), "lines of an access log are lost")
        contains(deaf.stderr(), "standard output")
        for number in range(1, 4):
            same(client.ask("GET", f"/{number}", host="b.localhost")[2], b"b")
            until(lambda: (here / "b.log").read_text().count("\n") == number, "the other log is written")
    deaf.stop()

pool.stop()
finish()
