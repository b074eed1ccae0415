import errno
import os
import random
from pathlib import Path

from inbox import all_messages, inbox, raw
from resp import Error, Resp
from seam import FROM_THEN_ON, GROWING, ONCE, OPEN, SYNC, WRITE, Notes, Seam, send, text
from sportello import Http, Lines, Server, check, contains, finish, folder, run, same, step, until

SEED = int(os.environ.get("FAULTS_SEED", "4711"))
choice = random.Random(SEED)
web = folder("sportello-web-")
(web / "hello.txt").write_bytes(b"hello")


class Client:
    """Sends numbered messages, and notes what was promised."""

    def __init__(self, server, notes, name):
        self.server, self.notes, self.name, self.count = server, notes, name, 0

    def send(self, size):
        """A message over a session of its own: the token, and the reply that decided."""
        token = f"{self.name}-{self.count}"
        self.count += 1
        body = text(choice, token, [size])
        with Lines(self.server.mail, 30) as session:
            session.reply()
            session.ask("EHLO client.example")
            self.notes.note("sent", token)
            code, line = send(session, body)
            if code == 250:
                self.notes.accept(token, body, line)
            # Whatever was refused, the session goes on.
            same(session.ask("NOOP")[0], 250)
        return token, code, line


def delete_by_desk(server, number):
    with Http(server.desk, 30) as http:
        return http.ask("POST", f"/inbox/{number}/delete", [f"Origin: http://127.0.0.1:{server.desk}"], body=b"")[0]


def kept(seam, notes, points=30):
    """The store, opened after the death of the server, holds all that was promised."""
    code, said = seam.faults("cut", "--promises", notes.path, "--seed", SEED, "--points", points)
    print("     " + said.replace("\n", "\n     "))
    same(code, 0, said)


seam = Seam()
notes = Notes(seam)
server = seam.server(web)
client = Client(server, notes, "full")
refusals = 0
for name, size, part, least in (("row", 2_000, "store.db", 5), ("file", 150_000, "/spool/", 4), ("name", 150_000, "/blobs", 1),
                                ("file's row", 150_000, "store.db", 5)):
    with step(f"no room at any one call for a message's {name}: 452 4.3.1, nothing by halves, and the next is taken"):
        refused, number = 0, 1
        while True:
            seam.rule(GROWING, errno.ENOSPC, ONCE, countdown=number, part=part)
            token, code, line = client.send(size)
            hit = seam.hits()
            seam.peace()
            if not hit:
                same(code, 250, line)
                break
            if code != 250:
                contains(line, "452 4.3.1")
                refused += 1
                check(all(each["subject"] != token for each in inbox(server)), f"{token} was refused and is there")
            same(client.send(size)[1], 250, "with room again")
            number += 1
            check(number < 100, "a message does not end")
        print(f"     {number - 1} calls, {refused} refusals")
        refusals += refused
        check(refused >= least, f"{refused} refusals")

print(f"sum: {refusals} calls without room, one at a time, each answered with 452")

with step("no room from any call on: every message is refused, reads go on, and with room all goes on without a restart"):
    for number in (1, 2, 3, 5, 8):
        seam.rule(GROWING, errno.ENOSPC, FROM_THEN_ON, countdown=number)
        for size in (500, 150_000):
            until(lambda: client.send(size)[1] == 452, "it is refused")
        with Resp(server.commands) as commands:
            same(commands.ask("PING"), "PONG")
            check(len(commands.ask("MAIL", "LIST", 5)) > 0, "mail is listed")
        with Http(server.web) as http:
            same(http.ask("GET", "/hello.txt")[2], b"hello")
        same(len(raw(server, inbox(server)[0])) > 500, True)
        seam.peace()
        same(client.send(500)[1], 250)
        same(client.send(150_000)[1], 250)

with step("no room for the index of search: that is its own affair, and mail is taken"):
    seam.rule(GROWING, errno.ENOSPC, FROM_THEN_ON, part="/search.db")
    for size in (500, 140_000):
        same(client.send(size)[1], 250)
    until(seam.hits, "the index asks for room")
    same(client.send(500)[1], 250)
    # What it has not read must not be taken for what has not the word.
    before = len(all_messages(server))
    with Http(server.desk, 30) as http:
        same(http.ask("DELETE", "/api/v1/search?query=-body%3Anothing")[0], 503, "a deletion by text")
    same(len(all_messages(server)), before, "refused, and something is deleted")
    seam.peace()
    until(lambda: server.api(f"/api/v1/search?query=subject%3A{client.name}-{client.count - 1}")["messages_count"] == 1,
          "with room again all is found")

