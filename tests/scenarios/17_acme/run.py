import signal
import socket
import ssl

from ca import Authority
from sportello import BINARY, Server, check, contains, finish, folder, program, run, same, step, until, write

LIFE = 45  # seconds that a certificate is good: the first one is renewed while this runs
BACK = 60.0  # seconds within which a CA that was down is asked again, with some to spare for a busy machine

ca = Authority(LIFE, customers=True)
here = folder("sportello-acme-")
write(here / "www/index.html", "hello\n")
dns = program(here / "dns", f"""\
# present NAME VALUE, cleanup NAME VALUE
echo "$@" >> {here}/dns.log
case $1 in
present) curl -sf -d "{{\\"host\\":\\"$2.\\",\\"value\\":\\"$3\\"}}" http://127.0.0.1:{ca.names}/set-txt ;;
cleanup) curl -sf -d "{{\\"host\\":\\"$2.\\"}}" http://127.0.0.1:{ca.names}/clear-txt ;;
esac""")


def configuration(challenge, *sites):
    """One CA and one state for all servers of this scenario, which follow each other."""
    blocks = "\n".join(f'    site {names} {{\n        root "www"\n    }}' for names in sites)
    return write(here / "sportello.kdl", f"""\
state "state"
acme email="ops@example.org" directory="{ca.url}" {{
    ca-root "{ca.root}"
    external-account "kid-1" key="{ca.here}/external-account.key"
    challenge {challenge}
}}
channel plain port={ca.plain} protocol=http
channel web port={ca.encrypted} protocol=http tls=auto
channel commands port=0 protocol=command tls=auto
domain "*" {{
{blocks}
}}
""")


