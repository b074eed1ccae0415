import os
import re
import socket
import struct
import subprocess

from sportello import Http, Server, check, connect, contains, everything, finish, folder, run, same, step, until, write

home = folder("sportello-load-balancer-")
os.chmod(home, 0o755)
write(home / "files/index.html", "hello\n")
CONFIG = '''
state "{home}/state"
connections 1000 per-source=5
channel web port=0 protocol=http {{ proxy-protocol "127.0.0.1"; }}
channel secure port=0 protocol=http tls=local {{ proxy-protocol "127.0.0.0/28"; }}
channel mail port=0 protocol=smtp {{ proxy-protocol "127.0.0.1"; }}
channel stranger port=0 protocol=http {{ proxy-protocol {others}; }}
channel desk port=0 protocol=http {{ desk; }}
domain "*" {{
    mail {{ capture; }}
    site "*" {{
        log "{home}/access.log"
        route "/office/*" {{ allow "198.51.100.7"; strip-prefix "/office"; root "{home}/files"; }}
        root "{home}/files"
    }}
}}
'''


def config(others):
    return write(home / "sportello.kdl", CONFIG.format(home=home, others=others))


server = Server(config=config('"192.0.2.1"'))
WEB, SECURE, MAIL, STRANGER = server.web, server.ports["secure"], server.mail, server.ports["stranger"]
ROOT = write(home / "ca.pem", run(os.environ["SPORTELLO"], "ca", "--state", home / "state").stdout)


def log():
    return (home / "access.log").read_text() if (home / "access.log").exists() else ""


def version1(client, kind="TCP4"):
    return f"PROXY {kind} {client} 192.0.2.1 4711 443\r\n".encode()


def version2(client, more=b""):
    family, kind = (socket.AF_INET6, 0x21) if ":" in client else (socket.AF_INET, 0x11)
    ours = "2001:db8::1" if ":" in client else "192.0.2.1"
    rest = socket.inet_pton(family, client) + socket.inet_pton(family, ours) + struct.pack(">HH", 4711, 443) + more
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", 0x21, kind, len(rest)) + rest


LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"


