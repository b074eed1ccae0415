"""Mail comes in from files and goes out to files: with flags and dates, nothing twice, through every kill."""

import json
import mailbox
import os
import random
import signal
import subprocess
import time

from sportello import BINARY, Server, check, contains, finish, folder, run, same, step, until

SEED = int(os.environ.get("IMPORT_SEED", "4711"))
MANY = int(os.environ.get("IMPORT_MESSAGES", "3000"))
LARGEST = 256 << 20
choice = random.Random(SEED)
work = folder("sportello-import-")
web = folder("sportello-web-")
state = folder("sportello-state-")
server = Server(web, state=state)


def sportello(*words):
    return run(BINARY, *words, seconds=120)


def take(*words, code=0):
    """An import's report."""
    result = sportello("mail", "import", "--json", "--state", state, *words)
    same(result.returncode, code, result.stdout + result.stderr)
    return json.loads(result.stdout)


def both(report, imported, already):
    same((report["imported"], report["already"]), (imported, already))


def save(*words):
    result = sportello("mail", "export", "--json", "--state", state, *words)
    same(result.returncode, 0, result.stderr)
    return json.loads(result.stdout)


def text(number, size=200):
    lines = "".join(f"line {line} of {number}\n" for line in range(size // 20))
    return (f"Return-Path: <sender{number}@example.org>\nFrom: Sender <sender{number}@example.org>\nSubject: message {number}\n"
            f"Message-ID: <{number}@example.org>\n\nFrom the first line\n>From the second\n{lines}").encode()


def crlf(content):
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def tree(path):
    """What a Maildir holds, by Python: for each folder the bytes, flags and milliseconds of its messages."""
    def one(maildir):
        found = []
        for key, message in maildir.iteritems():
            file = os.path.join(maildir._path, maildir._lookup(key))
            with open(file, "rb") as bytes_:
                found.append((bytes_.read(), "".join(sorted(message.get_flags())), os.stat(file).st_mtime_ns // 1_000_000))
        return sorted(found)
    root = mailbox.Maildir(path, create=False)
    return {"": one(root), **{name: one(root.get_folder(name)) for name in root.list_folders()}}


for name in ("alice", "bob", "carol", "dave", "erin"):
    same(sportello("account", "add", f"{name}@example.org", "--no-password", "--state", state).returncode, 0, name)

source = work / "Maildir"
FLAGS = ["", "S", "FS", "RS", "DFRST", "T"]
with step("a Maildir that Python wrote: every message with its flags, its date and its folder"):
    maildir = mailbox.Maildir(source)
    expected = {"": [], "Archive.2024": [], "Entw&APw-rfe": []}
    for number in range(60):
        place = [maildir, *(maildir.add_folder(name) for name in list(expected)[1:])][number % 3]
        content = text(7 if number == 10 else number, 1 << 20 if number == 8 else 200)
        message = mailbox.MaildirMessage(content)
        flags = FLAGS[number % len(FLAGS)]
        message.set_flags(flags)
        message.set_subdir("cur" if flags else "new")
        key = place.add(message)
        file = os.path.join(place._path, place._lookup(key))
        milliseconds = 1_600_000_000_123 + number * 1000
        os.utime(file, ns=(0, milliseconds * 1_000_000))
        with open(file, "rb") as written:
            expected[list(expected)[number % 3]].append((crlf(written.read()), flags, milliseconds))
    report = take("alice@example.org", source)
    same((report["imported"], report["already"], report["failures"]), (60, 0, []))
    out = work / "alice"
    same(save("alice@example.org", out)["messages"], 60)
    found = tree(out)
    for name, messages in expected.items():
        same(found[name], sorted(messages), name)
    same([name for name in os.listdir(out / "tmp")], [])

with step("nothing twice: from the Maildir, from what was exported, and after its owner moved and read messages"):
    both(take("alice@example.org", source), 0, 60)
    both(take("alice@example.org", out), 0, 60)
    for entry in os.listdir(source / "new"):
        os.rename(source / "new" / entry, source / "cur" / f"{entry}:2,S")
    maildir.add(text(1000))
    both(take("alice@example.org", source), 1, 60)
    said = save("alice@example.org", out)
    same((said["messages"], said["kept"]), (1, 60))

with step("what was exported, imported into an empty account, is the same byte for byte"):
    same(take("bob@example.org", out)["imported"], 61)
    save("bob@example.org", work / "bob")
    same(tree(work / "bob"), tree(out))

with step("mbox files: Python reads them with their flags, and they come back byte for byte"):
    boxes = work / "boxes"
    same(save("alice@example.org", "--format", "mbox", boxes)["messages"], 61)
    letters = {"R": "S", "A": "R", "F": "F", "D": "T", "T": "D"}
    for file, name in [("Inbox.mbox", ""), ("Archive.2024.mbox", "Archive.2024"), ("Entw&APw-rfe.mbox", "Entw&APw-rfe")]:
        read = list(mailbox.mbox(boxes / file))
        flags = sorted("".join(sorted(letters[letter] for letter in message.get_flags() if letter != "O")) for message in read)
        same(flags, sorted(each[1] for each in tree(out)[name]), file)
    result = sportello("mail", "export", "--state", state, "alice@example.org", "--format", "mbox", boxes)
    check(result.returncode == 1 and "there already" in result.stderr, result.stderr)
    same(take("carol@example.org", boxes)["imported"], 61)
    save("carol@example.org", work / "carol")
    whole = lambda path: {name: sorted((content, flags, time_ // 1000) for content, flags, time_ in messages)
                          for name, messages in tree(path).items()}
    same(whole(work / "carol"), whole(out))
    same(take("carol@example.org", boxes)["imported"], 0)

with step("an mbox file that Python wrote, into one mailbox; deleted mail stays away unless it is wanted again"):
    box = mailbox.mbox(work / "old.mbox")
    for number in range(20):
        message = mailbox.mboxMessage(text(2000 + number))
        message.set_from(f"sender{number}@example.org", time.gmtime(1_500_000_000 + number))
        message.set_flags(FLAGS[number % 3].replace("S", "RO"))
        box.add(message)
    box.flush()
    same(take("dave@example.org", "--mailbox", "Old/2017", work / "old.mbox")["imported"], 20)
    save("dave@example.org", "--mailbox", "Old/2017", work / "dave")
    found = tree(work / "dave")[""]
    same(sorted(each[2] for each in found), [(1_500_000_000 + number) * 1000 for number in range(20)])
    same(sorted(each[1] for each in found), sorted(FLAGS[number % 3] for number in range(20)))
    check(all(b"Status:" not in content for content, _, _ in found), "its fields for flags are no part of a message")
    same(take(work / "old.mbox")["imported"], 20)  # into what is caught
    same(server.api("/api/v1/messages?limit=1")["total"], 20)
    caught = json.loads(sportello("call", "--state", state, "MAIL", "LIST", "200", "JSON").stdout)
    sportello("call", "--state", state, "MAIL", "DELETE", *(each["id"] for each in caught))
    same(server.api("/api/v1/messages?limit=1")["total"], 0)
    both(take(work / "old.mbox"), 0, 20)
    both(take("--again", work / "old.mbox"), 20, 0)
    both(take("--again", work / "old.mbox"), 0, 20)

with step("somebody's Maildir leads nowhere else; what cannot be taken is named, the rest is taken"):
    theirs = work / "theirs"
    mailbox.Maildir(theirs).add(text(3000))
    secret = work / "secret"
    secret.write_bytes(text(3001))
    os.symlink(secret, theirs / "cur" / "1.link:2,")
    os.mkfifo(theirs / "new" / "2.pipe")
    os.symlink(source, theirs / ".Leak")
    os.makedirs(theirs / ".a..b" / "cur")
    with open(theirs / "new" / "3.large", "wb") as large:
        large.truncate(LARGEST + 1)
    report = take("dave@example.org", theirs, code=1)
    same((report["imported"], report["failed"]), (1, 5))
    same(sorted(each["what"].rsplit("/", 1)[1] for each in report["failures"]), [".Leak", ".a..b", "1.link:2,", "2.pipe", "3.large"])
    result = sportello("mail", "import", "--state", state, "dave@example.org", theirs)
    same(result.returncode, 1)
    contains(result.stderr, "3.large: too large")
    for words in [("nobody@example.org", theirs), ("dave@example.org", work / "nothing"), ("dave@example.org", web)]:
        check(sportello("mail", "import", "--state", state, *words).returncode == 1, words)
    result = sportello("mail", "import", "--server", f"127.0.0.1:{server.commands}", "dave@example.org", theirs)
    check(result.returncode == 1 and "socket" in result.stderr, result.stderr)
    result = sportello("call", "--server", f"127.0.0.1:{server.commands}", "MAILBOX", "LIST", "dave@example.org")
    check(result.returncode == 1 and "NOPERM" in result.stderr, result.stderr)

with step("what accounts have is not read over a channel"):
    page = json.loads(sportello("call", "--state", state, "MAILBOX", "PAGE", "2", "0").stdout)
    number = str(page[0]["id"])
    contains(sportello("call", "--state", state, "MAIL", "READ", number, "RAW").stdout, "Subject: message")
    for words in [("MAIL", "READ", number), ("MAIL", "READ", number, "RAW")]:
        result = sportello("call", "--server", f"127.0.0.1:{server.commands}", *words)
        check(result.returncode == 1 and "there is no message" in result.stderr, result.stderr)

with step(f"killed again and again, by server and by client: each of {MANY} messages exactly once"):
    many = mailbox.Maildir(work / "many")
    for number in range(MANY):
        # Some are equal.
        many.add(text(number if number % 50 else 0))
    words = [BINARY, "mail", "import", "--json", "--state", str(state), "erin@example.org", str(work / "many")]

    def there():
        listed = sportello("call", "--state", state, "MAILBOX", "LIST", "erin@example.org")
        return sum(each["messages"] for each in json.loads(listed.stdout)) if listed.returncode == 0 else 0

    rounds = 6
    for turn in range(rounds):
        aim = MANY * turn // rounds + choice.randrange(1, MANY // rounds)
        importing = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: there() >= aim or importing.poll() is not None, f"{aim} messages are there")
        if turn % 2:
            server.kill()
            check(importing.wait(60) != 0 or there, "it says that it was interrupted")
            server = Server(web, state=state)
        else:
            importing.send_signal(signal.SIGKILL)
            importing.wait(60)
    report = take("erin@example.org", work / "many")
    same(report["imported"] + report["already"], MANY)
    check(report["already"] > 0, "some were there")
    same(there(), MANY)
    save("erin@example.org", work / "erin")
    same(sorted(content for content, _, _ in tree(work / "erin")[""]), sorted(crlf(text(n if n % 50 else 0)) for n in range(MANY)))
    both(take("erin@example.org", work / "many"), 0, MANY)

server.stop()
finish()
