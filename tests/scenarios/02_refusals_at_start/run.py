import json
import os
import socket
import subprocess
import time

from sportello import (BINARY, Server, _die_with_parent, check, children, connect, contains, finish, folder, free_ports,
                       program, same, step, until, write)

web = folder("sportello-web-")


def refused(*words, code=1):
    """Starts it, and gives the sentence with which it ends."""
    before, started = sorted(children(os.getpid())), time.monotonic()
    process = subprocess.Popen([BINARY, "serve", *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, preexec_fn=_die_with_parent)
    try:
        out, err = process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"{words}: it started") from None
    same(process.returncode, code, f"{words}: {out}{err}")
    same(out, "", "nothing is announced")
    check(time.monotonic() - started < 10, "at once")
    same(sorted(children(os.getpid())), before, "nothing is left running")
    sentences = [line for line in err.splitlines() if line.strip()]
    check(len(sentences) <= 3 or code == 2, f"one sentence, not: {err}")
    for ugly in ("panicked", "Os {", "Error {", "RUST_BACKTRACE"):
        check(ugly not in err, f"for people: {err}")
    return err


def quick(state=None, **ports):
    state = state or folder("sportello-state-")
    words = [web, "--state", state]
    for name in ("web", "mail", "commands", "desk"):
        words += [f"--{name}", ports.get(name, 0)]
    return words



with step("a port taken by another program: the sentence names channel, port and flag; no other port stays bound"):
    taker = socket.socket()
    taker.bind(("127.0.0.1", 0))
    taker.listen()
    taken = taker.getsockname()[1]
    for name in ("web", "mail", "commands", "desk"):
        others = dict(zip(("web", "mail", "commands", "desk"), free_ports(4)))
        others[name] = taken
        said = refused(*quick(**others))
        for piece in (name, str(taken), f"--{name}"):
            contains(said, piece)
        for other, port in others.items():
            if other != name:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
    taker.close()

with step("a port taken by another Sportello of the same user: refused, and the first one keeps all connections"):
    with Server(web) as first:
        said = refused(*quick(web=first.web))
        contains(said, "web")
        contains(said, str(first.web))
        for _ in range(20):
            connect(first.web).close()

with step("two channels on one port are refused"):
    port = free_ports(1)[0]
    contains(refused(*quick(web=port, desk=port)), str(port))

with step("a missing folder, and a file in its place"):
    said = refused("/no/such/folder", *quick()[1:])
    contains(said, "/no/such/folder")
    file = write(folder() / "file.txt", "x")
    contains(refused(file, *quick()[1:]), str(file))

with step("a state folder in use, and one that cannot be"):
    with Server(web) as first:
        said = refused(*quick(state=first.state))
        contains(said, str(first.state))
        contains(said, "--state")
    file = write(folder() / "file", "x")
    contains(refused(*quick(state=file)), str(file))
    contains(refused(*quick(state=file / "below")), str(file))

with step("a state folder can be used again at once after its server is gone"):
    state = folder("sportello-state-")
    for _ in range(3):
        with Server(web, state=state):
            pass
    crashed = Server(web, state=state)
    crashed.kill()
    with Server(web, state=state):
        pass

with step("nobody reads what is said at the start: it serves, and stops, all the same"):
    state = folder("sportello-state-")
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen([BINARY, "serve", *map(str, quick(state=state))], stdin=subprocess.DEVNULL, stdout=writing,
                               stderr=subprocess.DEVNULL, preexec_fn=_die_with_parent)
    os.close(writing)
    until((state / "listening.json").exists, "the ready line in the state folder")
    ready = json.loads((state / "listening.json").read_text())
    connect(ready["channels"][0]["port"]).close()
    process.terminate()
    same(process.wait(20), 0, "it stops well")
    check(not (state / "listening.json").exists(), "and takes its ready line away")

with step("an address of another machine"):
    said = refused(*quick(), "--address", "192.0.2.1")
    contains(said, "192.0.2.1")
    contains(said, "--address")
    refused(*quick(), "--address", "nonsense", code=2)

with step("a program that cannot be run"):
    plain = write(folder() / "plain.txt", "x")
    good = program(folder() / "good", "true")
    for written, piece in [("a=/no/such/program", "/no/such/program"), (f"a={plain}", str(plain)), ("a=relative", "relative"),
                           (f"PING={good}", "PING"), (f"bad name={good}", "bad name"), ("a=/tmp", "/tmp")]:
        said = refused(*quick(), "--command", written)
        contains(said, piece)
    contains(refused(*quick(), "--command", f"a={good}", "--command", f"A={good}"), "twice")
    refused(*quick(), "--command", "nonsense", code=2)

with step("a port that only root may take" if os.getuid() else "a port beyond 65535 is wrong usage"):
    if os.getuid():
        contains(refused(*quick(web=80)), "80")
    refused(*quick(web=70000), code=2)
    refused(*quick(), "--workers", "0", code=2)
    refused(*quick(), "--nonsense", code=2)

finish()
