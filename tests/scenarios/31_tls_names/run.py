"""Whose certificate is shown, and who asked."""

import json
import socket
import ssl

from sportello import BINARY, Server, check, connect, contains, finish, folder, run, same, step, until, write

here = folder("sportello-names-")
write(here / "books/index.html", "Bücher\n")
write(here / "roads/index.html", "Straßen\n")


def openssl(*words):
    result = run("openssl", *words)
    same(result.returncode, 0, result.stderr)


def certificate(name, *more):
    """A certificate and its key, of a CA of its own."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", f"/CN={name}",
            "-keyout", here / f"{name}.key", "-out", here / f"{name}.pem", *more)
    return here / f"{name}.pem", here / f"{name}.key"


clients = certificate("clients")
openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/O=House/CN=anna",
        "-keyout", here / "anna.key", "-out", here / "anna.csr")
openssl("x509", "-req", "-in", here / "anna.csr", "-CA", clients[0], "-CAkey", clients[1], "-days", "20", "-out", here / "anna.pem",
        "-extfile", write(here / "anna.ext", "subjectAltName=email:anna@house.test"))

server = Server(config=write(here / "sportello.kdl", f"""
state "state"
hostname mx.house.test
channel web port=0 protocol=http tls=local {{
    between-bytes "1s"
    idle "1s"
    tls {{ client-certificate request ca="{clients[0]}"; }}
}}
channel mail port=0 protocol=smtp tls=local
channel plain port=0 protocol=http
domain "*" {{
    site "bücher.test" {{
        log "{here}/books.log" format=json
        root "books"
    }}
    site "xn--strae-oqa.test" {{ root "roads"; }}
    mail {{ capture; }}
}}
"""))
WEB = server.ports["web"]
root = run(BINARY, "ca", "--state", server.state)
same(root.returncode, 0, root.stderr)


def context(pair=None):
    made = ssl.create_default_context(cadata=root.stdout)
    if pair:
        made.load_cert_chain(*pair)
    return made


def get(host, pair=None, name=None, path="/"):
    """The answer to one request, and the names of the certificate that was shown."""
    with context(pair).wrap_socket(connect(WEB), server_hostname=name or host) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        names = [name for _, name in connection.getpeercert()["subjectAltName"]]
        said = b""
        while piece := connection.recv(65536):
            said += piece
        return said, names


def shown(name):
    """The names of the certificate that is shown to who asks for this name, or for none."""
    made = context()
    made.check_hostname = False
    with made.wrap_socket(connect(WEB), server_hostname=name) as connection:
        return [name for _, name in connection.getpeercert()["subjectAltName"]]


with step("a name in other letters is one name, however it is written"):
    for host, words in (("xn--bcher-kva.test", "Bücher"), ("xn--strae-oqa.test", "Straßen"), ("XN--BCHER-KVA.test", "Bücher")):
        said, names = get(host)
        contains(said, words.encode(), host)
        contains(names, host.lower())
    # A library that is given the letters asks for the same.
    contains(get("xn--bcher-kva.test", name="bücher.test")[0], "Bücher".encode())
    told = run(BINARY, "explain", "http://bücher.test/", "--config", here / "sportello.kdl")
    contains(told.stdout + told.stderr, "xn--bcher-kva.test")

with step("who names nobody in the handshake, or nobody that is known, is shown the certificate of hostname"):
    for name in (None, "nobody.test"):
        contains(shown(name), "mx.house.test", str(name))
        check("xn--bcher-kva.test" not in shown(name), name)

with step("the name in a client's certificate is the user in the access log"):
    get("xn--bcher-kva.test", (here / "anna.pem", here / "anna.key"), path="/?by-her")
    get("xn--bcher-kva.test")
    lines = until(lambda: (found := [json.loads(line) for line in (here / "books.log").read_text().splitlines()])
                  and len(found) >= 5 and found, "the lines of the log")
    # Each worker writes its own lines, so their order is not that of the requests.
    of_anna = [json.dumps(line) for line in lines if "anna" in (line.get("user") or "")]
    same((len(lines), len(of_anna)), (5, 1))
    contains(of_anna[0], "/?by-her")

with step("a client that stops in the middle reads a 408 and that it was the end; one that says nothing more, the end"):
    for said, expect in ((b"GET / HTTP/1.1\r\nHost: xn--buch", b" 408 "), (b"", b"")):
        with context().wrap_socket(connect(WEB), server_hostname="xn--bcher-kva.test", suppress_ragged_eofs=False) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: xn--bcher-kva.test\r\n\r\n")
            answer = b""
            while not answer.endswith("Bücher\n".encode()):
                answer += connection.recv(65536)
            connection.sendall(said)
            rest = b""
            while piece := connection.recv(65536):  # an end without close_notify is an SSLEOFError
                rest += piece
            contains(rest, expect)

with step("our own clients do not speak TLS, and say so at once"):
    sent = run(BINARY, "send", "--state", server.state, "--from", "a@house.test", "--to", "b@house.test", stdin="hello\n")
    same((sent.returncode, sent.stdout), (1, ""))
    contains(sent.stderr, "TLS")
    fetched = run(BINARY, "get", f"https://127.0.0.1:{WEB}/", "-o", "-")
    same(fetched.stdout, "")
    contains(fetched.stderr, "http:// only")
    fetched = run(BINARY, "get", f"http://127.0.0.1:{WEB}/", "-o", "-")
    same((fetched.returncode, fetched.stdout), (1, ""))

server.stop()
finish()
