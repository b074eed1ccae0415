import fcntl
import json
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import termios
import threading

from resp import Resp
from sportello import (BINARY, Http, Lines, Server, brief, check, connect, contains, exchange, finish, folder, program,
                       refusing_port, run, same, step, until, write)

here = folder("sportello-reload-")
BIG = os.urandom(1 << 20) * 24
write(here / "one/index.html", "one\n")
write(here / "one/big.bin", BIG)
write(here / "two/index.html", "two\n")
marks = here / "marks"
marks.mkdir()
wait = program(here / "bin/wait", f'echo $$ > {marks}/$1; while [ ! -e {marks}/$1.go ]; do sleep 0.05; done; echo finished')
hello = program(here / "bin/hello", "echo hello")
file = here / "sportello.kdl"

CHANNELS = """
channel web port=0 protocol=http
channel mail port=0 protocol=smtp
channel commands port=0 protocol=command
channel desk port=0 protocol=http { desk }
"""


def site(root, names='"*"'):
    return f'domain "*" {{ mail {{ capture }}; site {names} {{ root "{root}" }} }}\n'


COMMANDS = f'command wait {{ program "{wait}" "{{mark}}"; argument mark }}\n'


def put(text):
    # As an editor does it: whole or not at all.
    write(here / "new", text)
    os.rename(here / "new", file)


def config(more="", channels=CHANNELS, sites=None, commands=COMMANDS):
    return f'state "state"\nworkers 2\nhostname mx.example.org\n{channels}{sites or site("one")}{commands}{more}'


def reload(code=0):
    done = run(BINARY, "reload", "--json", "--state", server.state)
    same(done.returncode, code, done.stdout + done.stderr)
    return json.loads(done.stdout)


def get(port, path="/", host=None):
    status, _, body = Http(port).ask("GET", path, host=host)
    return status, body


put(config())
server = Server(config=file)
first = server.ready


def ports():
    ready = json.loads((server.state / "listening.json").read_text())
    return {channel["name"]: channel["port"] for channel in ready["channels"]}


with step("the file in force is named, by its hash, in STATUS, status and on the desk's API"):
    picture = json.loads(run(BINARY, "status", "--json", "--state", server.state).stdout)
    same(picture["configuration"]["file"], str(file))
    check(re.fullmatch("[0-9a-f]{12}", picture["configuration"]["hash"]), str(picture["configuration"]))
    contains(run(BINARY, "status", "--state", server.state).stdout, picture["configuration"]["hash"])
    before = picture["configuration"]["hash"]

with step("a wrong file is refused whole, all that is wrong is told, and the old one runs on"):
    put(config(sites=site("two")).replace("workers 2", "workers -1") + "chanel x port=1\n")
    said = reload(1)
    same((said["ok"], len(said["errors"])), (False, 2), str(said))
    check(all(re.match(rf"{file}:\d+:\d+: error: ", error) for error in said["errors"]), str(said["errors"]))
    plain = run(BINARY, "reload", "--state", server.state)
    same(plain.returncode, 1)
    contains(plain.stderr, "chanel")
    contains(plain.stderr, "the configuration of before runs on")
    contains(server.stderr(), "chanel")
    same(get(server.web), (200, b"one\n"))
    with Resp(server.commands) as client:
        contains(str(client.ask("RELOAD")), "NOPERM")
        contains(str(client.ask("CERTIFICATES", "RENEW", "localhost")), "NOPERM")
    same(json.loads(run(BINARY, "status", "--json", "--state", server.state).stdout)["configuration"]["hash"], before)

with step("what cannot change without a restart is named, and nothing of that file is applied"):
    put(config(sites=site("two")).replace("workers 2", "workers 3").replace('state "state"', 'state "elsewhere"'))
    said = reload(1)
    same([error.split(" cannot change")[0] for error in said["errors"]], ["state", "workers"], str(said))
    same(get(server.web), (200, b"one\n"))
    check(not (here / "elsewhere").exists(), "nothing is made")

with step("a folder that may not be read, a file that is gone, a port that is taken: refused, with the reason"):
    secret = here / "secret"
    secret.mkdir(mode=0)
    taken = socket.create_server(("127.0.0.1", 0))
    for text, why in [(config(sites=site("missing")), "does not exist"),
                      (config(f"channel more port={taken.getsockname()[1]} protocol=http\n"), "another program listens")]:
        put(text)
        contains(" ".join(reload(1)["errors"]), why)
    if os.geteuid() != 0:
        put(config(sites=site("secret")))
        contains(" ".join(reload(1)["errors"]), "cannot be read")
    taken.close()
    file.unlink()
    contains(" ".join(reload(1)["errors"]), "there is no file")
    same(get(server.web), (200, b"one\n"))
    same(ports(), server.ports)

