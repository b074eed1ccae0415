import errno
import json
import os
import random
import threading

from inbox import inbox
from resp import Resp
from seam import (ALLOCATE, EVERY, FROM_THEN_ON, GROWING, LIE, ONCE, OPEN, RENAME, SHORT, SYNC, TRUNCATE, UNLINK, WRITE, Notes, Seam,
                  send, text)
from sportello import Http, Lines, check, finish, folder, same, step, until, write

SEED = int(os.environ.get("FAULTS_SEED", "4711"))
POINTS = int(os.environ.get("FAULTS_POINTS", "50"))
LOADS = int(os.environ.get("FAULTS_LOADS", "1"))
LIVES = int(os.environ.get("FAULTS_LIVES", "3"))
POINTS_KEPT = POINTS // 2 if LOADS == 1 else POINTS
SENDERS = 8
# Messages of each sender, and their sizes.
MIXED = (12, [200, 4_000, 4_000, 30_000, 132_000, 150_000, 300_000])
# So many rows that their log is moved into the database meanwhile, and begun anew.
ROWS = (50, [60_000, 60_000, 60_000, 500, 150_000])
# How much is kept where not all is: about as much in number as in bytes.
KEEP_COUNT, KEEP_BYTES = 40, 3 << 20
KEPT = ("--keep-count", KEEP_COUNT, "--keep-bytes", KEEP_BYTES)
web = folder("sportello-web-")


def sender(server, notes, load, number, messages, sizes):
    choice = random.Random(f"{SEED}/{load}/{number}")
    with Lines(server.mail, 30) as session, Resp(server.commands) as commands, Http(server.desk) as desk:
        session.reply()
        session.ask("EHLO client.example")
        own = []
        for count in range(messages):
            token = f"t{load}-{number}-{count}"
            body = text(choice, token, sizes)
            notes.note("sent", token, bytes=len(body))
            code, line = send(session, body)
            same(code, 250, line)
            notes.accept(token, body, line)
            own.append(token)
            if len(own) > 2 and choice.random() < 0.3:
                gone = own.pop(choice.randrange(len(own)))
                notes.note("deleting", gone)
                # Where not all is kept it may be gone by itself.
                check(commands.ask("MAIL", "DELETE", notes.accepted[gone]) in ((0, 1) if server.keeps else (1,)), f"{gone} is deleted")
                notes.note("deleted", gone)
            if choice.random() < 0.3:
                read = choice.choice(own)
                order = json.dumps({"IDs": [str(notes.accepted[read])], "Read": True}).encode()
                same(desk.ask("PUT", "/api/v1/messages", ["Content-Type: application/json"], body=order)[0], 200)
                notes.note("marked", read)


def keeping(seam):
    """A configuration by which not all mail is kept."""
    return write(seam.place / "sportello.kdl", f"""
state "{seam.state}"
channel mail port=0 protocol=smtp
channel commands port=0 protocol=command
channel desk port=0 protocol=http {{ desk }}
domain "*" {{ mail {{ capture }} }}
inbox {{ keep count={KEEP_COUNT} bytes="{KEEP_BYTES >> 20}MiB" }}
""")


def load(seam, notes, number, mail=MIXED, config=None):
    """One run of the server under a load; it still runs."""
    server = seam.server(web, config=config)
    server.keeps = config is not None
    failures = []

    def run(each):
        try:
            sender(server, notes, number, each, *mail)
        except Exception as error:  # noqa: BLE001 — told in the main thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    same(failures, [], "senders")
    return server


def cuts(seam, notes, *options):
    return seam.faults("cut", "--promises", notes.path, "--seed", SEED, *options)


def oldest_give_way(number):
    """Mail, deletions and retention all at once; how often a promised message was due after a cut."""
    seam = Seam()
    notes = Notes(seam)
    for run in (number * 2, number * 2 + 1):
        server = load(seam, notes, run, MIXED, keeping(seam))
        until(lambda: len(inbox(server)) <= KEEP_COUNT, "the oldest give way")
        server.kill()
    print("     " + seam.explains_all())
    code, said = cuts(seam, notes, "--points", POINTS_KEPT, "--again", 5, *KEPT)
    print("     " + said.replace("\n", "\n     "))
    same(code, 0, said)
    due = int(said.rsplit(" ", 1)[1])
    code, said = cuts(seam, notes, "--points", 20, "--most-failures", 1)
    check(code == 1 and "was accepted and is not there" in said, f"nothing gave way, or nobody saw it: {said}")
    return due


