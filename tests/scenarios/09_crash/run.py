import hashlib
import os
import random
import re
import socket
import subprocess
import threading
import time

from inbox import all_messages, raw
from resp import Resp
from sportello import (Lines, Server, alive, check, children, finish, folder, program, run, same, step, until)

SEED = int(os.environ.get("CRASH_SEED", "4711"))
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "5"))
SENDERS = 12
web = folder("sportello-web-")
state = folder("sportello-state-")
bin_ = folder("sportello-bin-")
marks = folder("sportello-marks-")
forever = program(bin_ / "forever", f'echo $$ > {marks}/$1; sleep 1000 & echo $! > {marks}/$1.child; wait')
promised = {}  # token -> (id in the reply, size, hash)
attempted = set()
lock = threading.Lock()


def body(choice, token):
    """A message of a size that takes each way: a row, the spool, a file."""
    size = choice.choice([200, 4_000, 4_000, 30_000, 64 << 10, 70_000, 400_000, 2_000_000])
    block = bytes(choice.choices(b"abcdefghijklmnopqrstuvwxyz0123456789", k=70)) + b"\r\n"
    text = b"From: <s@example.org>\r\nSubject: %s\r\n\r\n" % token.encode() + block * (size // len(block) + 1)
    return text


def sender(port, number, turn, stopping):
    choice = random.Random(f"{SEED}/{turn}/{number}")
    count = 0
    try:
        with Lines(port, 20) as session:
            session.reply()
            session.ask("EHLO client.example")
            while not stopping.is_set():
                token = f"t{turn}-{number}-{count}"
                count += 1
                text = body(choice, token)
                with lock:
                    attempted.add(token)
                session.ask("MAIL FROM:<s@example.org>")
                session.ask("RCPT TO:<r@example.org>")
                session.ask("DATA")
                session.send(text + b".\r\n")
                code, lines = session.reply()
                if code == 250:
                    with lock:
                        promised[token] = (lines[-1], len(text), hashlib.sha256(text).hexdigest())
    except (OSError, AssertionError, ValueError):
        return  # the server is gone, as it must be


def verify(server, seen_before):
    messages = all_messages(server)
    by_token = {}
    for message in messages:
        by_token.setdefault(message["subject"], []).append(message)
    twice = {token: len(each) for token, each in by_token.items() if len(each) > 1}
    same(twice, {}, "messages that are there more than once")
    missing = [token for token in promised if token not in by_token]
    same(missing, [], f"promised and not there (of {len(promised)})")
    strange = [token for token in by_token if token not in attempted]
    same(strange, [], "there, and nobody sent it")
    for token, (message,) in by_token.items():
        if token in seen_before:
            continue
        whole = raw(server, message)
        start = whole.index(b"From: <s@example.org>")
        text = whole[start:]
        if token in promised:
            reply, size, digest = promised[token]
            check(len(text) == size and hashlib.sha256(text).hexdigest() == digest, f"{token} is not what was sent")
            check(str(message["id"]) in reply, f"{token}: {reply} names it, not {message['id']}")
        # One that was not promised may be there (the answer was lost), but only whole.
        check(text.endswith(b"\r\n") and b"Subject: " + token.encode() in text, f"{token} is there in part")
        seen_before.add(token)
    return len(messages)


print(f"seed {SEED}, {ROUNDS} rounds, {SENDERS} senders")
seen = set()
moments = random.Random(SEED)
for turn in range(ROUNDS):
    with step(f"round {turn}: killed under load, everything promised is there, whole, once"):
        server = Server(web, "--command", f"forever={forever}", state=state)
        client = Resp(server.commands)
        client.send("forever", f"r{turn}")
        pids = [int(until(lambda: (marks / name).exists() and (marks / name).read_text().strip(), "the program runs"))
                for name in (f"r{turn}", f"r{turn}.child")]
        stopping = threading.Event()
        threads = [threading.Thread(target=sender, args=(server.mail, number, turn, stopping)) for number in range(SENDERS)]
        at_least = len(promised) + moments.randrange(20, 200)
        for thread in threads:
            thread.start()
        until(lambda: len(promised) >= at_least, "enough messages are accepted", 40)
        time.sleep(moments.random() * 0.05)  # not a wait for anything: the seeded moment of death
        family = server.kill()
        stopping.set()
        for thread in threads:
            thread.join(30)
        client.close()
        until(lambda: not any(map(alive, family + pids)), "neither the spawner nor a program survives")
        count_at_death = len(promised)
        with Server(web, state=state) as restarted:
            total = verify(restarted, seen)
            until(lambda: not list((state / "spool").iterdir()), "the spool is swept")
            large = [m for m in all_messages(restarted) if m["size"] > 80_000]
            blobs = [file for file in (state / "blobs").rglob("*") if file.is_file()]
            check(len(blobs) <= len(large) + 1000 and len(blobs) >= len(large), f"{len(blobs)} blobs for {len(large)} large messages")
        print(f"     {count_at_death} promised in all, {total} in the inbox")

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
