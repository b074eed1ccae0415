import json
import os
import re
import smtplib
import subprocess
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import redis
from browser import Browser, colours
from inbox import inbox, raw
from sportello import (BINARY, Http, Server, _die_with_parent, check, contains, finish, folder, program, resident, run, same, step,
                       until, write)

web = folder("sportello-web-")
write(web / "hello.txt", "Hello, client.\n")
BIG = os.urandom(5 << 20)
write(web / "big.bin", BIG)
greet = program(folder("sportello-bin-") / "greet", 'echo "Hello, $1."')
server = Server(web, "--command", f"greet={greet}")
SHOTS = Path(os.environ["SCREENSHOTS"])

with step("the ready line says where everything is"):
    same(server.ready["address"], "127.0.0.1")
    same([(c["name"], c["protocol"]) for c in server.ready["channels"]],
         [("web", "http"), ("mail", "smtp"), ("commands", "command"), ("desk", "http")])
    same(server.ready["state"], str(server.state))
    check(server.ready["workers"] >= 1, "workers")
    same(server.stdout().count("\n"), 1, "one line")

with step("without --json it is a table for people"):
    ports = ["--web", "0", "--mail", "0", "--commands", "0", "--desk", "0"]
    process = subprocess.Popen([BINARY, "serve", *ports, "--state", folder()], cwd=web, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)
    lines = [process.stdout.readline() for _ in range(6)]
    process.terminate()
    same(process.wait(20), 0)
    same(lines[0], "Sportello listens on 127.0.0.1\n")
    for line, pattern in zip(lines[1:], [r"  web +http://127\.0\.0\.1:\d+ +serving " + re.escape(str(web)),
                                         r"  mail +smtp://127\.0\.0\.1:\d+ +every message is caught",
                                         r"  commands +tcp://127\.0\.0\.1:\d+ +try: redis-cli -p \d+ STATUS",
                                         r"  desk +http://127\.0\.0\.1:\d+ +what is happening, inbox",
                                         r"  \d+ workers? · state in .* · stop with Ctrl-C · see it work: sportello tour"]):
        check(re.match(pattern, line), f"{line!r} is not like {pattern}")

with step("curl: a file, a range, the head"):
    url = f"http://127.0.0.1:{server.web}"
    same(run("curl", "-sS", "--fail", f"{url}/hello.txt").stdout, "Hello, client.\n")
    same(run("curl", "-sS", "--fail", "-r", "7-12", f"{url}/hello.txt").stdout, "client")
    check(run("curl", "-sS", "--fail", f"{url}/big.bin", stdin=b"").stdout == BIG, "five megabytes")
    contains(run("curl", "-sSI", f"{url}/hello.txt").stdout, "HTTP/1.1 200 OK")
    contains(run("curl", "-sS", f"{url}/").stdout, "hello.txt")

