"""What runs inside one of the two namespaces, told apart by its first word; each prints one line of JSON.

    peer.py download HOST PORT PATH          GET it, tell length and SHA-256
    peer.py upload HOST PORT FILE            send the file as a mail; tell the reply and this side's TCP_INFO over time
    peer.py watch PORT CHANNEL               ask the server (STATUS JSON) again and again, until the input ends, for the TCP
                                             health of the channel's connections
"""

import hashlib
import http.client
import json
import select
import smtplib
import socket
import struct
import sys
import threading
import time
from pathlib import Path

PATIENCE = 170


def download(host, port, path):
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    connection.request("GET", path)
    answer = connection.getresponse()
    digest, length = hashlib.sha256(), 0
    while piece := answer.read(1 << 16):
        digest.update(piece)
        length += len(piece)
    return {"status": answer.status, "length": length, "sha256": digest.hexdigest()}


def upload(host, port, file):
    session = smtplib.SMTP(host, int(port), local_hostname="client.example", timeout=PATIENCE)
    session.ehlo()
    over, samples = threading.Event(), []

    def sample():
        began = time.monotonic()
        while not over.wait(0.02):
            # linux/tcp.h: 8 bytes of flags, then 32-bit fields; the 19th is tcpi_snd_cwnd, the 24th tcpi_total_retrans.
            fields = struct.unpack("24I", session.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[8:104])
            samples.append([time.monotonic() - began, fields[18], fields[23]])

    watcher = threading.Thread(target=sample)
    watcher.start()
    session.mail("s@example.org")
    session.rcpt("r@example.org")
    try:
        code, text = session.data(Path(file).read_bytes())
    finally:
        over.set()
        watcher.join()
    session.quit()
    return {"code": code, "text": text.decode(), "samples": samples}


def watch(port, channel):
    samples, began = [], time.monotonic()
    with socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE) as connection:
        answers = connection.makefile("rb")
        while not select.select([sys.stdin], [], [], 0.02)[0]:
            connection.sendall(b"STATUS JSON\r\n")
            length = int(answers.readline()[1:])
            picture = json.loads(answers.read(length + 2))
            for one in picture["connections"]:
                if one["channel"] == channel and one["tcp"]:
                    tcp = one["tcp"]
                    samples.append([time.monotonic() - began, tcp["congestion_window"], tcp["retransmits"], tcp["rtt_us"],
                                    tcp["bytes_sent"]])
    return {"samples": samples}


if __name__ == "__main__":
    print(json.dumps({"download": download, "upload": upload, "watch": watch}[sys.argv[1]](*sys.argv[2:])))