print(f"seed {SEED}, {LOADS} loads, {POINTS} points each")
points = kept = retained = given = 0
for each in range(LOADS):
    mail = ROWS if each % 4 == 3 else MIXED
    seam = Seam()
    notes = Notes(seam)
    with step(f"load {each}: a mixed load, recorded; the log explains every byte of the state folder"):
        # Twice, so that recovery and a second start are in the recording as well.
        load(seam, notes, each * 2, mail).kill()
        load(seam, notes, each * 2 + 1, mail).kill()
        print("     " + seam.explains_all())
    with step(f"load {each}: after a cut at any of {POINTS} moments every 250 is there, whole, once, and found by its word"):
        # Damage to the index beside the cut costs no more than its making anew.
        code, said = cuts(seam, notes, "--points", POINTS, "--again", 10, "--spoil", 4)
        print("     " + said.replace("\n", "\n     "))
        same(code, 0, said)
        check(int(said.split("index made anew: ")[1].split(";")[0]) > 0, f"no index was made anew: {said}")
        points, kept = points + POINTS, kept + int(said.rsplit(" ", 1)[1])
    if each % 4 == 0:
        with step(f"load {each}: where no more than {KEEP_COUNT} messages are kept, none goes before its turn, and none comes back"):
            given, retained = given + oldest_give_way(each), retained + POINTS_KEPT
    if each > 0:
        continue
    with step("the test can fail: without one of its syncs the store is found to lose mail"):
        for forgotten in ("store.db-wal", "/blobs", "/store.db"):
            code, said = cuts(seam, notes, "--points", 60, "--most-failures", 1, "--forget", forgotten)
            check(code == 1 and "failed; index" in said, f"syncs of {forgotten} forgotten, and nobody saw it: {said}")
        # A body is synced under its first name: /spool/7.
        bodies = [word for number in range(200) for word in ("--forget", f"/spool/{number}")]
        code, said = cuts(seam, notes, "--points", 60, "--most-failures", 1, *bodies)
        check(code == 1 and "not whole" in said, f"syncs of bodies forgotten, and nobody saw it: {said}")

print(f"sum: {points} cuts of the power in {LOADS} recordings, every tenth cut again while recovering; "
      f"{kept} times a promised message was due, and there, whole, once; {retained} cuts more where not all is kept, {given} times due and there")

with step("a disk that lies about its syncs is found, in a recording of its own"):
    seam = Seam()
    seam.rule([SYNC], 0, FROM_THEN_ON, effect=LIE)
    notes = Notes(seam)
    load(seam, notes, 0).kill()
    check(seam.hits() > 0, "syncs were made to lie")
    code, said = cuts(seam, notes, "--points", 20, "--most-failures", 1)
    # What was accepted is gone, or so much of the database that it does not open.
    check(code == 1 and ("was accepted and is not there" in said or "the store does not open" in said), said)

with step("writes that are short, and calls that are interrupted, lose nothing"):
    seam = Seam()
    seam.rule([WRITE], 0, EVERY, countdown=3, every=3, effect=SHORT)
    seam.rule([WRITE, ALLOCATE], errno.EINTR, EVERY, countdown=5, every=7, number=1)
    notes = Notes(seam)
    load(seam, notes, 0).kill()
    check(seam.hits(0) > 50 and seam.hits(1) > 20, f"{seam.hits(0)} short writes, {seam.hits(1)} interruptions")
    seam.peace()
    print("     " + seam.explains_all())
    code, said = cuts(seam, notes, "--points", 20)
    same(code, 0, said)

with step("after a failed sync nothing is taken; what a restart takes survives a cut, though the kernel forgot what it could not write"):
    seam = Seam()
    notes = Notes(seam)
    server = load(seam, notes, 0)
    with Lines(server.mail, 30) as session:
        session.reply()
        session.ask("EHLO client.example")
        seam.rule([SYNC], errno.EIO, FROM_THEN_ON, part="store.db-wal")
        choice = random.Random(SEED)
        for count in range(3):
            token = f"failed-{count}"
            body = text(choice, token, [4_000])
            notes.note("sent", token)
            code, line = send(session, body)
            same(code, 451, line)
    seam.peace()
    server.kill()
    # A restart on the same, now healthy disk: the kernel's memory still shows what never reached it.
    load(seam, notes, 1).kill()
    code, said = cuts(seam, notes, "--points", POINTS)
    print("     " + said.replace("\n", "\n     "))
    same(code, 0, said)


