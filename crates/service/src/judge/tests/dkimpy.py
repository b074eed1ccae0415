"""Makes dkimpy.json: messages that dkimpy (1.1.8, with PyNaCl and authres) has signed, and what is to be thought of them.

Run by hand; `openssl` makes the keys anew each time.
"""

import base64
import json
import subprocess
import tempfile

import dkim
import nacl.signing

MESSAGE = (
    b"Received: from a by b; Tue, 24 Nov 2026 04:00:00 +0000\r\n"
    b"From: Ada  <ada@example.org>\r\nTo: bob@example.com,\r\n\tcarol@example.com\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=  and  more\r\n"
    b"Date: Tue, 24 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n\r\n"
    b"A line \t with  spaces \r\n\r\n.\r\nanother\r\n  \r\n\r\n\r\n"
)
RESULTS = b"Authentication-Results: lists.example.net; spf=pass smtp.mailfrom=example.org; dkim=pass header.d=example.org\r\n"


def rsa():
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", file.name, "2048"], check=True, capture_output=True)
        private = open(file.name, "rb").read()
        public = subprocess.run(["openssl", "rsa", "-in", file.name, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    return private, "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()


RSA, RSA_RECORD = rsa()
seed = nacl.signing.SigningKey.generate()
ED25519 = base64.b64encode(seed.encode())
RECORDS = {
    "r._domainkey.example.org": RSA_RECORD,
    "e._domainkey.example.org": "v=DKIM1; k=ed25519; p=" + base64.b64encode(seed.verify_key.encode()).decode(),
    "r._domainkey.lists.example.net": RSA_RECORD,
    "r._domainkey.other.example.com": RSA_RECORD,
}
CASES = []


def case(name, message, dkim_results, arc="none"):
    CASES.append({"name": name, "message": base64.b64encode(message).decode(), "dkim": dkim_results, "arc": arc})


def signed(message=MESSAGE, selector=b"r", key=RSA, **more):
    return dkim.sign(message, selector, b"example.org", key, **more) + message


def sealed(message, server, domain):
    # Its own answer to the seals that are there already.
    fields = dkim.arc_sign(message, b"r", domain, RSA, server)
    return b"".join(fields) + message


for header in (b"simple", b"relaxed"):
    for body in (b"simple", b"relaxed"):
        forms = (header, body)
        name = b"/".join(forms).decode()
        case("rsa " + name, signed(canonicalize=forms), ["pass"])
        case("ed25519 " + name, signed(selector=b"e", key=ED25519, signature_algorithm=b"ed25519-sha256", canonicalize=forms), ["pass"])
both = signed(signed(selector=b"e", key=ED25519, signature_algorithm=b"ed25519-sha256"))
case("both", both, ["pass", "pass"])
case("a word changed", both.replace(b"another", b"anather"), ["fail", "fail"])
case("spaces changed", signed(canonicalize=(b"relaxed", b"relaxed")).replace(b"Ada  <", b"Ada\t<").replace(b"with  spaces", b"with spaces"), ["pass"])
case("a signed field added", signed(include_headers=[b"from", b"subject", b"subject"]).replace(b"Subject:", b"Subject: x\r\nSubject:", 1), ["fail"])
case("a part of the body", signed(length=True), ["policy"])
case("by SHA-1", signed(signature_algorithm=b"rsa-sha1"), ["policy"])
one = sealed(RESULTS + signed(), b"lists.example.net", b"lists.example.net")
case("a chain of one", one, ["pass"], "pass")
again = RESULTS.replace(b"lists.example.net", b"other.example.com").replace(b"dkim=pass", b"arc=pass; dkim=pass")
BROKEN = (b"i=1; lists.example.net;\r\n spf=pass", b"i=1; lists.example.net;\r\n spf=fail")
two = sealed(again + one, b"other.example.com", b"other.example.com")
case("a chain of two", two, ["pass"], "pass")
case("a chain of two, the first seal broken", two.replace(*BROKEN), ["pass"], "fail")
case("a chain over a changed body", two.replace(b"another", b"anather"), ["fail"], "fail")
case("a chain without its first set", b"ARC-Seal: i=2" + two.split(b"ARC-Seal: i=2", 1)[1].split(b"ARC-Seal: i=1", 1)[0] + signed(), ["pass"], "fail")

with open("dkimpy.json", "w", encoding="ascii") as file:
    json.dump({"records": RECORDS, "cases": CASES}, file, indent=1)
    file.write("\n")
print(len(CASES), "cases")