with step("smtplib: 16 KiB and 50 MiB arrive byte for byte"):
    for size in (16 << 10, 50 << 20):
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"], message["Subject"] = "ada@example.org", "grace@example.org", f"{size} bytes"
        message.set_content("See the attachment.")
        message.add_attachment(os.urandom(size * 57 // 80), maintype="application", subtype="octet-stream", filename="data.bin")
        sent = message.as_bytes()
        with smtplib.SMTP("127.0.0.1", server.mail, timeout=60) as client:
            client.send_message(message)
        first = inbox(server)[0]
        same(first["subject"], f"{size} bytes")
        stored = raw(server, first)
        check(stored.endswith(sent), f"{size}: what was sent is not what is stored")
        added = stored[:-len(sent)]
        check(added.lower().startswith((b"return-path:", b"received:")) and added.endswith(b"\r\n"), f"only fields of ours before it: {added}")
        check(len(sent) >= size * 0.95, "as large as it says")

with step("redis-cli, redis-py and nc: built-ins and a program"):
    for version in ("-2", "-3"):
        same(run("redis-cli", version, "-p", server.commands, "PING").stdout, "PONG\n")
        same(run("redis-cli", version, "-p", server.commands, "greet", "Ada").stdout.strip(), "Hello, Ada.")
    for protocol in (2, 3):
        with redis.Redis(port=server.commands, protocol=protocol, socket_timeout=20) as client:
            same((client.ping(), client.execute_command("greet", "Ada")), (True, b"Hello, Ada.\n"))
    same(run("nc", "-N", "127.0.0.1", server.commands, stdin="PING\ngreet Ada\nQUIT\n").stdout, "+PONG\n$12\nHello, Ada.\n\n+OK\n")

with step("sportello tour: with a server of its own, and with this one; for people and for machines"):
    home = {**os.environ, "HOME": str(folder()), "XDG_STATE_HOME": str(folder())}
    for words in (("tour",), ("tour", "--state", server.state)):
        result = run(BINARY, *words, env=home, seconds=90)
        same(result.returncode, 0, result.stdout + result.stderr)
        check("\x1b" not in result.stdout, "plain in a pipe")
        for piece in ("worker-", "web", "mail", "commands"):
            contains(result.stdout, piece)
    result = run(BINARY, "tour", "--json", env=home, seconds=90)
    same(result.returncode, 0, result.stdout + result.stderr)
    json.loads(result.stdout)

with step("a message with HTML, an attachment and a remote picture, for the desk to show"):
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "Ada <ada@example.org>", "Grace <grace@example.org>", "Perché no? ☕"
    message.set_content("The text.")
    message.add_alternative('<h1 style="color:#b00">The HTML</h1><img src="http://tracker.invalid/pixel.png">'
                            '<script>document.title="owned";fetch("/api/v1/messages",{method:"DELETE"})</script>', subtype="html")
    message.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="figures.csv")
    with Http(server.desk) as http:
        same(http.ask("POST", "/sessions/keep", body=b"minutes=1")[0], 303, "sessions are kept from now on")
    with smtplib.SMTP("127.0.0.1", server.mail, timeout=20) as client:
        client.send_message(message)
    letter = inbox(server)[0]
    same(letter["subject"], "Perché no? ☕")
    with Http(server.desk) as http:
        page = http.ask("GET", f"/inbox/{letter['id']}")[2].decode()
    session = re.search(r'href="/sessions/(\d+)"', page).group(1)

DESK = f"http://127.0.0.1:{server.desk}"
PAGES = {"picture": "/", "inbox": "/inbox", "message": f"/inbox/{letter['id']}", "text": f"/inbox/{letter['id']}/text",
         "headers": f"/inbox/{letter['id']}/headers", "tree": f"/inbox/{letter['id']}/tree",
         "attachments": f"/inbox/{letter['id']}/attachments", "source": f"/inbox/{letter['id']}/source", "api": "/api",
         "search": "/inbox?query=text+has:attachment", "sessions": "/sessions", "session": f"/sessions/{session}"}

with Browser() as browser:
    for theme in ("light", "dark"):
        for size, width in (("wide", 1280), ("narrow", 390)):
            with step(f"the pages of the desk, {size} and {theme}"):
                for name, path in PAGES.items():
                    page = browser.page(width, 900, dark=theme == "dark").open(DESK + path)
                    seen, brightness = colours(page.screenshot(SHOTS / f"{name}-{size}-{theme}.png"))
                    check(seen >= 8, f"{name}: {seen} colours, as good as blank")
                    # A mail's own HTML keeps its white ground in its frame; the page around it must follow the theme.
                    most = 150 if name == "message" else 90
                    check(brightness < most if theme == "dark" else brightness > 160, f"{name}: brightness {brightness:.0f} is not {theme}")
                    check(page.width() <= width, f"{name}: {page.width()} px wide in a window of {width}")
                    same(page.problems, [], f"{name}: what the console says")
                    foreign = [url for url in page.requests if not url.startswith((DESK, "data:", "about:", "blob:"))]
                    same(foreign, [], f"{name}: requests to other hosts")
                    page.close()

    with step("the first page is alive: what happens is seen without reloading"):
        page = browser.page().open(DESK + "/")
        run("redis-cli", "-p", server.commands, "ECHO", "seen-on-the-desk")
        run("curl", "-sS", f"http://127.0.0.1:{server.web}/hello.txt")
        until(lambda: "/hello.txt" in page.text() or "hello.txt" in page.evaluate("document.documentElement.outerHTML"), "the request is shown")
        page.close()

    with step("the message's HTML is caged: no script ran, nothing was fetched, nothing deleted"):
        page = browser.page().open(f"{DESK}/inbox/{letter['id']}")
        check("owned" not in page.evaluate("document.title"), "the script ran")
        check(page.evaluate("[...document.querySelectorAll('iframe')].every(f => f.sandbox !== undefined && f.hasAttribute('sandbox'))"), "each frame is sandboxed")
        same([url for url in page.requests if "tracker.invalid" in url], [])
        page.close()
        check(any(message["id"] == letter["id"] for message in inbox(server)), "still there")

    with step("the inbox by keyboard: down, choose, mark as unread, search, and a tag by its form"):
        def press(page, *keys):
            for key in keys:
                page.evaluate(f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}))")

        page = browser.page().open(f"{DESK}/inbox")
        unread = server.api("/api/v1/messages")["unread"]
        press(page, "j", "x")
        same(page.evaluate("document.querySelectorAll('.pick input:checked').length"), 1, "one is chosen")
        press(page, "u")
        until(lambda: server.api("/api/v1/messages")["unread"] == unread + 1, "it is unread")
        until(lambda: page.evaluate("document.readyState === 'complete' && document.title.startsWith('Inbox (')"), "the title says so")
        page.evaluate("document.querySelector('.pick input').click()")
        page.evaluate("""document.querySelector('input[name=tag]').value = 'by hand',
                         document.querySelector('button[value=tag]').click()""")
        until(lambda: server.api("/api/v1/tags") == ["by hand"], "it has its tag")
        until(lambda: page.evaluate("document.readyState === 'complete' && !!document.querySelector('nav.labels a')"), "it is offered")
        press(page, "/")
        same(page.evaluate("document.activeElement.id"), "search")
        press(page, "x")
        same(page.evaluate("document.querySelectorAll('.pick input:checked').length"), 0, "in a field keys are letters")
        same(page.problems, [], "what the console says")
        page.close()

    with step("reading works without JavaScript"):
        for path, text in (("/", "worker-0"), ("/inbox", "Perché no?"), (f"/inbox/{letter['id']}/text", "The text.")):
            result = run("curl", "-sS", "--fail", DESK + path)
            contains(result.stdout, text)

    with step("deleting a message from its page"):
        page = browser.page().open(f"{DESK}/inbox/{letter['id']}")
        page.evaluate("""[...document.querySelectorAll('form')].find(f => f.action.endsWith('/delete')).requestSubmit()""")
        until(lambda: all(message["id"] != letter["id"] for message in inbox(server)), "it is gone")
        page.close()

with step("a website in a browser cannot read the desk or delete mail"):
    for words in (["-H", "Host: evil.example"], ["-H", "Origin: http://evil.example"], ["-X", "DELETE", "-H", "Origin: http://evil.example"]):
        result = run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *words, f"{DESK}/api/v1/messages")
        check(result.stdout in ("403", "421"), f"{words}: {result.stdout}")
    check(inbox(server), "the mail is still there")

finish()
