"""Accounts send mail: swaks and Python's smtplib log in over TLS, SCRAM is spoken with a second implementation; nobody sends as
somebody else, nobody sends without a name, and what is sent reaches mailboxes here and the queue for elsewhere."""

import base64
import smtplib
import sqlite3
import ssl

import scramp
from sportello import BINARY, Server, check, contains, finish, folder, refusing_port, run, same, step, write

place = folder("sportello-submission-")
config = write(place / "sportello.kdl", f"""
state "{place}/state"
hostname mx.example.org
// Nobody answers there, so what goes elsewhere waits.
resolver "127.0.0.1:{refusing_port()}"
channel submissions port=0 protocol=submission tls=local
channel submission port=0 protocol=submission tls=starttls
channel mail port=0 protocol=smtp
domain example.org {{
    mail {{
        alias sales to="alice@example.org"
    }}
}}
domain staging.example {{ mail {{ capture outgoing; }}; }}
""")
server = Server(config=config)
ports = server.ports
trusting = ssl.create_default_context()
trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE


def account(address, password):
    done = run(BINARY, "account", "add", address, "--password-stdin", "--state", place / "state", stdin=password + "\n")
    same(done.returncode, 0, done.stdout + done.stderr)


def at_once():
    return smtplib.SMTP_SSL("127.0.0.1", ports["submissions"], context=trusting, timeout=20)


def asked():
    client = smtplib.SMTP("127.0.0.1", ports["submission"], timeout=20)
    client.ehlo()
    check(not client.has_extn("auth"), "no password is asked for before TLS")
    same(client.docmd("AUTH", "PLAIN " + base64.b64encode(b"\0alice@example.org\0correct horse").decode())[0], 538)
    same(client.docmd("MAIL", "FROM:<alice@example.org>")[0], 530)
    client.starttls(context=trusting)
    client.ehlo()
    return client


with step("accounts are made"):
    account("alice@example.org", "correct horse")
    account("bob@example.org", "battery staple")
    account("eve@staging.example", "staple battery")

with step("smtplib logs in over both ports, by PLAIN and by LOGIN"):
    for reach in (at_once, asked):
        for mechanism in ("PLAIN", "LOGIN"):
            with reach() as client:
                client.ehlo()
                contains(client.esmtp_features["auth"], mechanism)
                client.user, client.password = "alice@example.org", "correct horse"
                code, _ = client.auth(mechanism, getattr(client, "auth_" + mechanism.lower()))
                same(code, 235)
                refused = client.sendmail("alice@example.org", ["bob@example.org"],
                                          f"Subject: {reach.__name__} {mechanism}\r\nBcc: x@y\r\n\r\nHello\r\n")
                same(refused, {})


def scram(client, name, password):
    """The code of the last reply."""
    other = scramp.ScramClient(["SCRAM-SHA-256"], name, password)
    code, challenge = client.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(other.get_client_first().encode()).decode())
    same(code, 334)
    other.set_server_first(base64.b64decode(challenge).decode())
    code, challenge = client.docmd(base64.b64encode(other.get_client_final().encode()).decode())
    if code == 334:
        other.set_server_final(base64.b64decode(challenge).decode())  # raises where the server does not know the password
        code, _ = client.docmd("")
    return code


with step("SCRAM-SHA-256 of scramp is understood, and who has another password is not"):
    with at_once() as client:
        client.ehlo()
        same(scram(client, "alice@example.org", "wrong horse"), 535)
        same(scram(client, "nobody@example.org", "correct horse"), 535)
        same(scram(client, "alice@example.org", "correct horse"), 235)
        same(client.docmd("AUTH", "PLAIN")[0], 503)
        same(client.sendmail("alice@example.org", ["sales@example.org"], "Subject: by SCRAM\r\n\r\nHello\r\n"), {})

with step("swaks sends over both ports"):
    for port, words in (("submissions", ["--tls-on-connect"]), ("submission", ["--tls"])):
        for mechanism in ("PLAIN", "LOGIN"):
            done = run("swaks", "--server", f"127.0.0.1:{ports[port]}", *words, "--auth", mechanism, "--auth-user",
                       "bob@example.org", "--auth-password", "battery staple", "--from", "bob@example.org", "--to",
                       "alice@example.org,carol@elsewhere.example", "--header", f"Subject: swaks {port} {mechanism}")
            same(done.returncode, 0, done.stdout + done.stderr)
            contains(done.stdout, "250 2.0.0 Ok: queued as ")

