import json
import mailbox
import os
import re
import signal
import smtplib
import socket
import stat
import subprocess
import threading
from email import message_from_bytes, policy

from inbox import inbox, raw
from resp import Resp
from sportello import (BINARY, Server, check, contains, everything, finish, folder, program, run, same, step, until,
                       write)
from terminal import Terminal

web = folder("sportello-web-")
BIG = os.urandom(3 << 20)
write(web / "big.bin", BIG)
# Long before it is fetched: a file that was written a moment ago has no ETag yet, and without one nothing can be resumed.
write(web / "broken.bin", BIG)
write(web / "hello.txt", "Hello\n")
bin_ = folder("sportello-bin-")
server = Server(web, "--command", f"greet={program(bin_ / 'greet', 'echo Hello, $1.')}",
                "--command", f"nap={program(bin_ / 'nap', 'sleep 0.05')}",
                "--command", f"fail={program(bin_ / 'fail', 'echo no >&2; exit 3')}")
home = folder("sportello-home-")
ENVIRONMENT = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home)}
work = folder("sportello-work-")


def sportello(*words, stdin=None):
    return run(BINARY, *words, stdin=stdin, env=ENVIRONMENT, cwd=work)


def at():
    return ["--state", server.state]


URL = f"http://127.0.0.1:{server.web}"

with step("get: to standard output, to a file, a missing one, nobody there"):
    same(sportello("get", f"{URL}/hello.txt", "--output", "-").stdout, "Hello\n")
    result = sportello("get", f"{URL}/big.bin")
    same(result.returncode, 0, result.stderr)
    check((work / "big.bin").read_bytes() == BIG, "the file is whole")
    result = sportello("get", f"{URL}/nothing")
    check(result.returncode != 0 and "404" in result.stderr, result.stderr)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        result = sportello("get", f"http://127.0.0.1:{free.getsockname()[1]}/x")
    check(result.returncode != 0 and result.stderr.count("\n") <= 2, result.stderr)

with step("get resumes: what was fetched before is kept, and only the rest is asked for"):
    asked = []

    def breaks_off(listener):
        """Passes requests on; the first answer is cut after a megabyte, as a bad line would."""
        for most in (1 << 20, 1 << 40):
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", server.web)) as upstream:
                asked.append(client.recv(65536))
                upstream.sendall(asked[-1])
                upstream.shutdown(socket.SHUT_WR)
                passed = 0
                while passed < most and (piece := upstream.recv(65536)):
                    client.sendall(piece)
                    passed += len(piece)

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=breaks_off, args=(listener,), daemon=True).start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/broken.bin"
    while len(asked) < 2:
        last = sportello("get", address)
    same(last.returncode, 0, last.stderr)
    check((work / "broken.bin").read_bytes() == BIG, "the file is whole at the end")
    check(b"range: bytes=" in asked[1].lower(), f"a range was asked for: {asked[1]}")
    check(b"if-range:" in asked[1].lower(), "only if the file is the same")

with step("send: body from standard input, an attachment, several recipients"):
    attachment = write(work / "data.bin", bytes(range(256)) * 10)
    result = sportello("send", *at(), "--to", "ada@example.org", "--to", "grace@example.org", "--subject", "Ciao è", "--attach",
                       attachment, stdin="The body.\n")
    same(result.returncode, 0, result.stderr)
    message = inbox(server)[0]
    parsed = message_from_bytes(raw(server, message), policy=policy.default)
    same(parsed["subject"], "Ciao è")
    contains(parsed.get_body().get_content(), "The body.")
    same([part.get_content() for part in parsed.iter_attachments()], [bytes(range(256)) * 10])
    same([part.get_filename() for part in parsed.iter_attachments()], ["data.bin"])

with step("call: a program's answer, its failure, a built-in"):
    result = sportello("call", *at(), "greet", "Ada")
    same((result.returncode, result.stdout), (0, "Hello, Ada.\n"))
    result = sportello("call", *at(), "fail")
    same(result.returncode, 3, f"the program's own exit code; {result.stderr}")
    contains(sportello("call", *at(), "PING").stdout, "PONG")
    check(sportello("call", *at(), "nonsense").returncode != 0, "unknown")

