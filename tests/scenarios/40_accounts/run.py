"""Accounts are made, changed and deleted while the server runs; passwords are never shown, and whoever guesses them is not heard."""

import json
import os
import pty
import subprocess
import termios

from sportello import BINARY, Server, check, connect, contains, everything, finish, folder, run, same, step, until, write

here = folder("sportello-accounts-")
write(here / "www/index.html", "the start\n")
# `secret`, as htpasswd -B writes it.
write(here / "staff", "ada:$2y$05$yVl8V3/d31IWU4Psb760..tTpkEKeB6yYvdKqQxAH4s7E4oyH7PIG\n")
file = write(here / "sportello.kdl", f"state \"{here}/state\"" + """
ban failures=3 within="10min" for="1h"
trusted-proxies "127.0.0.9"
channel web port=0 protocol=http
channel front port=0 protocol=http { proxy-protocol "127.0.0.1" }
channel mail port=0 protocol=smtp
channel commands port=0 protocol=command
domain example.org {
    site www.example.org {
        route "/secret/*" { login "staff" realm=staff }
        root "www"
    }
    mail { capture }
}
""")

with Server(config=file) as server:
    def account(*words, stdin=None):
        return run(BINARY, "account", *words, "--state", str(server.state), stdin=stdin)

    def views():
        return {view["address"]: view for view in json.loads(account("list", "--json").stdout)}

    with step("an account is made, with a password from standard input"):
        contains(account("list").stdout, "there are no accounts")
        made = account("add", "Ada@Example.org", "--password-stdin", "--quota", "5GiB", "--group", "staff", stdin="correct horse\n")
        same((made.returncode, made.stdout, made.stderr), (0, "", ""))
        again = account("add", "ada@EXAMPLE.org", "--no-password")
        same(again.returncode, 1)
        contains(again.stderr, "there is an account ada@example.org already")
        same(account("add", "bob@example.org", "--no-password").returncode, 0)
        short = account("password", "bob@example.org", "--password-stdin", stdin="short\n")
        same(short.returncode, 1)
        contains(short.stderr, "at least 8 letters")
        ada = views()["ada@example.org"]
        same((ada["quota"], ada["used"], ada["groups"], ada["has_password"], ada["standing"]), (5 << 30, 0, ["staff"], True, "active"))
        check(not views()["bob@example.org"]["has_password"], "bob has none")

    with step("without a terminal and without --password-stdin nothing is made"):
        refused = account("add", "eve@example.org", stdin="")
        same(refused.returncode, 2)
        contains(refused.stderr, "--password-stdin")

    with step("at a terminal the password is asked for twice and not shown"):
        master, slave = pty.openpty()
        asked = subprocess.Popen(
            [BINARY, "account", "password", "bob@example.org", "--state", str(server.state)],
            stdin=slave, stdout=subprocess.PIPE, stderr=slave,
        )
        os.close(slave)
        shown = b""
        for question in (b"Password of bob@example.org: ", b"Again: "):
            while not shown.endswith(question):
                shown += os.read(master, 1)
            # What is typed before the terminal hides it would be thrown away.
            until(lambda: not termios.tcgetattr(master)[3] & termios.ECHO, "the terminal hides what is typed")
            os.write(master, b"battery staple\n")
        same(asked.wait(), 0)
        check(b"battery" not in shown, "nothing of it is shown")
        os.close(master)
        check(views()["bob@example.org"]["has_password"], "bob has one")

    with step("a password for a program is shown once and can be taken back"):
        phone = account("app-password", "add", "ada@example.org", "phone", "--for", "smtp,imap").stdout.strip()
        same(len(phone), 24)
        known = json.loads(account("show", "ada@example.org", "--json").stdout)["app_passwords"]
        same([(one["name"], one["scopes"], one["used_ms"]) for one in known], [("phone", ["smtp", "imap"], None)])
        same(account("app-password", "add", "ada@example.org", "tv", "--for", "cinema").returncode, 1)
        same(account("app-password", "remove", "ada@example.org", "phone").returncode, 0)
        same(account("app-password", "remove", "ada@example.org", "phone").returncode, 1)

    with step("accounts are changed and deleted, and survive a kill"):
        same(account("disable", "bob@example.org").returncode, 0)
        same(account("quota", "bob@example.org", "1MiB").returncode, 0)
        same(account("groups", "bob@example.org", "a", "b").returncode, 0)
        bob = views()["bob@example.org"]
        same((bob["standing"], bob["quota"], bob["groups"]), ("disabled", 1 << 20, ["a", "b"]))
        kept = account("delete", "bob@example.org")
        same(kept.returncode, 1)
        contains(kept.stderr, "nothing is deleted")
        same(account("delete", "bob@example.org", "--yes").returncode, 0)
        same(list(views()), ["ada@example.org"])
        same(account("show", "bob@example.org").returncode, 1)

    with step("a command channel changes no accounts, and nothing shows what they were given"):
        with connect(server.ports["commands"]) as connection:
            connection.sendall(b"ACCOUNT LIST\r\nBANS\r\nSLOWLOG GET 100\r\nQUIT\r\n")
            said = everything(connection).decode()
        same(said.count("-NOPERM"), 2)
        check("correct horse" not in said, "no password in the slow log")
        check("correct horse" not in server.stderr() and phone not in server.stderr(), "nor in the log")

    with step("whoever gives wrong passwords is not heard any more, whatever he connects to"):
        url = f"http://127.0.0.1:{server.ports['web']}/secret/x"
        for _ in range(3):
            wrong = run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--interface", "127.0.0.9", "-u", "ada:wrong",
                        "-H", "Host: www.example.org", "-H", "X-Forwarded-For: 198.51.100.7", url)
            same(wrong.stdout, "401")
        listed = json.loads(run(BINARY, "bans", "--json", "--state", str(server.state)).stdout)
        same([one["source"] for one in listed], ["198.51.100.7"])
        check(3500 < listed[0]["seconds"] <= 3600, "for an hour")

        def introduced(client):
            with connect(server.ports["front"]) as connection:
                request = f"PROXY TCP4 {client} 127.0.0.1 999 80\r\nGET / HTTP/1.0\r\nHost: www.example.org\r\n\r\n"
                connection.sendall(request.encode())
                return everything(connection)

        same(introduced("198.51.100.7"), b"")
        contains(introduced("198.51.100.8").decode(), "the start")
        same(run(BINARY, "bans", "--lift", "198.51.100.7", "--state", str(server.state)).returncode, 0)
        contains(introduced("198.51.100.7").decode(), "the start")
        same(run(BINARY, "bans", "--lift", "198.51.100.7", "--state", str(server.state)).returncode, 1)

    with step("this machine is never banned"):
        for _ in range(5):
            run("curl", "-s", "-u", "ada:wrong", "-H", "Host: www.example.org", url)
        same(run(BINARY, "bans", "--state", str(server.state)).stdout, "nobody is banned\n")

    server.kill()

with Server(config=file) as server:
    with step("what was made before the kill is there after it"):
        kept = json.loads(run(BINARY, "account", "list", "--json", "--state", str(server.state)).stdout)
        same([(view["address"], view["quota"]) for view in kept], [("ada@example.org", 5 << 30)])

finish()
