import smtplib
import time

from inbox import inbox, raw
from sportello import (Lines, Server, check, connect, contains, everything, exchange, finish, folder, run, same, step,
                       until)

server = Server(folder("sportello-web-"))
PORT = server.mail


class Session(Lines):
    """A session that has said EHLO."""

    def __init__(self, hello=True):
        super().__init__(PORT)
        code, lines = self.reply()
        same(code, 220, lines)
        if hello:
            code, self.extensions = self.ask("EHLO client.example")
            same(code, 250, self.extensions)

    def envelope(self, *recipients):
        same(self.ask("MAIL FROM:<sender@example.org>")[0], 250)
        for recipient in recipients or ("box@example.org",):
            same(self.ask(f"RCPT TO:<{recipient}>")[0], 250)
        same(self.ask("DATA")[0], 354)


def count():
    return len(inbox(server))


def content(text):
    """What a client sends after 354, with line endings and the end."""
    return (text.replace("\n", "\r\n") + "\r\n.\r\n").encode()


with step("the greeting, HELO, EHLO and what it offers"):
    with Session() as session:
        words = {line[4:].split()[0].upper() for line in session.extensions[1:]}
        for extension in ("PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES"):
            check(extension in words, f"{extension} in {words}")
        same(session.ask("NOOP")[0], 250)
        same(session.ask("VRFY someone")[0], 252)
        same(session.ask("HELP")[0], 214)
        same(session.ask("HELO other.example")[0], 250)
        code, lines = session.ask("QUIT")
        same(code, 221)
        check(session.ended(), "QUIT ends it")

with step("a message: 250 names it, the inbox holds it byte for byte below a Received field of ours"):
    with Session() as session:
        session.envelope("one@example.org", "two@example.net")
        session.send(content("From: a@example.org\nSubject: first\n\nHello\n..dot\n.. two\nend"))
        code, lines = session.reply()
        same(code, 250, lines)
        session.ask("QUIT")
    message = inbox(server)[0]
    whole = raw(server, message)
    received, original = whole.split(b"From: a@example.org", 1)
    contains(received.lower(), b"received: from client.example")
    contains(received, b"ESMTP")
    same(original, b"\r\nSubject: first\r\n\r\nHello\r\n.dot\r\n. two\r\nend\r\n", "dots are unstuffed")
    check(str(message["id"]) in lines[-1], f"the reply {lines} names the message {message['id']}")

