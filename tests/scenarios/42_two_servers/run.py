"""Two servers with a domain each, on 127.0.0.2 and 127.0.0.3, exchange mail both ways: names from a real name server, TLS whose
certificates are demanded by MTA-STS, signatures that are verified. One of them is killed again and again meanwhile: nothing is
lost, and what comes twice is what RFC 5321 §6.1 allows, counted."""

import collections
import contextlib
import json
import random
import smtplib
import sqlite3
import ssl
import threading

from nameserver import NameServer
from sportello import BINARY, Server, check, contains, finish, folder, free_ports, run, same, step, until, write

place = folder("sportello-two-")
SEED = random.randrange(1 << 32)
print(f"seed {SEED}")
chance = random.Random(SEED)
mx, policies, submission = free_ports(3)


def openssl(*words):
    done = run("openssl", *words)
    same(done.returncode, 0, done.stderr)


def authority():
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-subj", "/CN=both domains", "-keyout", place / "ca.key", "-out", place / "ca.pem")
    return place / "ca.pem"


def certificate(domain):
    names = ",".join(f"DNS:{name}" for name in (f"mx.{domain}", f"mta-sts.{domain}", domain))
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/O={domain}",
            "-keyout", place / f"{domain}.key", "-out", place / f"{domain}.csr")
    more = write(place / f"{domain}.ext", f"subjectAltName={names}\n")
    openssl("x509", "-req", "-in", place / f"{domain}.csr", "-CA", CA, "-CAkey", place / "ca.key", "-days", "20",
            "-extfile", more, "-out", place / f"{domain}.pem")


CA = authority()


