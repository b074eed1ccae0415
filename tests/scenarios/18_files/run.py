import gzip
import os
import re
import socket
import subprocess

from sportello import Http, Server, check, everything, finish, folder, same, step, until, write

here = folder("sportello-files-")
www = here / "www"
TEXT = "".join(f"line {number} of what is worth encoding\n" for number in range(2000)).encode()
LARGE = TEXT * 8  # beyond what is kept in memory: encoded while it is sent
for name, content in {
    "index.html": b"<p>start</p>\n", "page.html": TEXT, "large.txt": LARGE, "small.txt": b"a" * 1023, "enough.txt": b"a" * 1024,
    "picture.png": TEXT, "data.json": TEXT, "stored.css": TEXT, "older.css": TEXT, "linked.css": TEXT,
    "assets/app.js": TEXT, "assets/font.woff2": b"font", "first/index.htm": b"htm", "second/start.html": b"begin", "second/index.htm": b"htm",
    "list/b.txt": b"b", "list/a <b>.txt": b"a", "list/.hidden": b"no", "list/sub/x": b"x", ".secret/x.txt": b"secret", "dir/x.txt": b"x",
    ".well-known/security.txt": b"contact\n",
}.items():
    write(www / name, content)
# Stored forms, each with a text of its own, so that one sees which came.
write(www / "stored.css.gz", gzip.compress(b"stored gzip\n"))
# RFC 8878 §3.1.1: one raw block of 12 bytes.
write(www / "stored.css.zst", b"\x28\xb5\x2f\xfd\x20\x0c\x61\x00\x00stored zstd\n")
write(www / "stored.css.br", subprocess.run(
    ["node", "-e", "process.stdout.write(require('zlib').brotliCompressSync('stored br\\n'))"], capture_output=True, check=True).stdout)
write(www / "older.css.gz", gzip.compress(b"too old\n"))
os.utime(www / "older.css.gz", (1, 1))
write(here / "elsewhere.gz", gzip.compress(b"from outside\n"))
(www / "linked.css.gz").symlink_to(here / "elsewhere.gz")

# Links: within, out, around, to nothing, to what somebody else owns, to the state folder.
links = here / "links"
write(links / "in/x.txt", b"within")
write(here / "outside/x.txt", b"outside")
for name, place in {"within": "in/x.txt", "up-and-in": "../links/in/x.txt", "out": "../outside/x.txt", "absolute": f"{here}/outside/x.txt",
                    "folder": "../outside", "round": "round", "a": "b", "b": "a", "none": "nothing", "passwd": "/etc/passwd",
                    "state": "../state", "proc": "/proc/self/root", "device": "/dev/zero"}.items():
    (links / name).symlink_to(place)
if os.geteuid() == 0:
    write(here / "outside/theirs.txt", b"theirs")
    os.chown(here / "outside/theirs.txt", 65534, 65534)
    (links / "theirs").symlink_to("../outside/theirs.txt")
os.mkfifo(links / "pipe")

server = Server(config=write(here / "sportello.kdl", f"""
state "state"
log warn
channel web port=0 protocol=http
channel secure port=0 protocol=http tls=local
domain example.org {{
    site forms.example.org {{
        root "www"
        compress br zstd gzip
        precompressed br zstd gzip
        cache-control "/assets/*" "max-age=31536000, immutable"
        cache-control ".css" "max-age=60"
        cache-control "image/*" "no-store"
        index "start.html" "index.htm" "index.html"
        listing on page=2
    }}
    site few.example.org {{
        root "www"
        compress gzip {{
            types "application/json"
        }}
        listing off
    }}
    site beneath.example.org {{ root "links"; }}
    site owner.example.org {{ root "links"; symlinks owner; }}
    site any.example.org {{ root "links"; symlinks any; }}
}}
"""))
WEB = server.web
client = Http(WEB)


def ask(path, coding=None, *more, host="forms", method="GET"):
    fields = list(more) + ([f"Accept-Encoding: {coding}"] if coding is not None else [])
    return client.ask(method, path, fields, host=f"{host}.example.org")


def decoded(coding, body):
    """By curl, which is handed these bytes by a server that knows nothing of them."""
    if not coding:
        return body
    with socket.create_server(("127.0.0.1", 0)) as listener:
        curl = subprocess.Popen(["curl", "-sf", "--compressed", f"http://127.0.0.1:{listener.getsockname()[1]}/"], stdout=subprocess.PIPE)
        listener.settimeout(30)
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            plain = curl.communicate(timeout=30)[0]
    same(curl.returncode, 0, f"curl reads {coding}")
    return plain