with step("a mark and a deletion without room: 507 from the desk, -ERR from the commands, and both work later"):
    token, code, _ = client.send(140_000)
    number = notes.accepted[token]
    # A row that the log's page holds already needs no room; so each call is refused in its turn, until one is not met.
    calls = 1
    while True:
        seam.rule([WRITE], errno.ENOSPC, ONCE, countdown=calls, part="store.db")
        notes.note("deleting", token)
        with Resp(server.commands) as commands:
            said = commands.ask("MAIL", "DELETE", number)
        hit = seam.hits()
        seam.peace()
        if not isinstance(said, Error):
            break
        contains(said, "there is no room on the disk")
        check(hit, "it was refused for nothing")
        calls += 1
    same(said, 1)
    notes.note("deleted", token)
    check(calls > 2, f"{calls} calls")
    token, code, _ = client.send(3_000)
    seam.rule([WRITE], errno.ENOSPC, ONCE, part="store.db")
    notes.note("deleting", token)
    same(delete_by_desk(server, notes.accepted[token]), 507)
    seam.peace()
    check(delete_by_desk(server, notes.accepted[token]) in (200, 303), "it works later")
    notes.note("deleted", token)
    same(server.api("/api/v1/status")["store"].get("failed"), None, "the store never failed")

with step("no descriptor for a body's file: 451 for that one message, and the next is taken"):
    seam.rule([OPEN], errno.EMFILE, ONCE, part="/spool/")
    code, line = client.send(150_000)[1:]
    same((code, seam.hits()), (451, 1), line)
    same(client.send(150_000)[1], 250)
    seam.peace()

with step("after all of this the log explains the disk, and every 250 is kept after any cut"):
    server.kill()
    print("     " + seam.explains_all())
    kept(seam, notes)

for what, part, size in (("the log of rows", "store.db-wal", 2_000), ("a body", "/spool/", 150_000), ("the folder of bodies", "/blobs", 150_000)):
    with step(f"a failed sync of {what}: writes are refused and it is said loudly, reads go on, a restart takes mail"):
        seam = Seam()
        notes = Notes(seam)
        server = seam.server(web)
        client = Client(server, notes, "sync")
        for each in (1_000, 200_000):
            same(client.send(each)[1], 250)
        seam.rule([SYNC], errno.EIO, ONCE, part=part)
        code, line = client.send(size)[1:]
        check(line.startswith("451 4.3.0"), line)
        same(seam.hits(), 1, "syncs that failed")
        # The disk is well again, and the store must not believe it.
        for each in (500, 150_000):
            code, line = client.send(each)[1:]
            contains(line, "451 4.3.0", "refused until it is reopened")
        first = inbox(server)[0]
        check(len(raw(server, first)) > 900, "reads go on")
        with Resp(server.commands) as commands:
            contains(commands.ask("MAIL", "DELETE", first["id"]), "takes no changes until the server is started again")
            contains(" / ".join(map(str, commands.ask("STATUS"))), "the store refuses writes: ")
        same(delete_by_desk(server, first["id"]), 503)
        check(server.api("/api/v1/status")["store"]["failed"], "the desk's API says it")
        with Http(server.desk) as http:
            contains(http.ask("GET", "/", accept="text/html")[2].decode(), "writes refused: ")
        contains(server.stderr(), "the store failed: writes are refused until it is reopened")
        server.stop()
        server = seam.server(web)
        client.server = server
        for each in (500, 150_000):
            same(client.send(each)[1], 250, "after a restart")
        server.kill()
        kept(seam, notes)

CHECKPOINT = 300  # messages of 60 kB that fill the log of rows so far that it is moved into the database

with step("no room to move the log of rows into the database: that is put off, and mail is taken"):
    seam = Seam()
    notes = Notes(seam)
    server = seam.server(web)
    client = Client(server, notes, "put-off")
    seam.rule([WRITE], errno.ENOSPC, FROM_THEN_ON, part="/store.db$")
    for _ in range(CHECKPOINT):
        same(client.send(60_000)[1], 250)
    until(seam.hits, "the log is to be moved")
    until(lambda: "a checkpoint is put off" in server.stderr(), "it is said")
    seam.peace()
    same(client.send(60_000)[1], 250)
    same(server.api("/api/v1/status")["store"].get("failed"), None)
    server.stop()
    kept(seam, notes, 4)

