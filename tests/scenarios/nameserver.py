"""A real name server (NSD) on a port of this scenario: zones that a scenario writes, and changes while it runs."""

import atexit
import signal
import socket
import subprocess
import time

from sportello import _die_with_parent, check, folder, free_ports, run, until, write


class NameServer:
    """Answers for the zones it is given, on 127.0.0.1, over UDP and TCP; asked for any other name, it refuses."""

    def __init__(self, zones):
        self.here = folder("sportello-dns-")
        # Both UDP and TCP: a port that is free for one is nearly always free for the other.
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self.serial = 0
        self.records = {}
        for name, records in zones.items():
            self._keep(name, records)
        settings = ["server:", f"  ip-address: 127.0.0.1@{self.port}", "  server-count: 1", '  username: ""',
                    f'  zonesdir: "{self.here}"', '  database: ""', f'  pidfile: "{self.here}/pid"',
                    f'  xfrdfile: "{self.here}/xfrd"', f'  xfrdir: "{self.here}"', f'  zonelistfile: "{self.here}/list"',
                    "  zonefiles-check: yes", "  verbosity: 1", "  hide-version: yes", "remote-control:",
                    "  control-enable: no"]
        for name in zones:
            settings += ["zone:", f'  name: "{name}"', f'  zonefile: "{name}.zone"']
        self.settings = write(self.here / "nsd.conf", "\n".join(settings) + "\n")
        done = run("nsd-checkconf", self.settings)
        check(done.returncode == 0, done.stdout + done.stderr)
        self.log = open(self.here / "log", "ab")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(["nsd", "-d", "-c", self.settings], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, preexec_fn=_die_with_parent, start_new_session=True)
        atexit.register(self.process.kill)
        until(self._answers_as_written, "the name server answers")

    def stop(self):
        """Nobody answers any more."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def set(self, zone, records):
        """Puts other records in the place of a zone's; returns when they are answered."""
        self._keep(zone, records)
        self.process.send_signal(signal.SIGHUP)
        until(self._answers_as_written, "the name server answers what was written last")

    def _keep(self, zone, records):
        self.serial += 1
        self.records[zone] = self.serial
        head = [f"$ORIGIN {zone}.", "$TTL 1", f"@ SOA ns.{zone}. hostmaster.{zone}. {self.serial} 3600 600 86400 1",
                f"@ NS ns.{zone}.", "ns A 127.0.0.1"]
        path = write(self.here / f"{zone}.zone", "\n".join(head) + "\n" + records.strip() + "\n")
        done = run("nsd-checkzone", zone, path)
        check(done.returncode == 0, done.stdout + done.stderr)
        # NSD looks at the time of the file, to the second, to know whether it changed.
        later = time.time() + self.serial
        run("touch", "-d", f"@{int(later)}", path)

    def _answers_as_written(self):
        return all(self._serial(zone) == serial for zone, serial in self.records.items())

    def _serial(self, zone):
        """The serial number that is answered for a zone, if any."""
        answer = ask(self.port, zone, 6)
        if not answer or answer[7] == 0:
            return None
        # The first record after the question: its name is a pointer, type, class and TTL follow, then the length of its data,
        # which ends in five numbers (RFC 1035 §3.3.13).
        record = answer[12 + len(zone) + 2 + 4:]
        data = record[12:12 + int.from_bytes(record[10:12], "big")]
        return int.from_bytes(data[-20:-16], "big")


def ask(port, name, kind):
    """The whole answer to one question over UDP, or None where none comes within a moment."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split("."))
    question = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + labels + b"\x00" + kind.to_bytes(2, "big") + b"\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        try:
            client.connect(("127.0.0.1", port))
            client.send(question)
            return client.recv(4096)
        except OSError:
            return None
