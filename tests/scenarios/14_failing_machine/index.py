"""Damage to the search index of a running server, and what may come of it: nothing but a while without an index."""

import os
import urllib.parse
from pathlib import Path

from inbox import all_messages, inbox, raw
from seam import send
from sportello import Http, Lines, check, same, until

PAGE = 4096


def damage(state, name, choice):
    """Damages the index in a state folder, which may be in the making at this moment."""

    def done():
        try:
            DAMAGES[name](state / "search.db", choice)
        except FileNotFoundError:
            return False
        return True

    until(done, f"{name}: there is an index")


def is_open(server):
    """Whether the index in the state folder is the one that the server has open: of one that was removed or replaced it knows nothing."""
    path = server.state / "search.db"
    try:
        return any(path.samefile(each) for each in Path(f"/proc/{server.pid}/fd").iterdir() if each.exists())
    except FileNotFoundError:
        return False


def overwrite(path, choice, first=0, share=1.0):
    """Pages from `first` on, this share of them, with zeros or with letters, in the file as it is open elsewhere."""
    if not path.exists():
        return
    page = choice.choice([b"\0", b"Z"]) * PAGE
    with open(path, "r+b", buffering=0) as file:
        for number in range(first, os.fstat(file.fileno()).st_size // PAGE):
            if choice.random() < share:
                os.pwrite(file.fileno(), page, number * PAGE)


def replace(path):
    """Another file in its place: whoever has the old one open keeps that."""
    other = path.with_name("other")
    other.write_bytes(b"not a database" * 1000)
    os.rename(other, path)


# Each is given search.db and a source of chance. Its shared memory is left alone: who cuts that short ends any process that uses it.
DAMAGES = {
    "all pages but the first overwritten": lambda path, choice: overwrite(path, choice, first=1),
    "all pages overwritten": overwrite,
    "some pages overwritten": lambda path, choice: overwrite(path, choice, share=0.4),
    "its log overwritten": lambda path, choice: overwrite(Path(f"{path}-wal"), choice),
    "cut to nothing": lambda path, choice: os.truncate(path, 0),
    "cut in the middle": lambda path, choice: os.truncate(path, path.stat().st_size // 2),
    "removed": lambda path, choice: path.unlink(),
    "replaced": lambda path, choice: replace(path),
}


class Mail:
    """Messages, each with a word of its own; those that are to stay have one word in common as well."""

    def __init__(self, server, choice):
        self.server, self.choice, self.count = server, choice, 0
        self.stay = {}  # word -> id

    def send(self, *more):
        word = f"w{self.count}" + "".join(self.choice.choices("abcdefghijklmnopqrstuvwxyz", k=20))
        self.count += 1
        line = " ".join([word, *more, *self.choice.choices(["hay", "straw", "grass", "clover"], k=20)])
        text = f"From: <s@example.org>\r\nSubject: {self.count}\r\n\r\n" + f"{line}\r\n" * self.choice.choice([1, 40, 800])
        with Lines(self.server.mail, 30) as session:
            session.reply()
            session.ask("EHLO client.example")
            code, said = send(session, text.encode())
        same(code, 250, said)
        if "keepme" in more:
            self.stay[word] = said.rsplit(" ", 1)[1]
        return word

    def search(self, query):
        """The ids that a search finds."""
        found = self.server.api(f"/api/v1/search?limit=1000&query={urllib.parse.quote(query)}")
        return sorted(each["ID"] for each in found["messages"])

    def delete_others(self):
        """Asks that all is deleted that has not the common word; whether it was done. Not done: nothing was deleted."""
        before = len(all_messages(self.server))
        with Http(self.server.desk, 30) as http:
            code = http.ask("DELETE", f"/api/v1/search?query={urllib.parse.quote('-body:keepme')}")[0]
        check(code in (200, 503), f"a deletion is done or refused, not {code}")
        left = [str(each["id"]) for each in all_messages(self.server)]
        same(sorted(set(self.stay.values()) - set(left)), [], f"deleted, and the search was not for them ({code})")
        if code == 503:
            same(len(left), before, "refused, and something is deleted")
        return code == 200

    def all_found(self):
        """Each message by its own word, and all by the common one."""
        for word, number in self.stay.items():
            until(lambda word=word, number=number: self.search(word) == [number], f"{word} finds {number}")
        same(self.search("body:keepme"), sorted(self.stay.values()))


def damaged(mail, name):
    """One damage while the server runs: mail goes on, no search shows or deletes what does not match, and all is well by itself."""
    for _ in range(4):
        mail.send("keepme")
        gone = mail.send("goner")
    mail.all_found()
    damage(mail.server.state, name, mail.choice)
    check(set(mail.search("body:keepme")) <= set(mail.stay.values()), f"{name}: found, and it does not match")
    mail.send("keepme")
    check(len(raw(mail.server, inbox(mail.server)[0])) > 100, "mail is read")
    until(mail.delete_others, f"{name}: what does not match is deleted in the end")
    same(sorted(str(each["id"]) for each in all_messages(mail.server)), sorted(mail.stay.values()), name)
    mail.all_found()
    same(mail.search(gone), [], name)
    same(mail.server.api("/api/v1/status")["store"].get("failed"), None, "the store itself")
