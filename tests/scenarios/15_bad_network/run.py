import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from inbox import all_messages, raw
from plot import draw
from sportello import Server, _die_with_parent, check, finish, folder, step, until, write

HERE = Path(__file__).parent
SEED = os.environ.get("BAD_NETWORK_SEED", "4711")
FILE, MAIL = 64 << 20, 16 << 20


def namespace():
    """A process in a network namespace of its own, which lasts as long as it does."""
    holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, preexec_fn=_die_with_parent)
    ours = os.readlink("/proc/self/ns/net")
    until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != ours, "a network namespace (this needs root)")
    return holder


def inside(holder, *words):
    return ["nsenter", "--target", str(holder.pid), "--net", "--", *words]


def peer(holder, *words):
    words = inside(holder, sys.executable, str(HERE / "peer.py"), *map(str, words))
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=_die_with_parent)


def told(child):
    """Ends the child's input, and gives what it printed."""
    out, _ = child.communicate(timeout=175)
    check(child.returncode == 0, f"{child.args[-5:]} ended with {child.returncode}")
    return json.loads(out)


noise = random.Random(SEED)
web = folder("sportello-web-")
content = noise.randbytes(FILE)
write(web / "large.bin", content)
line = bytes(noise.choices(b"abcdefghijklmnopqrstuvwxyz0123456789", k=70)) + b"\r\n"
mail = b"From: <s@example.org>\r\nSubject: over a bad network\r\n\r\n" + b"".join(
    b"%08d %s" % (number, line) for number in range(MAIL // 81))
write(web / "mail.eml", mail)

client, house = namespace(), namespace()
network = subprocess.Popen([sys.executable, str(HERE / "network.py"), str(client.pid), str(house.pid), SEED],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=_die_with_parent)
check(network.stdout.readline() == "ready\n", "the network is there (this needs root, /dev/net/tun and iproute2)")

# The desk and the commands stay on the loopback address of the server's namespace, where `watch` asks.
server = Server(web, "--address", "10.99.0.2", prefix=inside(house))
course = {}

with step("64 MiB over HTTP arrive whole, and the server's TCP_INFO tells what it took"):
    watch = peer(house, "watch", server.commands, "web")
    found = told(peer(client, "download", "10.99.0.2", server.web, "/large.bin"))
    seen = told(watch)["samples"]
    check(found == {"status": 200, "length": FILE, "sha256": hashlib.sha256(content).hexdigest()}, f"what came: {found}")
    check(max(sample[2] for sample in seen) > 0, "segments were sent again")
    windows = [sample[1] for sample in seen]
    check(max(windows) >= 2 * min(windows), f"the window grew and shrank: {min(windows)} to {max(windows)} segments")
    course["HTTP, 64 MiB, seen by the server"] = [sample[:3] for sample in seen]
    print(f"     {seen[-1][0]:.1f} s, {max(sample[2] for sample in seen)} segments sent again, "
          f"window {min(windows)} to {max(windows)} segments")

with step("16 MiB by SMTP arrive whole, and the client's TCP_INFO tells what it took"):
    found = told(peer(client, "upload", "10.99.0.2", server.mail, web / "mail.eml"))
    check(found["code"] == 250, f"the reply: {found['code']} {found['text']}")
    seen = found["samples"]
    check(max(sample[2] for sample in seen) > 0, "segments were sent again")
    course["SMTP, 16 MiB, seen by the client"] = seen
    print(f"     {seen[-1][0]:.1f} s, {max(sample[2] for sample in seen)} segments sent again")

network.stdin.close()
counts = json.loads(network.stdout.read())
with step("the network was bad"):
    print(f"     {json.dumps(counts)}")
    for way in counts.values():
        check(way["lost"] > 0 and way["doubled"] > 0 and way["late"] > 0, f"each way: {counts}")

server.stop()
with step("the mail is in the inbox, byte for byte"):
    with Server(web, state=server.state) as again:
        messages = all_messages(again)
        check(len(messages) == 1, f"one message: {messages}")
        stored = raw(again, messages[0])
        check(stored.endswith(mail), f"{len(stored)} bytes stored, {len(mail)} sent")

if os.environ.get("PLOT"):
    Path(os.environ["PLOT"]).write_text(draw(course))
finish()
