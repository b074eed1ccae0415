import json
import os
import re
import socket
import ssl
import threading

from load import Application, Load
from resp import Resp
from sportello import (BINARY, Http, Lines, Server, check, connect, finish, folder, program, resident, run, same, step, until,
                       write)

WEBSOCKETS, RELOADS = 50, 10
GROWTH = 16 << 10  # KiB that the second round of ten reloads may leave: less than what a leaked generation under load holds

here = folder("sportello-under-load-")
BIG = os.urandom(1 << 20) * 16
for root in ("one", "two"):
    write(here / root / "index.html", f"{root}\n")
    write(here / root / "big.bin", BIG if root == "one" else b"another")
for name in ("first", "second"):
    done = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
               "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-keyout", here / f"{name}.key",
               "-out", here / f"{name}.pem")
    check(done.returncode == 0, done.stderr)
greet = program(here / "greet", "echo hello")
GREET = f'command greet {{ program "{greet}"; }}'
load = Load()
app, other = Application(load, "app"), Application(load, "other")
file = here / "sportello.kdl"


def put(root="one", certificate="first", upstream=None, web="", secure="", mail="", channels="", site="", sites=""):
    """As an editor does it: whole or not at all."""
    proxy = f'proxy "http://127.0.0.1:{(upstream or app).port}" {{ keep 8 age="500ms"; }}'
    write(here / "new", f"""\
state "state"
workers 2
log warn
hostname mx.example.org
certificate "{certificate}.pem" key="{certificate}.key"
channel web port=0 protocol=http {{ {web} }}
channel secure port=0 protocol=http tls=auto {{ {secure} }}
channel mail port=0 protocol=smtp {{ {mail} }}
channel commands port=0 protocol=command
{channels}
domain "*" {{
    mail {{ capture; }}
    site "*" {{
        {site}
        route "/api/*" "/ws" {{ {proxy}; }}
        root "{root}"
    }}
}}
{sites}
""")
    os.rename(here / "new", file)


def reload(code=0):
    done = run(BINARY, "reload", "--json", "--state", server.state)
    same(done.returncode, code, done.stdout + done.stderr)
    return json.loads(done.stdout)


def ports():
    ready = json.loads((server.state / "listening.json").read_text())
    return {channel["name"]: channel["port"] for channel in ready["channels"]}


def descriptors():
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def certificate_shown():
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{server.ports['secure']}", "-servername", "localhost", stdin="")
    return re.search(r"subject=CN = (\w+)", done.stdout)[1]


