import base64
import hashlib
import json
import os
import re
import ssl
import subprocess
from pathlib import Path

import websocket

import php
import upstream
from browser import Browser, colours
from ca import Authority
from sportello import BINARY, Server, check, connect, contains, finish, folder, run, same, step, until, write

EXAMPLE = Path(__file__).parents[3] / "docs/example-sites.kdl"
SCREENSHOTS = Path(os.environ["SCREENSHOTS"])
here = folder("sportello-example-")
here.chmod(0o755)  # PHP runs as another user, where this one is root

# --- what stands on the machine: files, an application, PHP, a CA -----------------------------------------------------

TEXT = "".join(f"line {number} of a text that is worth encoding\n" for number in range(4000))
STYLE = "p { color: teal; }\n" * 200
PAGE = """<!doctype html><title>Example</title><h1>A page</h1><p id=said>nothing yet</p><script>
const socket = new WebSocket("wss://api.example.org/socket");
socket.onopen = () => socket.send("from a browser");
socket.onmessage = (message) => { document.getElementById("said").textContent = "came back: " + message.data; };
</script>
"""
for name, content in {
    "www/index.html": "<!doctype html><title>Start</title>the start\n", "www/404.html": "our own page\n", "www/text.txt": TEXT,
    "www/assets/app.js": "1\n", "www/.git/config": "secret\n", "www/staff/plans.txt": "plans\n", "www/page.html": PAGE,
    "www/favicon.ico": "",
    "php/index.php": "<?php echo 'the front page, asked for ', $_SERVER['REQUEST_URI'];",
    "php/form.php": """<?php header('Content-Type: application/json');
if ($_FILES) { move_uploaded_file($_FILES['file']['tmp_name'], __DIR__ . '/uploads/' . basename($_FILES['file']['name'])); }
echo json_encode(['post' => $_POST, 'https' => $_SERVER['HTTPS'] ?? '',
    'host' => $_SERVER['HTTP_HOST'], 'client' => $_SERVER['REMOTE_ADDR']]);""",
    "php/style.css": STYLE, "php/wiki.php": "<?php echo str_repeat('the page ' . $_SERVER['PATH_INFO'] . ' ', 100);",
}.items():
    write(here / "srv" / name, content, 0o644)
(here / "srv/php/uploads").mkdir()
(here / "srv/php/uploads").chmod(0o777)
write(here / "etc/sportello/staff", "ada:$2y$05$yVl8V3/d31IWU4Psb760..tTpkEKeB6yYvdKqQxAH4s7E4oyH7PIG\n")  # `secret`
(here / "var/log/sportello").mkdir(parents=True)


def application(connection, file, head):
    """Tells what it was told; at /socket, a WebSocket that gives everything back."""
    if head[0].startswith("GET /socket "):
        return upstream.websocket(connection, file, head)
    told = json.dumps({"head": head, "body": upstream.body_of(file, head).decode()}).encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(told) + told)


app = upstream.Upstream(application)
pool = php.Pool(here)
ca = Authority(3600)
ca.start()
roots = write(here / "roots.pem", ca.signs_with())


def put(text):
    """The example, with nothing changed but ports, folders and the CA."""
    changes = [
        (r'"/(etc|srv|var)/', rf'"{here}/\1/'), ("unix:/run/php/php-fpm.sock", f"unix:{pool.socket}"),
        ("port=80 ", f"port={ca.plain} "), ("port=443 ", f"port={ca.encrypted} "), ("port=8025 ", "port=0 "),
        ("redirect https\n", "redirect https port=443\n"),  # as curl below sees it
        ("http://127.0.0.1:3000", f"http://127.0.0.1:{app.port}"),
        ('acme email="ops@example.org"', f'acme email="ops@example.org" directory="{ca.url}" {{ ca-root "{ca.root}"; }}'),
    ]
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text)
        check(count > 0, f"{pattern} is not in {EXAMPLE}")
    return write(here / "sportello.kdl", text)


example = EXAMPLE.read_text()
config = put(example)
HTTP = ("--http1.1", "--http2")


