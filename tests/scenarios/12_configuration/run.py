import json
import os
import re
import stat
import subprocess
from pathlib import Path

from sportello import (BINARY, Http, Lines, Server, check, contains, finish, folder, program, run, same, step, write)

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "docs/example.kdl"


def sportello(*words, cwd=None, code=0, **more):
    done = run(BINARY, *words, cwd=cwd, **more)
    same(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
    return done


def copy_of_the_example():
    """The example with free ports and folders of its own; nothing else is changed."""
    here = folder("sportello-config-")
    web = here / "www"
    write(web / "index.html", "the example\n")
    write(web / "404.html", "our own page\n")
    write(web / "a.css", "a {}\n")
    write(web / "folder/b.txt", "b\n")
    text = EXAMPLE.read_text()
    text, ports = re.subn(r"port=\d+", "port=0", text)
    same(ports, 4, "channels of the example")
    text = text.replace('"/var/lib/sportello"', '"state"').replace('root "/srv"', 'root "www"')
    return write(here / "sportello.kdl", text)


with step("the commented example is accepted as it stands, and has the usual form"):
    said = sportello("check", EXAMPLE)
    contains(said.stdout, "4 channels, 3 sites, 1 command")
    sportello("fmt", "--check", EXAMPLE)

file = copy_of_the_example()
with step("a copy of it runs, and is reached with curl, swaks and redis-cli"):
    with Server(config=file) as server:
        check(server.state == file.parent / "state", f"the state folder is where the file says: {server.state}")
        url = f"http://127.0.0.1:{server.web}"

        def curl(path, host=None, *more):
            host = ["-H", f"Host: {host}"] if host else []
            return run("curl", "-s", "-i", *host, *more, url + path).stdout

        contains(curl("/", "www.example.org"), "the example")
        contains(curl("/", "EXAMPLE.org:8080"), "the example")
        contains(curl("/", "other.example.org"), "the example")
        contains(curl("/"), "the example")
        page = curl("/nothing", "www.example.org")
        contains(page, "404 Not Found")
        contains(page, "our own page")
        contains(curl("/a.css", "www.example.org"), "cache-control: max-age=3600")
        contains(curl("/a.css", "other.example.org"), "cache-control: no-cache")
        contains(curl("/folder/", "www.example.org"), "404")
        contains(curl("/folder/", "other.example.org"), "b.txt")
        contains(curl("/", "www.example.net"), "421")  # a channel on loopback, and no site bears the name

        mail = run("swaks", "--server", f"127.0.0.1:{server.mail}", "--from", "ada@example.net", "--to", "grace@example.org",
                   "--header", "Subject: configured", "--body", "Dear Grace!")
        same(mail.returncode, 0, mail.stdout + mail.stderr)
        contains(mail.stdout, "220 mail.example.org")
        contains(mail.stdout, "SIZE 26214400")
        elsewhere = run("swaks", "--server", f"127.0.0.1:{server.mail}", "--from", "ada@example.net", "--to", "a@example.com")
        check(elsewhere.returncode != 0, "mail for other domains is refused")
        contains(elsewhere.stdout, "550 5.7.1")
        messages = server.api("/api/v1/messages")["messages"]
        same([message["Subject"] if "Subject" in message else message["subject"] for message in messages], ["configured"])

        said = run("redis-cli", "-p", str(server.commands), "greet", "Ada")
        contains(said.stdout, "Hello, Ada")
        contains(run("redis-cli", "-p", str(server.commands), "greet", "Ada", "Grace").stdout, "wrong number of arguments")
        contains(run("redis-cli", "-p", str(server.commands), "HELP", "greet").stdout, "greets whoever is named")

with step("two channels of each protocol, on addresses of their own, with limits of their own"):
    here = folder("sportello-config-")
    write(here / "one/a.txt", "one\n")
    write(here / "two/a.txt", "two\n")
    program(here / "greet", 'echo "hello from $1"')
    file = write(here / "many.kdl", """
        address "127.0.0.1"
        state "state"
        channel web port=0 protocol=http
        channel web-b port=0 protocol=http address="127.0.0.2" { idle "1s" }
        channel mail port=0 protocol=smtp { message-size "64KiB"; recipients 100 }
        channel mail-b port=0 protocol=smtp { message-size "2MiB" }
        channel commands port=0 protocol=command
        channel commands-b port=0 protocol=command { arguments 2 }
        channel desk port=0 protocol=http { desk }
        channel desk-b port=0 protocol=http { desk }
        domain one.example { site one.example { root "one" }; mail { capture } }
        domain two.example { site "*.two.example" { root "two" } }
        command greet { program "greet" "here" }
        command bye { program "/bin/echo" "-n" "bye" }
    """)
    sportello("check", file)
    with Server(config=file) as server:
        for name, address in [("web", "127.0.0.1"), ("web-b", "127.0.0.2")]:
            for host, expect in [("one.example", b"one\n"), ("a.b.two.example", b"two\n")]:
                answer = run("curl", "-s", "-H", f"Host: {host}", f"http://{address}:{server.ports[name]}/a.txt").stdout
                same(answer.encode(), expect, f"{name} {host}")
        status, _, _ = Http(server.web).ask("GET", "/a.txt", host="two.example")
        same(status, 421, "no site bears that name, and none takes all others")
        for name, size in [("mail", 65536), ("mail-b", 2 << 20)]:
            with Lines(server.ports[name]) as session:
                session.reply()
                contains("\n".join(session.ask("EHLO x")[1]), f"SIZE {size}")
                session.ask("MAIL FROM:<a@b.example>")
                same(session.ask("RCPT TO:<x@one.example>")[0], 250)
                same(session.ask("RCPT TO:<postmaster>")[0], 250)
                code, lines = session.ask("RCPT TO:<x@two.example>")
                same((code, lines[0][:9]), (550, "550 5.7.1"), "a domain without mail")
        for name in ("commands", "commands-b"):
            contains(run("redis-cli", "-p", str(server.ports[name]), "greet").stdout, "hello from here")
        contains(run("redis-cli", "-p", str(server.ports["commands"]), "ECHO", "a").stdout, "a")
        refused = run("redis-cli", "-p", str(server.ports["commands-b"]), "SET", "a", "b")
        contains(refused.stdout + refused.stderr, "invalid multibulk length")
        for name in ("desk", "desk-b"):
            contains(run("curl", "-s", f"http://127.0.0.1:{server.ports[name]}/api/v1/status").stdout, '"commands-b"')

with step("check: one line each where nobody reads a terminal, all of it as JSON, and the exit code"):
    broken = write(folder() / "broken.kdl", 'adress "::1"\nchannel web port=80a protocol=http\n')
    said = sportello("check", broken, code=1)
    same(said.stdout, "")
    contains(said.stderr, f'{broken}:2:18: error: 80a begins like a number and is none')
    broken.write_text('adress "::1"\nchannel web port=8080 protocol=ftp\n')
    said = sportello("check", "--json", broken, code=1)
    report = json.loads(said.stdout)
    same((report["ok"], [(fault["line"], fault["column"], fault["severity"]) for fault in report["faults"]]),
         (False, [(1, 1, "error"), (2, 23, "error")]))
    contains(report["faults"][0]["help"], "did you mean address?")
    contains(sportello("check", broken.parent / "none.kdl", code=1).stderr, "there is no file")
    sportello("check", "a", "b", code=2)
    same(json.loads(sportello("check", "--json", EXAMPLE).stdout)["faults"], [])
    # On a terminal, in its lines.
    shown = run("script", "-qec", f"{BINARY} check {broken}", "/dev/null", env={**os.environ, "NO_COLOR": "1"})
    contains(shown.stdout.replace("\r", ""), ' 1 │ adress "::1"\n   · ^^^^^^ unknown\n   ╰─ did you mean address?')

with step("fmt changes the form and nothing else; a file that cannot be read stays; links and modes stay"):
    here = folder()
    messy = write(here / "real.kdl", "// top\n\n\n\nworkers   2;grace \"1s\" // why\nchannel a port = 0x50 protocol=http{idle \"75s\" /* here */ ; }\n", 0o640)
    link = here / "link.kdl"
    link.symlink_to("real.kdl")
    said = sportello("fmt", "--check", link, code=1)
    contains(said.stderr, "not in the usual form")
    sportello("fmt", link)
    expect = "// top\n\nworkers 2\ngrace \"1s\" // why\nchannel a port=0x50 protocol=http { idle \"75s\" /* here */ }\n"
    same(messy.read_text(), expect)
    check(link.is_symlink() and stat.S_IMODE(messy.stat().st_mode) == 0o640, "the link and the mode stay")
    before = messy.stat().st_ino
    sportello("fmt", link)
    same(messy.stat().st_ino, before, "what has the usual form is not written again")
    same(sorted(path.name for path in here.iterdir()), ["link.kdl", "real.kdl"], "nothing is left beside it")
    messy.write_text("a {\n")
    contains(sportello("fmt", messy, code=1).stderr, "never closed")
    same(messy.read_text(), "a {\n")

with step("explain foretells what then happens"):
    here = folder("sportello-config-")
    write(here / "www/index.html", "x\n")
    text = """address "127.0.0.1"
channel web port=%d protocol=http
channel mail port=0 protocol=smtp
channel commands port=0 protocol=command
domain a.example {
    site a.example { root "www" }
    mail { capture }
}
command greet { program "/bin/echo" }
"""
    file = write(here / "sportello.kdl", text % 18080)

    def explained(what, code=0):
        return json.loads(sportello("explain", "--json", what, cwd=here, code=code).stdout)

    asked = explained("http://a.example:18080/")
    contains(asked["happens"][-1], f"200: the file {here.resolve()}/www/index.html")
    same([line["line"] for line in asked["lines"]], [1, 2, 5, 6])
    contains(explained("http://a.example:18080/none", code=1)["happens"][-1], "404")
    contains(explained("http://b.example:18080/", code=1)["happens"][-1], "421")
    contains(explained("http://a.example:1/", code=1)["happens"][-1], "no channel speaks http")
    contains(explained("x@a.example")["happens"][0], "is taken on channel mail")
    same([line["line"] for line in explained("x@a.example")["lines"]], [3, 5, 7])
    contains(explained("x@b.example", code=1)["happens"][0], "refused at RCPT (550)")
    contains(explained("HELLO")["happens"][0], "built-in")
    contains(explained("ping")["happens"][0], "built-in")
    contains("\n".join(explained("idle")["happens"]), "How long a connection may stay open")
    contains("\n".join(explained("include")["happens"]), "not built yet")
    sportello("explain", "nonsense", cwd=here, code=1)
    # Without a file: what sportello serve alone does.
    alone = folder()
    said = sportello("explain", "x@anywhere.example", cwd=alone).stdout
    contains(said, "channel mail at 127.0.0.1:1025")
    contains(said, "No configuration decides this")

with step("a program that is named like a built-in, or that everybody may write, is refused"):
    here = folder("sportello-config-")
    script = program(here / "greet", "true")
    script.chmod(0o757)
    file = write(here / "a.kdl", 'channel c port=0 protocol=command\ncommand greet { program "greet" }\ncommand ping { program "/bin/echo" }\n')
    said = sportello("check", file, code=1).stderr
    contains(said, "everybody may write")
    contains(said, "ping is the name of a built-in command")

with step("serve --config refuses what it governs, and a broken file, and nothing is left running"):
    for flags in (["--web", "0"], ["--state", "x"], ["--log", "debug"], ["."]):
        said = sportello("serve", "--config", EXAMPLE, *flags, code=2).stderr
        contains(said, "cannot be used with")
    said = sportello("serve", "--config", file, code=1)
    contains(said.stderr, "everybody may write")
    same(said.stdout, "")
    contains(sportello("serve", "--config", "/none.kdl", code=1).stderr, "there is no file /none.kdl")

with step("no file is read unless it is named, and that is said"):
    here = folder()
    write(here / "sportello.kdl", "channel broken\n")
    server = subprocess.Popen([BINARY, "serve", "--web", "0", "--mail", "0", "--commands", "0", "--desk", "0", "--json",
                               "--state", here / "state"], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ready = json.loads(server.stdout.readline())
    same([channel["name"] for channel in ready["channels"]][:4], ["web", "mail", "commands", "desk"])
    server.terminate()
    _, said = server.communicate(timeout=30)
    contains(said, "sportello.kdl is here and is not read")
    same(server.returncode, 0)

with step("a port that is taken is told with the line to change"):
    with Server(folder()) as other:
        file = write(folder() / "a.kdl", f'state "state"\n\nchannel c port={other.commands} protocol=command\n')
        said = sportello("serve", "--config", file, code=1).stderr
        contains(said, f"in {file}, line 3")

finish()