class House:
    """A domain, its server and its one account, ada."""

    def __init__(self, domain, address):
        self.domain, self.address = domain, address
        self.account, self.server, self.kills = f"ada@{domain}", None, 0
        certificate(domain)

    def configure(self, names):
        self.config = write(place / f"{self.domain}.kdl", f"""
address "{self.address}"
state "{place}/{self.domain}"
hostname "mx.{self.domain}"
certificate "{place}/{self.domain}.pem" key="{place}/{self.domain}.key"
resolver "{names.address}"
sending port={mx} policy-port={policies} {{
    allow "127.0.0.0/8"
    source "{self.address}"
    ca-root "{CA}"
}}
channel smtp port={mx} protocol=smtp tls=starttls {{ this-machine like-others; }}
channel submission port={submission} protocol=submission tls=auto
channel web port={policies} protocol=http tls=auto
channel commands port=0 protocol=command address="127.0.0.1"
domain {self.domain} {{
    site {self.domain} {{ respond 200 "hello"; }}
    mail {{
        mta-sts enforce
    }}
}}
""")
        done = run(BINARY, "check", self.config)
        same(done.returncode, 0, done.stdout + done.stderr)

    def start(self):
        self.server = Server(config=self.config)

    def ask(self, *words, stdin=None):
        done = run(BINARY, *words, "--state", place / self.domain, stdin=stdin)
        same(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def records(self):
        """What the world is told of the domain."""
        keys = json.loads(self.ask("dkim", "list", "--json"))
        here = self.address
        lines = [f"@ A {here}", f"mx A {here}", f"mta-sts A {here}", f"@ MX 10 mx.{self.domain}.",
                 f'@ TXT "v=spf1 ip4:{here} -all"', '_dmarc TXT "v=DMARC1; p=reject"',
                 '_mta-sts TXT "v=STSv1; id=1"']
        for key in keys:
            texts = " ".join(f'"{key["record"][at:at + 250]}"' for at in range(0, len(key["record"]), 250))
            lines.append(f"{key['name']}. TXT {texts}")
        return "\n".join(lines)

    def submit(self, number, to):
        """Sends one message; whether it was acknowledged, or the connection broke before anybody could know."""
        text = (f"From: {self.account}\r\nTo: {to}\r\nSubject: number {number}\r\n"
                f"Message-ID: <{number}@{self.domain}>\r\n\r\nHello, this is {number}.\r\n")
        trusting = ssl.create_default_context(cafile=CA)
        trusting.check_hostname = False
        try:
            with smtplib.SMTP_SSL(self.address, submission, context=trusting, timeout=20) as client:
                client.login(self.account, PASSWORD)
                client.sendmail(self.account, [to], text)
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def inbox(self):
        """The messages in ada's Inbox: Message-ID and whole text."""
        base = sqlite3.connect(f"file:{place}/{self.domain}/store.db?mode=ro", uri=True, timeout=10)
        with contextlib.closing(base):
            return base.execute(
                """SELECT m.message_id, b.bytes FROM entry e JOIN message m ON m.id = e.message JOIN body b
                ON b.message = m.id JOIN mailbox x ON x.id = e.mailbox JOIN account a ON a.id = x.account
                WHERE a.address = ? AND x.name = 'Inbox' ORDER BY e.uid""", (self.account,)).fetchall()

    def waiting(self):
        """How many entries are in the queue, 200 at most."""
        return len(json.loads(self.ask("queue", "list", "-n", "200", "--json")))


PASSWORD = "correct horse battery"
org, net = House("example.org", "127.0.0.2"), House("example.net", "127.0.0.3")
# Whoever looks for a policy asks also above a domain.
above = {"org": "", "net": ""}
zones = NameServer({**above, **{house.domain: f"@ A {house.address}" for house in (org, net)}})

with step("two servers start, each with its domain"):
    for house in (org, net):
        house.configure(zones)
        house.start()
        house.ask("account", "add", house.account, "--password-stdin", stdin=PASSWORD + "\n")
        house.ask("dkim", "make", house.domain)
    for house in (org, net):
        zones.set(house.domain, house.records())

with step("a message goes each way over TLS that a policy demands; who sent it is proved three times"):
    for one, other in ((org, net), (net, org)):
        check(one.submit("first", other.account), "it is taken")
        until(other.inbox, f"it arrives; the queue: {one.ask('queue', 'list')}; {one.server.stderr()[-500:]}")
        ((_, text),) = other.inbox()
        text = text.decode()
        for piece in ("spf=pass", "dkim=pass", "dmarc=pass", "TLSv1.3", f"Authentication-Results: mx.{other.domain}"):
            contains(text, piece)
        until(lambda: one.waiting() == 0, "the queue is empty")

MESSAGES, KILLS = 200, 6
tries = collections.Counter()


def submit_all(one, other):
    for number in range(MESSAGES):
        def is_taken():
            tries[one.domain, number] += 1
            return one.submit(number, other.account)

        until(is_taken, f"{one.domain} takes message {number}", 60)


def arrived(one, other):
    """Of what `one` sent: for each number, the queue ids by which it was handed over, one for each copy."""
    copies = collections.defaultdict(list)
    for message, text in other.inbox():
        number = message.strip("<>").split("@")[0]
        if number.isdigit():
            hops = [line for line in text.decode().splitlines() if "with ESMTPSA id" in line]
            copies[int(number)].append(hops[0].split("id ")[1])
    return copies


with step(f"{net.domain} is killed {KILLS} times while {MESSAGES} messages go each way, and none is lost"):
    threads = [threading.Thread(target=submit_all, args=pair) for pair in ((org, net), (net, org))]
    for thread in threads:
        thread.start()
    while net.kills < KILLS:
        # The moment is chosen by chance: that is what is tried here.
        threading.Event().wait(chance.uniform(0.05, 0.8))
        net.server.kill()
        net.kills += 1
        net.start()
    for thread in threads:
        thread.join()

    def is_over():
        # What met a dead server waits for its next try; the wait is not what is proved here.
        for house in (org, net):
            if house.waiting():
                run(BINARY, "queue", "retry", "--all", "--state", place / house.domain)
        return org.waiting() == net.waiting() == 0

    until(is_over, f"both queues are empty: {org.ask('queue', 'list')} {net.ask('queue', 'list')}", 60)
    for one, other in ((org, net), (net, org)):
        same(sorted(arrived(one, other)), list(range(MESSAGES)), f"what {one.domain} sent")

with step("what came twice is what RFC 5321 §6.1 allows"):
    for one, other in ((org, net), (net, org)):
        resubmitted = resent = 0
        for number, ids in arrived(one, other).items():
            # A client that did not read the answer sends again: another id. So does a server: the same id.
            resubmitted += len(set(ids)) - 1
            resent += len(ids) - len(set(ids))
            check(len(set(ids)) <= tries[one.domain, number], f"{number}: {ids} from {tries[one.domain, number]} tries")
            check(len(ids) - len(set(ids)) <= KILLS, f"{number} came as {ids}")
        print(f"     {one.domain} → {other.domain}: {resubmitted} twice as its client read no answer, "
              f"{resent} as a server read none")
finish()
