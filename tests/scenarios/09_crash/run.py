import hashlib
import json
import os
import random
import re
import subprocess
import threading
import time

from inbox import all_messages, raw
from resp import Error, Resp
from sportello import (BINARY, Http, Lines, Server, alive, check, children, contains, finish, folder, program, run, same, step,
                       until)

SEED = int(os.environ.get("CRASH_SEED", "4711"))
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "6"))
FRESH = 20  # rounds upon one state folder
SENDERS = 8
LARGEST_ROW = 64 << 10
LARGE = 2 << 20
web = folder("sportello-web-")
(web / "hello.txt").write_bytes(b"hello")
with open(web / "large.bin", "wb") as file:
    file.truncate(LARGE)
bin_ = folder("sportello-bin-")
marks = folder("sportello-marks-")
# A program, a child of it, and a descendant in a session of its own.
forever = program(bin_ / "forever", f"setsid sleep 1000 & echo $! > {marks}/$1.far; sleep 1000 & echo $! > {marks}/$1.child; "
                                    f"echo $$ > {marks}/$1; trap '' TERM; wait; wait; sleep 1000")
short = program(bin_ / "short", "cat")


class Ledger:
    """What was asked for and what was promised, upon one state folder."""

    def __init__(self):
        self.state = folder("sportello-state-")
        self.lock = threading.Lock()
        self.attempted = set()
        self.promised = {}  # token -> (id, size, hash)
        self.deleting = set()
        self.deleted = set()
        self.compared = set()

    def to_delete(self, choice):
        """A promised message that nobody deletes yet, and its id."""
        with self.lock:
            there = [token for token in self.promised if token not in self.deleting]
            if len(there) < 10:
                return None
            token = choice.choice(there)
            self.deleting.add(token)
            return token, self.promised[token][0]

    def verify(self, server):
        """All that was promised is there, whole, once; what was deleted is not; nothing else is."""
        messages = all_messages(server)
        by_token = {}
        for message in messages:
            by_token.setdefault(message["subject"], []).append(message)
        same({token: len(each) for token, each in by_token.items() if len(each) > 1}, {}, "there more than once")
        due = self.promised.keys() - self.deleting
        same(sorted(due - by_token.keys()), [], f"promised and not there (of {len(due)})")
        same(sorted(self.deleted & by_token.keys()), [], "deleted and there again")
        same(sorted(by_token.keys() - self.attempted), [], "there, and nobody sent it")
        # A deletion whose answer was lost may have been done, or not; from now on it is what it is.
        self.deleting -= by_token.keys()
        self.deleted |= self.deleting
        for token, (message,) in by_token.items():
            if token in self.compared:
                continue
            whole = raw(server, message)
            own = whole[whole.index(b"From: <s@example.org>"):]
            if token in self.promised:
                number, size, digest = self.promised[token]
                check(len(own) == size and hashlib.sha256(own).hexdigest() == digest, f"{token} is not what was sent")
                same(str(message["id"]), number, f"the id of {token}")
            # One that was not promised may be there (the answer was lost), but only whole.
            check(own.endswith(b"\r\n") and b"Subject: " + token.encode() in own, f"{token} is there in part")
            self.compared.add(token)
        # A message of more than a row is a file: as many files as such messages, and no other.
        files = {file.name for file in (self.state / "blobs").iterdir()}
        same(files, {str(each["id"]) for each in messages if each["size"] > LARGEST_ROW}, "files of bodies")
        same(list((self.state / "spool").iterdir()), [], "files in the spool")
        return len(messages)