def shakes_by(version):
    """Whether a new connection may speak this version of TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    try:
        context.wrap_socket(connect(SECURE), server_hostname="localhost").close()
    except (ssl.SSLError, ConnectionError):
        return False
    return True


def busy():
    """Waits until every kind of client has been answered anew, each WebSocket too."""
    before = dict(load.served)
    until(lambda: load.lost or all(load.served[kind] >= count + 3 for kind, count in before.items()), "all clients go on", 60)
    same(load.lost, [], "what went wrong")


put()
server = Server(config=file)
WEB, SECURE = server.ports["web"], server.ports["secure"]


class Upload:
    """A request whose body is half there while the configuration changes."""

    def __init__(self, port):
        self.client = Http(port, 60)
        self.client.send(b"PUT /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)

    def end(self, expected):
        self.client.send(b"x" * 100_000)
        status, _, body = self.client.answer()
        self.client.close()
        same((status, body), (200, expected))


class Frames(threading.Thread):
    """h2load over TLS, again and again: HTTP/2 requests that must all succeed."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ends = False
        load.served["http/2"] = 0
        self.start()

    def run(self):
        while not self.ends:
            for target in ("/", "/api/x"):
                done = run("h2load", "-n", "100", "-c", "2", "-m", "8", f"https://localhost:{SECURE}{target}")
                found = re.search(r"(\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
                if not found or found[1] != found[2] or "100 2xx" not in done.stdout:
                    load.lost.append(f"h2load: {done.stdout[-600:]} {done.stderr[-300:]}")
            load.served["http/2"] += 3

    def end(self):
        self.ends = True
        self.join(60)


def begin():
    """Everybody who asks."""
    page, api = (lambda body: body in (b"one\n", b"two\n")), (lambda body: body in (b"app 0", b"other 0"))
    for _ in range(2):
        for secure, port in ((False, WEB), (True, SECURE)):
            for keeps in (True, False):
                for target, fits in (("/", page), ("/api/x", api)):
                    kind = f"{'https' if secure else 'http'}, {'one connection' if keeps else 'new connections'}, {target}"
                    load.begin(kind, load.asking(kind, port, target, fits, secure, keeps))
    for number in range(WEBSOCKETS):
        load.begin("websocket", load.echoing("websocket", number, SECURE if number % 2 else WEB, number % 2 == 1))
    until(lambda: load.lost or sum(type(kind) is tuple for kind in load.served) == WEBSOCKETS, "the WebSockets are open", 60)
    return Frames()


def ten_reloads():
    """Each with an upload that is half there before it and ends behind it."""
    extra = 'channel extra port=0 protocol=http\n'
    steps = [
        ("another folder", {"root": "two"}, 0),
        ("a route more", {"root": "two", "site": 'route "/new" { respond 200 "new"; }'}, 0),
        ("another certificate", {"certificate": "second"}, 0),
        ("other limits", {"certificate": "second", "secure": "tls { minimum-version tls1.3; handshakes 100000; }", "web": 'connections 500; idle "50s"; head-size "8KiB"', "site": 'limit body="1MiB"'}, 0),
        ("a channel and a site more", {"channels": extra, "sites": 'domain example.net { site example.net { respond 200 "net"; }; }'}, 0),
        ("a file that is wrong", {"channels": "chanel x port=1"}, 1),
        ("a channel less", {}, 0),
        ("another upstream", {"upstream": other}, 0),
        ("mail and programs", {"upstream": other, "mail": 'message-size "1MiB"', "sites": GREET}, 0),
        ("what it was", {}, 0),
    ]
    same(len(steps), RELOADS)
    begun_with = app
    for name, change, code in steps:
        uploads = [Upload(WEB) for _ in range(3)]
        lasts = slow_on_a_channel_that_goes() if name == "a channel less" else None
        put(**change)
        reload(code)
        for upload in uploads:
            upload.end(f"{begun_with.name} 200000".encode())
        if code == 0:
            begun_with = change.get("upstream", app)
        busy()
        effect(name)
        if lasts:
            lasts()
        same(session.ask("NOOP")[0], 250)
        same(commands.ask("ECHO", name), name.encode())


def effect(name):
    """Whether the change is in force."""
    with Http(WEB) as client:
        if name == "another folder":
            same(client.ask("GET", "/", host="localhost")[2], b"two\n")
        elif name == "a route more":
            same(client.ask("GET", "/new", host="localhost")[2], b"new")
        elif name == "another certificate":
            same(certificate_shown(), "second")
        elif name == "other limits":
            same(client.ask("GET", "/", ["X-Long: " + "x" * 8192], host="localhost")[0], 431)
            same((shakes_by("TLSv1.2"), shakes_by("TLSv1.3")), (False, True))
        elif name in ("a channel and a site more", "a file that is wrong"):
            same(client.ask("GET", "/", host="example.net")[2], b"net")
            with Http(ports()["extra"]) as more:
                same(more.ask("GET", "/", host="localhost")[2], b"one\n")
        elif name == "a channel less":
            check("extra" not in ports(), ports())
        elif name == "another upstream":
            same(client.ask("GET", "/api/x", host="localhost")[2], b"other 0")
        elif name == "mail and programs":
            same(commands.ask("greet"), b"hello\n")
        else:
            same((client.ask("GET", "/", host="localhost")[2], certificate_shown()), (b"one\n", "first"))


def slow_on_a_channel_that_goes():
    """A request that the application still thinks about, and a connection that idles, on a channel that is about to go."""
    port = ports()["extra"]
    idle, asked = Http(port, 60), Http(port, 60)
    same(idle.ask("GET", "/", host="localhost")[0], 200)
    app.may.clear()
    thought = app.slow
    asked.send(b"GET /api/slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until(lambda: app.slow > thought, "the application has it")

    def lasts():
        check(idle.ended(), "who idles there is let go")
        try:
            connect(port, 5).close()
            raise AssertionError("it still listens")
        except ConnectionRefusedError:
            pass
        app.may.set()
        status, fields, body = asked.answer()
        same((status, body, fields.get("connection")), (200, b"app 0", "close"))
        check(asked.ended(), "and then it ends")
        for each in (idle, asked):
            each.close()
    return lasts


def half_a_message():
    client = Lines(server.mail, 60)
    client.reply()
    for command in ("EHLO client.example", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA"):
        client.ask(command)
    client.send("Subject: under load\r\n\r\nthe first half\r\n")
    return client


def the_other_half(client):
    client.send("the second half\r\n.\r\n")
    same(client.reply()[0], 250, "the message is taken")


session = Lines(server.mail, 60)
same((session.reply()[0], session.ask("EHLO client.example")[0]), (220, 250))
commands = Resp(server.commands)
with step("everybody is served before anything changes"):
    # The first of each makes what is made once: threads, pools, a reader of the store, a line to the programs.
    put(root="two", sites=GREET)
    reload()
    same(commands.ask("greet"), b"hello\n")
    put()
    reload()
    with half_a_message() as message:
        the_other_half(message)
    frames = begin()
    busy()
    frames.end()
    load.end()
    same(load.lost, [])


def alone():
    """Waits until no client but the two sessions is there, and no connection to the application is kept."""
    def others():
        told = json.loads(run(BINARY, "connections", "--json", "--state", server.state).stdout)
        return [one for one in told if one["channel"] not in ("mail", "commands", "socket")]
    until(lambda: not others(), "every client is gone")
    until(lambda: not app.open and not other.open, "no connection to the application is kept")
    return descriptors(), resident(server.pid)


sizes = [alone()]
print(f"     {sizes[0][0]} descriptors, {sizes[0][1]} KiB")
for number in (1, 2):
    with step(f"ten reloads under load, round {number}: nothing is lost"):
        download = socket.socket()
        download.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        download.settimeout(60)
        download.connect(("127.0.0.1", WEB))
        download.sendall(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = bytearray(download.recv(1000))
        message = half_a_message()
        frames = begin()
        busy()
        ten_reloads()
        frames.end()
        total = load.end()
        same(load.lost, [])
        length = len(received.split(b"\r\n\r\n", 1)[0]) + 4 + len(BIG)
        while len(received) < length:
            piece = download.recv(1 << 18)
            check(piece, f"the download ended after {len(received)} of {length} bytes")
            received += piece
        check(bytes(received[-len(BIG):]) == BIG, "the download is that of the folder it began in, and whole")
        download.close()
        the_other_half(message)
        message.close()
        print(f"     {total} requests and echoes")

    with step(f"descriptors are what they were, round {number}"):
        sizes.append(alone())
        print(f"     {sizes[-1][0]} descriptors, {sizes[-1][1]} KiB")
        same(sizes[-1][0], sizes[0][0], "descriptors")

with step("the second round has left no more memory than the first"):
    check(sizes[2][1] - sizes[1][1] < GROWTH, f"{sizes} KiB")

with step("the sessions of before still speak"):
    same((session.ask("QUIT")[0], commands.ask("PING")), (221, "PONG"))
    session.close()
    commands.close()

server.stop()
finish()