def curl(url, *more):
    """Status, fields, body, as curl sees them; `https://www.example.org/` means what it means to everybody."""
    done = subprocess.run(
        ["curl", "-s", "-i", "--path-as-is", "--cacert", roots, "--connect-to", f":80:127.0.0.1:{ca.plain}", "--connect-to",
         f":443:127.0.0.1:{ca.encrypted}", *map(str, more), url], capture_output=True, timeout=60)
    check(done.returncode == 0, f"{url}: curl ends with {done.returncode}: {done.stderr} {done.stdout[:500]}")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.split()[1] == b"100":
        head, _, body = body.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), fields, body


# --- the promises -----------------------------------------------------------------------------------------------------

with step("the document shows pieces of the file as they are, and the file has the usual form"):
    pieces = re.findall(r"^```kdl\n(.*?)^```", EXAMPLE.with_suffix(".md").read_text(), re.M | re.S)
    check(len(pieces) >= 5, f"{len(pieces)} pieces")
    flat = re.sub(r"^ +", "", example, flags=re.M)
    for piece in pieces:
        contains(flat, re.sub(r"^ +", "", piece, flags=re.M))
    same(run(BINARY, "fmt", "--check", EXAMPLE).returncode, 0)

with step("the file is accepted, and nothing in it is strange but what is meant so"):
    done = run(BINARY, "check", config)
    same((done.returncode, len(done.stderr.splitlines())), (0, 1), done.stdout)
    contains(done.stderr, "would be given out as text: /uploads/")
    contains(done.stdout, "3 channels, 4 sites")

server = Server(config=config)

with step("every site gets a certificate of its own from the CA"):
    def certificates():
        return json.loads(run(BINARY, "certificates", "--json", "--state", server.state).stdout)

    def signed():
        return {name for one in certificates() if one["source"] == "acme" for name in one["names"]}

    until(lambda: signed() >= {"example.org", "www.example.org", "api.example.org", "example.net", "www.example.net"},
          "certificates", 60)
    for name in sorted(signed()):
        done = run("openssl", "s_client", "-connect", f"127.0.0.1:{ca.encrypted}", "-servername", name, "-CAfile", roots,
                   "-verify_return_error", "-verify_hostname", name, "-brief", stdin="")
        same(done.returncode, 0, f"{name}: {done.stderr}")
    contains(run(BINARY, "certificates", "--state", server.state).stdout, "Pebble Intermediate CA")

with step("what comes in plain is sent to https, to the name that is meant, and arrives"):
    for url, place in {"http://www.example.org/a?b=c": "https://www.example.org/a?b=c",
                       "http://example.net/": "https://example.net/"}.items():
        status, fields, _ = curl(url)
        same((status, fields["location"]), (308, place))
    status, fields, _ = curl("https://example.org/a?b=c")
    same((status, fields["location"]), (308, "https://www.example.org/a?b=c"))
    done = subprocess.run(["curl", "-sL", "--cacert", roots, "--connect-to", f":80:127.0.0.1:{ca.plain}", "--connect-to",
                           f":443:127.0.0.1:{ca.encrypted}", "-w", " %{num_redirects} %{url_effective}",
                           "http://example.org/text.txt"], capture_output=True, timeout=60)
    check(done.stdout.startswith(TEXT.encode()) and b"https://www.example.org/text.txt" in done.stdout[-80:], done.stdout[-200:])