with step("what a staging domain sends elsewhere is caught"):
    with at_once() as client:
        client.login("eve@staging.example", "staple battery")
        same(client.sendmail("eve@staging.example", ["carol@elsewhere.example"], "Subject: staged\r\n\r\nHello\r\n"), {})

with step("every refusal"):
    with at_once() as client:
        client.ehlo()
        same(client.docmd("MAIL", "FROM:<alice@example.org>")[0], 530)
        for name, password in (("alice@example.org", "battery staple"), ("nobody@example.org", "correct horse")):
            try:
                client.login(name, password)
                check(False, "a wrong password is refused")
            except smtplib.SMTPAuthenticationError as error:
                same((error.smtp_code, error.smtp_error), (535, b"5.7.8 Error: name or password is wrong"))
    with at_once() as client:
        client.login("alice@example.org", "correct horse")
        same(client.docmd("MAIL", "FROM:<bob@example.org>")[0], 553)
        same(client.docmd("MAIL", "FROM:<alice@elsewhere.example>")[0], 553)
        same(client.docmd("MAIL", "FROM:<alice+list@example.org>")[0], 250)
        client.rset()
        same(client.docmd("MAIL", "FROM:<sales@example.org>")[0], 250)
        same(client.docmd("RCPT", "TO:<nobody@example.org>")[0], 550)
        same(client.docmd("RCPT", "TO:<anybody@elsewhere.example> NOTIFY=SUCCESS ORCPT=rfc822;x@y")[0], 250)
        client.rset()
        for header, code in (("From: bob@example.org\r\n", 553),
                             ("From: bob@example.org <alice@example.org>\r\n", 550),
                             ("From: alice@example.org, bob@example.org\r\n", 553),
                             ("From: alice@example.org\r\nFrom: bob@example.org\r\n", 550),
                             ("From: alice@example.org\r\nno field\r\n", 550)):
            try:
                client.sendmail("alice@example.org", ["bob@example.org"], header + "Subject: forged\r\n\r\nHello\r\n")
                check(False, f"{header!r} is refused")
            except smtplib.SMTPDataError as error:
                same(error.smtp_code, code, header)

with step("port 25 takes mail for those who are here, and sends none on"):
    with smtplib.SMTP("127.0.0.1", ports["mail"], timeout=20) as client:
        client.ehlo("client.elsewhere.example")
        check(not client.has_extn("auth"), "nobody logs in there")
        same(client.docmd("MAIL", "FROM:<x@elsewhere.example>")[0], 250)
        for recipient, code in (("bob@example.org", 250), ("nobody@example.org", 550), ("x@elsewhere.example", 550),
                                ("x%elsewhere.example@example.org", 550), ("@example.org:x@elsewhere.example", 550)):
            same(client.docmd("RCPT", f"TO:<{recipient}>")[0], code, recipient)
        code, _ = client.data("Subject: from elsewhere\r\n\r\nHello\r\n")
        same(code, 250)

server.stop()

with step("all of it is where it belongs, with what it lacked and without Bcc"):
    base = sqlite3.connect(f"file:{place}/state/store.db?mode=ro", uri=True)
    kept = """SELECT m.subject, b.bytes FROM entry e JOIN message m ON m.id = e.message JOIN body b ON b.message = m.id
        JOIN mailbox x ON x.id = e.mailbox JOIN account a ON a.id = x.account WHERE a.address = ? AND x.name = 'Inbox'
        ORDER BY e.uid"""
    of_bob = base.execute(kept, ("bob@example.org",)).fetchall()
    same([subject for subject, _ in of_bob],
         ["at_once PLAIN", "at_once LOGIN", "asked PLAIN", "asked LOGIN", "from elsewhere"])
    of_alice = base.execute(kept, ("alice@example.org",)).fetchall()
    same(sorted(subject for subject, _ in of_alice),
         ["by SCRAM", "swaks submission LOGIN", "swaks submission PLAIN", "swaks submissions LOGIN",
          "swaks submissions PLAIN"])
    text = of_bob[0][1].decode()
    for piece in (" with ESMTPSA id ", "\r\nFrom: alice@example.org\r\n", "\r\nDate: ", "\r\nMessage-ID: <"):
        contains(text, piece)
    check("Bcc" not in text, "Bcc is not sent")
    caught = "SELECT m.subject FROM entry e JOIN message m ON m.id = e.message WHERE e.mailbox = 1"
    same(base.execute(caught).fetchall(), [("staged",)])
    (destination,) = base.execute("SELECT name FROM queue_destination").fetchall()
    same(destination, ("elsewhere.example",))
    base.close()
finish()