def status(port, ahead, path="/"):
    """Of one request behind what is said ahead; 0: closed without a word."""
    with connect(port) as client:
        client.sendall(ahead + f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        said = everything(client)
        return int(said.split()[1]) if said else 0


with step("curl introduces a client, over HTTP/1.1 and within TLS over HTTP/2"):
    for number, (scheme, port) in enumerate([("http", WEB), ("https", SECURE)]):
        client = f"203.0.113.{number + 1}"
        shown = run("curl", "-sS", "--cacert", ROOT, "--haproxy-protocol", "--haproxy-clientip", client,
                    "--connect-to", f"localhost:{port}:127.0.0.1:{port}", f"{scheme}://localhost:{port}/?{number}")
        if "haproxy-clientip" in shown.stderr:
            # curl before 8.2 can introduce itself alone.
            shown = run("curl", "-sS", "--cacert", ROOT, "--haproxy-protocol", "--connect-to",
                        f"localhost:{port}:127.0.0.1:{port}", f"{scheme}://localhost:{port}/?{number}")
            client = "127.0.0.1"
        same((shown.returncode, shown.stdout), (0, "hello\n"), shown.stderr)
        until(lambda: re.search(rf'^{re.escape(client)} .*"GET /\?{number} HTTP/{number + 1}', log(), re.M), log())

with step("clients of both versions and families are who they are said to be"):
    for number, (ahead, client) in enumerate([
            (version1("198.51.100.1"), "198.51.100.1"), (version1("2001:db8::7", "TCP6").replace(b"192.0.2.1", b"2001:db8::1"), "2001:db8::7"),
            (version2("198.51.100.2"), "198.51.100.2"), (version2("2001:db8::8"), "2001:db8::8"),
            (version2("198.51.100.3", b"\x04\0\x05other"), "198.51.100.3"), (LOCAL, "127.0.0.1"),
            (b"PROXY UNKNOWN\r\n", "127.0.0.1")]):
        same(status(WEB, ahead, f"/?who{number}"), 200, ahead)
        until(lambda: re.search(rf"^{re.escape(client)} .*/\?who{number} ", log(), re.M), log())

with step("a rule of access sees the client"):
    same([status(WEB, version1(client), "/office/") for client in ("198.51.100.7", "198.51.100.8")], [200, 403])

with step("whoever is named and introduces nobody is closed without a word"):
    for ahead in (b"", b"PROXY TCP4 198.51.100.1\r\n", version1("198.51.100.1").replace(b" 4711", b" 04711"),
                  version2("198.51.100.1")[:12] + b"\x22", b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n"):
        same(status(WEB, ahead), 0, ahead)
    with connect(MAIL) as client:
        client.sendall(b"EHLO a.example\r\n")
        same(everything(client), b"", "no greeting")

with step("a header cut into bytes is one"):
    with connect(WEB) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in version2("198.51.100.4") + b"GET /?cut HTTP/1.0\r\nHost: localhost\r\n\r\n":
            client.sendall(bytes([byte]))
        contains(client.recv(4096), b" 200 OK\r\n")
    until(lambda: re.search(r"^198\.51\.100\.4 .*/\?cut ", log(), re.M), log())

with step("whoever is not named cannot introduce anybody"):
    same(status(STRANGER, b"", "/?stranger"), 200)
    same([status(STRANGER, ahead) for ahead in (version1("198.51.100.7"), version2("198.51.100.7"))], [400, 400])
    until(lambda: re.search(r"^127\.0\.0\.1 .*/\?stranger ", log(), re.M), log())

with step("a mail session is the client's, from its greeting on"):
    with connect(MAIL) as client:
        client.sendall(version1("198.51.100.5"))
        contains(client.recv(200), b"220 ")
        client.sendall(b"EHLO a.example\r\n")
        contains(client.recv(2000), b"250")
        client.sendall(b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n")
        until(lambda: b"354" in client.recv(2000), "it may be sent")
        client.sendall(b"Subject: introduced\r\n\r\nhello\r\n.\r\nQUIT\r\n")
        until(lambda: b"queued" in client.recv(2000), "it is kept")
    raw = run(os.environ["SPORTELLO"], "mail", "read", "1", "--raw", "--state", home / "state").stdout
    contains(raw, "Subject: introduced")
    contains(raw, "[198.51.100.5]", "Received says who sent it")

with step("one client has so many connections, whichever way it comes"):
    held = []
    for _ in range(5):
        client = Http(WEB)
        client.send(version1("198.51.100.6") + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        same(client.head()[0], 200)
        held.append(client)
    same(status(WEB, version1("198.51.100.6")), 0, "one too many")
    same(status(WEB, version1("198.51.100.60")), 200, "another client")
    held.pop().__exit__(None, None, None)
    until(lambda: status(WEB, version1("198.51.100.6")) == 200, "a place is free again")
    for client in held:
        client.__exit__(None, None, None)

with step("HAProxy introduces its clients by both versions, and looks whether we are well"):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    sections = "".join(f"""
listen version{number}
    bind 127.0.0.1:{port}
    server web 127.0.0.1:{WEB} {how} check inter 100ms
""" for number, (port, how) in enumerate(zip(ports, ("send-proxy", "send-proxy-v2"))))
    write(home / "haproxy.cfg", f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
{sections}""")
    balancer = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(home / "haproxy.cfg")])
    try:
        for number, port in enumerate(ports):
            url = f"http://127.0.0.1:{port}/?balanced{number}"
            until(lambda: run("curl", "-sS", "--interface", "127.0.0.9", url).stdout == "hello\n", "it is passed on")
            until(lambda: re.search(rf"^127\.0\.0\.9 .*/\?balanced{number} ", log(), re.M), log())
    finally:
        balancer.terminate()
        balancer.wait()

with step("a reload names other balancers, and connections stay"):
    with Http(STRANGER) as before:
        same(before.ask("GET", "/")[0], 200)
        config('"192.0.2.1" "127.0.0.1"')
        reloaded = run(os.environ["SPORTELLO"], "reload", "--state", home / "state")
        same(reloaded.returncode, 0, reloaded.stderr)
        same(before.ask("GET", "/")[0], 200)
    same([status(STRANGER, ahead) for ahead in (b"", version1("198.51.100.7"))], [0, 200])

with step("the desk cannot be reached through a balancer"):
    write(home / "wrong.kdl", '''
channel desk port=8025 protocol=http { desk; proxy-protocol "192.0.2.1"; }
channel commands port=6379 protocol=command { proxy-protocol "192.0.2.1"; }
''')
    checked = run(os.environ["SPORTELLO"], "check", home / "wrong.kdl")
    check(checked.returncode != 0, "it is refused")
    contains(checked.stdout + checked.stderr, "the desk is for this machine")
    contains(checked.stdout + checked.stderr, "proxy-protocol is for http or smtp or submission channels")

finish()
