"""A site with routes, asked with curl: what is written decides, in the order in which it is written."""

import subprocess

from sportello import BINARY, Server, check, contains, finish, folder, program, run, same, step, write

here = folder("sportello-routes-")
write(here / "www/index.html", "the start\n")
write(here / "www/about.html", "about us\n")
write(here / "www/404.html", "our own page\n")
write(here / "docs/a b.txt", "a text\n")
write(here / "docs/sub/b.txt", "b\n")
write(here / "www/secret/plans.txt", "plans\n")
# `secret`, as htpasswd -B writes it.
write(here / "staff", "ada:$2y$05$yVl8V3/d31IWU4Psb760..tTpkEKeB6yYvdKqQxAH4s7E4oyH7PIG\n")
greet = program(here / "greet", '[ "$1" = 75 ] && exit 75\n[ "$1" = 3 ] && exit 3\nprintf "Hello, "\ncat\n')
file = write(here / "sportello.kdl", f"""
trusted-proxies "127.0.0.9"
channel web port=0 protocol=http
domain example.org {{
    site www.example.org {{
        header set "X-Frame-Options" "DENY"
        route "/old/*" {{ redirect "/new{{path}}{{query}}" status=308 }}
        route "/out" {{ redirect "https://example.net{{path}}" }}
        route matches="/go/(.*)" {{ redirect "/{{1}}" }}
        route "/ping" {{ respond 200 "pong" }}
        route "/docs/*" {{
            strip-prefix "/docs"
            root "docs"
            listing off
        }}
        route "/admin/*" {{
            allow "127.0.0.1"
            respond 200 "the back office"
        }}
        route "/nobody/*" {{ deny }}
        route "/secret/*" {{ login "staff" realm=staff }}
        route "/slow" {{
            limit rate="1/min" burst=2
            respond 200 "not too often"
        }}
        route "/small" {{
            limit body="4B"
            run greet "0" method="POST PUT"
        }}
        route "/run/again" {{ run greet "75" }}
        route "/run/broken" {{ run greet "3" }}
        route method="DELETE" {{ respond 405 }}
        route header="X-Beta: y*" cookie="!plain" query="v=2" {{ respond 200 "the new one" }}
        root "www"
        error-page 404 "/404.html"
        fallback "{{path}}.html"
    }}
    site secure.example.org {{
        redirect https
        hsts max-age="1d"
        respond 200 "over TLS"
    }}
}}
command greet {{
    program "{greet}" "{{how}}"
    argument how
}}
""")

with step("the file is accepted"):
    done = run(BINARY, "check", file)
    same(done.returncode, 0, done.stdout + done.stderr)

server = Server(config=file)
url = f"http://127.0.0.1:{server.web}"


def ask(path, *more, host="www.example.org"):
    """Status, fields, body, as curl sees them."""
    done = subprocess.run(["curl", "-s", "-i", "--path-as-is", "-H", f"Host: {host}", *more, url + path],
                          stdout=subprocess.PIPE, timeout=30, check=True)
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    while head.startswith("HTTP/1.1 100"):
        head, _, body = body.partition("\r\n\r\n")
    lines = head.split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), fields, body


with step("redirections keep what was asked, and never leave by two slashes"):
    for path, status, place in [
        ("/old/a%20b?x=1", 308, "/new/old/a%20b?x=1"),
        ("/out", 302, "https://example.net/out"),
        ("/go/there", 302, "/there"),
        ("/go//evil.example", 302, "/evil.example"),
        ("/go/%2e%2e/%2e%2e/out", 400, None),
    ]:
        found, fields, _ = ask(path)
        same((found, fields.get("location")), (status, place), path)

with step("a fixed answer, and the field that was written in front of it"):
    status, fields, body = ask("/ping")
    same((status, body, fields["x-frame-options"], fields["content-type"]),
         (200, "pong", "deny", "text/plain; charset=utf-8"))

with step("files of two folders, one of them without its prefix; what stands in for what is not there; the site's own error"):
    same(ask("/")[2], "the start\n")
    same(ask("/about")[2], "about us\n")
    same(ask("/docs/a%20b.txt")[2], "a text\n")
    same(ask("/docs/")[0], 404)
    status, fields, _ = ask("/docs/sub")
    same((status, fields["location"]), (301, "/docs/sub/"), "a folder has its slash where the client knows it")
    status, _, body = ask("/nothing")
    same((status, body), (404, "our own page\n"))
    same(ask("/about", "-I")[0], 200)

