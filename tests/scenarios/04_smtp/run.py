import contextlib
import smtplib
import socket
import threading

from inbox import inbox, raw
from sportello import (BINARY, Lines, Server, check, contains, exchange, finish, folder, resident, run, same, step,
                       until, write)

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
        words = [line[4:].split()[0] for line in session.extensions[1:]]
        same(words, ["PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "LIMITS", "ENHANCEDSTATUSCODES"],
             "what is built, and nothing else")
        contains(session.extensions[7], "LIMITS MAILMAX=100000 RCPTMAX=1000 RCPTDOMAINMAX=1000")
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
                                     ("NOOP " + "x" * 2042, 500, False), ("BDAT -1 LAST", 501, False), ("BDAT 99999999999999999999", 552, False),
                                     ("ETRN example.org", 502, True), ("SEND FROM:<a@b.c>", 502, True), ("XCLIENT ADDR=127.0.0.1", 502, True),
                                     ("RCPT TO:<a@b.c> NOTIFY=NEVER", 555, True), ("MAIL FROM:<a@b.c> RET=FULL", 555, True),
                                     ("MAIL FROM:<a@b.c> SIZE=1 SIZE=1", 501, True), ("MAIL FROM:<a@b.c> SIZE=99999999999999999999", 552, True),
                                     ("MAIL FROM:<\u00e4@b.c>", 553, True), ("NOOP \u00e4", 500, True)]:
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

def is_refused(text, code, what):
    """One message on a session of its own is answered with this one reply, and the session is still in step."""
    with Session() as session:
        session.envelope()
        session.send(text)
        found, lines = session.reply()
        same((found, len(lines)), (code, 1), f"{what}: {lines}")
        same(session.ask("NOOP")[0], 250, f"after {what}")


with step("an end of DATA that comes in two packets, cut at each of its bytes, is the same end"):
    before = count()
    end = b"\r\n.\r\nNOOP\r\n"
    with Session() as session:
        for cut in range(len(end) + 1):
            session.envelope()
            session.send(b"Subject: cut\r\n\r\nx" + end[:cut])
            session.send(end[cut:])
            same([session.reply()[0] for _ in range(2)], [250, 250], f"cut at {cut}")
    same(count(), before + len(end) + 1)

with step("dots: one, two or three at the start of a line, and dots alone"):
    with Session() as session:
        session.envelope()
        session.send(b"Subject: dots\r\n\r\n.one\r\n..two\r\n...three\r\n..\r\n...\r\n....\r\n.\r\n")
        same(session.reply()[0], 250)
    contains(raw(server, inbox(server)[0]), b"\r\n\r\none\r\n.two\r\n..three\r\n.\r\n..\r\n...\r\n")

with step("each way to end DATA that another server takes: one refusal with its code, no second message, the session goes on"):
    before = count()
    for end, code in (("\n.\n", 550), ("\n.\r\n", 550), ("\r\n.\n", 550), ("\r.\r", 550), ("\r.\r\n", 550), ("\r\n.\r", 550),
                      ("\r\n.\r\r\n", 550), ("\r\r\n.\r\r\n", 550), ("\n\n.\n\n", 550), ("\n\r.\n\r", 550), ("\r\n\x00.\r\n", 550),
                      ("\r\n.\x00\r\n", 550)):
        is_refused("Subject: outer\r\n\r\nbody" + end + smuggled, code, repr(end))
    is_refused("Received: x\r\n" * 101 + "\r\n.\r\n", 554, "a loop")
    is_refused("x" * (1 << 20) + "\r\n.\r\n", 554, "a line beyond 1 MiB")
    same(count(), before)

with step("CHUNKING: a message in chunks, pipelined and empty ones, two messages on one session"):
    before = count()
    with Session() as session:
        session.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nBDAT 18\r\nSubject: chunked\r\nBDAT 8\r\n\r\n.\r\nQUIBDAT 3 LAST\r\nT\r\n")
        same([session.reply()[0] for _ in range(4)], [250, 250, 250, 250])
        code, lines = session.reply()
        same(code, 250)
        contains(lines[0], "queued as")
        session.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nBDAT 14 LAST\r\nSubject: two\r\nNOOP\r\n")
        same([session.reply()[0] for _ in range(4)], [250, 250, 250, 250])
    same(count(), before + 2)
    contains(raw(server, inbox(server)[1]), b"Subject: chunked\r\n\r\n.\r\nQUIT\r\n")

