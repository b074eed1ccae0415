"""The records that a domain needs: printed, published by a real name server, looked up, and found wrong when they are."""

import http.client
import json
import ssl
from xml.etree import ElementTree

from nameserver import NameServer
from sportello import BINARY, Server, check, contains, finish, folder, free_ports, run, same, step, write

here = folder("sportello-records-")
file = write(here / "sportello.kdl", """
address "127.0.0.1"
hostname mail.example.org
state "state"
acme
channel plain port=0 protocol=http
channel web port=0 protocol=http tls=auto
channel smtp port=0 protocol=smtp tls=starttls
domain example.org {
    // who sells
    mail {
        alias info to="ada bob@example.net" // since May
        alias tls-reports to=ada
        mta-sts enforce
    }
}
""")

WRONG = """
mail A 192.0.2.2
@ MX 10 other.example.net.
@ TXT "v=spf1 ip4:192.0.2.1 -all"
_mta-sts TXT "v=STSv1; id=old;"
mta-sts A 192.0.2.3
@ CAA 0 issue "other.example"
"""


def printed(*more):
    return run(BINARY, "dns", "--config", file, "--address", "192.0.2.1", *more, "example.org")


def findings(server, code):
    done = printed("--check", "--json", "--name-server", server.address)
    same(done.returncode, code, done.stdout + done.stderr)
    return {(one["kind"], one["name"]): one["verdict"] for one in json.loads(done.stdout)}


with step("What is printed is a zone that a name server takes, and finds all of it good"):
    text = printed().stdout
    contains(text, "IN MX    10 mail.example.org.")
    server = NameServer({"example.org": text, "2.0.192.in-addr.arpa": "1 PTR mail.example.org."})
    found = findings(server, 0)
    same(set(found.values()), {"good"}, str(found))
    for kind, name in [("A", "mail"), ("MX", ""), ("TXT", "_dmarc"), ("TXT", "_mta-sts"), ("TXT", "_smtp._tls"), ("CNAME", "mta-sts"),
                       ("CAA", "")]:
        check((kind, f"{name}.example.org".strip(".")) in found, str((kind, name, found)))

with step("The keys of a running server are among the records, and looked up too"):
    contains(printed().stderr, "(DKIM) are left out")
    signing = write(here / "signing.kdl", f'''
hostname mail.example.org
state "{here}/signing"
channel smtp port=0 protocol=smtp
domain example.org {{ mail }}
''')

    def signatures(*more):
        done = run(BINARY, "dns", "--config", signing, "--json", *more, "example.org")
        return done, [one for one in json.loads(done.stdout) if "._domainkey." in one["name"]]

    with Server(config=signing):
        done, none = signatures()
        same(none, [])
        contains(done.stderr, "sportello dkim make example.org")
        made = run(BINARY, "dkim", "make", "--state", f"{here}/signing", "example.org")
        same(made.returncode, 0, made.stderr)
        done, both = signatures()
        same(len(both), 2, done.stdout + done.stderr)
        zone = run(BINARY, "dns", "--config", signing, "--address", "192.0.2.1", "example.org").stdout
        server.set("example.org", zone)
        same([one["verdict"] for one in signatures("--check", "--name-server", server.address)[1]], ["good", "good"])
        server.set("example.org", zone.replace("p=", "q="))
        same([one["verdict"] for one in signatures("--check", "--name-server", server.address)[1]], ["wrong", "wrong"])

with step("What is missing, wrong or nobody's to say is told, with why it matters"):
    server.set("example.org", WRONG)
    found = findings(server, 1)
    same(found[("MX", "example.org")], "wrong")
    same(found[("A", "mail.example.org")], "wrong")
    same(found[("TXT", "_mta-sts.example.org")], "wrong")
    same(found[("TXT", "_dmarc.example.org")], "missing")
    same(found[("CNAME", "mta-sts.example.org")], "wrong")
    same(found[("CAA", "example.org")], "wrong")
    told = printed("--check", "--name-server", server.address).stdout
    contains(told, "found: 10 other.example.net.")
    contains(told, "who takes the domain's mail")
    server.stop()
    same(findings(server, 1)[("MX", "example.org")], "unknown")

with step("An alias is added and taken away, and the rest of the file stays as it was"):
    before = file.read_text()
    done = run(BINARY, "alias", "add", "--config", file, "info@example.org", "carol")
    same(done.returncode, 0, done.stderr)
    same(file.read_text(), before.replace('to="ada bob@example.net"', 'to="ada bob@example.net carol"'))
    same(run(BINARY, "alias", "remove", "--config", file, "info@example.org", "carol").returncode, 0)
    same(file.read_text(), before)
    contains(run(BINARY, "alias", "list", "--config", file).stdout, "info@example.org         ada@example.org bob@example.net")

with step("An address is followed by its aliases"):
    done = run(BINARY, "explain", "--config", file, "Info@example.org")
    same(done.returncode, 0, done.stderr)
    contains(done.stdout, "alias info stands for ada@example.org, bob@example.net")
    contains(done.stdout, 'alias info to="ada bob@example.net" // since May')

with step("A mail program that knows an address finds over HTTPS where mail is handed in"):
    at_once, asked = free_ports(2)
    giving = write(here / "giving.kdl", f'''
hostname mail.example.org
state "{here}/giving"
channel web port=0 protocol=http tls=local
channel submissions port={at_once} protocol=submission tls=local
channel submission port={asked} protocol=submission tls=starttls
channel smtp port=0 protocol=smtp tls=local
domain example.org {{ mail }}
''')
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with Server(config=giving) as server:
        def fetched(path, host="autoconfig.example.org"):
            client = http.client.HTTPSConnection("127.0.0.1", server.ports["web"], timeout=20, context=trusting)
            client.request("GET", path, headers={"Host": host})
            answer = client.getresponse()
            body = answer.read()
            client.close()
            return answer, body

        for path in ("/mail/config-v1.1.xml?emailaddress=ada%40example.org", "/.well-known/autoconfig/mail/config-v1.1.xml"):
            answer, body = fetched(path)
            same(answer.status, 200, body)
            same(answer.headers.get_content_type(), "text/xml")
            provider = ElementTree.fromstring(body).find("emailProvider")
            same([one.text for one in provider.findall("domain")], ["example.org"])
            same([[one.findtext(what) for what in ("hostname", "port", "socketType", "username")]
                  for one in provider.findall("outgoingServer")],
                 [["mail.example.org", str(at_once), "SSL", "%EMAILADDRESS%"],
                  ["mail.example.org", str(asked), "STARTTLS", "%EMAILADDRESS%"]])
            # Mail cannot be read by programs yet, so nothing says that it can.
            same(provider.findall("incomingServer"), [])
        same(fetched("/mail/other.xml")[0].status, 404)

finish()