with step("stored forms: the one that is liked, if it is not older than the plain file and no link"):
    for asked, coding, text in [
        ("br", "br", b"stored br\n"), ("zstd", "zstd", b"stored zstd\n"), ("gzip", "gzip", b"stored gzip\n"), ("gzip, br, zstd", "br", b"stored br\n"),
        ("br;q=0.1, gzip;q=0.9", "gzip", b"stored gzip\n"), ("br;q=0, *", "zstd", b"stored zstd\n"), ("identity", None, TEXT), ("", None, TEXT),
        ("deflate", None, TEXT), ("gzip;q=0", None, TEXT), ("x-gzip", "gzip", b"stored gzip\n"), ("GZIP", "gzip", b"stored gzip\n"),
    ]:
        status, fields, body = ask("/stored.css", asked)
        same((status, fields.get("content-encoding"), fields["vary"]), (200, coding, "accept-encoding"), asked)
        same(decoded(coding, body), text, asked)
        same(fields["content-type"].split(";")[0], "text/css")
    for name in ("older", "linked"):
        status, fields, body = ask(f"/{name}.css", "gzip")
        same(decoded(fields.get("content-encoding"), body), TEXT, name)

with step("made forms: whole, by quality value, type and size; curl reads them"):
    for path, plain in (("/page.html", TEXT), ("/large.txt", LARGE), ("/assets/app.js", TEXT)):
        for coding in ("br", "zstd", "gzip"):
            status, fields, body = ask(path, coding)
            same((status, fields.get("content-encoding"), fields["vary"]), (200, coding, "accept-encoding"), path)
            check(len(body) < len(plain) / 4, f"{path} {coding}: {len(body)} of {len(plain)}")
            same(decoded(coding, body), plain, f"{path} {coding}")
    for path, host, coding in [("/picture.png", "forms", None), ("/small.txt", "forms", None), ("/enough.txt", "forms", "gzip"),
                               ("/data.json", "few", "gzip"), ("/page.html", "few", None)]:
        status, fields, _ = ask(path, "gzip", host=host)
        same((status, fields.get("content-encoding")), (200, coding), f"{path} of {host}")
    for words in (["--http1.1"], ["--http2", "-k"]):
        scheme, port = ("https", server.ports["secure"]) if "-k" in words else ("http", WEB)
        done = subprocess.run(["curl", "-s", "--compressed", *words, "--connect-to", f"::127.0.0.1:{port}",
                               f"{scheme}://forms.example.org/page.html"], capture_output=True, timeout=30)
        same((done.returncode, done.stdout == TEXT), (0, True), words)

with step("each form has its own ETag, conditions and ranges"):
    tags = {}
    for coding in ("identity", "br", "zstd", "gzip"):
        for path in ("/stored.css", "/page.html"):
            status, fields, body = ask(path, coding)
            check(re.fullmatch(r'"[^"]+"', fields["etag"]), fields["etag"])
            check((path, fields["etag"]) not in tags.values(), f"{coding} has an ETag of its own")
            tags[path, coding] = (path, fields["etag"])
            same(ask(path, coding)[1]["etag"], fields["etag"], "and it stays")
            status, again, _ = ask(path, coding, f"If-None-Match: {fields['etag']}")
            same((status, again["etag"], again["vary"]), (304, fields["etag"], "accept-encoding"))
            status, part, piece = ask(path, coding, "Range: bytes=3-9")
            same((status, piece, part["content-range"]), (206, body[3:10], f"bytes 3-9/{len(body)}"), f"{path} {coding}")
            same(part.get("content-encoding"), fields.get("content-encoding"))
            same(ask(path, coding, "Range: bytes=3-9", f"If-Range: {fields['etag']}")[0], 206)
    for path in ("/stored.css", "/page.html"):
        mine, other = tags[path, "gzip"][1], tags[path, "br"][1]
        same(ask(path, "gzip", f"If-None-Match: {other}")[0], 200, "another form's tag is no match")
        same(ask(path, "gzip", "Range: bytes=3-9", f"If-Range: {other}")[0], 200)
        same(ask(path, "gzip", f"If-Match: {other}")[0], 412)
        same(ask(path, "gzip", f"If-Match: {mine}")[0], 200)