def body(choice, token):
    """A message of a size that takes each way: a row, the spool, a file."""
    size = choice.choice([200, 4_000, 4_000, 30_000, 128 << 10, 135_000, 400_000, 1_000_000])
    block = bytes(choice.choices(b"abcdefghijklmnopqrstuvwxyz0123456789", k=70)) + b"\r\n"
    return b"From: <s@example.org>\r\nSubject: %s\r\n\r\n" % token.encode() + block * (size // len(block) + 1)


def sender(server, ledger, name, stopping):
    choice = random.Random(f"{SEED}/{name}")
    count = 0
    with Lines(server.mail, 20) as session:
        session.reply()
        session.ask("EHLO client.example")
        while not stopping.is_set():
            token = f"{name}-{count}"
            count += 1
            text = body(choice, token)
            with ledger.lock:
                ledger.attempted.add(token)
            session.ask("MAIL FROM:<s@example.org>")
            session.ask("RCPT TO:<r@example.org>")
            session.ask("DATA")
            session.send(text + b".\r\n")
            code, lines = session.reply()
            if code == 250:
                with ledger.lock:
                    ledger.promised[token] = (lines[-1].rsplit(" ", 1)[1], len(text), hashlib.sha256(text).hexdigest())


def deleter_by_command(server, ledger, name, stopping):
    choice = random.Random(f"{SEED}/{name}")
    with Resp(server.commands, 20) as client:
        while not stopping.is_set():
            found = ledger.to_delete(choice)
            if found is None:
                client.ask("PING")
                continue
            same(client.ask("MAIL", "DELETE", found[1]), 1, "a deletion")
            with ledger.lock:
                ledger.deleted.add(found[0])
            client.ask("short", "a word")


def deleter_by_desk(server, ledger, name, stopping):
    choice = random.Random(f"{SEED}/{name}")
    with Http(server.desk, 20) as http:
        while not stopping.is_set():
            same(http.ask("GET", "/api/v1/messages?limit=5")[0], 200)
            found = ledger.to_delete(choice)
            if found is None:
                continue
            status, _, said = http.ask("DELETE", "/api/v1/messages", ["Content-Type: application/json"],
                                       body=json.dumps({"IDs": [found[1]]}).encode())
            same(status, 200, said)
            with ledger.lock:
                ledger.deleted.add(found[0])


def reader(server, _ledger, name, stopping):
    choice = random.Random(f"{SEED}/{name}")
    with Http(server.web, 20) as http:
        while not stopping.is_set():
            path, size = choice.choice([("/hello.txt", 5), ("/hello.txt", 5), ("/large.bin", LARGE)])
            status, _, content = http.ask("GET", path)
            same((status, len(content)), (200, size), path)


def load(server, ledger, turn, stopping):
    """The threads of a mixed load; they end when the server does, as they must. What was wrong before that."""
    wrong = []

    def guarded(work, name):
        try:
            work(server, ledger, name, stopping)
        except (OSError, ValueError) as error:
            if not isinstance(error, (ConnectionError, TimeoutError)):
                wrong.append((name, error))
        except AssertionError as error:
            # A line or an answer that ends in the middle is what a kill does.
            if not re.search(r"ended|not b'|a bulk string|bytes of a body|a status line|a field line", str(error)):
                wrong.append((name, error))

    works = [(sender, f"t{turn}-{number}") for number in range(SENDERS)]
    works += [(deleter_by_command, f"c{turn}"), (deleter_by_desk, f"d{turn}"), (reader, f"r{turn}")]
    threads = [threading.Thread(target=guarded, args=each) for each in works]
    for thread in threads:
        thread.start()
    return threads, wrong


def written(name):
    return int(until(lambda: (marks / name).exists() and (marks / name).read_text().strip(), "the program runs"))


def refused(state):
    """A second server upon the same state folder."""
    second = run(BINARY, "serve", web, "--state", state, "--web", "0", "--mail", "0", "--commands", "0", "--desk", "0")
    check(second.returncode != 0, "it started")
    contains(second.stderr, f"the state folder {state} is in use by process")


def round_of(turn, ledger, moments):
    server = Server(web, "--command", f"forever={forever}", "--command", f"short={short}", state=ledger.state)
    total = ledger.verify(server)
    clients = [Resp(server.commands) for _ in range(2)]
    pids = []
    for number, client in enumerate(clients):
        client.send("forever", f"r{turn}-{number}")
        pids += [written(f"r{turn}-{number}{end}") for end in ("", ".child", ".far")]
    if turn % 5 == 0:
        refused(ledger.state)
    stopping = threading.Event()
    at_least = len(ledger.promised) + moments.randrange(3, 50)
    threads, wrong = load(server, ledger, turn, stopping)
    until(lambda: len(ledger.promised) >= at_least or wrong, "enough messages are accepted", 40)
    time.sleep(moments.random() * 0.05)  # not a wait for anything: the seeded moment of death
    family = server.kill()
    stopping.set()
    for thread in threads:
        thread.join(30)
    for client in clients:
        client.close()
    same(wrong, [], "before the kill")
    until(lambda: not any(map(alive, family + pids)), "neither the spawner nor a program survives")
    return total


print(f"seed {SEED}, {ROUNDS} rounds, {SENDERS} senders")
moments = random.Random(SEED)
sums = [0, 0]
for first in range(0, ROUNDS, FRESH):
    last = min(first + FRESH, ROUNDS)
    with step(f"rounds {first} to {last - 1}: killed under load; everything promised is there, whole, once, and no program survives"):
        ledger = Ledger()
        for turn in range(first, last):
            round_of(turn, ledger, moments)
        with Server(web, state=ledger.state) as server:
            total = ledger.verify(server)
            with Resp(server.commands) as client:
                same(client.ask("MAIL", "COUNT"), total)
        sums = [sums[0] + len(ledger.promised), sums[1] + len(ledger.deleted)]
        subprocess.run(["rm", "-rf", str(ledger.state)], check=True)
        print(f"     {len(ledger.promised)} promised, {len(ledger.deleted)} deleted, {total} in the inbox")
print(f"sum: {ROUNDS} kills; {sums[0]} messages promised, {sums[1]} deleted")

with step("the body is synced before the 250: seen with strace for a row and for a file"):
    server = Server(web, state=folder("sportello-state-"))
    trace = folder() / "trace.txt"
    tracer = subprocess.Popen(["strace", "-f", "-y", "-ttt", "-e", "trace=fsync,fdatasync,sendto,write,writev,sendmsg,rename,renameat,renameat2",
                               "-s", "40", "-o", str(trace), "-p", str(server.pid)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: "attached" in tracer.stderr.readline(), "strace is there")
        for size in (1000, 300_000):
            with Lines(server.mail, 30) as session:
                session.reply()
                for command in ("EHLO c.example", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA"):
                    session.ask(command)
                mark = trace.stat().st_size
                session.send(b"Subject: traced\r\n\r\n" + b"x" * 70 + (b"\r\n" + b"y" * 70) * (size // 72) + b"\r\n.\r\n")
                same(session.reply()[0], 250)
            lines = until(lambda: (text := trace.read_text()[mark:]) and '"250 ' in text and text, "the trace shows the answer").splitlines()
            answered = next(number for number, line in enumerate(lines) if '"250 ' in line)
            synced = [line for line in lines[:answered] if re.search(r"\bf(data)?sync\(", line) or "sync resumed" in line]
            check(synced, f"no sync before the 250 of a message of {size} bytes")
            if size > 64 << 10:
                check(any("/spool" in line or "/blobs" in line for line in synced), f"the body's file: {synced}")
                check(any("wal" in line for line in synced), f"the rows: {synced}")
    finally:
        tracer.terminate()
        tracer.wait(20)
        server.stop()

finish()
