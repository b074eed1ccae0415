import contextlib
import hashlib
import http.client
import json
import smtplib
import socket
import ssl
import time

from sportello import BINARY, Lines, Server, check, connect, contains, exchange, finish, folder, run, same, step, until, write

place = folder("sportello-tls-")
web, private = place / "web", place / "private"
write(web / "index.html", "hello\n")
big = bytes(range(256)) * 12_000
write(web / "big.bin", big)
write(private / "index.html", "for members\n")


# --- certificates -----------------------------------------------------------------------------------------------------

def openssl(*words, stdin=None):
    result = run("openssl", *words, stdin=stdin)
    same(result.returncode, 0, result.stderr)
    return result.stdout


def authority(name):
    """A CA; its certificate in NAME.pem, its key in NAME.key."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-subj", f"/CN={name}", "-keyout", place / f"{name}.key", "-out", place / f"{name}.pem")
    return place / f"{name}.pem"


def signed(by, file, subject, *names):
    """A certificate and its key, put in the place of what was there, one file after the other."""
    key, request, chain = place / f"{file}.key.new", place / f"{file}.csr", place / f"{file}.pem.new"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
            "-keyout", key, "-out", request)
    extensions = write(place / f"{file}.ext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names or [file]))
    openssl("x509", "-req", "-in", request, "-CA", place / f"{by}.pem", "-CAkey", place / f"{by}.key", "-days", "20",
            "-extfile", extensions, "-out", chain)
    chain.rename(place / f"{file}.pem")
    key.rename(place / f"{file}.key")
    return place / f"{file}.pem", place / f"{file}.key"


def fingerprint(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.read_text())).hexdigest()


CA, clients = authority("ca"), authority("clients")
signed("ca", "site", "/O=Site", "www.example.org", "example.org")
signed("ca", "members", "/O=Members", "members.example.org")
anna = signed("clients", "anna", "/CN=anna")
signed("ca", "stranger", "/CN=stranger")

config = write(place / "sportello.kdl", f"""
state "{place}/state"
hostname mx.example.org
certificate "{place}/site.pem" key="{place}/site.key"

channel web port=0 protocol=http tls=auto
channel modern port=0 protocol=http tls=auto {{
    tls {{
        minimum-version tls1.3
        client-certificate require ca="{clients}"
    }}
}}
channel asking port=0 protocol=http tls=auto {{ tls {{ client-certificate request ca="{clients}"; }} }}
channel desk port=0 protocol=http tls=local {{ desk; }}
channel mail port=0 protocol=smtp tls=starttls
channel mails port=0 protocol=smtp tls=auto
channel commands port=0 protocol=command tls=local
channel few port=0 protocol=http tls=auto address="0.0.0.0" {{ tls {{ handshakes 3; }} }}

domain example.org {{
    site www.example.org {{ root "{web}"; }}
    site members.example.org {{
        root "{private}"
        certificate "{place}/members.pem" key="{place}/members.key"
        tls {{ client-certificate require ca="{clients}"; }}
    }}
    mail {{ capture; }}
}}
""")
server = Server(config=config)
ports = server.ports


# How curl tells of a handshake that was refused: by TLS, and where TLS 1.3 refuses after it, by what it sent or waited for.
REFUSED = (16, 35, 55, 56)


def curl(port, *words, host="www.example.org", path="/", ca=CA):
    """Status and body; the exit code of curl where there is no answer."""
    result = run("curl", "-s", "-w", "\n%{http_code}", "--cacert", ca, "--resolve", f"{host}:{port}:127.0.0.1", *words,
                 f"https://{host}:{port}{path}")
    if result.returncode:
        return result.returncode, result.stderr
    body, _, status = result.stdout.rpartition("\n")
    return int(status), body


def context(ca=CA, pair=None):
    made = ssl.create_default_context(cafile=ca)
    if pair:
        made.load_cert_chain(*pair)
    return made


def secured(port, name="www.example.org", with_=None, session=None):
    return (with_ or context()).wrap_socket(connect(port), server_hostname=name, session=session)


def ask(connection, host, path="/"):
    """One request over a connection that stays open."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read()


def session_of(connection):
    """TLS 1.3 sends its tickets after the handshake: they come with the first answer."""
    ask(connection, "www.example.org")
    return connection.session


# --- the web ----------------------------------------------------------------------------------------------------------

with step("TLS 1.2 and 1.3 bring what is served, whole"):
    for version in ("--tlsv1.2 --tls-max 1.2", "--tlsv1.3"):
        same(curl(ports["web"], *version.split()), (200, "hello\n"))
        result = run("curl", "-s", "--cacert", CA, *version.split(), "--resolve", f"www.example.org:{ports['web']}:127.0.0.1",
                     "-o", place / "out", f"https://www.example.org:{ports['web']}/big.bin")
        same(result.returncode, 0, result.stderr)
        check((place / "out").read_bytes() == big, "the file came changed")

