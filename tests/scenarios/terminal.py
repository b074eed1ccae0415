"""A terminal of our own (pty), for programs that behave otherwise without one."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from sportello import PATIENCE, _die_with_parent, check


class Terminal:
    """A program on a terminal; what it writes is kept as it comes."""

    def __init__(self, words, env=None, rows=40, columns=100):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.shown = b""

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            _die_with_parent()

        self.process = subprocess.Popen([str(word) for word in words], stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                        env={**(env or os.environ), "TERM": "xterm"}, preexec_fn=own_terminal)

    def settings(self):
        """What the terminal is set to: a program must leave it as it was."""
        return termios.tcgetattr(self.slave)

    def type(self, data):
        os.write(self.master, data)

    def until(self, piece, seconds=PATIENCE):
        """Reads until this was shown after what was shown before."""
        deadline = time.monotonic() + seconds
        start = len(self.shown)
        while piece not in self.shown[start:]:
            check(time.monotonic() < deadline, f"{piece!r} is shown; there was {self.shown[-3000:]!r}")
            self.take()
        return self.shown

    def take(self):
        if select.select([self.master], [], [], 0.1)[0]:
            self.shown += os.read(self.master, 65536)

    def wait(self, seconds=PATIENCE):
        """Its exit code; what it writes meanwhile is kept."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            check(time.monotonic() < deadline, f"it ends; there was {self.shown[-2000:]!r}")
            self.take()
        while select.select([self.master], [], [], 0)[0]:
            self.take()
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def typed_into(words, keys, pieces):
    """Types each of the keys and waits for the piece that it must bring; all that was shown."""
    with Terminal(words) as terminal:
        for key, piece in zip(keys, pieces):
            terminal.type(key)
            terminal.until(piece)
        return terminal.shown