with step("CHUNKING: LAST twice, mixed with DATA, out of order, too large, cut off: nothing of it is stored or taken for a command"):
    before = count()
    trap = "MAIL FROM:<evil@example.org>\r\n"
    with Session() as session:
        session.send(f"BDAT {len(trap)}\r\n{trap}")
        same(session.reply()[0], 503, "before MAIL")
        same(session.ask("MAIL FROM:<a@example.org>")[0], 250)
        session.send(f"BDAT {len(trap)} LAST\r\n{trap}")
        same(session.reply()[0], 554, "without a recipient")
        same(session.ask("RCPT TO:<b@example.org>")[0], 250)
        session.send("BDAT 3\r\nx\r\n")
        same(session.reply()[0], 250)
        same(session.ask("DATA")[0], 503, "DATA behind BDAT")
        same(session.ask("RSET")[0], 250)
        session.send(f"BDAT {len(trap)} LAST\r\n{trap}")
        same(session.reply()[0], 503, "RSET forgets")
        session.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nBDAT 6\r\na\nb\r\n.")
        session.send(f"BDAT {len(trap)} LAST\r\n{trap}")
        same([session.reply()[0] for _ in range(4)], [250, 250, 550, 503], "a bare LF, and the chunk that was sent behind it")
        same(session.ask("NOOP")[0], 250)
    same(count(), before)
    for chunks in ("BDAT 3\r\nabc", "BDAT 300000 LAST\r\n" + "x" * 200_000, "BDAT 0\r\n"):
        with Session() as session:
            session.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n" + chunks)
            same([session.reply()[0] for _ in range(2)], [250, 250])
    with Session() as session:
        session.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nBDAT 5 LAST\r\nonce\nBDAT 5 LAST\r\ntwice")
        same([session.reply()[0] for _ in range(4)], [250, 250, 550, 503])
    until(lambda: not list((server.state / "spool").iterdir()), "the spool is empty again")
    same(count(), before)

with step("BINARYMIME: any octet behind the header, by BDAT only"):
    body = bytes(range(256)) * 300
    head = b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    with Session() as session:
        session.send("MAIL FROM:<a@example.org> BODY=BINARYMIME\r\nRCPT TO:<b@example.org>\r\n")
        same([session.reply()[0] for _ in range(2)], [250, 250])
        same(session.ask("DATA")[0], 503)
        session.send(f"BDAT {len(head) + len(body)} LAST\r\n".encode() + head + body)
        same(session.reply()[0], 250)
    check(raw(server, inbox(server)[0]).endswith(head + body), "every octet is there")

with step("SMTPUTF8: addresses and header outside ASCII, only where it was asked for"):
    with Session() as session:
        same(session.ask("MAIL FROM:<p\u00e4ivi@b\u00fccher.example> SMTPUTF8")[0], 250)
        same(session.ask("RCPT TO:<\u7528\u6237@\u4f8b\u5b50.example>")[0], 250)
        same(session.ask("DATA")[0], 354)
        session.send(content("Subject: gr\u00fcn\n\nx"))
        same(session.reply()[0], 250)
        same(session.ask("MAIL FROM:<a@example.org>")[0], 250)
        same(session.ask("RCPT TO:<\u7528\u6237@example.org>")[0], 553)
    message = inbox(server)[0]
    same(message["subject"], "gr\u00fcn")
    contains(raw(server, message), "with UTF8SMTP id".encode())
    contains(raw(server, message), "for <\u7528\u6237@\u4f8b\u5b50.example>;".encode())

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

def flood(command, answered, code, last):
    """A command again and again, all sent at once: so many answers of one code, then the last word and the end."""
    with Session() as session:
        session.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n")
        same([session.reply()[0] for _ in range(2)], [250, 250])
        pour = threading.Thread(target=pour_out, args=(session.socket, (command + "\r\n").encode() * 10_000))
        pour.start()
        codes = [session.reply()[0] for _ in range(answered + 1)]
        same(codes, [code] * answered + [421], f"{command}: {last}")
        check(session.ended(), f"it ends after a flood of {command}")
        pour.join()


def pour_out(connection, data):
    with contextlib.suppress(OSError):
        connection.sendall(data)


with step("floods of 10,000: unknown commands, NOOP, RSET, RCPT beyond the limit, tiny chunks: each ends at its bound, and memory stays"):
    before = resident(server.pid)
    flood("FROB", 20, 500, "errors")
    flood("NOOP", 998, 250, "EHLO, MAIL and these make 1,000")
    flood("EHLO", 20, 501, "errors")
    with Session() as session:
        session.send("MAIL FROM:<a@example.org>\r\n")
        same(session.reply()[0], 250)
        threading.Thread(target=pour_out, args=(session.socket, b"RCPT TO:<b@example.org>\r\n" * 10_000), daemon=True).start()
        codes = [session.reply()[0] for _ in range(1_000 + 999)]
        same(codes, [250] * 1_000 + [452] * 998 + [421], "1,000 are taken; those beyond count as idle")
    check(resident(server.pid) < before + 20_000, "memory stays within its bound")

