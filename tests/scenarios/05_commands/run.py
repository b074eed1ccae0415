import contextlib
import os
import threading
import time

import redis
from resp import Error, Resp
from terminal import typed_into
from sportello import (Lines, Server, alive, check, connect, contains, everything, exchange, finish, folder, program,
                       resident, run, same, step, until, write)

bin_ = folder("sportello-bin-")
marks = folder("sportello-marks-")
PROGRAMS = {
    "greet": 'echo "Hello, $1."',
    "argv": 'printf "%s" "$#"; for word in "$@"; do printf "|%s" "$word"; done',
    "leave": 'echo "these words are for the log" >&2; exit "$1"',
    "killed": "kill -9 $$",
    "environment": "env | cut -d= -f1 | grep -v -e ^_$ -e ^SHLVL$ -e ^PWD$ -e ^OLDPWD$ | sort",
    "fds": "ls /proc/self/fd | wc -l",
    "input": "cat | wc -c",
    "flood": "exec yes 0123456789012345678901234567890123456789",
    "bytes": 'head -c "$1" /dev/zero',
    "forever": f'echo $$ > {marks}/$1; sleep 1000 & echo $! > {marks}/$1.child; trap "" TERM; while :; do sleep 1; done',
    "escape": f'setsid sh -c "echo \\$\\$ > {marks}/$1; exec sleep 1000" & sleep 1000',
    "nap": 'sleep "$1"; echo rested',
    "meet": f'touch {marks}/met-$1; until [ -e {marks}/all ]; do sleep 0.05; done; echo met',
    "ignore": "echo done",
    "forks": f'for n in $(seq 50); do sleep 1000 & echo $!; done > {marks}/$1.new; mv {marks}/$1.new {marks}/$1; '
             '[ "$2" = wait ] && sleep 1000; sleep 0.3; echo forked',
}
flags = []
for name, lines in PROGRAMS.items():
    flags += ["--command", f"{name}={program(bin_ / name, lines)}"]
server = Server(folder("sportello-web-"), *flags)
PORT = server.commands


def pairs(value):
    """What is a map in RESP3 and a flat list in RESP2."""
    if isinstance(value, dict):
        return value
    return {value[at].decode(): value[at + 1] for at in range(0, len(value), 2)}


def read_numbers(path):
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def cli(*words, stdin=None):
    return run("redis-cli", "-p", PORT, *words, stdin=stdin).stdout.rstrip("\n")


with step("redis-cli: built-ins and a program, in RESP2 and RESP3"):
    for version in ("-2", "-3"):
        same(cli(version, "PING"), "PONG")
        same(cli(version, "ECHO", "two words"), "two words")
        same(cli(version, "greet", "Ada"), "Hello, Ada.\n".rstrip("\n"))
        contains(cli(version, "nonsense"), "ERR unknown command")
    with Resp(PORT) as client:  # redis-cli keeps HELP to itself
        check(any(line.startswith("PING") for line in client.ask("HELP")), "HELP lists PING")
    contains(cli("INFO"), "version")
    check(abs(int(cli("TIME").splitlines()[0]) - time.time()) < 5, "TIME is now")
    same(cli("SELECT", "0"), "OK")
    contains(cli("SELECT", "1"), "ERR")
    contains(cli("AUTH", "password"), "ERR")