for version in HTTP:
    with step(f"files: {version[2:]}"):
        status, fields, body = curl("https://www.example.org/", version)
        same((status, body), (200, (here / "srv/www/index.html").read_bytes()))
        for name, value in {"strict-transport-security": "max-age=15552000", "x-content-type-options": "nosniff",
                            "referrer-policy": "same-origin", "cache-control": "no-cache"}.items():
            same(fields.get(name), value, name)
        status, fields, body = curl("https://www.example.org/text.txt", version, "-r", "5-10")
        same((status, body, fields["content-range"]), (206, TEXT[5:11].encode(), f"bytes 5-10/{len(TEXT)}"))
        etag = curl("https://www.example.org/text.txt", version)[1]["etag"]
        same(curl("https://www.example.org/text.txt", version, "-H", f"If-None-Match: {etag}")[0], 304)
        for coding in ("br", "zstd", "gzip"):
            status, fields, body = curl("https://www.example.org/text.txt", version, "--compressed", "-H", f"Accept-Encoding: {coding}")
            same((status, fields.get("content-encoding"), fields["vary"]), (200, coding, "accept-encoding"))
            same(body, TEXT.encode(), coding)
            check(fields["etag"] != etag, "an etag of its own")
        same(curl("https://www.example.org/assets/app.js", version)[1]["cache-control"], "max-age=31536000, immutable")
        same(curl("https://www.example.org/nothing", version)[::2], (404, b"our own page\n"))
        same(curl("https://www.example.org/assets/", version)[0], 404)
        same(curl("https://www.example.org/.git/config", version)[0], 404)

    with step(f"a login: {version[2:]}"):
        for words, expected in [((), 401), (("-u", "ada:wrong"), 401), (("-u", "ada:secret"), 200)]:
            same(curl("https://www.example.org/staff/plans.txt", version, *words)[0], expected, words)
        same(curl("https://www.example.org/%73taff//./plans.txt", version)[0], 401)

    with step(f"an application behind the proxy: {version[2:]}"):
        status, fields, body = curl("https://api.example.org/v1/things?a=b", version, "-H", "Content-Type: application/json",
                                    "-H", "X-Forwarded-For: 10.0.0.1", "-H", "X-Forwarded-Proto: http", "-H", "Forwarded: for=10.0.0.2",
                                    "-d", '{"name": "Ada"}')
        same((status, fields["strict-transport-security"]), (200, "max-age=15552000"))
        told = json.loads(body)
        same((told["head"][0], told["body"]), ("POST /v1/things?a=b HTTP/1.1", '{"name": "Ada"}'))
        for name, value in {"host": "api.example.org", "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https",
                            "x-forwarded-host": "api.example.org", "forwarded": "for=127.0.0.1;host=api.example.org;proto=https"}.items():
            same([one.replace('"', "") for one in upstream.field(told["head"], name)], [value], name)
        write(here / "large", b"x" * ((10 << 20) + 1))
        same(curl("https://api.example.org/v1/things", version, "-H", "Expect:", "--data-binary", f"@{here / 'large'}")[0], 413)

    with step(f"PHP: {version[2:]}"):
        status, _, body = curl("https://www.example.net/form.php", version, "-d", "name=Ada&list[]=1")
        same((status, json.loads(body)), (200, {"post": {"name": "Ada", "list": ["1"]}, "https": "on",
                                                "host": "www.example.net", "client": "127.0.0.1"}))
        same(curl("https://example.net/2024/hello?p=1", version)[2], b"the front page, asked for /2024/hello?p=1")
        same(curl("https://example.net/", version)[2], b"the front page, asked for /")
        same(curl("https://example.net/form.php/x", version)[2], b"the front page, asked for /form.php/x")
        status, fields, body = curl("https://example.net/wiki.php/Main_Page", version, "--compressed")
        same((status, body, fields["content-encoding"]), (200, b"the page /Main_Page " * 100, "br"))
        status, fields, body = curl("https://example.net/style.css", version, "--compressed")
        same((status, body, fields["cache-control"], fields["content-encoding"]), (200, STYLE.encode(), "max-age=3600", "br"))

    with step(f"what was uploaded is given out and not run: {version[2:]}"):
        evil = write(here / "evil.php", "<?php echo 'PW', 'NED';")
        same(curl("https://www.example.net/form.php", version, "-F", f"file=@{evil}")[0], 200)
        status, fields, body = curl("https://www.example.net/uploads/evil.php", version)
        same((status, body, fields["content-disposition"]), (200, evil.read_bytes(), "attachment"))
        for path in ("/uploads/evil.php/x", "/uploads/evil.php/x.php", "/x/../uploads/evil.php", "//uploads/evil.php", "/%75ploads/evil.php"):
            status, _, body = curl(f"https://www.example.net{path}", version)
            check(b"PWNED" not in body, f"{path}: {status} {body}")
        (here / "srv/php/uploads/evil.php").unlink()

with step("a name that nobody bears is answered with 421, and learns nothing of the others"):
    for version in HTTP:
        status, _, body = curl("https://unknown.example.com/", version, "-k")
        same(status, 421)
        check(b"example.org" not in body and b"example.net" not in body, body)


def opened():
    return websocket.create_connection("wss://api.example.org/socket", timeout=20, sslopt={"context": trusting},
                                       socket=trusting.wrap_socket(connect(ca.encrypted), server_hostname="api.example.org"))


trusting = ssl.create_default_context(cafile=roots)

