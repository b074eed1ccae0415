import email.utils
import errno
import os
import random
import signal
import threading
import time
from pathlib import Path

from index import DAMAGES, Mail, damage, damaged, is_open
from resp import Error, Resp
from seam import ACCEPT, FROM_THEN_ON, Notes, Seam, send, text
from sportello import Http, Lines, Server, alive, check, children, contains, finish, folder, program, same, step, until

SEED = int(os.environ.get("FAULTS_SEED", "4711"))
ANEW = "the search index is made anew"
DAMAGED = int(os.environ.get("FAULTS_DAMAGED", "1"))
DAY = 86_400
web = folder("sportello-web-")
(web / "hello.txt").write_bytes(b"hello")
bin_ = folder("sportello-bin-")
marks = folder("sportello-marks-")
forever = program(bin_ / "forever", f'echo $$ > {marks}/$1; sleep 1000 & echo $! > {marks}/$1.child; wait')
short = program(bin_ / "short", "echo done")


def hello(server):
    with Http(server.web, 5) as http:
        return http.ask("GET", "/hello.txt")[2] == b"hello"


def served(server):
    try:
        return hello(server)
    except (OSError, AssertionError):
        return False


def processor(server):
    """Seconds of processor time that the server has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def written(name):
    return int(until(lambda: (marks / name).exists() and (marks / name).read_text().strip(), f"{name} runs"))


with step("no descriptor and no memory to accept with: who is in is served, nothing spins, and who waits is served after it"):
    seam = Seam()
    server = seam.server(web, "--workers", "2")
    for error in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
        with Http(server.web) as inside, Resp(server.commands) as commands:
            same(inside.ask("GET", "/hello.txt")[0], 200)
            same(commands.ask("PING"), "PONG")
            seam.rule([ACCEPT], error, FROM_THEN_ON)
            waiting = [Http(server.web, 20) for _ in range(4)]
            for each in waiting:
                each.send(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(seam.hits, "accept is refused")
            before, calls, began = processor(server), seam.hits(), time.monotonic()
            until(lambda: time.monotonic() - began > 0.5, "half a second of watching")
            check(processor(server) - before < 0.2, "it spins")
            check(seam.hits() - calls < 200, f"{seam.hits() - calls} tries in half a second")
            same(inside.ask("GET", "/hello.txt")[0], 200)
            same(commands.ask("PING"), "PONG")
            seam.peace()
            for each in waiting:
                same(each.answer()[2], b"hello", "who waited")
                each.close()
    contains(server.stderr(), "cannot accept; waiting")
    server.stop()

with step("no memory, or no process, to start a program with: that run fails, and the next one runs"):
    seam = Seam()
    server = seam.server(web, "--command", f"short={short}")
    with Resp(server.commands) as commands:
        same(commands.ask("short"), b"done\n")
        for error in (errno.ENOMEM, errno.EAGAIN):
            seam.no_spawn(error)
            for _ in range(3):
                check(isinstance(commands.ask("short"), Error), "it cannot have run")
            same(commands.ask("PING"), "PONG")
            seam.no_spawn(0)
            same(commands.ask("short"), b"done\n")
    check(hello(server), "the server lives")
    server.stop()

with step("a panic in one connection's code ends that connection alone, on every channel"):
    seam = Seam()
    server = seam.server(web, "--workers", "1")
    neighbours = [Http(server.web), Http(server.desk)]
    commands, mail = Resp(server.commands), Lines(server.mail)
    mail.reply()
    asked = {
        "web": (Http(server.web), b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-Word: seam:panic\r\n\r\n"),
        "desk": (Http(server.desk), b"GET /seam:panic HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        "commands": (Resp(server.commands), b"*2\r\n$4\r\nECHO\r\n$10\r\nseam:panic\r\n"),
        "mail": (Lines(server.mail), b'MAIL FROM:<"seam:panic"@example.org>\r\n'),
    }
    asked["mail"][0].reply()
    asked["mail"][0].ask("EHLO client.example")
    for count, (name, (client, words)) in enumerate(asked.items(), 1):
        client.socket.sendall(words)
        check(client.ended(), f"{name}: its connection ends")
        same(seam.panics(), count, f"{name}: panics")
        client.close()
        same([each.ask("GET", "/hello.txt" if each.port == server.web else "/api/v1/status")[0] for each in neighbours], [200, 200])
        same(commands.ask("PING"), "PONG")
        same(mail.ask("NOOP")[0], 250)
        check(hello(server), "and new ones are served")
    until(lambda: server.stderr().count("panic") >= 4, "the log tells of all panics")
    check("worker died" not in server.stderr(), "the worker died with it")
    for each in (*neighbours, commands, mail):
        each.close()
    server.stop()

with step("a worker that dies takes its own connections with it, and is started again; the other worker's are unharmed"):
    seam = Seam()
    server = seam.server(web, "--workers", "2")
    for death in range(3):
        clients = [Http(server.web, 20) for _ in range(16)]
        for each in clients:
            same(each.ask("GET", "/hello.txt")[0], 200)
        seam.kill_a_worker()
        # Whoever is awake next meets it.
        until(lambda: served(server) and server.stderr().count("worker died; starting it again") > death, "a worker dies, and is told of")
        ended = 0
        for each in clients:
            try:
                same(each.ask("GET", "/hello.txt")[0], 200)
            except (OSError, AssertionError):
                ended += 1
            each.close()
        check(0 < ended < 16, f"{ended} of 16 connections ended")
        for _ in range(16):
            until(lambda: served(server), "new connections are served, by both")
        with Lines(server.mail) as session:
            session.reply()
            session.ask("EHLO client.example")
            same(send(session, text(random.Random(death), f"death-{death}", [2_000]))[0], 250)
    same(len(server.api("/api/v1/messages")["messages"]), 3)
    server.stop()

with step("the spawner is killed: its programs end, it is said, programs come back, and mail goes on"):
    seam = Seam()
    # Without the filter: a second spawner cannot be started under it.
    server = seam.server(web, "--command", f"forever={forever}", "--command", f"short={short}", filtered=False)
    for turn in range(3):
        with Resp(server.commands) as running, Resp(server.commands) as commands:
            running.send("forever", f"s{turn}")
            pids = [written(f"s{turn}"), written(f"s{turn}.child")]
            spawner = next(pid for pid in children(server.pid) if Path(f"/proc/{pid}/comm").read_text().strip() == "spawner")
            os.kill(spawner, signal.SIGKILL)
            check(isinstance(running.read(), Error), "the run that was under way fails")
            until(lambda: not any(map(alive, pids)), "its processes end")
            until(lambda: commands.ask("short") == b"done\n", "programs come back")
            with Lines(server.mail) as session:
                session.reply()
                session.ask("EHLO client.example")
                same(send(session, text(random.Random(turn), f"spawner-{turn}", [2_000]))[0], 250)
    same(server.stderr().count("the spawner died; another is started"), 3)
    server.stop()


with step("the search index is overwritten, cut, removed or replaced under the server: mail goes on, and no deletion takes what does not match"):
    choice = random.Random(SEED)
    server = Server(web)
    mail = Mail(server, choice)
    anew = 0
    for turn in range(DAMAGED):
        for name in choice.sample(sorted(DAMAGES), len(DAMAGES)):
            damaged(mail, name)
            if not is_open(server):
                anew += server.stderr().count(ANEW)
                server.stop()
                mail.server = server = Server(web, state=server.state)
    anew += server.stderr().count(ANEW)
    check(anew >= DAMAGED, f"{anew} times it is said that the index is made anew")
    # And while no server runs: it starts, and says so.
    for name in choice.sample(sorted(DAMAGES), 3):
        server.kill()
        # It may have been killed while it made the index anew: then there is none.
        if (server.state / "search.db").exists():
            damage(server.state, name, choice)
        mail.server = server = Server(web, state=server.state)
        mail.all_found()
    damaged(mail, name)
    server.stop()
    print(f"sum: the search index damaged {DAMAGED * len(DAMAGES) + 1} times under a running server, 3 times before a start; made anew {anew} times; "
          f"{len(mail.stay)} messages stayed and were found each time, no other was")


def dated(server):
    """How far the server's Date field is from our clock, in seconds."""
    with Http(server.web) as http:
        told = email.utils.parsedate_to_datetime(http.ask("GET", "/hello.txt")[1]["date"])
    return told.timestamp() - time.time()


