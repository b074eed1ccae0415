import json
import os
import re
import socket
import subprocess
import threading
import time
from email.utils import formatdate, parsedate_to_datetime

from sportello import (Http, Server, check, connect, contains, everything, exchange, finish, folder, resident, same,
                       step, until, write)

root = folder("sportello-web-")
outside = folder("sportello-outside-")
write(outside / "secret.txt", "secret")
HELLO = b"Hello, client.\n"
write(root / "hello.txt", HELLO)
write(root / "sub/index.html", "<!doctype html><p>index of sub")
write(root / "sub/deep/file.css", "a{}")
write(root / ".hidden", "hidden")
write(root / ".git/config", "hidden")
write(root / ".well-known/security.txt", "Contact: x")
write(root / "with space & <tag>.txt", "odd name")
write(root / "è.txt", "not ASCII")
BIG = os.urandom(1 << 20)
write(root / "big.bin", BIG)
os.symlink(outside / "secret.txt", root / "link.txt")
os.symlink(outside, root / "linked")
os.symlink("../../../../../../etc", root / "up")
os.symlink("hello.txt", root / "inside.txt")
with open(root / "sparse.bin", "wb") as file:
    file.truncate(300 << 20)

server = Server(root)
PORT = server.web
HOST = f"Host: 127.0.0.1:{PORT}\r\n".encode()


def status(data):
    line = data.split(b"\r\n", 1)[0]
    return int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else line