with step("redis-cli completes and hints: COMMAND DOCS names every command, its subcommands and its arguments"):
    for version in (2, 3):
        with Resp(PORT) as client:
            client.ask("HELLO", version)
            docs = pairs(client.ask("COMMAND", "DOCS"))
            names = [name.decode() for name in client.ask("COMMAND", "LIST")]
            check({"ping", "mail", "client|setname", "greet", "slowlog|get", "monitor"} <= set(names), names)
            same(client.ask("COMMAND", "COUNT"), len(docs), "COUNT counts what DOCS documents")
            check(set(docs) == {name for name in names if "|" not in name}, "DOCS and LIST agree")
            for name, document in docs.items():
                document = pairs(document)
                check(document["summary"] and document["since"] and document["group"], name)
                for subcommand in pairs(document.get("subcommands", {})).values():
                    check(pairs(subcommand)["summary"], name)
            ping = pairs(pairs(client.ask("COMMAND", "DOCS", "ping"))["ping"])
            argument = pairs(ping["arguments"][0])
            same((argument["name"], argument["type"], argument["flags"]), (b"message", b"string", ["optional"]))
            same(len(client.ask("COMMAND", "INFO")), len(docs))
            known, unknown = client.ask("COMMAND", "INFO", "client|kill", "nonsense")
            same((known[0], known[1], len(known), unknown), (b"client|kill", -3, 10, None))
            contains(client.ask("COMMAND", "GETKEYS", "PING"), "no key arguments")
    # redis-cli draws hints on a terminal only: it is given one, and shows its grey hint behind the words typed.
    shown = typed_into(["redis-cli", "-p", str(PORT)], [b"", b"client setna\t ", b"\x15greet "],
                       [b"> ", b"SETNAME \x1b[0;90;49mname", b"[argument"])
    check(b"CLIENT SETNAME" in shown, shown)

with step("what tools ask of Redis is refused with what to do instead"):
    with Resp(PORT) as client:
        for words, expect in [(("CONFIG", "GET", "save"), "when the server starts"), (("MULTI",), "no transactions"),
                              (("EVAL", "return 1", "0"), "--command NAME=PATH"), (("SUBSCRIBE", "x"), "MONITOR"),
                              (("GET", "x"), "stores no keys"), (("SHUTDOWN",), "SIGTERM"),
                              (("CLIENT", "PAUSE", "1000"), "CLIENT KILL"), (("CLIENT", "NO-EVICT", "ON"), "leave it out"),
                              (("CLIENT", "TRACKING", "ON"), "client-side caching"), (("CLIENT", "REPLY", "OFF"), "answered"),
                              (("CLIENT", "NONSENSE"), "unknown subcommand"), (("CLIENT", "GETNAME", "x"), "wrong number")]:
            answer = client.ask(*words)
            check(isinstance(answer, Error) and answer.startswith("ERR") and expect in answer, f"{words}: {answer}")
        same(client.ask("PING"), "PONG")

with step("SLOWLOG keeps what was slow, in Redis's shape, bounded and without secrets"):
    with redis.Redis(port=PORT, socket_timeout=20) as client:
        client.client_setname("slow")
        client.slowlog_reset()
        same(client.slowlog_len(), 0)
        client.execute_command("nap", "0.05", *["x" * 200] * 40)
        client.execute_command("PING")
        [entry] = client.slowlog_get()
        check(entry["duration"] >= 50_000 and abs(entry["start_time"] - time.time()) < 10, entry)
        words = entry["command"].split(b" ", 3)
        same((words[0], words[1], words[2]), (b"nap", b"0.05", b"x" * 128 + b"..."))
        check(entry["command"].endswith(b"... (11 more arguments)"), entry)
        same((entry["client_name"], entry["client_address"].startswith(b"127.0.0.1:")), (b"slow", True))
        for _ in range(3):
            client.execute_command("nap", "0.02")
        same([each["id"] - entry["id"] for each in client.slowlog_get(2)], [3, 2])
        same(len(client.slowlog_get(-1)), 4)
        client.slowlog_reset()
        same(client.slowlog_get(), [])