with step("HEAD says what GET says, in every form"):
    for path in ("/", "/page.html", "/stored.css", "/large.txt", "/small.txt", "/picture.png", "/list/", "/list", "/none", "/assets/app.js"):
        for coding in ("identity", "br", "zstd", "gzip"):
            status, fields, _ = ask(path, coding)
            told, its, _ = ask(path, coding, method="HEAD")
            for each in (fields, its):
                each.pop("date", None)
            same((told, its), (status, fields), f"{path} {coding}")

with step("Cache-Control goes by the first rule that fits; also over 304 and 206, in every form"):
    for path, expected in [("/assets/app.js", "max-age=31536000, immutable"), ("/stored.css", "max-age=60"), ("/picture.png", "no-store"),
                           ("/page.html", "no-cache"), ("/assets/%61pp.js", "max-age=31536000, immutable"), ("/x/../assets/app.js", "max-age=31536000, immutable")]:
        for coding in ("identity", "br"):
            status, fields, _ = ask(path, coding)
            same((status, fields["cache-control"]), (200, expected), path)
            for more in (f"If-None-Match: {fields['etag']}", "Range: bytes=0-1"):
                same(ask(path, coding, more)[1]["cache-control"], expected, f"{path} {more}")

with step("index lists: the first that is there; listings: pages, no hidden names, no markup from names; off is 404"):
    same([ask(path)[2] for path in ("/first/", "/second/", "/")], [b"htm", b"begin", b"<p>start</p>\n"])
    status, fields, body = ask("/list/", None, "Accept: text/html")
    same((status, fields["content-type"]), (200, "text/html; charset=utf-8"))
    check(b".hidden" not in body and b"<b>" not in body, body[-600:])
    seen, place = [], "/list/"
    for _ in range(5):
        status, _, body = ask(place, None, "Accept: application/json")
        same(status, 200)
        seen += re.findall(r'"name":"([^"]+)"', body.decode())
        found = re.search(r'"next":"([^"]+)"', body.decode())
        if not found:
            break
        place = found[1] if found[1].startswith("/") else "/list/" + found[1]
    same(sorted(name.rstrip("/") for name in seen), ["a <b>.txt", "b.txt", "sub"])
    for path in ("/list/", "/dir/", "/list/sub/"):
        same(ask(path, host="few")[0], 404, path)

with step("a folder gets its slash, and nobody is sent to another host"):
    for path, place in {"/list": "/list/", "/list?a=//b": "/list/?a=//b", "/list/sub": "/list/sub/", "/./list": "/list/", "/%6cist": "/list/",
                        "/evil.example/%2e%2e/list": "/list/", "/evil.example/../list": "/list/"}.items():
        status, fields, _ = ask(path)
        same((status, fields.get("location")), (301, place), path)
    # Slashes in a row are one, as in a site with routes: the folder's own way is taken, with one slash at its beginning.
    for path, place in {"//list": "/list/", "///list//sub": "/list/sub/", "//evil.example/..//list": "/list/"}.items():
        status, fields, _ = ask(path)
        same((status, fields.get("location")), (301, place), path)
    same([ask(path)[::2] for path in ("//page.html", "/x/..//page.html")], [ask("/page.html")[::2]] * 2)
    for path in ("//evil.example/..", "//evil.example/%2e%2e", "//evil.example/../", "///evil.example", "/%2fevil.example", "/\\evil.example",
                 "/%5cevil.example/..", "//evil.example/%2e%2e/list", "/%09/evil.example", "//list/sub"):
        status, fields, _ = ask(path)
        place = fields.get("location", "/")
        check(re.match(r"/(?![/\\])", place), f"{path}: {status} {place}")

with step("no spelling leads out, and hidden names are not there"):
    for path in ("/../www/page.html", "/%2e%2e/www/page.html", "/..%2fwww/page.html", "/..%5cwww", "/x/../../sportello.kdl", "/%2e%2e%2f%2e%2e%2fetc/passwd",
                 "/page.html%00", "/page.html%00.css", "/%c0%ae%c0%ae/sportello.kdl", "/%e0%80%ae%e0%80%ae/x", "/%f0%80%80%ae/x", "/%uff0e%uff0e/x",
                 "/..;/sportello.kdl", "/%252e%252e/sportello.kdl", "/.secret/x.txt", "/%2esecret/x.txt", "/list/.hidden", "/list/%2ehidden",
                 "/page.html/", "/page.html/x", "/page.html::$DATA", "/page.html.", "/page.html%20", "/PAGE.HTML", "/stored.css.br/", "/%ff", "/con", "/~root"):
        status, _, body = ask(path)
        check(status in (400, 404), f"{path}: {status}")
        check(b"state" not in body and b"root:" not in body, f"{path}: {body[:200]}")
    same(ask("/.well-known/security.txt")[2], b"contact\n")
    same(ask("/x/%2e%2e/page.html")[0], 200)