with step("status: channels, threads, figures"):
    result = sportello("status", *at())
    same(result.returncode, 0, result.stderr)
    for piece in ("web", "mail", "commands", "desk", "worker-0", str(server.web)):
        contains(result.stdout, piece)
    check("\x1b" not in result.stdout, "plain in a pipe")
    result = run(BINARY, "status", "--state", folder(), env=ENVIRONMENT)
    check(result.returncode != 0 and result.stderr.strip(), "nobody there is said")

with step("the clients take the socket in the state folder, which only its owner may open"):
    path = server.state / "command.sock"
    same(stat.S_IMODE(path.stat().st_mode), 0o600)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"PING\r\nCLIENT INFO\r\nQUIT\r\n")
        answer = everything(client)
    check(answer.startswith(b"+PONG\r\n") and b"addr=unix:0" in answer and answer.endswith(b"+OK\r\n"), answer)
    # A command channel that nobody answers: it must be the socket.
    elsewhere = folder("sportello-elsewhere-")
    ready = json.loads((server.state / "listening.json").read_text())
    for channel in ready["channels"]:
        channel["port"] = 1
    write(elsewhere / "listening.json", json.dumps(ready))
    same(sportello("call", "--state", elsewhere, "PING").stdout, "PONG\n")
    result = sportello("call", "PING")
    check(result.returncode == 1 and "no server runs here" in result.stderr or "PONG" in result.stdout, result.stderr)
    result = sportello("top", "--once", "--state", folder())
    check(result.returncode == 1 and result.stderr.count("\n") == 1, result.stderr)

with step("connections: sorted, of one channel, for people and as JSON"):
    with socket.create_connection(("127.0.0.1", server.web)) as idle, Resp(server.commands) as named:
        named.ask("CLIENT", "SETNAME", "watched")
        idle.sendall(f"GET /hello.txt HTTP/1.1\r\nHost: 127.0.0.1:{server.web}\r\n\r\n".encode())
        check(idle.recv(65536).endswith(b"Hello\n"), "an answer")
        result = sportello("connections", *at())
        same(result.returncode, 0, result.stderr)
        for piece in ("rtt", "cwnd", "'watched'", "web"):
            contains(result.stdout, piece)
        own = json.loads(sportello("connections", *at(), "--json", "--channel", "web").stdout)
        same({each["channel"] for each in own}, {"web"})
        check(own[0]["tcp"]["congestion_window"] > 0, own)
        most = json.loads(sportello("connections", *at(), "--json", "--sort", "out", "-n", "2").stdout)
        check(len(most) == 2 and most[0]["bytes_out"] >= most[1]["bytes_out"], most)

with step("mail: list, search, read; what a message says moves no cursor"):
    EVIL = "Subject: evil \x1b]0;owned\x07 subject\r\nFrom: x@example.org\r\n\r\nfirst\x1b[2J\x1b[Hline\x9b31m\r\nFrom here on\r\n"
    with smtplib.SMTP("127.0.0.1", server.mail) as smtp:
        smtp.sendmail("evil@example.org", ["ada@example.org"], EVIL.encode("latin-1"))
        smtp.sendmail("good@example.org", ["ada@example.org"], b"Subject: invoice 4711\r\n\r\nFrom the office\r\n>From it\r\n")
    number = inbox(server)[1]["id"]
    result = sportello("mail", "list", *at())
    same(result.returncode, 0, result.stderr)
    for piece in ("invoice 4711", "evil", "subject"):
        contains(result.stdout, piece)
    text = sportello("mail", "read", *at(), number).stdout
    contains(text, "first[2J[Hline", "its text is there")
    contains(text, "From here on")
    for shown in (result.stdout, text):
        check(not any(letter in shown for letter in "\x1b\x07\x9b"), repr(shown))
    raw_bytes = subprocess.run([BINARY, "mail", "read", *map(str, at()), "--raw", number], env=ENVIRONMENT, capture_output=True).stdout
    same(raw_bytes, raw(server, inbox(server)[1]), "--raw gives its bytes")
    unread = json.loads(sportello("mail", "list", *at(), "--unread", "--json").stdout)
    check(number not in {str(each["id"]) for each in unread} and unread, "one that was read is not unread")
    found = until(lambda: (lambda found: found["pending"] == 0 and found)(
        json.loads(sportello("mail", "search", *at(), "--json", "office").stdout)), "its text is indexed")
    same([each["subject"] for each in found["messages"]], ["invoice 4711"])
    contains(sportello("mail", "search", *at(), "subject:invoice").stdout, "invoice 4711")
    result = sportello("mail", "search", *at(), "larger:x")
    check(result.returncode == 1 and "larger" in result.stderr, result.stderr)