with step("MONITOR shows what others ask, as redis-py reads it; RESET and QUIT end it"):
    with redis.Redis(port=PORT, socket_timeout=20) as client, redis.Redis(port=PORT, socket_timeout=20) as other:
        other.ping()
        with client.monitor() as monitor:
            other.execute_command("ECHO", 'a "b"\n\x00')
            with contextlib.suppress(redis.ResponseError):
                other.execute_command("AUTH", "ada", "the secret")
            seen = [monitor.next_command() for _ in range(2)]
            same(seen[0]["command"], 'ECHO a "b"\\n\\x00')
            same((seen[1]["command"], seen[0]["client_type"]), ("AUTH (redacted) (redacted)", "tcp"))
    check("the secret" not in server.stderr(), "nor is it in the log")
    with Resp(PORT) as client, Resp(PORT) as other:
        same(client.ask("MONITOR"), "OK")
        same(other.ask("PING"), "PONG")
        contains(client.read(), '"PING"')
        contains(client.ask("ECHO", "x"), "RESET")
        same(client.ask("PING"), "PONG")
        same(client.ask("RESET"), "RESET")
        same(other.ask("PING"), "PONG")
        same(client.ask("ECHO", "not a line of the monitor"), b"not a line of the monitor")
        same(client.ask("MONITOR"), "OK")
        same(client.ask("QUIT"), "OK")
        check(client.ended(), "closed")
    several = [Resp(PORT) for _ in range(16)]
    same([client.ask("MONITOR") for client in several], ["OK"] * 16)
    with Resp(PORT) as client:
        check(client.ask("MONITOR").startswith("BUSY"), "one more than there may be")
    for client in several:
        client.close()

with step("a monitor that does not read costs no memory, holds nobody up, and is told what it missed"):
    with Resp(PORT) as monitor, Resp(PORT) as client:
        same(monitor.ask("MONITOR"), "OK")
        request = b"*2\r\n$4\r\nECHO\r\n$100\r\n" + b"w" * 100 + b"\r\n"
        before = resident(server.pid)
        for _ in range(20):
            client.socket.sendall(request * 5000)
            client.exactly((100 + 8) * 5000)
        check(resident(server.pid) - before < 16 << 10, f"{resident(server.pid) - before} KiB for 16 MB of lines")
        lines, missed = 0, 0
        while lines + missed < 100_000:
            line = monitor.read()
            if '"DROPPED"' in line:
                missed += int(line.rsplit('"', 2)[1])
            else:
                lines += 1
        same(lines + missed, 100_000, "every request was shown or counted")
        check(missed > 0, "some were missed")

with step("redis-py: both protocols, a pipeline, the client commands"):
    for version in (2, 3):
        with redis.Redis(port=PORT, protocol=version, socket_timeout=20) as client:
            same(client.ping(), True)
            same(client.echo("x"), b"x")
            same(client.execute_command("greet", "Grace"), b"Hello, Grace.\n")
            client.client_setname("tester")
            same(client.client_getname() in ("tester", b"tester"), True)
            check(any(each["name"] == "tester" for each in client.client_list()), "it is on the list")
            with client.pipeline(transaction=False) as pipeline:
                for number in range(100):
                    pipeline.echo(str(number))
                same(pipeline.execute(), [str(number).encode() for number in range(100)])

with step("nc: lines of text, answers as Redis gives them"):
    answer = run("nc", "-N", "127.0.0.1", PORT, stdin='PING\r\nECHO "two words"\r\ngreet Ada\r\nQUIT\r\n').stdout
    same(answer, "+PONG\n$9\ntwo words\n$12\nHello, Ada.\n\n+OK\n")
    same(exchange(PORT, b"ping\nquit\n"), b"+PONG\r\n+OK\r\n")

with step("one connection may change between lines and RESP at each request"):
    with Resp(PORT) as client:
        same(client.ask("PING"), "PONG")
        same(client.line("PING"), "PONG")
        same(client.ask("PING", "x"), b"x")
        hello = client.ask("HELLO", "3")
        same((type(hello), hello["proto"]), (dict, 3))
        same(client.line("ECHO y"), b"y")
        contains(client.ask("HELLO", "4"), "NOPROTO")
        same(client.ask("RESET"), "RESET")
        same(type(client.ask("HELLO")), list, "RESET goes back to RESP2")

with step("a thousand pipelined requests are answered in order"):
    with Resp(PORT) as client:
        client.socket.sendall(b"".join(b"*2\r\n$4\r\nECHO\r\n$4\r\n%04d\r\n" % number for number in range(1000)))
        same([client.read() for _ in range(1000)], [b"%04d" % number for number in range(1000)])