with step("a WebSocket passes to the application and back"):
    talk = opened()
    for number in range(100):
        talk.send(f"word {number}")
        same(talk.recv(), f"word {number}")

with step("Chromium shows the page over HTTP/2, and its WebSocket brings back what it sent"):
    def key(name):
        """The hash of a site's key, by which Chromium is told to trust it."""
        pem = ssl.get_server_certificate(("127.0.0.1", ca.encrypted)) if name is None else run(
            "openssl", "s_client", "-connect", f"127.0.0.1:{ca.encrypted}", "-servername", name, stdin="").stdout
        public = run("openssl", "x509", "-pubkey", "-noout", stdin=pem).stdout
        der = base64.b64decode("".join(public.splitlines()[1:-1]))
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    keys = ",".join(key(name) for name in ("www.example.org", "api.example.org", "www.example.net"))
    with Browser(f"--ignore-certificate-errors-spki-list={keys}",
                 "--host-resolver-rules=" + ", ".join(
                     f"MAP {name}:{usual} 127.0.0.1:{port}" for name in ("*.example.org", "example.net")
                     for usual, port in ((80, ca.plain), (443, ca.encrypted)))) as browser:
        page = browser.page(800, 400).open("https://www.example.org/page.html")
        until(lambda: "came back: from a browser" in page.text(), "the WebSocket's answer is shown")
        same(page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"), "h2")
        same(page.evaluate("isSecureContext"), True)
        count, _ = colours(page.screenshot(SCREENSHOTS / "example-sites.png"))
        check(count > 1, f"{count} colours")
        same(page.problems, [])
        page.open("http://example.net/a/b")
        same((page.text(), page.evaluate("location.href")), ("the front page, asked for /a/b", "https://example.net/a/b"))

with step("who asks too often is put off"):
    with trusting.wrap_socket(connect(ca.encrypted), server_hostname="api.example.org") as client:
        asked, put_off = 0, 0
        while not put_off:
            check(asked < 5000, f"{asked} requests were answered, none put off")
            client.sendall(b"GET /v1 HTTP/1.1\r\nHost: api.example.org\r\n\r\n" * 50 + b"GET /ping-end HTTP/1.1\r\nHost: api.example.org\r\n\r\n")
            asked += 51
            said, answers = b"", 0
            while answers < 51:
                piece = client.recv(1 << 16)
                check(piece, f"it ended after {said[-300:]}")
                said += piece
                answers = said.count(b"HTTP/1.1 200 ") + said.count(b"HTTP/1.1 429 ")
            put_off = said.count(b"HTTP/1.1 429 ")
    contains(said.lower(), b"retry-after: ")

with step("each site has its log"):
    logs = here / "var/log/sportello"
    wanted = r'^127\.0\.0\.1 - ada \[[^]]+\] "GET /staff/plans\.txt HTTP/(1\.1|2\.0)" 200 '
    found = until(lambda: len(both := re.findall(wanted, (logs / "www.example.org.log").read_text(), re.M)) >= 2 and both, "both lines")
    same(sorted(found), ["1.1", "2.0"], "who logged in, by which version")
    until(lambda: "/form.php" in (logs / "www.example.net.log").read_text(), "lines")
    lines = until(lambda: (text := (logs / "api.example.org.log").read_text()).count("/v1/things") >= 2 and text, "lines")
    first = next(told for line in lines.splitlines() if (told := json.loads(line))["method"] == "POST")
    same((first["target"], first["status"], first["host"]), ("/v1/things?a=b", 200, "api.example.org"))

with step("a site more: checked, loaded, with a certificate of its own; the WebSocket stays"):
    put(example + "\ndomain example.com {\n    site example.com {\n        respond 200 \"new\"\n    }\n}\n")
    done = run(BINARY, "reload", "--state", server.state)
    same(done.returncode, 0, done.stdout + done.stderr)
    until(lambda: "example.com" in signed(), "a certificate", 60)
    same(curl("https://example.com/")[2], b"new")
    talk.send("still there")
    same(talk.recv(), "still there")
    put(example.replace("hsts", "hstss", 1))
    done = run(BINARY, "reload", "--state", server.state)
    same(done.returncode, 1)
    contains(done.stderr, "did you mean hsts?")
    same(curl("https://example.com/")[2], b"new")
    talk.close()

server.stop()
pool.stop()
app.close()
finish()
