"""Pebble with a DNS of its own, on ports of this scenario: a CA that can be killed and comes back knowing nothing."""

import atexit
import json
import os
import socket
import ssl
import subprocess
import urllib.request

from sportello import _die_with_parent, check, folder, free_ports, run, until, write

KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"  # of the external account, base64url


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Authority:
    """The CA: its files, its two processes. It looks for proofs on the ports `plain` and `encrypted` of 127.0.0.1.

    Certificates are good for `life` seconds. It takes everybody, or, with `customers`, only who has the key `kid-1`.
    """

    def __init__(self, life, customers=False):
        self.here = folder("sportello-ca-")
        self.plain, self.encrypted, self.port, self.management, self.dns, self.names = free_ports(6)
        self.root = self.here / "ca.pem"
        self._server_certificate()
        write(self.here / "external-account.key", KEY + "\n", 0o600)
        settings = {
            "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.here / "server.pem"), "privateKey": str(self.here / "server.key"),
            "httpPort": self.plain, "tlsPort": self.encrypted, "ocspResponderURL": "",
            "externalAccountBindingRequired": customers, "externalAccountMACKeys": {"kid-1": KEY},
            "certificateValidityPeriod": life,
        }
        self.config = write(self.here / "pebble.json", json.dumps({"pebble": settings}))
        self.url = f"https://localhost:{self.port}/dir"
        self.log = open(self.here / "log", "ab")
        self.pebble = None
        self.resolver = self._start("pebble-challtestsrv", "-management", f"127.0.0.1:{self.names}", "-dns01",
                                    f"127.0.0.1:{self.dns}", "-http01", "", "-https01", "", "-tlsalpn01", "",
                                    "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "")
        until(lambda: listening(self.names), "the DNS listens")

    def _server_certificate(self):
        """For Pebble's own server: a root, and what it signs."""
        for name, subject in ("ca", "/CN=root of this scenario"), ("server", "/CN=localhost"):
            run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.here / f"{name}.key")
            done = run("openssl", "req", "-new", "-key", self.here / f"{name}.key", "-subj", subject, "-out",
                       self.here / f"{name}.csr")
            check(done.returncode == 0, done.stderr)
        more = write(self.here / "more", "basicConstraints=critical,CA:TRUE\n")
        done = run("openssl", "x509", "-req", "-in", self.here / "ca.csr", "-key", self.here / "ca.key", "-days", "2",
                   "-extfile", more, "-out", self.root)
        check(done.returncode == 0, done.stderr)
        more = write(self.here / "more", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        done = run("openssl", "x509", "-req", "-in", self.here / "server.csr", "-CA", self.root, "-CAkey",
                   self.here / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", more, "-out",
                   self.here / "server.pem")
        check(done.returncode == 0, done.stderr)

    def _start(self, *words):
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "1"}
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment,
                                   cwd=self.here, preexec_fn=_die_with_parent)
        atexit.register(process.kill)
        return process

    def start(self):
        """Makes the CA answer; it has a root of its own each time, and knows no account."""
        self.pebble = self._start("pebble", "-config", self.config, "-dnsserver", f"127.0.0.1:{self.dns}", "-strict")
        until(lambda: listening(self.port) and listening(self.management), "the CA listens")

    def kill(self):
        self.pebble.kill()
        self.pebble.wait()

    def signs_with(self):
        """What a client that trusts what the CA signs now is to trust."""
        context = ssl.create_default_context(cafile=self.root)
        with urllib.request.urlopen(f"https://localhost:{self.management}/roots/0", context=context) as answer:
            return answer.read().decode()

    def resolve(self, name, address):
        """From now on `name` is at `address`."""
        self._tell("add-a", {"host": name, "addresses": [address]})

    def _tell(self, what, body):
        urllib.request.urlopen(f"http://127.0.0.1:{self.names}/{what}", json.dumps(body).encode()).close()

    def said(self):
        return (self.here / "log").read_text(errors="replace")