def shake(port, name, roots=None):
    """A TLS connection; without roots, to whomever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = roots is not None
    context.verify_mode = ssl.CERT_NONE if roots is None else ssl.CERT_REQUIRED
    if roots:
        context.load_verify_locations(cadata=roots)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=15), server_hostname=name)


def serial(port, name, roots):
    """The number of the certificate for a name, if the CA signed it."""
    try:
        with shake(port, name, roots) as connection:
            return connection.getpeercert()["serialNumber"]
    except (ssl.SSLError, ConnectionError):
        return None


def get(connection, name):
    connection.sendall(f"GET / HTTP/1.1\r\nhost: {name}\r\n\r\n".encode())
    return connection.recv(65536).decode()


with step("while the CA is down, a stand-in is shown and the sites are there"):
    server = Server(config=configuration("http", "www.example.org example.org"))
    with shake(server.ports["web"], "www.example.org") as connection:
        contains(get(connection, "www.example.org"), "hello")
    until(lambda: "no certificate" in server.stderr(), "the log tells it")

with step("when it is back, HTTP-01 gives one certificate for all names of the site, on every channel"):
    ca.start()
    roots = ca.signs_with()
    first = until(lambda: serial(server.ports["web"], "www.example.org", roots), "a certificate", BACK)
    for port in server.ports["web"], server.ports["commands"]:
        for name in "www.example.org", "example.org":
            same(serial(port, name, roots), first, f"{name} on {port}")
    living = shake(server.ports["web"], "example.org", roots)
    contains(get(living, "example.org"), "hello")

with step("a renewed one is in use on every channel, and a connection of before lives on"):
    second = until(lambda: (found := serial(server.ports["web"], "example.org", roots)) != first and found,
                   "a renewed certificate", LIFE + 30.0)
    same(serial(server.ports["commands"], "www.example.org", roots), second)
    contains(get(living, "example.org"), "hello")
    living.close()

def restarted():
    """What is shown and what was ordered until now, before a restart and after it."""
    global server
    before = serial(server.ports["web"], "example.org", roots), ca.said().count("Added order")
    server.stop()
    server = Server(config=configuration("http", "www.example.org example.org"))
    return before, (serial(server.ports["web"], "example.org", roots), ca.said().count("Added order"))


with step("after a restart nothing is ordered that is there"):
    # A renewal may be due just then; not each time.
    tries = [restarted() for _ in range(3)]
    check(any(before == after and before[0] and before[1] for before, after in tries), tries)

with step("a reload brings another site: its certificate comes, and no connection ends"):
    with shake(server.ports["web"], "example.org", roots) as connection:
        configuration("http", "www.example.org example.org", "other.example.org")
        server.signal(signal.SIGHUP)
        until(lambda: serial(server.ports["web"], "other.example.org", roots), "a certificate", BACK)
        contains(get(connection, "example.org"), "hello")
    server.stop()

with step("TLS-ALPN-01; a name whose challenge fails is told, and holds up no other"):
    ca.resolve("broken.example.org", "127.0.0.99")
    server = Server(config=configuration("tls-alpn", "broken.example.org", "tls.example.org"))
    until(lambda: serial(server.ports["web"], "tls.example.org", roots), "a certificate", BACK)
    until(lambda: [line for line in server.stderr().splitlines() if "no certificate" in line and "broken" in line], "it is told")
    same(serial(server.ports["web"], "broken.example.org", roots), None)

    def renew(name):
        return run(BINARY, "certificates", "renew", name, "--state", server.state)

    first = serial(server.ports["web"], "tls.example.org", roots)
    asked = renew("tls.example.org")
    same((asked.returncode, asked.stderr), (0, ""))
    contains(asked.stdout, "it is ordered")
    until(lambda: serial(server.ports["web"], "tls.example.org", roots) not in (first, None), "another certificate")
    stranger = renew("nowhere.example.org")
    same((stranger.returncode, stranger.stdout), (1, ""))
    contains(stranger.stderr, "no certificate is obtained by ACME")
    with shake(server.ports["web"], "broken.example.org") as connection:
        contains(get(connection, "broken.example.org"), "hello")
    server.stop()

with step("DNS-01 by a program, for a wildcard and the name itself; the record is removed again"):
    server = Server(config=configuration(f'dns program="{dns}" wait="0s"', "dns.example.org *.dns.example.org"))
    number = until(lambda: serial(server.ports["web"], "a.dns.example.org", roots), "a certificate", BACK)
    same(serial(server.ports["web"], "dns.example.org", roots), number)
    runs = until(lambda: (lines := (here / "dns.log").read_text().splitlines()) and len(lines) >= 4 and lines, "clean-up")
    same(sorted({tuple(run.split()[:2]) for run in runs}), [
        ("cleanup", "_acme-challenge.dns.example.org"), ("present", "_acme-challenge.dns.example.org")])
    same(sorted(run.split()[2] for run in runs if run.startswith("present")),
         sorted(run.split()[2] for run in runs if run.startswith("cleanup")))
    server.stop()

with step("a CA that came back without its accounts gets a new one"):
    ca.kill()
    ca.start()
    roots = ca.signs_with()
    server = Server(config=configuration("http", "new.example.org"))
    until(lambda: serial(server.ports["web"], "new.example.org", roots), "a certificate", BACK)
    server.stop()

with step("a CA of one's own signs for names that the world does not know"):
    server = Server(config=configuration("http", "git.internal printer.lan"))
    number = until(lambda: serial(server.ports["web"], "git.internal", roots), "a certificate", BACK)
    same(serial(server.ports["web"], "printer.lan", roots), number)
    same(serial(server.ports["web"], "localhost", roots), None)
    server.stop()

with step("what a site says of strangers is no answer to a CA, and a token that is not asked for is none of ours"):
    server = Server(config=configuration("http", "new.example.org"))
    with socket.create_connection(("127.0.0.1", ca.plain), timeout=15) as connection:
        connection.sendall(b"GET /.well-known/acme-challenge/token HTTP/1.1\r\nhost: new.example.org\r\n\r\n")
        check(b" 404 " in connection.recv(65536).split(b"\r\n")[0] + b" ", "nothing is there")
    server.stop()

finish()