def troubled(server, notes, life, number, stopping):
    """Sends and deletes while calls fail at random; takes every answer at its word."""
    choice = random.Random(f"{SEED}/{life}/{number}")
    count = 0
    with Resp(server.commands) as commands:
        own = []
        while not stopping.is_set():
            token, count = f"chaos{life}-{number}-{count}", count + 1
            body = text(choice, token, MIXED[1])
            # A session each: one with too many refusals is ended.
            with Lines(server.mail, 30) as session:
                session.reply()
                session.ask("EHLO client.example")
                notes.note("sent", token)
                code, line = send(session, body)
                if code == 250:
                    notes.accept(token, body, line)
                    own.append(token)
                elif code == 452:
                    # Of any other refusal it is not known what a restart makes.
                    notes.note("refused", token)
            if len(own) > 2 and choice.random() < 0.3:
                gone = own.pop(choice.randrange(len(own)))
                notes.note("deleting", gone)
                said = commands.ask("MAIL", "DELETE", notes.accepted[gone])
                if said == 1:
                    notes.note("deleted", gone)
                elif "no room" in said:
                    notes.note("spared", gone)


def chaos(seam, notes, life, chance):
    """One life of a server under calls that fail at random; how many did. Killed, or stopped, at its end."""
    acted = 0
    seam.peace()
    try:
        server = seam.server(web)
    except AssertionError:
        return 0
    stopping = threading.Event()
    failures = []

    def run(each):
        try:
            troubled(server, notes, life, each, stopping)
        except Exception as error:  # noqa: BLE001 — told in the main thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in range(6)]
    for thread in threads:
        thread.start()
    places = [([WRITE], ""), ([WRITE], "store.db-wal"), ([WRITE], "/spool/"), ([WRITE], "/store.db$"), ([ALLOCATE], ""), ([OPEN], "/spool/"),
              ([SYNC], "store.db-wal"), ([SYNC], "/spool/"), ([SYNC], "/blobs"), ([SYNC], "/search.db"),
              ([*GROWING, SYNC], "/search.db"), ([RENAME], ""), ([UNLINK], ""), ([TRUNCATE], ""),
              ([*GROWING, SYNC], "")]
    for _ in range(chance.randrange(3, 12)):
        events, calls = seam.now(), seam.calls()
        kinds, part = chance.choice(places)
        # What leaves the disk in doubt ends the writing for this life, so most refuse for lack of room.
        error = errno.ENOSPC if SYNC not in kinds else chance.choice([errno.EIO, errno.ENOSPC])
        error = chance.choice([error, error, error, errno.EINTR, errno.EMFILE])
        every = chance.randrange(2, 20)
        # A call that is interrupted is made again, by everybody: one that always is would be made for ever.
        when = chance.choice([ONCE, EVERY, EVERY if error == errno.EINTR else FROM_THEN_ON])
        seam.rule(kinds, error, when, countdown=chance.randrange(1, 20), every=every, part=part)
        # A store that has failed changes no file any more; it still answers.
        until(lambda: seam.now() > events + 300 or seam.calls() > calls + 1000, "calls are made")
        acted += seam.hits()
        if chance.random() < 0.5:
            seam.peace()
    # Sometimes it ends while its calls still fail.
    if chance.random() < 0.5:
        seam.peace()
    stopping.set()
    for thread in threads:
        thread.join(60)
    same(failures, [], f"life {life}")
    server.kill()
    return acted


with step("calls that fail at random, life after life: every answer was true, after any cut"):
    seam = Seam()
    notes = Notes(seam)
    chance = random.Random(SEED)
    acted = sum(chaos(seam, notes, life, chance) for life in range(LIVES))
    seam.peace()
    check(acted > 0, f"{acted} calls failed")
    print("     " + seam.explains_all())
    code, said = cuts(seam, notes, "--points", POINTS, "--again", 10)
    print("     " + said.replace("\n", "\n     "))
    same(code, 0, said)
    print(f"sum: {LIVES} lives in which {acted} calls failed at random; {said}")

finish()
