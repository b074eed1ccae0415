"""Keys for DKIM are made and changed with overlap while the server runs; dkimpy verifies what they sign."""

import json
import re

import dkim

from sportello import BINARY, Server, check, contains, finish, folder, run, same, step, write

here = folder("sportello-dkim-")
file = write(here / "sportello.kdl", f"""state "{here}/state"
channel commands port=0 protocol=command
channel mail port=0 protocol=smtp
domain example.org {{
    mail {{ capture }}
}}
""")

MESSAGE = (
    "Received: from here by there; Tue, 24 Nov 2026 04:00:00 +0000\r\n"
    "From: Ada  <ada@example.org>\r\nTo: bob@example.com,\r\n\tcarol@example.com\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=  and  more\r\n"
    "Date: Tue, 24 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n"
    "A line \t with  spaces \r\n\r\n.\r\nanother\r\n  \r\n\r\n\r\n"
)


def published(keys):
    """A name server that knows these keys."""
    records = {key["name"]: key["record"].encode() for key in keys}
    return lambda name, timeout=5: records.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))


def verified(message, keys):
    """What dkimpy says of each signature."""
    def is_right(index):
        try:
            return dkim.DKIM(message).verify(idx=index, dnsfunc=published(keys))
        except dkim.ValidationError:
            return False

    return [is_right(index) for index in range(message.count(b"DKIM-Signature:"))]


with Server(config=file) as server:
    where = ("--state", str(here / "state"))

    def ask(*words, stdin=None):
        return run(BINARY, "dkim", *words, *where, stdin=stdin)

    def keys():
        return json.loads(ask("list", "--json").stdout)

    def sign(sender="ada@example.org", message=MESSAGE):
        signed = ask("sign", sender, stdin=message)
        same(signed.returncode, 0, signed.stderr)
        return (signed.stdout.replace("\r\n", "\n").replace("\n", "\r\n") + message).encode()

    with step("without keys nothing is signed, and that is said"):
        contains(ask("list").stdout, "there are no keys")
        refused = ask("sign", "ada@example.org", stdin=MESSAGE)
        same((refused.returncode, refused.stdout), (1, ""))
        contains(refused.stderr, "it is not signed")
        for bad in ("", "a..org", "[192.0.2.1]"):
            same(ask("make", bad).returncode, 1)

    with step("keys are made for domains with mail in the configuration only, and that is said"):
        foreign = ask("make", "example.net")
        same((foreign.returncode, foreign.stdout), (1, ""))
        contains(foreign.stderr, "no mail of the domain example.net is written")
        same(keys(), [])

    with step("the first pair signs at once, and its records are lines of a zone file"):
        made = ask("make", "Example.org")
        same(made.returncode, 0, made.stderr)
        contains(made.stderr, "publish their records")
        first = keys()
        same([(key["domain"], key["algorithm"], key["standing"]) for key in first], [("example.org", "rsa", "signing"), ("example.org", "ed25519", "signing")])
        same(made.stdout, ask("list", "--records").stdout)
        for line, key in zip(made.stdout.splitlines(), first):
            strings = re.findall('"([^"]*)"', line)
            same("".join(strings), key["record"])
            check(all(len(string) <= 255 for string in strings), "strings fit")
        check("private" not in json.dumps(first), "no private key is shown")

    with step("dkimpy verifies both signatures"):
        signed = sign()
        same(verified(signed, first), [True, True])
        same(verified(signed.replace(b"Ada  <", b"Ada <").replace(b"with  spaces ", b"with spaces"), first), [True, True], "relaxed")
        for before, after in ((b"another", b"anather"), (b"From: Ada", b"From: Eve"), (b"To: bob", b"Cc: x@y.org\r\nTo: bob"), (b"From: Ada", b"From: eve@example.net\r\nFrom: Ada")):
            same(verified(signed.replace(before, after, 1), first), [False, False], after)
        body = "".join(f"line {number} \r\n" for number in range(5_000))
        long = sign(message=MESSAGE + body)
        same(verified(long, first), [True, True])

    with step("only what the domain's own authors send is signed"):
        for sender, message in (("eve@example.net", MESSAGE), ("SRS0=x=y=example.net=eve@example.org", MESSAGE), ("ada@example.org", MESSAGE.replace("ada@example.org", "eve@example.net"))):
            same(ask("sign", sender, stdin=message).returncode, 1, sender)

    with step("keys change with overlap"):
        contains(ask("rotate", "example.org").stderr, "make it first")
        contains(ask("make", "example.org").stderr, "sportello dkim rotate")
        same([key["standing"] for key in keys()], ["signing", "signing", "next", "next"])
        same(verified(sign(), first), [True, True], "the old pair signs still")
        same(ask("rotate", "example.org").returncode, 0)
        second = keys()[2:]
        same(verified(sign(), second), [True, True], "the new pair signs")
        same(verified(signed, keys()), [True, True], "what is on its way is verified still")
        early = ask("retire", "example.org")
        same(early.returncode, 1)
        contains(early.stderr, "168 more hours")
        same(ask("retire", "example.org", "--now").returncode, 0)
        same([key["selector"] for key in keys()], [key["selector"] for key in second])

    with step("a command channel has no keys to give"):
        said = run("redis-cli", "-p", str(server.commands), "DKIM", "LIST").stdout
        contains(said, "NOPERM")

    kept = keys()

with Server(config=file) as server:
    with step("keys are there after a start"):
        same(json.loads(run(BINARY, "dkim", "list", "--json", "--state", str(here / "state")).stdout), kept)

finish()