with step("commands out of order and out of form are refused, and the session goes on"):
    with Session(hello=False) as session:
        same(session.ask("MAIL FROM:<a@b.c>")[0], 503, "before EHLO")
        same(session.ask("EHLO client.example")[0], 250)
        same(session.ask("RCPT TO:<a@b.c>")[0], 503)
        same(session.ask("DATA")[0], 503)
        same(session.ask("MAIL FROM:<>")[0], 250, "the null sender")
        same(session.ask("DATA")[0] // 100, 5, "no recipient yet")
        same(session.ask("MAIL FROM:<a@b.c>")[0], 503, "nested MAIL")
        same(session.ask("RCPT TO:<>")[0] // 100, 5)
        same(session.ask("RCPT TO:<postmaster>")[0], 250, "RFC 5321 §4.5.1")
        same(session.ask("RSET")[0], 250)
        same(session.ask("DATA")[0], 503, "RSET forgets")
    for command, expected, lives in [("EHLO", 501, True), ("EHLO two words", 501, True), ("MAIL", 501, True), ("MAIL FROM:a@b.c", 501, True),
                                     ("MAIL FROM:<a@b", 501, True), ("MAIL FROM:<a b@c.d>", 501, True), ("RCPT TO:<a@@b>", 501, True),
                                     ("MAIL FROM:<a@b.c> NONSENSE=1", 555, True), ("MAIL FROM:<a@b.c> SIZE=x", 501, True),
                                     ("FROB", 500, True), ("", 500, True), ("STARTTLS", 502, True), ("AUTH PLAIN AGEAYg==", 502, True),
                                     ("EXPN list", 502, True), ("TURN", 502, True), ("NO\0OP", 500, True), ("NOOP " + "x" * 2041, 250, True),
                                     ("NOOP " + "x" * 2042, 500, False), ("BDAT 3 LAST", 502, False)]:
        with Session() as session:
            code, lines = session.ask(command)
            same(code, expected, f"{command[:40]!r}: {lines}")
            same(len(lines), 1)
            if lives:
                same(session.ask("NOOP")[0], 250, f"after {command[:40]!r}")
            else:
                check(session.ended(), f"it ends after {command[:40]!r}")

with step("a message whose end could be read in two ways is refused, and nothing after it is taken for commands"):
    smuggled = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<box@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
    before = count()
    for end in ("\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n.\r\r\n", "\n\n.\r\n", "\r\n\x00.\r\n"):
        with Session() as session:
            session.envelope()
            session.send("Subject: outer\r\n\r\nbody" + end + smuggled)
            code, lines = session.reply()
            same(code // 100, 5, f"{end!r}: {lines}")
    same([message["subject"] for message in inbox(server)].count("smuggled"), 0, "a smuggled message")
    same(count(), before, "nothing is stored of a refused message")
    for wrong in ("bare\nLF", "bare\rCR", "ends in CR\r"):
        with Session() as session:
            session.envelope()
            session.send("Subject: x\r\n\r\n" + wrong + "\r\n.\r\n")
            code, lines = session.reply()
            same(code, 550, f"{wrong!r}: {lines}")
            contains(lines[0], "5.5.2")
    same(count(), before)
    with Session() as session:  # a command line that ends in a bare LF
        session.send("NOOP\nNOOP\r\n")
        code, lines = session.reply()
        same(code // 100, 5, lines)

with step("pipelining: a whole dialogue in one write, two messages on one connection"):
    before = count()
    with Session() as session:
        dialogue = ""
        for number in (1, 2):
            session.send(f"MAIL FROM:<p{number}@example.org>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
            same([session.reply()[0] for _ in range(4)], [250, 250, 250, 354])
            session.send(f"Subject: pipelined {number}\r\n\r\nx\r\n.\r\nNOOP\r\n")
            same([session.reply()[0] for _ in range(2)], [250, 250])
    same(sorted(m["subject"] for m in inbox(server)[:2]), ["pipelined 1", "pipelined 2"])
    same(count(), before + 2)

with step("a dialogue that arrives byte by byte is understood the same"):
    with Session() as session:
        for byte in b"MAIL FROM:<slow@example.org>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n":
            session.send(bytes([byte]))
        same([session.reply()[0] for _ in range(3)], [250, 250, 354])
        for byte in b"Subject: slow\r\n\r\n..x\r\n.\r\n":
            session.send(bytes([byte]))
        same(session.reply()[0], 250)
    contains(raw(server, inbox(server)[0]), b"\r\n\r\n.x\r\n")

with step("8-bit text and long lines up to the limit arrive as they are"):
    text = "Subject: eight\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nÈ così: ☕ " + "y" * 900
    with Session() as session:
        same(session.ask("MAIL FROM:<a@example.org> BODY=8BITMIME")[0], 250)
        same(session.ask("RCPT TO:<b@example.org>")[0], 250)
        same(session.ask("DATA")[0], 354)
        session.send(content(text))
        same(session.reply()[0], 250)
    contains(raw(server, inbox(server)[0]), text.replace("\n", "\r\n").encode())

with step("sizes: too large by declaration is refused at MAIL, too large in fact after DATA, and nothing is kept"):
    before = count()
    with Session() as session:
        line = next(line for line in session.extensions if "SIZE" in line.upper())
        limit = int(line.split()[-1])
        check(limit >= 50 << 20, f"at least 50 MiB, not {limit}")
        code, lines = session.ask(f"MAIL FROM:<a@example.org> SIZE={limit + 1}")
        same(code, 552, lines)
        same(session.ask(f"MAIL FROM:<a@example.org> SIZE={limit}")[0], 250, "exactly the limit is allowed")
    with Session() as session:
        same(session.ask("MAIL FROM:<a@example.org>")[0], 250)
        for number in range(10_000):
            code, lines = session.ask(f"RCPT TO:<r{number}@example.org>")
            if code != 250:
                same((code, number), (452, 1000), lines)
                break
        else:
            raise AssertionError("recipients have no bound")
    same(count(), before)

with step("a client that leaves in the middle stores nothing"):
    before = count()
    for end in ("Subject: gone\r\n\r\nhalf", "Subject: gone\r\n\r\n" + "x" * 200_000, ""):
        with Session() as session:
            session.envelope()
            session.send(end)
    with Session() as session:
        session.envelope()
        session.send("Subject: RSET is text within DATA\r\n\r\nRSET\r\nQUIT\r\n.\r\n")
        same(session.reply()[0], 250)
    same(count(), before + 1)
    contains(raw(server, inbox(server)[0]), b"\r\n\r\nRSET\r\nQUIT\r\n")
    until(lambda: not list((server.state / "spool").iterdir()), "the spool is empty again")

with step("too many errors end the session"):
    with Session() as session:
        for number in range(1000):
            try:
                session.send("FROB\r\n")
                code, lines = session.reply()
            except (AssertionError, OSError, ValueError):
                break
            if code == 421:
                break
        else:
            raise AssertionError("a thousand unknown commands were answered")

with step("foreign protocols are sent away with a word"):
    for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\nMAIL FROM:<a@b.c>\r\n"):
        answer = exchange(PORT, request)
        codes = [line[:3] for line in answer.split(b"\r\n") if line]
        same(codes[0], b"220")
        check(len(codes) == 2 and codes[1][:1] in b"45", f"one refusal and the end: {answer[:300]}")
    answer = exchange(PORT, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200))
    check(answer.count(b"\r\n") <= 2, answer[:300])

with step("swaks, as people use it, delivers with attachments"):
    before = count()
    attachment = folder() / "data.bin"
    attachment.write_bytes(bytes(range(256)) * 40)
    result = run("swaks", "--server", f"127.0.0.1:{PORT}", "--from", "s@example.org", "--to", "r@example.org", "--header",
                 "Subject: swaks", "--body", "Hello", "--attach", f"@{attachment}")
    same(result.returncode, 0, result.stdout + result.stderr)
    same(count(), before + 1)

with step("smtplib: several recipients, a refused one among them"):
    with smtplib.SMTP("127.0.0.1", PORT, timeout=20) as client:
        client.ehlo("client.example")
        same(client.sendmail("s@example.org", ["a@example.org", "b@example.org"], "Subject: lib\n\nx"), {})
        same(client.sendmail("s@example.org", ["a@example.org", "not an address"], "Subject: lib2\n\nx").keys(), {"not an address"})

finish()