with step("a client that pours out commands and reads no reply is not read any further; memory stays, and others are served"):
    before = resident(server.pid)
    with Session() as deaf:
        deaf.socket.settimeout(1)
        transaction = b"MAIL FROM:<a@example.org>\r\n" + b"RCPT TO:<b@example.org>\r\n" * 1_000 + b"RSET\r\n"
        try:
            deaf.socket.sendall(transaction * 499)
            raise AssertionError("12 MiB of commands are read though nobody reads the 7 MiB of replies")
        except TimeoutError:
            pass
        with Session() as other:
            same(other.ask("NOOP")[0], 250)
        check(resident(server.pid) < before + 10_000, "replies that nobody reads do not pile up")

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

with step("sportello send: in one chunk, with an address outside ASCII, and a text of dots and long lines"):
    text = ".\n..\n" + "z" * 5_000 + "\n.\n"
    result = run(BINARY, "send", "--server", f"127.0.0.1:{PORT}", "--from", "s@example.org", "--to", "\u7528\u6237@example.org", "--subject", "chunk",
                 stdin=text)
    same(result.returncode, 0, result.stdout + result.stderr)
    contains(raw(server, inbox(server)[0]), "for <\u7528\u6237@example.org>".encode())

with step("smtplib: several recipients, a refused one among them"):
    with smtplib.SMTP("127.0.0.1", PORT, timeout=20) as client:
        client.ehlo("client.example")
        same(client.sendmail("s@example.org", ["a@example.org", "b@example.org"], "Subject: lib\n\nx"), {})
        same(client.sendmail("s@example.org", ["a@example.org", "not an address"], "Subject: lib2\n\nx").keys(), {"not an address"})

strict_state = folder("sportello-strict-")
strict = Server(strict_state, config=write(strict_state / "sportello.kdl", f'''
state "{strict_state}/state"
channel mail port=0 protocol=smtp {{
    this-machine like-others
    greet-delay "200ms"
    per-minute connections=6 messages=3 recipients=4 failures=3
    unfinished "1MiB"
    message-size "1MiB"
}}
channel desk port=0 protocol=http {{ desk }}
domain "*" {{ mail {{ capture }} }}
'''))


def strict_session():
    session = Lines(strict.mail)
    same(session.reply()[0], 220)
    same(session.ask("HELO client.example")[0], 250)
    return session


with step("a client that is treated as a stranger: it waits for the greeting, or is refused with nothing stored"):
    early = b"HELO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: early\r\n\r\nx\r\n.\r\n"
    same(exchange(strict.mail, early), b"554 5.5.1 Error: a client waits for the greeting before it speaks\r\n")
    same(len(inbox(strict)), 0)

with step("a stranger's messages, recipients, errors, disk and connections: each at its limit and one beyond"):
    with strict_session() as one, strict_session() as two:
        same(one.ask("MAIL FROM:<a@example.org> SIZE=1048576")[0], 250, "the largest message always fits")
        code, lines = two.ask("MAIL FROM:<a@example.org> SIZE=100000")
        same((code, lines[0][:9]), (452, "452 4.3.1"), lines)
        for number in range(4):
            same((one, two)[number % 2].ask("RCPT TO:<b@example.org>")[0], (250, 452)[number % 2], "two was put off")
        same([one.ask("RCPT TO:<b@example.org>")[0] for _ in range(3)], [250, 250, 450])
        same(one.ask("DATA")[0], 354)
        one.send(content("Subject: strange\n\nx"))
        same(one.reply()[0], 250)
        same(two.ask("MAIL FROM:<a@example.org>")[0], 250, "the third message, counted over all sessions")
        code, lines = one.ask("MAIL FROM:<a@example.org>")
        same(code, 450)
        contains(lines[0], "4.7.1 Error: too many messages from your address, try again in ")
        same([one.ask("FROB")[0] for _ in range(2)], [500, 500])
        same(two.ask("FROB")[0], 500, "the third error, of those of all sessions")
        same(two.ask("FROB")[0], 500)
        code, lines = two.reply()
        same(code, 421)
        contains(lines[0], "4.7.1 Error: too many errors from your address")
        check(two.ended(), "and it is over")
        same(one.ask("NOOP")[0], 250, "the other session goes on")
    for number in range(3):
        strict_session().close()
    contains(exchange(strict.mail, b""), b"421 4.7.1 Error: too many connections from your address, try again in ")
    same(len(inbox(strict)), 1)

finish()