with step("what could be read in two ways is refused with its status, and the connection closed"):
    get = b"GET /hello.txt HTTP/1.1\r\n" + HOST
    post = b"POST / HTTP/1.1\r\n" + HOST
    REFUSED = [
        (400, post + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, post + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
        (400, post + b"Content-Length: 3, 4\r\n\r\nabc"),
        (400, post + b"Content-Length: +3\r\n\r\nabc"),
        (400, post + b"Content-Length: 0x3\r\n\r\nabc"),
        (400, post + b"Content-Length: 99999999999999999999\r\n\r\n"),
        (400, post + b"Content-Length: \r\n\r\n"),
        (400, post + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
        (400, post + b"Content-Length: 03\r\n\r\nabc"),
        (400, post + b"Content-Length: -3\r\n\r\nabc"),
        (400, post + b"Content-Length: 3 3\r\n\r\nabc"),
        (400, post + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        (400, post + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
        (400, post + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
        (400, post + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        (400, post + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n"),
        (400, post + b"Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n"),
        (400, post + b"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n"),
        (400, post + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"),
        (400, post + b"Transfer-Encoding: chunked\r\n\r\n1;a=\"b\r\nx\r\n0\r\n\r\n"),
        (400, post + b"Transfer-Encoding: chunked\r\n\r\n0\r\nHost: other\r\n\r\n"),
        (400, post + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n"),
        (431, post + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 33 + b"\r\n"),
        (400, b"GET http://user@127.0.0.1/hello.txt HTTP/1.1\r\n" + HOST + b"\r\n"),
        (421, b"GET https://127.0.0.1/hello.txt HTTP/1.1\r\n" + HOST + b"\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, post + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
        (400, post + b"Transfer-Encoding: xchunked\r\n\r\n"),
        (400, post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (400, post + b"Transfer-Encoding: identity\r\n\r\n"),
        (400, b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"),
        (400, b"GET /hello.txt HTTP/1.1\nHost: x\n\n"),
        (400, get + b"X: a\nY: b\r\n\r\n"),
        (400, get + b"X: a\r\n\n"),
        (400, get + b"X: a\rb\r\n\r\n"),
        (400, get + b"X: a\x00b\r\n\r\n"),
        (400, get + b"X: a\r\n folded\r\n\r\n"),
        (400, get + b" X: a\r\n\r\n"),
        (400, get + b"X : a\r\n\r\n"),
        (400, get + b": a\r\n\r\n"),
        (400, get + b"no colon\r\n\r\n"),
        (400, get + HOST + b"\r\n"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: 127.0.0.1:99999\r\n\r\n"),
        (400, b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n"),
        (400, b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n"),
        (400, b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n"),
        (400, b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n"),
        (400, b"GET /#x HTTP/1.1\r\n" + HOST + b"\r\n"),
        (400, b"GET * HTTP/1.1\r\n" + HOST + b"\r\n"),
        (400, b"GET hello.txt HTTP/1.1\r\n" + HOST + b"\r\n"),
        (400, b"G@T / HTTP/1.1\r\n" + HOST + b"\r\n"),
        (400, b"GET /\r\n\r\n"),
        (400, b"GET / http/1.1\r\n" + HOST + b"\r\n"),
        (505, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
        (505, b"GET / HTTP/1.2\r\n" + HOST + b"\r\n"),
        (501, b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n"),
        (417, post + b"Expect: something\r\nContent-Length: 1\r\n\r\n"),
        (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
        (431, get + b"X: " + b"a" * 17000 + b"\r\n\r\n"),
        (431, get + b"X: a\r\n" * 101 + b"\r\n"),
    ]
    wrong = []
    for expected, request in REFUSED:
        # Behind each stands a request that must never be answered.
        answer = exchange(PORT, request + b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n")
        if status(answer) != expected or HELLO in answer or len(re.findall(rb"HTTP/1\.1 \d", answer)) != 1:
            wrong.append((request[:80], answer[:200]))
        elif b"connection: close" not in answer.lower():
            wrong.append((request[:80], "no Connection: close"))
    check(not wrong, f"{len(wrong)} of {len(REFUSED)}: {wrong}")

with step("a foreign protocol is closed at once, with a word"):
    contains(exchange(PORT, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)), b"TLS")
    contains(exchange(PORT, b"PRI * HTTP/3.0\r\n\r\n"), b"HTTP/1.1 505 ")
    contains(exchange(PORT, b"EHLO client\r\nMAIL FROM:<a@b>\r\n"), b"HTTP/1.1 400")
    contains(exchange(PORT, b"*1\r\n$4\r\nPING\r\n"), b"HTTP/1.1 400")
    contains(exchange(PORT, b"SSH-2.0-OpenSSH_9\r\n"), b"HTTP/1.1 400")

with step("a file arrives whole, with its type, length, date and validators; HEAD says the same without it"):
    with Http(PORT) as http:
        code, fields, body = http.ask("GET", "/hello.txt")
        same((code, body), (200, HELLO))
        same(fields["content-type"].split(";")[0], "text/plain")
        same(fields["content-length"], str(len(HELLO)))
        for name in ("etag", "last-modified", "date", "accept-ranges"):
            check(name in fields, f"{name} in {fields}")
        check(not fields["etag"].startswith("W/"), "the entity tag is strong")
        same(parsedate_to_datetime(fields["last-modified"]).timestamp(), int((root / "hello.txt").stat().st_mtime))
        check(abs(parsedate_to_datetime(fields["date"]).timestamp() - time.time()) < 5, "the date is now")
        code, heads, body = http.ask("HEAD", "/hello.txt")
        same((code, body), (200, b""))
        same({k: v for k, v in heads.items() if k != "date"}, {k: v for k, v in fields.items() if k != "date"})
        code, fields, body = http.ask("GET", "/big.bin")
        check(body == BIG, "a megabyte comes as it is")
        code, fields, _ = http.ask("GET", "/sub/deep/file.css")
        same(fields["content-type"].split(";")[0], "text/css")
        same(http.ask("GET", "/inside.txt")[2], HELLO, "a link within the root")
        for path in ("/with%20space%20%26%20%3Ctag%3E.txt", "/%C3%A8.txt", "/sub/../hello.txt", "/./hello.txt",
                     "/%68ello.txt", "/hello.txt?query=/../x"):
            same(http.ask("GET", path)[0], 200, path)

with step("keep-alive: many requests on one connection; close is obeyed; HTTP/1.0 closes unless asked"):
    with Http(PORT) as http:
        for _ in range(200):
            same(http.ask("GET", "/hello.txt")[2], HELLO)
        code, fields, _ = http.ask("GET", "/hello.txt", ["Connection: close"])
        same(fields.get("connection"), "close")
        check(http.ended(), "it closes")
    for request, lives in [(b"GET /hello.txt HTTP/1.0\r\n\r\n", False),
                           (b"GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True)]:
        with Http(PORT) as http:
            http.send(request)
            same(http.answer()[2], HELLO)
            if lives:
                http.send(request)
                same(http.answer()[2], HELLO)
            else:
                check(http.ended(), "HTTP/1.0 ends")

with step("pipelined requests are answered in order, also when they arrive in pieces"):
    one = b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n"
    other = b"GET /sub/ HTTP/1.1\r\n" + HOST + b"\r\n"
    with Http(PORT) as http:
        http.send((one + other) * 50)
        for _ in range(50):
            same(http.answer()[2], HELLO)
            contains(http.answer()[2], b"index of sub")
    with Http(PORT) as http:
        stream = (one + other) * 3
        for at in range(0, len(stream), 7):
            http.send(stream[at:at + 7])
        for _ in range(3):
            same(http.answer()[2], HELLO)
            contains(http.answer()[2], b"index of sub")
    with Http(PORT) as http:  # a large answer in the middle, and a refusal at the end
        http.send(one + b"GET /big.bin HTTP/1.1\r\n" + HOST + b"\r\n" + one + b"BAD\r\n\r\n" + one)
        same(http.answer()[2], HELLO)
        check(http.answer()[2] == BIG, "the large one is whole")
        same(http.answer()[2], HELLO)
        same(http.answer()[0], 400)
        check(http.ended(), "nothing after the refusal")

with step("a client that closes its sending side still gets its answer"):
    same(status(exchange(PORT, one, half_close=True)), 200)

with step("methods: OPTIONS lists them, others are refused without ending the connection"):
    with Http(PORT) as http:
        code, fields, _ = http.ask("OPTIONS", "/hello.txt")
        check(code in (200, 204), code)
        contains(fields["allow"], "GET")
        contains(fields["allow"], "HEAD")
        code, fields, _ = http.ask("OPTIONS", "*")
        check(code in (200, 204), code)
        code, fields, _ = http.ask("DELETE", "/hello.txt")
        same(code, 405)
        contains(fields["allow"], "GET")
        code, fields, _ = http.ask("BREW", "/hello.txt")
        check(code in (405, 501), code)
    check((root / "hello.txt").exists(), "nothing was deleted")

with step("uploads to a folder are refused, their bodies never taken for requests; Expect: 100-continue is answered"):
    smuggled = b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n"
    chunked = b"%x\r\n" % len(smuggled) + smuggled + b"\r\n0\r\n\r\n"
    for body in (b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled, b"Transfer-Encoding: chunked\r\n\r\n" + chunked):
        for method in (b"POST", b"PUT"):
            answer = exchange(PORT, method + b" /new.txt HTTP/1.1\r\n" + HOST + b"Connection: close\r\n" + body)
            same((status(answer), answer.count(b"HTTP/1.1 ")), (405, 1), answer[:200])
    check(not (root / "new.txt").exists(), "nothing was written")
    with Http(PORT) as http:
        http.send(b"PUT /new.txt HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
        same(http.head()[0], 405, "a refusal instead of 100, without waiting for the body")

with step("ranges: first, middle, last, beyond; If-Range"):
    with Http(PORT) as http:
        for text, code, expected in [("bytes=0-4", 206, HELLO[:5]), ("bytes=7-", 206, HELLO[7:]), ("bytes=-3", 206, HELLO[-3:]),
                                     ("bytes=2-2", 206, HELLO[2:3]), ("bytes=-1000", 206, HELLO), ("bytes=5-1000", 206, HELLO[5:]),
                                     ("bytes=100-", 416, None), ("bytes=-0", 416, None), ("items=0-1", 200, HELLO),
                                     ("bytes=4-2", 200, HELLO), ("bytes=a-b", 200, HELLO)]:
            found, fields, body = http.ask("GET", "/hello.txt", [f"Range: {text}"])
            same(found, code, text)
            if expected is not None:
                same(body, expected, text)
            if code == 206:
                start = HELLO.index(expected) if expected != HELLO else 0
                same(fields["content-range"].split("/")[1], str(len(HELLO)), text)
            if code == 416:
                same(fields["content-range"], f"bytes */{len(HELLO)}", text)
        etag = http.ask("HEAD", "/hello.txt")[1]["etag"]
        same(http.ask("GET", "/hello.txt", ["Range: bytes=0-4", f"If-Range: {etag}"])[0], 206)
        same(http.ask("GET", "/hello.txt", ["Range: bytes=0-4", 'If-Range: "other"'])[0], 200)
        code, fields, body = http.ask("GET", "/big.bin", ["Range: bytes=500000-700000"])
        check(code == 206 and body == BIG[500000:700001], "a range of the megabyte")

with step("several ranges come in one answer, byte for byte, from memory and from the disk; and curl reads them"):
    def parts(fields, body):
        boundary = fields["content-type"].removeprefix("multipart/byteranges; boundary=").encode()
        same(fields["content-length"], str(len(body)))
        pieces = body.split(b"\r\n--" + boundary)
        check(pieces[0] == b"" and pieces[-1] == b"--\r\n", "delimited")
        found = []
        for piece in pieces[1:-1]:
            head, content = piece.split(b"\r\n\r\n", 1)
            start, end, whole = map(int, re.search(rb"content-range: bytes (\d+)-(\d+)/(\d+)", head).groups())
            same(len(content), end - start + 1)
            found.append((start, content, whole))
        return found

    write(root / "middle.bin", BIG[:100_000])
    for name, size in [("big.bin", len(BIG)), ("middle.bin", 100_000), ("middle.bin", 100_000)]:
        with Http(PORT) as http:
            code, fields, body = http.ask("GET", "/" + name, ["Range: bytes=90000-, 0-9, 500-999, 600-1500, 5000-5000"])
            same(code, 206)
            for (start, content, whole), (first, last) in zip(parts(fields, body), [(90000, size), (0, 10), (500, 1501), (5000, 5001)],
                                                              strict=True):
                check((start, whole) == (first, size) and content == BIG[first:last], (name, start))
            same(http.ask("GET", "/hello.txt")[2], HELLO, "the next answer")
            many = ",".join(f"{number * 100}-{number * 100}" for number in range(17))
            same(http.ask("GET", "/" + name, [f"Range: bytes={many}"])[0], 200, "too many are answered with the whole")
            same(http.ask("GET", "/" + name, ["Range: bytes=" + "0-," * 15 + "0-"])[1]["content-length"], str(size), "no amplification")
            same(http.ask("HEAD", "/" + name, ["Range: bytes=0-0,900-900"])[0], 200, "HEAD has no ranges")
    curl = subprocess.run(["curl", "-s", "-D", "-", "-r", "0-4,500-504", f"http://127.0.0.1:{PORT}/middle.bin"], capture_output=True)
    head, body = curl.stdout.split(b"\r\n\r\n", 1)
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    same([(start, content) for start, content, _ in parts(fields, body)], [(0, BIG[:5]), (500, BIG[500:505])])

with step("trailers are read past, TE: trailers is understood, an expectation is met or refused"):
    with Http(PORT) as http:
        http.send(post + b"Transfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nDigest: x\r\n\r\n")
        same(http.answer()[0], 405)
        same(http.ask("GET", "/hello.txt", ["TE: trailers", "Connection: TE"])[2], HELLO)

with step("a folder of 5,000 files is listed page by page, sorted as asked, each of them once"):
    for number in range(5000):
        write(root / f"many/{number:04}.txt", b"x" * (number % 7))
    for query, turned in [("", False), ("?sort=size&order=desc", True), ("?sort=time", False)]:
        with Http(PORT) as http:
            names, sizes, pages = [], [], 0
            while query is not None:
                code, _, body = http.ask("GET", "/many/" + query, accept="application/json")
                same(code, 200)
                page = json.loads(body)
                check(len(page["entries"]) <= 1000 and page["files"] == 5000, "a page")
                names += [entry["name"] for entry in page["entries"]]
                sizes += [entry["size"] for entry in page["entries"]]
                query, pages = page.get("next"), pages + 1
                same(page["complete"], query is None)
            same((pages, len(set(names)), len(names)), (5, 5000, 5000))
            if turned:
                same(sizes, sorted(sizes, reverse=True))
    with Http(PORT) as http:
        shown = http.ask("GET", "/many/", accept="text/html")[2]
        contains(shown, b'rel="next" href="?sort=name&amp;order=asc&amp;after=')
        contains(shown, b'aria-sort="ascending"')

with step("the five conditional fields (RFC 9110 §13.1)"):
    with Http(PORT) as http:
        fields = http.ask("HEAD", "/hello.txt")[1]
        etag, modified = fields["etag"], fields["last-modified"]
        past, future = formatdate(0, usegmt=True), formatdate(time.time() + 86400, usegmt=True)
        for lines, code in [([f"If-None-Match: {etag}"], 304), (["If-None-Match: *"], 304), (['If-None-Match: "x"'], 200),
                            ([f'If-None-Match: "x", W/{etag}'], 304), ([f"If-Match: {etag}"], 200), (['If-Match: "x"'], 412),
                            (["If-Match: *"], 200), ([f"If-Match: W/{etag}"], 412), ([f"If-Modified-Since: {modified}"], 304),
                            ([f"If-Modified-Since: {past}"], 200), ([f"If-Unmodified-Since: {past}"], 412),
                            ([f"If-Unmodified-Since: {modified}"], 200), (["If-Modified-Since: nonsense"], 200),
                            (['If-None-Match: "x"', f"If-Modified-Since: {modified}"], 200),
                            ([f"If-Match: {etag}", f"If-Unmodified-Since: {past}"], 200)]:
            found, fields, body = http.ask("GET", "/hello.txt", lines)
            same(found, code, str(lines))
            if code == 304:
                same(fields.get("etag"), etag, "a 304 carries the tag")
        same(http.ask("GET", "/hello.txt")[2], HELLO, "the connection is in order afterwards")

with step("no path leaves the root, in no encoding"):
    paths = ["/../secret.txt", "/..", "/../../../../etc/passwd", "/sub/../../etc/passwd", "/%2e%2e/etc/passwd", "/%2e%2e%2fetc/passwd",
             "/..%2f..%2fetc/passwd", "/..%5c..%5cetc/passwd", "/..\\..\\etc\\passwd", "/sub/%2e%2e/%2E%2E/%2e./etc/passwd",
             "/%252e%252e/etc/passwd", "/%c0%ae%c0%ae/etc/passwd", "//etc/passwd", "/hello.txt%00.html", "/hello.txt/", "/%",
             "/%zz", "/link.txt", "/linked/secret.txt", "/linked/", "/up/passwd", "/etc/passwd",
             "http://127.0.0.1/../etc/passwd", "/sub/%2F/etc/passwd", "/.%2e/etc/passwd"]
    for path in paths:
        answer = exchange(PORT, f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"Connection: close\r\n\r\n")
        check(status(answer) in (400, 403, 404), f"{path}: {answer[:100]}")
        check(b"root:" not in answer and b"secret" not in answer.split(b"\r\n\r\n", 1)[1], f"{path} leaks: {answer[-200:]}")

with step("hidden files are not there; .well-known is"):
    with Http(PORT) as http:
        for path in ("/.hidden", "/.git/config", "/.git/", "/%2ehidden", "/sub/../.hidden"):
            same(http.ask("GET", path)[0], 404, path)
        same(http.ask("GET", "/.well-known/security.txt")[0], 200)

with step("folders: a slash is added, index.html is served, else a listing in HTML or JSON"):
    with Http(PORT) as http:
        code, fields, _ = http.ask("GET", "/sub?x=1")
        check(code in (301, 308) and fields["location"].startswith("/sub/"), (code, fields))
        contains(http.ask("GET", "/sub/")[2], b"index of sub")
        code, fields, body = http.ask("GET", "/", accept="text/html")
        same(fields["content-type"].split(";")[0], "text/html")
        contains(body, b"hello.txt")
        contains(body, b"with space &amp; &lt;tag&gt;.txt", "names are escaped")
        contains(body, b"with%20space%20", "links are encoded")
        check(b".hidden" not in body and b".git" not in body, "hidden names are not listed")
        code, fields, body = http.ask("GET", "/", accept="application/json")
        same(fields["content-type"].split(";")[0], "application/json")
        contains(json.dumps(json.loads(body), ensure_ascii=False), "è.txt")
        check("vary" in fields and "accept" in fields["vary"].lower(), f"Vary: Accept in {fields}")
        same(http.ask("GET", "/nothing")[0], 404)
        # A name cannot reflect markup into the page that says it is not there.
        check(b"<script>" not in http.ask("GET", "/%3Cscript%3E")[2], "escaped in the error page")

with step("a changed file is seen at once, 300 times, also when it keeps its length and when it is replaced"):
    with Http(PORT) as http:
        for number in range(300):
            content = b"%06d" % number
            if number % 3 == 0:
                write(root / "new", content)
                os.replace(root / "new", root / "live.txt")
            else:
                write(root / "live.txt", content)
            code, fields, body = http.ask("GET", "/live.txt")
            same(body, content, f"after change {number}")
        etag = fields["etag"]
        write(root / "live.txt", "other!")
        same(http.ask("GET", "/live.txt", [f"If-None-Match: {etag}"])[0], 200)
        os.remove(root / "live.txt")
        same(http.ask("GET", "/live.txt")[0], 404)
        write(root / "live.txt", "again")
        same(http.ask("GET", "/live.txt")[2], b"again")

with step("a foreign Host or Origin is refused on a loopback channel (DNS rebinding)"):
    for lines in (["Host: evil.example"], ["Host: 127.0.0.1.evil.example"], [f"Host: evil.example:{PORT}"]):
        answer = exchange(PORT, b"GET /hello.txt HTTP/1.1\r\n" + "\r\n".join(lines).encode() + b"\r\nConnection: close\r\n\r\n")
        check(status(answer) in (403, 421), f"{lines}: {answer[:100]}")
        check(HELLO not in answer, "nothing is told")
    answer = exchange(PORT, f"GET http://evil.example/hello.txt HTTP/1.1\r\n".encode() + HOST + b"Connection: close\r\n\r\n")
    check(status(answer) in (403, 421), answer[:100])
    for origin in (b"http://evil.example", b"null"):
        answer = exchange(PORT, get + b"Origin: " + origin + b"\r\nConnection: close\r\n\r\n")
        check(status(answer) == 403 and HELLO not in answer, f"{origin}: {answer[:100]}")
    for host in ("localhost", f"localhost:{PORT}", "127.0.0.1", "[::1]", "site.localhost"):
        answer = exchange(PORT, f"GET /hello.txt HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        same(status(answer), 200, host)
    answer = exchange(PORT, get + f"Origin: http://127.0.0.1:{PORT}\r\nConnection: close\r\n\r\n".encode())
    same(status(answer), 200)

with step("300 MiB are streamed whole, and memory stays flat"):
    before = resident(server.pid)
    most, counted = [before], 0
    with connect(PORT, 60) as connection:
        connection.sendall(b"GET /sparse.bin HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        buffer = bytearray(1 << 20)
        head = connection.recv(1 << 16)
        counted = len(head.split(b"\r\n\r\n", 1)[1])
        while got := connection.recv_into(buffer):
            counted += got
            if counted % (16 << 20) < got:
                most.append(resident(server.pid))
    same(counted, 300 << 20)
    check(max(most) - before < 16 << 10, f"resident grew from {before} to {max(most)} KiB")

with step("a slow reader of a large file does not hold up the others"):
    with connect(PORT) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /sparse.bin HTTP/1.1\r\n" + HOST + b"\r\n")
        slow.recv(1000)
        started = time.monotonic()
        with Http(PORT) as http:
            for _ in range(100):
                http.ask("GET", "/hello.txt")
        check(time.monotonic() - started < 5, "others are served")

with step("sixteen clients at once get what they asked for"):
    wrong = []

    def client(number):
        with Http(PORT) as http:
            for turn in range(100):
                start = (number * 1009 + turn * 31) % (len(BIG) - 5000)
                code, _, body = http.ask("GET", "/big.bin", [f"Range: bytes={start}-{start + 4999}"])
                if code != 206 or body != BIG[start:start + 5000]:
                    wrong.append((number, turn))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    same(wrong, [])

finish()