with step("how a program ended is told as the table says"):
    with Resp(PORT) as client:
        same(client.ask("leave", 0), b"")
        for code, beginning in [(75, "TRYAGAIN"), (1, "EXIT 1"), (2, "EXIT 2"), (255, "EXIT 255")]:
            answer = client.ask("leave", code)
            check(isinstance(answer, Error) and answer.startswith(beginning), f"exit {code}: {answer!r}")
        answer = client.ask("killed")
        check(isinstance(answer, Error) and "9" in answer, f"killed by a signal: {answer!r}")
        check(client.ask("nonsense").startswith("ERR unknown command"), "unknown")
        same(client.ask("PING"), "PONG")

with step("arguments are an argv, not a shell's; a leading dash and a NUL are refused"):
    with Resp(PORT) as client:
        words = ["a b", "$(touch /tmp/x)", "`id`", ";", "|", "&&", "'", '"', "*", "\\", "è", "line\nbreak", "", "$HOME"]
        same(client.ask("argv", *words), ("|".join([str(len(words))] + words)).encode())
        same(client.ask("argv"), b"0")
        same(client.ask("argv", b"\xff\xfe"), b"1|\xff\xfe", "bytes as they are")
        for wrong in ("-rf", "--help", "-"):
            check(isinstance(client.ask("argv", wrong), Error), wrong)
        check(isinstance(client.ask("argv", b"a\0b"), Error), "NUL")
        same(client.ask("GREET", "x"), b"Hello, x.\n", "names in letters of either case")
        check(isinstance(client.ask("argv", "x" * 200_000), Error), "too long for one argument")
        same(client.ask("PING"), "PONG")

with step("the environment is of fixed names, no descriptor of the server is open, standard input is empty"):
    os.environ["SECRET_OF_THE_SERVER"] = "x"
    with Server(folder("sportello-web-"), *flags) as other, Resp(other.commands) as client:
        names = client.ask("environment").decode().split()
        check("SECRET_OF_THE_SERVER" not in names and "PATH" in names, names)
        check(len(names) <= 12, names)
        check(int(client.ask("fds")) <= 4, "0, 1, 2 and the folder it lists")
        same(client.ask("input").strip(), b"0")

with step("output up to the bound arrives whole; more kills the program and says so"):
    with Resp(PORT) as client:
        same(len(client.ask("bytes", 1 << 20)), 1 << 20)
        for words in (("bytes", (1 << 20) + 1), ("flood",)):
            answer = client.ask(*words)
            check(isinstance(answer, Error) and "large" in answer, f"{words}: {answer!r}")
        same(client.ask("PING"), "PONG")

with step("a client that leaves takes its program with it, and that program's children"):
    client = Resp(PORT)
    client.send("forever", "leaver")
    pid = int(until(lambda: (marks / "leaver").exists() and (marks / "leaver").read_text(), "the program starts"))
    child = int(until(lambda: (marks / "leaver.child").exists() and (marks / "leaver.child").read_text(), "its child starts"))
    check(alive(pid) and alive(child), "both run")
    client.close()
    until(lambda: not alive(pid) and not alive(child), "both are gone")

with step("what a program has put into a session of its own is killed as well"):
    client = Resp(PORT)
    client.send("escape", "escaped")
    pid = int(until(lambda: (marks / "escaped").exists() and (marks / "escaped").read_text().strip(), "it escapes"))
    client.close()
    until(lambda: not alive(pid), "it is gone")

with step("CLIENT LIST shows it, CLIENT KILL ends it with its program"):
    client = Resp(PORT)
    client.ask("CLIENT", "SETNAME", "victim")
    client.send("forever", "victim")
    pid = int(until(lambda: (marks / "victim").exists() and (marks / "victim").read_text(), "the program starts"))
    with Resp(PORT) as other:
        line = next(line for line in other.ask("CLIENT", "LIST").decode().splitlines() if "name=victim" in line)
        number = dict(pair.split("=", 1) for pair in line.split() if "=" in pair)["id"]
        contains(line.lower(), "forever", "what it is doing")
        same(other.ask("CLIENT", "KILL", "ID", number), 1)
    check(client.ended(), "the victim's connection ends")
    until(lambda: not alive(pid), "the program is gone")

