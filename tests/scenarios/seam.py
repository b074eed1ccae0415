"""The seam between the server and the kernel (tests/faults/seam.c): what the server did to its files, and faults on order.

A server that is started with a seam is the real, unmodified binary; only LD_PRELOAD is set. The layout of the control file
is that of `struct control` in seam.c.
"""

import errno
import hashlib
import json
import mmap
import os
import random
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

from sportello import Server, check, contains, folder, run

SEAM = os.environ["SEAM"]
FAULTS = os.environ["FAULTS"]
SHARED_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None

OPEN, WRITE, TRUNCATE, ALLOCATE, SYNC, RENAME, UNLINK, MKDIR, LINK, UNKNOWN, ACCEPT, LOOK = range(1, 13)
# What needs room on the disk.
GROWING = (OPEN, WRITE, ALLOCATE, MKDIR, RENAME)
FAIL, SHORT, LIE = range(3)
OFF, ONCE, FROM_THEN_ON, EVERY = range(4)

_HEADER = 4096
_RULES = 128
_RULE = 72


class Seam:
    """A control file, and the folder whose files are watched."""

    def __init__(self, log_bytes=1 << 30):
        self.place = Path(tempfile.mkdtemp(prefix="sportello-seam-", dir=SHARED_MEMORY)) if SHARED_MEMORY else folder()
        if SHARED_MEMORY:
            import atexit
            import shutil
            atexit.register(shutil.rmtree, self.place, ignore_errors=True)
        self.root = self.place / "disk"
        self.root.mkdir()
        self.state = self.root / "state"
        self.log = self.place / "control"
        with open(self.log, "wb") as file:
            file.truncate(log_bytes)
            file.seek(0)
            file.write(struct.pack("<4Q", 0x31304D414553, 1, 0, log_bytes - _HEADER))
        self._file = open(self.log, "r+b")
        self._map = mmap.mmap(self._file.fileno(), _HEADER)

    def server(self, web, *flags, filtered=True, **options):
        """The real server, watched."""
        environment = dict(os.environ, LD_PRELOAD=SEAM, SEAM_CONTROL=str(self.log), SEAM_FOLDER=str(self.root),
                           SEAM_FILTER="yes" if filtered else "no")
        options.setdefault("state", self.state)
        return Server(web, *flags, env=environment, **options)

    # What was done.
    def now(self):
        """The number of the next event."""
        return self._word(1)

    def calls(self):
        return self._word(8)

    def panics(self):
        return self._word(9)

    # Orders.
    def clock(self, seconds):
        """The wall clock, this much ahead of (or behind) the real one."""
        self._put(4, seconds)

    def no_spawn(self, error):
        """No program can be started; 0: again they can."""
        self._put(6, error)

    def kill_a_worker(self):
        """The next worker that waits for events is refused by the kernel."""
        self._put(7, errno.EINVAL)

    def rule(self, kinds, error, mode, countdown=1, effect=FAIL, every=0, part="", number=0):
        """Makes calls fail: the `countdown`th of these kinds, on paths that hold `part`."""
        mask = sum(1 << kind for kind in kinds)
        at = _RULES + _RULE * number
        self._map[at + 12:at + 16] = struct.pack("<I", OFF)
        self._map[at:at + _RULE] = struct.pack("<4IqqQ32s", mask, error, effect, OFF, countdown, every, 0, part.encode())
        self._map[at + 12:at + 16] = struct.pack("<I", mode)

    def hits(self, number=0):
        """How often a rule has acted."""
        at = _RULES + _RULE * number
        return struct.unpack("<Q", self._map[at + 32:at + 40])[0]

    def peace(self):
        """No rule acts any more."""
        for number in range(8):
            at = _RULES + _RULE * number
            self._map[at + 12:at + 16] = struct.pack("<I", OFF)

    def _word(self, index):
        return struct.unpack_from("<Q", self._map, index * 8)[0]

    def _put(self, index, value):
        struct.pack_into("<q", self._map, index * 8, value)

    # The replayer.
    def faults(self, verb, *options, seconds=1800):
        """Runs `faults`; its exit code and what it said."""
        work = Path(tempfile.mkdtemp(prefix="work-", dir=self.place))
        words = [FAULTS, verb, "--log", self.log, "--root", self.root]
        if verb == "cut":
            words += ["--work", work, "--seam", SEAM]
        done = run(*words, *options, seconds=seconds)
        subprocess.run(["rm", "-rf", str(work)], check=True)
        return done.returncode, (done.stdout + done.stderr).strip()

    def explains_all(self):
        """Whether the log explains every byte in the watched folder; the server must be dead."""
        code, said = self.faults("same")
        check(code == 0, said)
        return said


class Notes:
    """What was promised, and when it was read: for `faults cut`. Without a seam there is no when, and only ids are kept."""

    def __init__(self, seam=None):
        self.seam = seam
        self.path = seam.place / "promises" if seam else Path(os.devnull)
        self._file = open(self.path, "w")
        self._lock = threading.Lock()
        self.accepted = {}

    def note(self, what, token, **more):
        line = json.dumps({"at": self.seam.now() if self.seam else 0, "what": what, "token": token, **more})
        with self._lock:
            print(line, file=self._file, flush=True)

    def accept(self, token, text, reply):
        number = int(reply.rsplit(" ", 1)[1])
        word = text.split(b"\r\n\r\n", 1)[1].split(b"\r\n", 1)[0].decode()
        self.note("accepted", token, id=number, bytes=len(text), sha256=hashlib.sha256(text).hexdigest(), word=word)
        with self._lock:
            self.accepted[token] = number

    def close(self):
        self._file.close()


def text(choice, token, sizes):
    """A message of one of these sizes, other bytes each time: in its body one word that no other message has."""
    size = choice.choice(sizes)
    block = bytes(choice.choices(b"abcdefghijklmnopqrstuvwxyz0123456789", k=70)) + b"\r\n"
    return b"From: <s@example.org>\r\nSubject: %s\r\n\r\n" % token.encode() + block * (size // len(block) + 1)


def send(session, text):
    """One message; the last reply: its code and its last line."""
    for command in ("MAIL FROM:<s@example.org>", "RCPT TO:<r@example.org>", "DATA"):
        code, lines = session.ask(command)
        if code >= 400:
            return code, lines[-1]
    session.send(text + b".\r\n")
    code, lines = session.reply()
    return code, lines[-1]