with step("a failed sync of the database, when the log is moved into it at the end: it is said, and a restart has everything"):
    seam = Seam()
    notes = Notes(seam)
    server = seam.server(web)
    client = Client(server, notes, "moved")
    for size in (500, 60_000, 150_000, 500):
        same(client.send(size)[1], 250)
    seam.rule([SYNC], errno.EIO, ONCE, part="/store.db$")
    server.stop()
    same(seam.hits(), 1, "syncs that failed")
    contains(server.stderr(), "the store failed: writes are refused until it is reopened")
    client.server = server = seam.server(web)
    same(client.send(500)[1], 250)
    server.kill()
    kept(seam, notes)

for found in ("nothing", "what a kill left"):
    with step(f"a start with {found}, refused at any one of its calls: it says why and does not serve, and the next start has everything"):
        seam = Seam()
        notes = Notes(seam)
        if found != "nothing":
            server = seam.server(web)
            client = Client(server, notes, "start")
            for size in (500, 60_000, 150_000, 500):
                same(client.send(size)[1], 250)
            server.kill()
        refusals = number = 0
        while True:
            number += 1
            error = errno.EIO if number % 2 else errno.ENOSPC
            seam.rule([*GROWING, SYNC], error, ONCE, countdown=number)
            try:
                server = seam.server(web)
            except AssertionError as why:
                check("it ended with 1: sportello: " in str(why) and "panic" not in str(why), str(why))
                refusals += 1
            else:
                same(server.stop(), None)
                if not seam.hits():
                    break
            check(number < 200, "a start does not end")
            # What was left half done must not be in the way: not of the same fault, nor of a kill.
        seam.peace()
        server = seam.server(web)
        client = Client(server, notes, "started")
        for size in (500, 150_000):
            same(client.send(size)[1], 250)
        server.kill()
        print("     " + seam.explains_all())
        kept(seam, notes, 100)
        print(f"     {number - 1} calls, {refusals} starts refused")
        check(refusals > 8, f"only {refusals} starts were refused")

def fill_and_empty(server, state):
    """Mail fills the disk of a server, then another program does; each time all goes on when there is room."""
    inside = Path(f"/proc/{server.pid}/root{state}")

    notes = Notes()
    client = Client(server, notes, "disk")
    taken = []
    while True:
        token, code, line = client.send(400_000)
        if code != 250:
            break
        taken.append(token)
        check(len(taken) < 100, "the disk is never full")
    contains(line, "452 4.3.1")
    check(len(taken) >= 5, f"only {len(taken)} messages fit")
    same({each["subject"] for each in inbox(server)}, set(taken), "what was taken is there, and nothing else")
    same(list((inside / "state" / "spool").iterdir()), [], "nothing by halves")
    # What is kept back is for this: to delete.
    with Resp(server.commands) as commands:
        same(commands.ask("MAIL", "DELETE", *[notes.accepted[token] for token in taken]), len(taken))
    until(lambda: client.send(400_000)[1] == 250, "deleting made room")
    filler = inside / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError as error:
            same(error.errno, errno.ENOSPC)
    for size in (500, 400_000):
        contains(client.send(size)[2], "452 4.3.1", "filled by another program")
    check(len(raw(server, inbox(server)[0])) > 400_000, "reads go on")
    with Resp(server.commands) as commands:
        same(commands.ask("PING"), "PONG")
    filler.unlink()
    until(lambda: client.send(500)[1] == 250, "mail is taken again")
    same(client.send(400_000)[1], 250)
    same(server.api("/api/v1/status")["store"].get("failed"), None)


with step("a real disk of 72 MiB, of which 64 are kept back: filled by mail, then by another program; no restart"):
    state = folder("sportello-disk-")
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    mount = ["sh", "-c", f"mount -t tmpfs -o size=72m,mode=700 sportello-test {state} && exec \"$@\"", "sh"]
    if run(*unshare, *mount, "true").returncode == 0:
        with Server(web, state=state / "state", prefix=[*unshare, *mount]) as server:
            fill_and_empty(server, state)
    else:
        print("     no right to mount here: the calls that were refused one by one, above, stand for it")

with step("a log that cannot be written (its disk is full) stops nothing"):
    with Server(web, prefix=["sh", "-c", "exec \"$@\" 2>/dev/full", "sh"]) as server:
        for _ in range(3):
            with Http(server.web) as http:
                same(http.ask("GET", "/hello.txt")[2], b"hello")
            with Resp(server.commands) as commands:
                same(commands.ask("PING"), "PONG")

finish()