with step("programs run at once: of eight that wait for each other, each goes on"):
    clients = [Resp(PORT) for _ in range(8)]
    for number, client in enumerate(clients):
        client.send("meet", number)
    until(lambda: all((marks / f"met-{number}").exists() for number in range(8)), "all of them have begun, and none has ended")
    (marks / "all").touch()
    same([client.read() for client in clients], [b"met\n"] * 8)
    for client in clients:
        client.close()

with step("out of time: a program that ignores TERM is gone, and its client is told"):
    hasty = write(folder() / "sportello.kdl", f"""\
state "state"
channel commands port=0 protocol=command
command forever {{
    program "{bin_ / "forever"}"
    timeout "3s" kill-after="500ms"
}}
""")
    with Server(config=hasty) as other, Resp(other.commands) as client:
        answer = client.ask("forever", "late")
        check(isinstance(answer, Error) and answer.startswith("TIMEOUT"), repr(answer))
        until(lambda: not alive(int((marks / "late").read_text())), "it is gone, though it ignores TERM")
        same(client.ask("PING"), "PONG")

with step("hostile requests: one word, closed, and nothing behind them is carried out"):
    PROTOCOL = [b"*-1\r\n", b"*-2\r\n", b"*+1\r\n", b"*01\r\n", b"*1025\r\n", b"*1000000\r\n", b"*18446744073709551617\r\n",
                b"*1\n", b"*\r\n", b"*?\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$+4\r\n", b"*1\r\n$04\r\n", b"*1\r\n$524289\r\n",
                b"*1\r\n$999999999\r\n", b"*1\r\n$18446744073709551620\r\n", b"*1\r\n$?\r\n", b"*1\r\n$\r\n",
                b"*1\r\n$4\nPING\r\n", b"*1\r\n$4\r\nPING\n", b"*1\r\n$3\r\nPING\r\n", b"*1\r\n$1\r\nxPING\r\n",
                b"*1\r\n*1\r\n$4\r\nPING\r\n", b"*1\r\n:1\r\n", b"*1\r\n%1\r\n", b"*1\r\n|1\r\n", b"*1\r\n>1\r\n", b"*1\r\n~1\r\n",
                b"*1\r\n_\r\n", b"*1\r\n+PING\r\n", b'ECHO "open\r\n', b"ECHO 'open\r\n", b'ECHO "a"b\r\n', b"\0PING\r\n",
                b"PI\0NG\r\n", b"PING\rPING\r\n", b"\x1b[2J\r\n", b"x" * 65_537, b"x " * 1025 + b"\r\n"]
    FOREIGN = [(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP"), (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n", b"HTTP"),
               (b"PING / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP"), (b"post\r\n", b"HTTP"), (b"Host: x\r\n", b"HTTP"),
               (b"EHLO client\r\n", b"SMTP"), (b"SSH-2.0-x\r\n", b"SSH"), (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1", b"TLS")]
    MARK = b"\r\n*2\r\n$5\r\ninput\r\n$8\r\nsmuggled\r\ninput smuggled\r\n"
    for request, word in [(request, b"Protocol error") for request in PROTOCOL] + FOREIGN:
        answer = exchange(PORT, request + MARK)
        check(answer.startswith(b"-ERR") and word in answer and answer.count(b"\r\n") == 1, f"{request[:40]}: {answer[:200]}")
    check("smuggled" not in server.stderr(), "nothing behind them was read")
    for name in ("HTTP", "TLS"):
        # The answer is sent before its line is written.
        until(lambda: any("verb=refused" in line and f"not {name}" in line for line in server.stderr().splitlines()), f"{name} is logged")
    for request in (b"x" * 65_536 + b"\r\n", b"*1\r\n$524288\r\n" + b"x" * 524_288 + b"\r\n"):
        check(exchange(PORT, request + b"QUIT\r\n").endswith(b"+OK\r\n"), "what is at the limit is read")

with step("ten thousand PINGs at once, in both forms, are answered in order"):
    ping = b"*1\r\n$4\r\nPING\r\nPING\r\nECHO \"*1\"\r\n"
    with connect(PORT, 60) as client:
        sent = threading.Thread(target=client.sendall, args=(ping * 5000,))
        sent.start()
        expect = b"+PONG\r\n+PONG\r\n$2\r\n*1\r\n" * 5000
        whole = b""
        while len(whole) < len(expect):
            whole += client.recv(1 << 16)
        sent.join()
        same(whole == expect, True)

with step("programs that misbehave: deaf to their input, forking, writing on after their answer"):
    with Resp(PORT, 60) as client:
        same(client.ask("PIPE", b"i" * 500_000, "ignore"), b"done\n")
        same(client.ask("PIPE", b"i" * 500_000, "input").strip(), b"500000")
        client.send("forks", "crowd")
        pids = until(lambda: (lambda found: len(found) == 50 and found)(read_numbers(marks / "crowd")), "fifty children run")
        same(client.read(), b"forked\n")
        until(lambda: not any(alive(pid) for pid in pids), "they end with their parent")
        client.send("forks", "left", "wait")
        pids = until(lambda: (lambda found: len(found) == 50 and found)(read_numbers(marks / "left")), "fifty more run")
    until(lambda: not any(alive(pid) for pid in pids), "they end with their client")

with step("a thousand connections that all want a program: some run, some wait, the rest are told BUSY, all are answered"):
    before = resident(server.pid)
    clients = [Resp(PORT, 60) for _ in range(1000)]
    for client in clients:
        client.send("nap", "0.2")
    answers = [client.read() for client in clients]
    rested = sum(answer == b"rested\n" for answer in answers)
    busy = sum(isinstance(answer, Error) and answer.startswith("BUSY") for answer in answers)
    same(rested + busy, 1000, answers[:3])
    check(rested >= 80 and busy > 0, f"{rested} ran")
    check(resident(server.pid) - before < 64 << 10, f"{resident(server.pid) - before} KiB for a thousand")
    same(clients[0].ask("PING"), "PONG")
    for client in clients:
        client.close()

with step("a pipeline of large requests is answered in order and keeps no memory"):
    request = b"*2\r\n$4\r\nECHO\r\n$20000\r\n" + b"v" * 20_000 + b"\r\n"
    answer = b"$20000\r\n" + b"v" * 20_000 + b"\r\n"
    before = resident(server.pid)
    with connect(PORT) as client:
        sent = threading.Thread(target=client.sendall, args=(request * 3000,))
        sent.start()
        whole = everything(client, len(answer) * 3000)
        sent.join()
    check(whole == answer * 3000, f"{len(whole)} bytes of answers")
    check(resident(server.pid) - before < 16 << 10, "60 MB have passed and none stayed")

with step("mail over the command channel: list, read, delete"):
    run("swaks", "--server", f"127.0.0.1:{server.mail}", "--from", "s@example.org", "--to", "r@example.org", "--header",
        "Subject: by command", "--body", "the body")
    listing = until(lambda: cli("MAIL", "LIST"), "the message is listed")
    contains(listing, "by command")
    with Resp(PORT) as client:
        number = server.api("/api/v1/messages")["messages"][0]["ID"]
        contains(client.ask("MAIL", "READ", number), b"the body")
        check(not isinstance(client.ask("MAIL", "DELETE", number), Error), "deleted")
        check(isinstance(client.ask("MAIL", "READ", number), Error), "it is gone")

with step("STATUS, CONNECTIONS and THREADS tell what is happening"):
    contains(cli("THREADS"), "worker-0")
    contains(cli("STATUS"), "web")
    contains(cli("CONNECTIONS"), "commands")

finish()