with step("SIGHUP: a site changes, and a client that stays is served by the new one from its next request on"):
    put(config(sites=site("one")))
    keeps = Http(server.web)
    same(keeps.ask("GET", "/")[2], b"one\n")
    put(config(sites=site("two")))
    server.signal(signal.SIGHUP)
    until(lambda: "was loaded again" in server.stderr(), "the log says so")
    same(keeps.ask("GET", "/")[2], b"two\n")
    put(config(sites=site("one")).replace('site "*"', 'site one.example "*"') +
        f'domain example.net {{ site example.net {{ root "two" }} }}\n')
    check(reload()["ok"], "reload")
    same([keeps.ask("GET", "/", host=host)[2] for host in ("one.example", "example.net", "localhost")],
         [b"one\n", b"two\n", b"one\n"])
    put(config(sites=site("one", "one.example")))
    check(reload()["ok"], "reload")
    same(keeps.ask("GET", "/", host="one.example")[:1], (200,))
    same(keeps.ask("GET", "/", host="example.net")[0], 421)
    same(keeps.socket.getpeername()[1], server.web)

with step("programs and limits change between two requests of one connection"):
    with Resp(server.commands) as client:
        contains(str(client.ask("greet")), "unknown command")
        put(config(commands=COMMANDS + f'command greet {{ program "{hello}" }}\n'))
        reload()
        same(client.ask("greet"), b"hello\n")
        put(config(channels=CHANNELS.replace("protocol=command", "protocol=command { arguments 3 }")))
        reload()
        contains(str(client.ask("greet")), "unknown command")
        contains(str(client.ask("ECHO", *"abcdef")), "ERR")