with step("mail export: byte for byte, as files and as mbox, never over what is there"):
    saved = work / "saved"
    said = json.loads(sportello("mail", "export", *at(), "--json", saved).stdout)
    same(said["messages"], len(inbox(server)))
    for message in inbox(server):
        same((saved / f"{message['id']}.eml").read_bytes(), raw(server, message), message["id"])
    (saved / f"{number}.eml").write_bytes(b"mine")
    said = json.loads(sportello("mail", "export", *at(), "--json", saved).stdout)
    same((said["messages"], said["kept"], (saved / f"{number}.eml").read_bytes()), (0, len(inbox(server)), b"mine"))
    same([name for name in os.listdir(saved) if name.endswith(".part")], [])
    result = sportello("mail", "export", *at(), "--format", "mbox", work / "all.mbox")
    same(result.returncode, 0, result.stderr)
    read = list(mailbox.mbox(work / "all.mbox"))
    same(len(read), len(inbox(server)))
    unquoted = re.sub(rb"(?m)^>(>*From )", rb"\1", (work / "all.mbox").read_bytes())
    for message in inbox(server):
        check(raw(server, message) in unquoted, "every byte of it is there")
    result = sportello("mail", "export", *at(), "--format", "mbox", work / "all.mbox")
    check(result.returncode == 1 and "there already" in result.stderr, result.stderr)
    only = json.loads(sportello("mail", "export", *at(), "--json", "--search", "subject:invoice", work / "invoices").stdout)
    same(only["messages"], 1)

with step("top: text and JSON where there is no terminal"):
    result = sportello("top", "--once", *at())
    same(result.returncode, 0, result.stderr)
    for piece in ("requests/s", "worker-0", "cpu %", "rtt", "commands"):
        contains(result.stdout, piece)
    check("\x1b" not in result.stdout, "plain")
    moment = json.loads(sportello("top", "--once", "--json", *at()).stdout)
    check({"picture", "slow"} <= set(moment), moment.keys())

with step("top on a terminal: it draws, shows what is slow, and gives the terminal back however it ends"):
    with Resp(server.commands) as client:
        client.ask("nap")
    for end, code in [(b"q", 0), (b"\x03", 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129), ("server", 1)]:
        other = Server(web) if end == "server" else None
        with Terminal([BINARY, "top", "--state", (other or server).state], env=ENVIRONMENT) as terminal:
            before = terminal.settings()
            terminal.until(b"\x1b[?1049h")
            terminal.until(b"worker-0")
            if end == b"q":
                terminal.until(b"nap")
                terminal.type(b"\x1a")  # Ctrl-Z would leave the screen standing: it is not taken.
                terminal.until(b"worker-0")
            if isinstance(end, bytes):
                terminal.type(end)
            elif other:
                other.stop()
            else:
                terminal.process.send_signal(end)
            same(terminal.wait(), code, f"after {end}: {terminal.shown[-300:]}")
            check(b"\x1b[?1049l" in terminal.shown, f"the first screen is back after {end}")
            same(terminal.settings(), before, f"settings after {end}")

with step("each speaks JSON"):
    def spoken(*words, stdin=None):
        result = sportello(*words, stdin=stdin)
        same(result.returncode, 0, f"{words}: {result.stderr}")
        same(result.stdout.count("\n"), 1, f"{words}: one line")
        return json.loads(result.stdout)

    same(spoken("get", "--json", f"{URL}/hello.txt", "--output", "hello.txt")["bytes"], 6)
    same(spoken("send", "--json", *at(), "--to", "a@example.org", stdin="x")["queue_id"], inbox(server)[0]["id"])
    said = spoken("call", "--json", *at(), "greet", "Ada")
    same((said["ok"], said["answer"]), (True, "Hello, Ada.\n"))
    same(spoken("status", "--json", *at())["pid"], server.pid)

finish()
