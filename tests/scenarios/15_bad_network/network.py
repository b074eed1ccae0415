"""A bad network between two network namespaces: every packet goes through this program, which loses some, sends some twice,
holds some back so that later ones overtake them, and is narrow.

    network.py PID_A PID_B SEED

takes the namespaces of two processes, gives each a `tun0` (10.99.0.1 and 10.99.0.2), says `ready`, and forwards until its input
ends. Then it says what it did, as one line of JSON. The same seed makes the same decisions about the same number of packets.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

LOSS = 0.004        # of all packets, acknowledgements too
DOUBLED = 0.01
LATE = 0.01         # held back by LATENESS, so that others overtake
LATENESS = 0.004
DELAY = 0.002       # each way
WIDE = 100e6 / 8    # bytes a second
NARROW = 12e6 / 8   # in every third of CYCLE
CYCLE = 3.0
QUEUE = 256 * 1024  # bytes that wait for the narrow place; what comes on top is lost

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def tun(pid, own, other):
    """A device in the namespace of `pid`; what the kernel sends through it can be read here."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI))
    for words in (f"address add {own} peer {other} dev tun0", "link set tun0 mtu 1500 up", "link set lo up"):
        subprocess.run(["ip", *words.split()], check=True)
    return device


class Way:
    """One direction."""

    def __init__(self, out, seed):
        self.out = out
        self.choice = random.Random(seed)
        self.free_at = 0.0  # when the narrow place has sent all that waits for it
        self.counts = {"packets": 0, "lost": 0, "overflowed": 0, "doubled": 0, "late": 0}

    def take(self, packet, now, began, due):
        counts, choice = self.counts, self.choice
        counts["packets"] += 1
        lot = choice.random()
        if lot < LOSS:
            counts["lost"] += 1
            return
        rate = NARROW if (now - began) % CYCLE > CYCLE * 2 / 3 else WIDE
        if (self.free_at - now) * rate > QUEUE:
            counts["overflowed"] += 1
            return
        self.free_at = max(self.free_at, now) + len(packet) / rate
        at = self.free_at + DELAY
        if lot > 1 - LATE:
            counts["late"] += 1
            at += LATENESS
        heapq.heappush(due, (at, counts["packets"], id(self), self, packet))
        if LOSS < lot < LOSS + DOUBLED:
            counts["doubled"] += 1
            heapq.heappush(due, (at + 0.0001, counts["packets"], id(self), self, packet))


def forward(first, second, seed):
    ways = {first: Way(second, f"{seed}/there"), second: Way(first, f"{seed}/back")}
    due = []
    began = time.monotonic()
    poll = select.poll()
    for fd in (0, first, second):
        poll.register(fd, select.POLLIN)
    while True:
        now = time.monotonic()
        while due and due[0][0] <= now:
            _, _, _, way, packet = heapq.heappop(due)
            try:
                os.write(way.out, packet)
            except OSError:
                way.counts["lost"] += 1
        wait = max(0.0, due[0][0] - now) * 1000 if due else 1000
        for fd, _ in poll.poll(wait):
            if fd == 0:
                return {"there": ways[first].counts, "back": ways[second].counts}
            try:
                for _ in range(64):
                    ways[fd].take(os.read(fd, 2048), now, began, due)
            except BlockingIOError:
                pass


def main():
    a, b, seed = sys.argv[1:]
    first, second = tun(a, "10.99.0.1", "10.99.0.2"), tun(b, "10.99.0.2", "10.99.0.1")
    print("ready", flush=True)
    print(json.dumps(forward(first, second, seed)), flush=True)


if __name__ == "__main__":
    main()
