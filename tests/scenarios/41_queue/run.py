"""Mail for other servers waits, is tried again, is held and let go by people, comes back as a report, and outlives `kill -9`."""

import collections
import contextlib
import email
import email.policy
import json
import smtplib
import socket
import sqlite3
import ssl
import threading

from nameserver import NameServer
from sportello import BINARY, Http, Server, check, contains, finish, folder, free_ports, run, same, step, until, write

place = folder("sportello-queue-")
(mx,) = free_ports(1)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
DEFAULTS = {"": "220 mx ESMTP", "EHLO": "250-mx\r\n250 8BITMIME", "DATA": "354 go on", "QUIT": "221 2.0.0 bye"}


class Receiver:
    """Takes the mail of one domain at an address of its own. `say(verb, argument)` answers otherwise where it gives something: for
    the greeting the verb is empty, for the whole message it is a point."""

    def __init__(self, name, number):
        self.domain, self.address = f"{name}.example", f"127.0.0.{number}"
        self.say = lambda verb, argument: None
        self.taken, self.connections = [], []
        self.socket = socket.create_server((self.address, mx))
        threading.Thread(target=self._accept, daemon=True).start()

    def records(self):
        name = self.domain.partition(".")[0]
        return f"{name} MX 10 mx.{name}\nmx.{name} A {self.address}"

    def subjects(self):
        return [message["Subject"] for message in self.taken]

    def close(self):
        """Nobody is here any more."""
        for each in (self.socket, *self.connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.connections.append(connection)
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection):
        # A server that is killed leaves in the middle of anything.
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as lines:
            def answer(verb, argument=""):
                text = self.say(verb, argument) or DEFAULTS.get(verb, "250 2.0.0 fine")
                connection.sendall(text.encode() + b"\r\n")
                return text

            answer("")
            for line in lines:
                verb, _, argument = line.decode().strip().partition(" ")
                if not answer(verb.upper(), argument).startswith("354"):
                    continue
                text = []
                for line in lines:
                    if line == b".\r\n":
                        break
                    text.append(line)
                else:
                    return
                message = email.message_from_bytes(b"".join(text), policy=email.policy.default)
                said = self.say(".", "")
                if not said:
                    self.taken.append(message)
                connection.sendall((said or "250 2.0.0 taken").encode() + b"\r\n")


NAMES = ("good", "again", "mixed", "data", "silent", "rest", "late", "killed")
at = {name: Receiver(name, number) for number, name in enumerate(NAMES, 11)}
names = NameServer({"example": "\n".join(receiver.records() for receiver in at.values())})
config = write(place / "sportello.kdl", f"""
state "{place}/state"
hostname mx.example.org
resolver "{names.address}"
sending port={mx} {{ allow "127.0.0.0/8"; }}
channel submission port=0 protocol=submission tls=local
channel desk port=0 protocol=http {{ desk; }}
domain example.org {{ mail; }}
""")
server = Server(config=config)
ADA, PASSWORD = "ada@example.org", "correct horse battery"
trusting = ssl.create_default_context()
trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE


def ask(*words, code=0, stdin=None):
    done = run(BINARY, *words, "--state", place / "state", stdin=stdin)
    same(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def queue(*words, code=0):
    return ask("queue", *words, code=code)


def entries(name):
    return json.loads(queue("list", "-n", "200", "--destination", f"{name}.example", "--json"))


def states(name):
    return {entry["subject"]: entry["state"] for entry in entries(name)}


def destination(name):
    found = [row for row in json.loads(queue("destinations", "--json")) if row["destination"] == f"{name}.example"]
    return found[0] if found else None


def send(subject, *recipients):
    """Submits a message; the number that its sender is told."""
    text = f"From: {ADA}\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '.')}@example.org>\r\n\r\nHello.\r\n"
    with smtplib.SMTP_SSL("127.0.0.1", server.ports["submission"], context=trusting, timeout=20) as client:
        client.login(ADA, PASSWORD)
        same(client.mail(ADA)[0], 250)
        for recipient in recipients:
            same(client.rcpt(recipient)[0], 250)
        code, said = client.data(text)
        same(code, 250)
    return said.decode().rsplit(" ", 1)[1]


def reports(subject):
    """The reports to ada on a message, oldest first: for each the fields of each recipient, and the message that came back."""
    base = sqlite3.connect(f"file:{place}/state/store.db?mode=ro", uri=True, timeout=10)
    with contextlib.closing(base):
        rows = base.execute("SELECT b.bytes FROM entry e JOIN body b ON b.message = e.message ORDER BY e.uid").fetchall()
    found = []
    for (text,) in rows:
        report = email.message_from_bytes(text, policy=email.policy.default)
        if report["In-Reply-To"] != f"<{subject.replace(' ', '.')}@example.org>":
            continue
        same((report.get_content_type(), report.get_param("report-type")), ("multipart/report", "delivery-status"))
        same((report["Return-Path"], report["To"], report["Auto-Submitted"]), ("<>", ADA, "auto-replied"))
        check(not report.defects, str(report.defects))
        words, status, returned = report.iter_parts()
        same((words.get_content_type(), status.get_content_type()), ("text/plain", "message/delivery-status"))
        whole, *each = status.get_payload()
        same(whole["Reporting-MTA"], "dns; mx.example.org")
        if returned.get_content_type() == "message/rfc822":
            back = returned.get_payload(0)
        else:
            same(returned.get_content_type(), "text/rfc822-headers")
            back = email.message_from_string(returned.get_content())
        same(back["Subject"], subject)
        found.append(each)
    return found


def report(subject, number=1):
    """The last of so many reports on a message, about one recipient."""
    found = until(lambda: (found := reports(subject)) and len(found) >= number and found, f"report {number} on {subject}")
    same((len(found), len(found[-1])), (number, 1))
    return found[-1][0]


def is_empty(name):
    return not entries(name)


def restart(name, age_ms):
    """The server is started again, and the entries of a destination are older by so much."""
    global server
    server.stop()
    base = sqlite3.connect(f"{place}/state/store.db", timeout=10)
    with contextlib.closing(base), base:
        base.execute("""UPDATE queue_entry SET created_ms = created_ms - ?1, due_ms = due_ms - ?1, attention_ms = attention_ms - ?1
            WHERE destination = (SELECT id FROM queue_destination WHERE name = ?2)""", (age_ms, f"{name}.example"))
        base.execute("""UPDATE queue_destination SET next_ms = next_ms - ?1, until_ms = max(0, until_ms - ?1)
            WHERE name = ?2""", (age_ms, f"{name}.example"))
    server = Server(config=config)


ask("account", "add", ADA, "--password-stdin", stdin=PASSWORD + "\n")

with step("what is refused for now waits as scheduled, with what was said, and is tried at once when a person asks"):
    at["again"].say = lambda verb, _: "451 4.2.1 not <now>" if verb == "RCPT" else None
    number = send("asked for", "bob@again.example")
    until(lambda: any(entry["attempts"] == 1 for entry in entries("again")), "the first try")
    ((shown,),) = [json.loads(queue("show", number, "--json"))]
    same((shown["state"], shown["recipients"]), ("waiting", [{"address": "bob@again.example", "said": "451 4.2.1 not <now>"}]))
    wait = shown["due_ms"] - shown["attempt"]["at_ms"]
    check(96_000 <= wait <= 144_000, f"it is due after two minutes, give or take a fifth, not after {wait} ms")
    text = queue("show", number)
    for piece in ("bob@again.example: 451 4.2.1 not <now>", "mx.again.example [127.0.0.12]", "RCPT TO:<bob@again.example>"):
        contains(text, piece)
    at["again"].say = lambda *_: None
    same(queue("retry", number), "1 entry\n")
    until(lambda: at["again"].subjects() == ["asked for"], "it is sent")
    until(lambda: is_empty("again"), "its entry goes")
    contains(queue("show", number, code=1), "is not in the queue")
    contains(queue("retry", number, code=1), "no such entry")

with step("what nobody asks for is tried again when its time has come"):
    at["again"].say = lambda verb, _: "421 4.3.2 too busy" if verb == "MAIL" else None
    send("by itself", "bob@again.example")
    until(lambda: any(entry["attempts"] == 1 for entry in entries("again")), "the first try")
    at["again"].say = lambda *_: None
    restart("again", 3 * MINUTE)
    until(lambda: "by itself" in at["again"].subjects(), "it is sent")
    until(lambda: is_empty("again"), "its entry goes")

with step("each recipient has its own end, and the report tells of the one that failed"):
    fates = {"yes": None, "no": "550 5.1.1 nobody here", "later": "452 4.2.2 full"}
    at["mixed"].say = lambda verb, to: fates[to.partition("<")[2].partition("@")[0]] if verb == "RCPT" else None
    send("mixed", *(f"{who}@mixed.example" for who in fates))
    told = report("mixed")
    same((told["Final-Recipient"], told["Action"], told["Status"]), ("rfc822; no@mixed.example", "failed", "5.1.1"))
    same((told["Remote-MTA"], told["Diagnostic-Code"]), ("dns; mx.mixed.example", "smtp; 550 5.1.1 nobody here"))
    same(at["mixed"].subjects(), ["mixed"])
    ((left,),) = [entries("mixed")]
    same([one["address"] for one in left["recipients"]], ["later@mixed.example"])
    fates["later"] = None
    queue("retry", "--destination", "mixed.example")
    until(lambda: is_empty("mixed"), "the last one goes")
    same(at["mixed"].subjects(), ["mixed"] * 2, "once for one recipient and once for the other")

with step("what is refused after DATA comes back"):
    at["data"].say = lambda verb, _: "554 5.7.1 we do not like it" if verb == "." else None
    send("unloved", "bob@data.example")
    told = report("unloved")
    same((told["Action"], told["Status"], told["Diagnostic-Code"]), ("failed", "5.7.1", "smtp; 554 5.7.1 we do not like it"))
    check(is_empty("data"), "nothing is left")

with step("a destination that never speaks keeps no other waiting"):
    over = threading.Event()
    at["silent"].say = lambda *_: over.wait() and None
    for number in range(30):
        send(f"to nobody {number}", "bob@silent.example")
    until(lambda: destination("silent")["leased"] > 0, "a try has begun")
    for number in range(20):
        send(f"to somebody {number}", "bob@good.example", "bob@silent.example")
    until(lambda: len(at["good"].taken) == 20, "all of the other's mail comes")
    silent = destination("silent")
    same((silent["failures"], silent["attempt"]), (0, None), "no try there has ended meanwhile")
    same(silent["waiting"] + silent["leased"], 50)
    at["silent"].close()
    over.set()
    until(lambda: destination("silent")["failures"] == 1, "it is known not to be reached")
    contains(queue("destinations"), "not reached 1 times")
    same(queue("delete", "--destination", "silent.example"), "50 entries\n")

with step("a suspended destination rests; what is held rests longer; what is deleted is gone, without a word"):
    queue("suspend", "rest.example")
    contains(queue("suspend", "rest.example", code=1), "stood so already")
    kept, gone = send("kept", "bob@rest.example"), send("gone", "bob@rest.example")
    send("first", "bob@rest.example")
    same(queue("hold", kept), "1 entry\n")
    same(queue("delete", gone, "--destination", "rest.example"), "1 entry\n")
    same(states("rest"), {"kept": "held", "first": "waiting"})
    contains(queue("destinations"), "rest.example  1 waiting, 0 being sent, 1 held; suspended")
    contains(queue("list"), "from ada@example.org, to bob@rest.example: held, 0 tries")
    # Then nothing else wakes the dispatcher, which looks by itself once a minute: longer than this waits.
    restart("rest", 0)
    queue("resume", "rest.example")
    until(lambda: at["rest"].subjects() == ["first"], "what waits is sent at once")
    until(lambda: states("rest") == {"kept": "held"}, "what is held stays")
    same(queue("release", kept), "1 entry\n")
    until(lambda: at["rest"].subjects() == ["first", "kept"], "what is released is sent at once")
    until(lambda: is_empty("rest"), "nothing is left")
    same(reports("gone"), [])

with step("after four hours the sender is told of the delay, once, and after five days of the end; the desk shows what waits"):
    at["late"].say = lambda verb, _: "450 4.2.0 <b>grey</b>" if verb == "RCPT" else None
    number = send("late", "bob@late.example")
    until(lambda: any(entry["attempts"] == 1 for entry in entries("late")), "the first try")
    same(reports("late"), [])
    restart("late", 4 * HOUR + MINUTE)
    told = report("late")
    same((told["Action"], told["Status"], told["Diagnostic-Code"]), ("delayed", "4.2.0", "X-Sportello; 450 4.2.0 <b>grey</b>"))
    check(told["Will-Retry-Until"], "until when it will be tried")
    until(lambda: any(entry["attempts"] == 2 and entry["state"] == "waiting" for entry in entries("late")), "the second try")
    for path in ("/queue", f"/queue/{number}"):
        with Http(server.ports["desk"]) as desk:
            code, _, page = desk.ask("GET", path)
        same(code, 200, path)
        for piece in ("late.example", "450 4.2.0 &lt;b&gt;grey&lt;/b&gt;", "mx.late.example"):
            contains(page.decode(), piece, path)
    restart("late", 5 * DAY)
    told = report("late", 2)
    same((told["Action"], told["Status"]), ("failed", "5.4.7"))
    contains(told["Diagnostic-Code"], "not delivered within 120 hours; at last: 450 4.2.0 <b>grey</b>")
    until(lambda: is_empty("late"), "nothing is left")

with step("killed at whatever word of a try, it sends again: nothing is lost, and only what was taken comes twice"):
    for verb in ("", "RCPT", "DATA", "."):
        word = verb or "greeting"
        reached, go_on = threading.Event(), threading.Event()

        def say(said, _):
            if said == verb:
                reached.set()
                go_on.wait()

        at["killed"].say, at["killed"].taken = say, []
        wanted = [f"{word} {number}" for number in range(5)]
        for subject in wanted:
            send(subject, "bob@killed.example")
        check(reached.wait(15), f"a try comes to {word}")
        server.kill()
        reached.clear()
        server = Server(config=config)
        check(reached.wait(15), f"after the start a try comes to {word}")
        interrupted = {entry["subject"] for entry in entries("killed") if entry["interruptions"] == 1}
        check(interrupted, "what was cut short is told")
        go_on.set()
        until(lambda: is_empty("killed"), "all of it is sent")
        copies = collections.Counter(at["killed"].subjects())
        same(sorted(copies), wanted, f"what comes after a death at {word}")
        twice = {subject for subject in copies if copies[subject] > 1}
        check(max(copies.values()) <= 2 and twice <= interrupted, f"{copies}, of which {interrupted} were cut short")
        check(verb == "." or not twice, f"{twice} came twice, though nobody had taken it")
    same(reports("greeting 0"), [])

with step("the queue is empty, and nobody was told of anything else"):
    same(queue("list"), "the queue is empty\n")
finish()
