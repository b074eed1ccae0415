import json
import os
import socket
import threading
from email import message_from_bytes, policy

from inbox import inbox, raw
from sportello import BINARY, Server, check, contains, finish, folder, program, run, same, step, write

web = folder("sportello-web-")
BIG = os.urandom(3 << 20)
write(web / "big.bin", BIG)
# Long before it is fetched: a file that was written a moment ago has no ETag yet, and without one nothing can be resumed.
write(web / "broken.bin", BIG)
write(web / "hello.txt", "Hello\n")
bin_ = folder("sportello-bin-")
server = Server(web, "--command", f"greet={program(bin_ / 'greet', 'echo Hello, $1.')}",
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