ANYBODY = {"within": b"within", "up-and-in": b"within"}
OUTSIDE = {"out": b"outside", "absolute": b"outside", "folder/x.txt": b"outside"}
with step("links: those that stay are followed, those that lead out only where that is said"):
    for host in ("beneath", "owner", "any"):
        expected = {**ANYBODY, **(OUTSIDE if host != "beneath" else {})}
        for name in ("within", "up-and-in", "out", "absolute", "folder/x.txt"):
            status, _, body = ask(f"/{name}", host=host)
            if name == "up-and-in" and host == "beneath":
                check((status, body) == (200, b"within") or status == 404, f"{name}: {status}")
            else:
                same((status, body if status == 200 else None), (200, expected[name]) if name in expected else (404, None), f"{name}, {host}")
        for name in ("round", "a", "none", "pipe", "state", "state/store.db", "state/listening.json", "device", "proc/self/environ",
                     f"proc{here}/state/store.db"):
            status, _, _ = ask(f"/{name}", host=host)
            check(status in (403, 404), f"{name}, {host}: {status}")
    same(ask("/passwd", host="beneath")[0], 404)
    same(ask("/passwd", host="any")[2], open("/etc/passwd", "rb").read())
    if os.geteuid() == 0:
        same([ask("/theirs", host=host)[0] for host in ("beneath", "owner", "any")], [404, 404, 200])

with step("a link that is turned round again and again never shows what is outside"):
    turned = links / "turned"
    for number in range(200):
        new = links / "new"
        new.symlink_to("in/x.txt" if number % 2 else "../outside/x.txt")
        os.rename(new, turned)
        status, _, body = ask("/turned", host="beneath")
        same((status, body if status == 200 else None), (200, b"within") if number % 2 else (404, None), number)

with step("a file that is changed while it is sent is never sent as if it were whole"):
    before, after = b"b" * (24 << 20), b"a" * (24 << 20)

    def download(change):
        write(www / "changing.bin", before)
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", WEB))
        connection.sendall(b"GET /changing.bin HTTP/1.1\r\nHost: forms.example.org\r\nConnection: close\r\n\r\n")
        received = connection.recv(1000)
        change(www / "changing.bin")
        received += everything(connection)
        connection.close()
        return received.split(b"\r\n\r\n", 1)[1]

    def replaced(path):
        write(path.with_suffix(".new"), after)
        os.rename(path.with_suffix(".new"), path)

    def grown(path):
        with open(path, "ab") as file:
            file.write(after)

    def cut(path):
        os.truncate(path, 8 << 20)

    def overwritten(path):
        with open(path, "r+b") as file:
            file.write(after)
            file.flush()

    check(download(replaced) == before, "one that is replaced is sent as it was")
    check(download(grown) == before, "one that has grown is sent as long as it was")
    for change in (cut, overwritten):
        check(len(download(change)) < len(before), f"{change.__name__}: it looked whole")
    same(client.ask("GET", "/page.html", host="forms.example.org")[0], 200)

with step("stored forms that come and go are seen"):
    def coding(path):
        _, fields, body = ask(path, "gzip", host="forms")
        return fields.get("content-encoding"), decoded(fields.get("content-encoding"), body)
    write(www / "coming.css", TEXT)
    same(coding("/coming.css"), ("gzip", TEXT))
    write(www / "coming.css.gz", gzip.compress(b"stored\n"))
    until(lambda: coding("/coming.css") == ("gzip", b"stored\n"), "the stored form is given")
    (www / "coming.css.gz").unlink()
    until(lambda: coding("/coming.css") == ("gzip", TEXT), "and no more")
    write(www / "coming.css", TEXT[:-1])
    same(coding("/coming.css")[1], TEXT[:-1])

client.close()
server.stop()
finish()