with step("the wall clock jumps by days and decades, both ways, under load: no deadline fires, no message is lost, Date is right again"):
    seam = Seam()
    notes = Notes(seam)
    server = seam.server(web, "--command", f"forever={forever}", "--command", f"short={short}")
    failures, stopping = [], threading.Event()

    def sender(number):
        choice = random.Random(f"{SEED}/{number}")
        try:
            with Lines(server.mail, 20) as session:
                session.reply()
                session.ask("EHLO client.example")
                count = 0
                while not stopping.is_set():
                    token, count = f"clock-{number}-{count}", count + 1
                    body = text(choice, token, [1_000, 150_000])
                    notes.note("sent", token)
                    code, line = send(session, body)
                    same(code, 250, line)
                    notes.accept(token, body, line)
        except Exception as error:  # noqa: BLE001 — told in the main thread
            failures.append(error)

    threads = [threading.Thread(target=sender, args=(number,)) for number in range(2)]
    idle = [Http(server.web, 20), Http(server.desk, 20)]
    for each in idle:
        same(each.ask("GET", "/")[0], 200)
    running, commands = Resp(server.commands), Resp(server.commands)
    running.send("forever", "clock")
    pid = written("clock")
    for thread in threads:
        thread.start()
    for jump in (DAY, -DAY, 30 * 365 * DAY, -60 * 365 * DAY, 2 * DAY, 0):
        seam.clock(jump)
        since = len(notes.accepted)
        until(lambda: len(notes.accepted) > since + 8, "mail goes on")
        until(lambda: jump < -50 * 365 * DAY or abs(dated(server) - jump) < 3, f"the Date field follows the clock by {jump} s")
        same([each.ask("GET", "/")[0] for each in idle], [200, 200], "who is idle stays")
        same(commands.ask("short"), b"done\n")
        check(alive(pid), "a program within its time is not ended")
        same(failures, [])
    stopping.set()
    for thread in threads:
        thread.join(30)
    same(failures, [])
    check(abs(dated(server)) < 3, "and is right again")
    for each in (*idle, running, commands):
        each.close()
    server.kill()
    code, said = seam.faults("cut", "--promises", notes.path, "--seed", SEED, "--points", 20)
    print("     " + said.replace("\n", "\n     "))
    same(code, 0, said)

finish()