with step("no way of writing a path slips by a rule"):
    for path in ["/nobody", "/nobody/", "/nobody/x", "//nobody", "/%6eobody", "/x/../nobody/y", "/./nobody", "/%2e/nobody/"]:
        same(ask(path)[0], 403, path)
    for path in ["/nobody%2f..", "/x/..;/nobody", "/nobody%5cx", "/nobody%00", "/../nobody"]:
        same(ask(path)[0], 400, path)

with step("who may come is told by the address, which a stranger cannot choose"):
    same(ask("/admin/")[0], 200)
    same(ask("/admin/", "-H", "X-Forwarded-For: 127.0.0.1", "--interface", "127.0.0.8")[0], 403)
    same(ask("/admin/", "-H", "X-Forwarded-For: 127.0.0.1", "--interface", "127.0.0.9")[0], 200)
    same(ask("/admin/", "-H", "X-Forwarded-For: 127.0.0.1, 192.0.2.7", "--interface", "127.0.0.9")[0], 403)

with step("a name and a password are asked for, compared and known again"):
    status, fields, _ = ask("/secret/plans.txt")
    same((status, fields["www-authenticate"]), (401, 'basic realm="staff", charset="utf-8"'))
    same(ask("/secret/plans.txt", "-u", "ada:wrong")[0], 401)
    same(ask("/secret/plans.txt", "-u", "eve:secret")[0], 401)
    for _ in range(40):
        same(ask("/secret/plans.txt", "-u", "ada:secret")[2], "plans\n")

with step("a rate is held to, with a word on when to come again"):
    same([ask("/slow")[0] for _ in range(2)], [200, 200])
    status, fields, _ = ask("/slow")
    same(status, 429)
    check(1 <= int(fields["retry-after"]) <= 60, fields)

with step("programs answer, by the status that they end with; their input is bounded"):
    same(ask("/small", "-d", "Ada")[2], "Hello, Ada")
    same(ask("/small", "-d", "Ada B")[0], 413)
    same(ask("/small", "-d", "Ada B", "-H", "Transfer-Encoding: chunked")[0], 413)
    same(ask("/small")[0], 405)
    status, fields, _ = ask("/run/again", "-d", "")
    same((status, "retry-after" in fields), (503, True))
    status, fields, _ = ask("/run/broken", "-d", "")
    same((status, fields["exit-status"]), (500, "3"))

with step("method, field, cookie and query choose"):
    same(ask("/ping", "-X", "DELETE")[0], 200)
    same(ask("/", "-X", "DELETE")[0], 405)
    same(ask("/?v=2", "-H", "X-Beta: yes")[2], "the new one")
    for more in [("/?v=2", "-H", "X-Beta: no"), ("/?v=3", "-H", "X-Beta: yes"), ("/?v=2", "-H", "X-Beta: yes", "-b", "plain=1")]:
        same(ask(*more)[2], "the start\n", more)

with step("what comes in plain is sent to https, unless a trusted proxy says that it was"):
    status, fields, _ = ask("/a?b=c", host="secure.example.org")
    same((status, fields["location"]), (308, "https://secure.example.org/a?b=c"))
    status, fields, body = ask("/", "-H", "X-Forwarded-Proto: https", "--interface", "127.0.0.9", host="secure.example.org")
    same((status, body, fields["strict-transport-security"]), (200, "over tls".replace("tls", "TLS"), "max-age=86400"))

with step("explain says what the server does, line by line"):
    port = "8080"
    explained = write(here / "explained.kdl", file.read_text().replace("port=0", f"port={port}"))

    def explain(path, *more):
        done = run(BINARY, "explain", "--config", explained, *more, f"http://www.example.org:{port}{path}")
        return done.stdout

    contains(explain("/nobody/x"), "denies everybody")
    contains(explain("/nobody/x"), "403")
    contains(explain("/admin/", "--from", "192.0.2.7"), "192.0.2.7 is refused")
    contains(explain("/admin/", "--from", "127.0.0.1"), "the back office".replace("the back office", "200: 15 bytes"))
    contains(explain("/", "--method", "DELETE"), "405")
    contains(explain("/?v=2", "--header", "X-Beta: yes"), "takes it")

finish()