with step("a target in absolute form is answered over its own scheme"):
    absolute = lambda target: curl(ports["web"], "--http1.1", "--request-target", target)
    same(absolute("https://www.example.org/"), (200, "hello\n"))
    same(absolute("https://WWW.example.org:1/"), (200, "hello\n"))
    same(absolute("http://www.example.org/")[0], 421)
    same(absolute("https://nobody.example.net/")[0], 421)

with step("nothing older is spoken, and no weak cipher"):
    for words in (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-SHA:AES256-SHA256"]):
        result = run("openssl", "s_client", "-connect", f"127.0.0.1:{ports['web']}", "-servername", "www.example.org", *words)
        check(result.returncode != 0 and "Cipher is (NONE)" in result.stdout, result.stdout[-500:])

with step("HTTP/1.1 is agreed on by ALPN, and an unknown protocol refused"):
    asked = context()
    asked.set_alpn_protocols(["http/1.1"])
    with secured(ports["web"], with_=asked) as connection:
        same(connection.selected_alpn_protocol(), "http/1.1")
    asked.set_alpn_protocols(["gopher"])
    with contextlib.suppress(ssl.SSLError, ConnectionResetError):
        secured(ports["web"], with_=asked)
        check(False, "it was let in")

with step("a session is resumed"):
    made = context()
    with secured(ports["web"], with_=made) as connection:
        session = session_of(connection)
    with secured(ports["web"], with_=made, session=session) as connection:
        check(connection.session_reused, "a full handshake")
        same(ask(connection, "www.example.org")[0], 200)

with step("an answer that ends the connection says so: what was cut off looks otherwise"):
    for path, length in (("/", 6), ("/big.bin", len(big))):
        raw = connect(ports["web"])
        with context().wrap_socket(raw, server_hostname="www.example.org", suppress_ragged_eofs=False) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: www.example.org\r\nConnection: close\r\n\r\n".encode())
            said = b""
            while piece := connection.recv(65536):  # an end without close_notify is an SSLEOFError
                said += piece
            same(len(said.partition(b"\r\n\r\n")[2]), length, path)

with step("a name that no site bears is shown the first certificate, and answered with 421"):
    status, _ = curl(ports["web"], "-k", host="unknown.example.net")
    same(status, 421)
    same(curl(ports["web"], host="unknown.example.net")[0], 60, "curl: the certificate is for another name")

with step("plain HTTP to a port with TLS gets a clear answer"):
    answer = exchange(ports["web"], b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
    check(answer.startswith(b"HTTP/1.1 400 ") and b"https://" in answer, answer)

with step("what is neither gets an alert or nothing, and the server lives"):
    for words in (b"\x16\x03\x01\x00\x05hello", b"\x16" * 300, b"\0" * 300, b"\x80\x2e\x01\x00\x02"):
        said = exchange(ports["web"], words, half_close=True)
        check(said[:1] in (b"\x15", b"H", b""), said)
    same(curl(ports["web"])[0], 200)

# --- client certificates ----------------------------------------------------------------------------------------------

with step("who must show a certificate is let in with it, and not without or with another's"):
    pair = ["--cert", anna[0], "--key", anna[1]]
    same(curl(ports["modern"], *pair), (200, "hello\n"))
    check(curl(ports["modern"])[0] in REFUSED, "let in without")
    other = ["--cert", place / "stranger.pem", "--key", place / "stranger.key"]
    check(curl(ports["modern"], *other)[0] in REFUSED, "let in with a stranger's")
    check(curl(ports["modern"], *pair, "--tls-max", "1.2")[0] == 35, "let in with TLS 1.2")

with step("who may show one is let in without, and not with another's"):
    same(curl(ports["asking"], *pair)[0], 200)
    same(curl(ports["asking"])[0], 200)
    check(curl(ports["asking"], *other)[0] in REFUSED, "let in with a stranger's")

with step("a site asks for certificates where its neighbour does not"):
    same(curl(ports["web"], *pair, host="members.example.org"), (200, "for members\n"))
    check(curl(ports["web"], host="members.example.org")[0] in REFUSED, "let in without")

with step("over a connection that was made for its neighbour it is not to be had (421)"):
    for made in (context(), context(pair=anna)):
        with secured(ports["web"], with_=made) as connection:
            for host in ("members.example.org", "MEMBERS.example.org.", f"members.example.org:{ports['web']}"):
                same(ask(connection, host)[0], 421, host)
            same(ask(connection, "www.example.org"), (200, b"hello\n"))
    with secured(ports["web"], "members.example.org", with_=context(pair=anna)) as connection:
        same(ask(connection, "members.example.org"), (200, b"for members\n"))
        same(ask(connection, "www.example.org")[0], 421)


def refused(port, name, made, session):
    """Whether a session of elsewhere opens nothing there."""
    try:
        with secured(port, name, with_=made, session=session) as connection:
            check(not connection.session_reused, f"resumed at {name}:{port}")
            return ask(connection, name)[0] >= 400
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return True


with step("a ticket opens no door that asks for more, neither of another channel nor of another site"):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        made = context()
        made.check_hostname = False
        made.maximum_version = version
        with secured(ports["web"], with_=made) as connection:
            session = session_of(connection)
        for port, name in (("modern", "www.example.org"), ("web", "members.example.org"), ("asking", "members.example.org")):
            check(refused(ports[port], name, made, session), f"{version}: {name} over {port}")

# Some machines have no IPv6, not even for themselves.
try:
    socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    literals = {"127.0.0.1": "127.0.0.1", "[::1]": "::1"}
except OSError:
    literals = {"127.0.0.1": "127.0.0.1"}
strict = f'tls {{ client-certificate require ca="{clients}"; }}'
names = " ".join(f'"{literal}"' for literal in literals)
channels = [f'channel open{number} port=0 protocol=http tls=local address="{address}"\n'
            for number, address in enumerate(literals.values())]
by_address = f"""
state "{place}/by-address"
hostname mx.example.org
{"".join(channels)}
domain "*" {{
    site {names} members.example.org {{ root "{private}"; {strict}; }}
    site www.example.org {{ root "{web}"; }}
}}
"""

with step("a site that is named by an address asks for no more than a channel does, or `check` refuses it"):
    result = run(BINARY, "check", write(place / "refused.kdl", by_address))
    same(result.returncode, 1, result.stdout + result.stderr)
    contains(result.stdout + result.stderr, "who connects to an address names no site")

with step("who must show a certificate at an address is not let in over a channel that asks for none (421)"):
    allowed = by_address.replace("domain", f"channel strict port=0 protocol=http tls=local {{ {strict}; }}\ndomain", 1)
    with_addresses = Server(config=write(place / "by-address.kdl", allowed))
    for number, (literal, address) in enumerate(literals.items()):
        port = with_addresses.ports[f"open{number}"]
        for version in ("--http1.1", "--http2"):
            for words in ([f"https://{literal}:{port}/"],
                          ["--resolve", f"www.example.org:{port}:{address}", "-H", f"Host: {literal}",
                           f"https://www.example.org:{port}/"],
                          ["-H", "Host: members.example.org", f"https://{literal}:{port}/"]):
                result = run("curl", "-sk", "-w", "\n%{http_code}", version, *words)
                same(result.stdout.rpartition("\n")[2], "421", f"{version} {words}: {result.stdout}")
    url = f"https://127.0.0.1:{with_addresses.ports['strict']}/"
    same(run("curl", "-sk", *pair, url).stdout, "for members\n")
    check(run("curl", "-sk", url).returncode in REFUSED, "let in without")
    with_addresses.stop()

# --- certificates that change -----------------------------------------------------------------------------------------

with step("a replaced certificate is in use within seconds, and no connection ends"):
    with secured(ports["web"]) as kept, secured(ports["mails"], "example.org") as mail:
        same(ask(kept, "www.example.org")[0], 200)
        mail.recv(1000)
        before = fingerprint(place / "site.pem")
        signed("ca", "site", "/O=Site", "www.example.org", "example.org")
        after = fingerprint(place / "site.pem")

        def shown(port, name):
            with secured(port, name) as connection:
                return hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest()

        check(before != after, "the same")
        until(lambda: shown(ports["web"], "www.example.org") == after, "the new one is shown")
        same(shown(ports["mails"], "example.org"), after, "on the mail channel")
        same(ask(kept, "www.example.org"), (200, b"hello\n"), "the connection lives")
        mail.sendall(b"NOOP\r\n")
        contains(mail.recv(1000), b"250 ")

with step("a broken one is told once, and the one before stays"):
    write(place / "site.pem", "-----BEGIN CERTIFICATE-----\nbroken\n")
    until(lambda: "a certificate cannot be used" in server.stderr(), "the log tells it")
    same(curl(ports["web"])[0], 200)
    told = json.loads(run(BINARY, "certificates", "--json", "--state", server.state).stdout)
    check(any(one["file"] == f"{place}/site.pem" and one["warning"] for one in told), told)
    started = time.monotonic()
    until(lambda: time.monotonic() - started > 5, "two more looks")
    same(server.stderr().count("a certificate cannot be used"), 1)
    signed("ca", "site", "/O=Site", "www.example.org", "example.org")
    until(lambda: shown(ports["web"], "www.example.org") == fingerprint(place / "site.pem"), "the repaired one is shown")

# --- the local CA -----------------------------------------------------------------------------------------------------

root = place / "root.pem"

with step("`sportello ca` prints the root by which clients trust this machine's own names"):
    result = run(BINARY, "ca", "--state", server.state)
    same(result.returncode, 0, result.stderr)
    contains(result.stdout, "-----BEGIN CERTIFICATE-----")
    check("PRIVATE" not in result.stdout, "the key left the store")
    write(root, result.stdout)

with step("`sportello certificates` lists what is shown"):
    text = run(BINARY, "certificates", "--state", server.state).stdout
    for piece in ("site.pem", "members.pem", "Sportello local CA", "localhost", "127.0.0.1"):
        contains(text, piece)

with step("the desk shows certificates and figures of TLS"):
    made = ssl.create_default_context(cafile=root)
    made.set_alpn_protocols(["http/1.1"])
    client = http.client.HTTPSConnection("127.0.0.1", ports["desk"], context=made, timeout=20)
    # Who names an address names no name, and is shown the first certificate of the server.
    with contextlib.suppress(ssl.SSLCertVerificationError):
        client.request("GET", "/")
        check(False, "a certificate for 127.0.0.1, by the first file")
    same(curl(ports["desk"], host="localhost", ca=root)[0], 200)
    contains(curl(ports["desk"], host="localhost", ca=root)[1], "Certificates")
    figures = curl(ports["desk"], host="localhost", ca=root, path="/metrics")[1]
    for name in ("sportello_tls_handshakes_total", "sportello_tls_resumed_total", "sportello_certificate_end_seconds"):
        contains(figures, name)

# --- mail and commands ------------------------------------------------------------------------------------------------

with step("STARTTLS: offered, agreed to, and the session begins anew"):
    with smtplib.SMTP("127.0.0.1", ports["mail"], timeout=20, local_hostname="client.example") as client:
        client.ehlo()
        check(client.has_extn("starttls"), client.esmtp_features)
        client._host = "example.org"
        client.starttls(context=context())
        same(client.docmd("MAIL FROM:<a@example.org>")[0], 503)
        client.ehlo()
        check(not client.has_extn("starttls"), client.esmtp_features)
        same(client.docmd("STARTTLS")[0], 503)
        client.sendmail("a@example.org", ["b@example.org"], "Subject: secret\r\n\r\nhello\r\n")
    with secured(ports["mails"], "example.org") as client:
        contains(client.recv(1000), b"220 mx.example.org")
    raw = run(BINARY, "mail", "read", "1", "--raw", "--state", server.state).stdout
    contains(raw, "with ESMTPS id")
    contains(raw, "(using TLSv1.")

with step("what is injected behind STARTTLS ends the session"):
    with Lines(ports["mail"]) as client:
        same(client.reply()[0], 220)
        client.send("EHLO c\r\nSTARTTLS\r\nRSET\r\n")
        same(client.reply()[0], 250)
        same(client.reply()[0], 554)
        check(client.ended(), "it goes on")
    result = run("openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{ports['mail']}", "-servername",
                 "example.org", "-CAfile", CA, "-verify_return_error", "-brief", stdin="QUIT\r\n")
    same(result.returncode, 0, result.stderr)

with step("commands are encrypted, and who speaks plainly is told so"):
    result = run("redis-cli", "--tls", "--cacert", root, "--sni", "localhost", "-p", ports["commands"], "PING")
    same(result.stdout.strip(), "PONG", result.stderr)
    contains(run("redis-cli", "-p", ports["commands"], "PING").stdout, "this channel is encrypted")

with step("connections say how they are encrypted, and by whom"):
    with secured(ports["modern"], with_=context(pair=anna)) as connection:
        same(ask(connection, "www.example.org")[0], 200)
        views = json.loads(run(BINARY, "connections", "--channel", "modern", "--json", "--state", server.state).stdout)
        same(len(views), 1, "connections")
        contains(views[0]["tls"], "TLSv1.3 TLS13_")
        contains(views[0]["tls"], "www.example.org")
        contains(views[0]["client"], "CN=anna sha256:" + fingerprint(anna[0]))

with step("a source that shakes hands too often is put off"):
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect(("192.0.2.1", 9))  # sends nothing
    mine = probe.getsockname()[0]
    if not mine.startswith("127."):
        let_in = 0
        for _ in range(8):
            with contextlib.suppress(OSError):
                made = context()
                with made.wrap_socket(connect(ports["few"], address=mine), server_hostname="www.example.org"):
                    let_in += 1
        check(3 <= let_in <= 4, f"{let_in} of 8")

finish()