with step("what is in flight goes on: a download, a message, a program; their channels go meanwhile"):
    put(config(sites=site("one")))
    reload()
    download = socket.socket()
    download.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    download.settimeout(30)
    download.connect(("127.0.0.1", server.web))
    download.sendall(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
    received = bytearray(download.recv(1000))
    mail = Lines(server.mail, 30)
    for command in (None, "EHLO client.example", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA"):
        mail.ask(command) if command else mail.reply()
    mail.send("Subject: in flight\r\n\r\nthe first half\r\n")
    between = Lines(server.mail, 30)
    same(between.reply()[0], 220)
    runs = Resp(server.commands)
    runs.send("wait", "first")
    until(lambda: (marks / "first").exists(), "the program runs")
    idle = Http(server.web)
    idle.ask("GET", "/")
    old = dict(server.ports)
    put(config(sites=site("two"), commands="", channels="channel other port=0 protocol=http\n").replace("mail { capture }; ", ""))
    said = reload()
    same(len([change for change in said["changes"] if "is no more" in change]), 4, str(said))
    now = ports()
    same((list(now), get(now["other"])), (["other"], (200, b"two\n")))
    for name in old:
        try:
            connect(old[name], 5).close()
        except OSError:
            continue
        raise AssertionError(f"{name} still listens")
    idle.socket.settimeout(15)
    same(idle.file.read(), b"", "who idles on a channel that goes is let go")
    same(between.reply()[0], 421)
    length = len(received.split(b"\r\n\r\n", 1)[0]) + 4 + len(BIG)
    while len(received) < length:
        piece = download.recv(1 << 18)
        check(piece, f"the download ended after {len(received)} of {length} bytes")
        received += piece
    check(bytes(received[-len(BIG):]) == BIG, "the download is whole")
    mail.send("the second half\r\n.\r\n")
    same(mail.reply()[0], 250, "the message is taken")
    (marks / "first.go").touch()
    same(runs.read(), b"finished\n")
    for each in (download, mail, between, runs, idle):
        each.close()
    put(config(sites=site("one")))
    reload()
    server.ports = ports()
    server.web, server.mail, server.commands, server.desk = (server.ports[n] for n in ("web", "mail", "commands", "desk"))
    same([message["Subject"] if "Subject" in message else message["subject"]
          for message in server.api("/api/v1/messages")["messages"]], ["in flight"])

with step("another protocol takes a port over, and never is the port closed"):
    swapped = CHANNELS.replace("channel web port=0 protocol=http", f"channel web port={server.web} protocol=command")
    before = server.web
    put(config(channels=swapped + "channel side port=0 protocol=http\n"))
    reload()
    contains(exchange(before, b"PING\r\nQUIT\r\n").decode(), "PONG")
    put(config())
    put(config(channels=CHANNELS.replace("channel web port=0", f"channel web port={before}")))
    reload()
    same(get(before), (200, b"one\n"))

with step("twenty reloads in a row while clients ask without a pause: no request is lost"):
    stop, lost, served = threading.Event(), [], [0]

    def ask(fresh):
        client = Http(before)
        while not stop.is_set():
            try:
                if fresh:
                    client.close()
                    client = Http(before)
                status, fields, body = client.ask("GET", "/")
                if status != 200 or body not in (b"one\n", b"two\n") or "close" in fields.get("connection", ""):
                    lost.append((status, fields, body))
                served[0] += 1
            except Exception as error:  # noqa: BLE001
                lost.append(repr(error))
                client = Http(before)
        client.close()

    clients = [threading.Thread(target=ask, args=(number % 2 == 0,)) for number in range(8)]
    for client in clients:
        client.start()
    text = config(channels=CHANNELS.replace("channel web port=0", f"channel web port={before}"))
    for number in range(20):
        more = "channel extra port=0 protocol=http\n" if number % 2 else ""
        put(text.replace('root "one"', 'root "two"' if number % 3 else 'root "one"') + more)
        reload()
        seen = served[0]
        until(lambda: served[0] > seen + 20, "requests are answered meanwhile")
    stop.set()
    for client in clients:
        client.join(30)
    same(lost, [], f"of {served[0]}")
    check(served[0] > 400, served[0])

with step("a site's access log: every request once, nothing forged, put aside by size, opened again by a reload"):
    log = here / "access.log"
    stranger = socket.create_server(("127.0.0.1", 0))
    taken = stranger.getsockname()[1]

    def logged(form, more=""):
        return site("one").replace("site \"*\" {", f'site "*" {{ log "{log}" format={form} {more};')

    put(config(sites=logged("json")))
    check(reload()["ok"], "reload")
    ports_now = ports()
    client = Http(ports_now["web"])
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    evil = 'x" 200 1 \\ \u202e'
    for path in ("/", "/", "/nothing?a=b", "/big.bin"):
        client.ask("GET", path, [f"traceparent: {trace}", f"User-Agent: {evil}", "Referer: http://a.example/"])
    lines = until(lambda: log.exists() and len(text := log.read_text().splitlines()) == 4 and text, "four lines")
    said = [json.loads(line) for line in lines]
    same([(one["method"], one["target"], one["status"]) for one in said],
         [("GET", "/", 200), ("GET", "/", 200), ("GET", "/nothing?a=b", 404), ("GET", "/big.bin", 200)])
    for one in said:
        same((one["client"], one["agent"], one["referer"], one["trace"]),
             ("127.0.0.1", evil, "http://a.example/", trace.split("-")[1]))
    check(said[3]["bytes"] > len(BIG) and "\u202e" not in "".join(lines), "bytes, and nothing for a terminal")
    os.rename(log, here / "aside.log")  # as logrotate does it
    put(config(sites=logged("combined", '{ rotate size="1KiB" keep=2 }')))
    server.signal(signal.SIGHUP)
    until(lambda: log.exists(), "the file is opened again")
    for number in range(60):
        same(client.ask("GET", "/", [f"User-Agent: number {number}"])[0], 200)
    same(len((here / "aside.log").read_text().splitlines()), 4)
    until(lambda: "number 59" in log.read_text(), "the last line is written")
    client.close()
    files = sorted(each.name for each in here.glob("access.log*"))
    check(files in (["access.log"], ["access.log", "access.log.1"], ["access.log", "access.log.1", "access.log.2"]), str(files))
    pattern = re.compile(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET / HTTP/1\.1" 200 \d+ "-" "number \d+"')
    check(all(pattern.fullmatch(line) for line in log.read_text().splitlines()), brief(log.read_text()))
    put(config(sites=logged("json").replace(str(log), str(here / "no/such/folder.log"))))
    contains(" ".join(reload(1)["errors"]), "does not exist")
    # A file that is refused opens no log again: what was put aside is still written until one is in force.
    put(config(sites=logged("json")))
    check(reload()["ok"], "reload, to a log that is not put aside by its size")
    os.rename(log, here / "still.log")
    put(config(sites=logged("json"), channels=CHANNELS + f"channel taken port={taken} protocol=http\n"))
    check(reload(1)["errors"], "the port is taken")
    with Http(ports()["web"]) as other:
        same(other.ask("GET", "/", ["User-Agent: refused"])[0], 200)
    until(lambda: "refused" in (here / "still.log").read_text(), "the log of before is written")
    put(config(sites=logged("json")))
    check(reload()["ok"], "reload")

with step("HTTPS and STARTTLS live on, tickets stay good, and an upstream that is left out stays so"):
    dead = refusing_port()
    secure = CHANNELS + "channel tls port=0 protocol=http tls=local\nchannel mails port=0 protocol=smtp tls=starttls\n"
    proxied = site("one").replace("root", f'route "/up" {{ proxy "http://127.0.0.1:{dead}" {{ eject 1 within="30s" for="60s"; }}; }}; root')
    put(config(channels=secure, sites=proxied))
    check(reload()["ok"], "reload")
    now = ports()
    trust = ssl.create_default_context(cadata=run(BINARY, "ca", "--state", server.state).stdout)
    trust.maximum_version = ssl.TLSVersion.TLSv1_2  # its session is there when the handshake is over

    def secured(session=None):
        return trust.wrap_socket(connect(now["tls"]), server_hostname="localhost", session=session)

    def hello(connection):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = connection.recv(65536)
        while not answer.endswith(b"e\n") and not answer.endswith(b"o\n"):
            answer += connection.recv(65536)
        return answer.rsplit(b"\r\n\r\n", 1)[1]

    web, mail = secured(), smtplib.SMTP("127.0.0.1", now["mails"], local_hostname="client.example")
    mail.starttls(context=ssl._create_unverified_context())
    mail.ehlo()
    same(hello(web), b"one\n")
    ticket = web.session
    for _ in range(2):
        same(get(now["web"], "/up")[0], 502)
    asked = server.stderr().count("the upstream is left out for a while")
    same(asked, 1)
    put(config(channels=secure, sites=proxied.replace('root "one"', 'root "two"')))
    check(reload()["ok"], "reload")
    same(hello(web), b"two\n")
    same(mail.noop()[0], 250)
    again = secured(ticket)
    check(again.session_reused, "a ticket from before the reload is taken")
    same(hello(again), b"two\n")
    same(get(now["web"], "/up")[0], 502)
    same(server.stderr().count("a request failed at an upstream"), 1, "it is left out still, and nobody tried")
    again.close()

    def is_let_in():
        try:
            with secured() as connection:
                return hello(connection) == b"one\n"
        except (ssl.SSLError, ConnectionError):
            return False

    def on_terms(block):
        put(config(channels=secure.replace("tls=local\n", f"tls=local {{ tls {{ {block}; }}; }}\n"), sites=proxied))
        check(reload()["ok"], block)

    on_terms("minimum-version tls1.3")
    same((is_let_in(), hello(web), mail.noop()[0]), (False, b"one\n", 250), "other terms are for new handshakes")
    on_terms("handshakes 5000")
    same((is_let_in(), hello(web)), (True, b"one\n"))
    write(here / "clients.pem", run(BINARY, "ca", "--state", server.state).stdout)
    on_terms(f'client-certificate require ca="{here}/clients.pem"')
    same((is_let_in(), web.recv(1), mail.noop()[0]), (False, b"", 250), "who was let in without a certificate must not stay")
    web.close(), mail.quit()
    put(config())
    check(reload()["ok"], "reload")

with step("kill -9 in the middle of reloads: the next start has the file that is there"):
    requests = [subprocess.Popen([BINARY, "reload", "--state", str(server.state)], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL) for _ in range(4)]
    server.kill()
    for request in requests:
        request.wait(30)
    put(config(sites=site("two")))
    server = Server(config=file)
    same(get(server.web), (200, b"two\n"))
    put(config(sites=site("one")))
    check(reload()["ok"], "reload")
    same(get(server.web), (200, b"one\n"))

with step("a server without a file has nothing to read again, and ends with its terminal as ever"):
    with Server(here / "one") as other:
        done = run(BINARY, "reload", "--state", other.state)
        same(done.returncode, 1)
        contains(done.stderr, "started without a file")
        other.signal(signal.SIGHUP)
        same(other.wait(), -signal.SIGHUP)
        other._forget()

with step("standard output that nobody reads holds up neither a reload nor the end"):
    deaf = folder("sportello-deaf-")
    written = write(deaf / "deaf.kdl", f"""
state "{deaf}/state"
workers 1
hostname mx.example.org
channel web port=0 protocol=http
domain "*" {{ site "*" {{ log "-"; root "{here}/one"; }} }}
""")
    errors = deaf / "errors"
    with open(errors, "wb") as told:
        process = subprocess.Popen([BINARY, "serve", "--config", written, "--json"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=told, bufsize=0)
    try:
        ready = json.loads(process.stdout.readline())
        port = ready["channels"][0]["port"]
        with Http(port) as client:
            for _ in range(400):
                same(client.ask("GET", "/", ["User-Agent: " + "x" * 500])[0], 200)
        waiting = bytearray(4)

        def unread():
            fcntl.ioctl(process.stdout, termios.FIONREAD, waiting)
            return int.from_bytes(waiting, sys.byteorder)

        until(lambda: unread() >= 60_000, "the pipe is full")
        for number in (1, 2):
            process.send_signal(signal.SIGHUP)
            until(lambda: errors.read_text().count("was loaded again") == number, "the reload is done")
        same(get(port)[0], 200)
        process.send_signal(signal.SIGTERM)
        same(process.wait(30), 0)
        contains(errors.read_text(), "Sportello stopped")
    finally:
        process.kill()
        process.wait()

finish()
