import json
import smtplib
from email.message import EmailMessage
from email.policy import SMTP

from inbox import inbox
from prometheus_client.parser import text_string_to_metric_families
from sportello import Http, Path, Server, check, contains, finish, folder, run, same, step, until

server = Server(folder("sportello-web-"))
DESK = f"http://127.0.0.1:{server.desk}"


def send(message, sender, recipients):
    with smtplib.SMTP("127.0.0.1", server.mail, timeout=20) as client:
        client.send_message(message, sender, recipients)


def letter(subject, text):
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "Ada Lovelace <ada@example.org>", "Grace <grace@example.net>", subject
    message.set_content(text)
    return message


with step("six messages are caught over SMTP"):
    for number in range(5):
        send(letter(f"Number {number}", f"The text of number {number}."), "bounce@example.org", ["grace@example.net"])
    invoice = letter("The invoice", "Dear Grace,\nplease find it attached.\n")
    invoice["Message-ID"], invoice["Reply-To"] = "<invoice@example.org>", "office@example.org"
    invoice.add_alternative("<p><b>Dear Grace</b></p>", subtype="html")
    invoice.add_attachment(bytes(index % 256 for index in range(1000)), maintype="application", subtype="pdf", filename="figures.pdf")
    send(invoice, "bounce@example.org", ["grace@example.net", "blind@example.net"])
    same(len(inbox(server)), 6)

result = run("node", Path(__file__).with_name("client.cjs"), DESK, seconds=120)
for line in result.stdout.splitlines():
    told = json.loads(line)
    with step(f"mailpit-api: {told['name']}"):
        check(told["error"] is None, told["error"])
with step("mailpit-api ran to its end"):
    same((result.returncode, result.stderr.strip()), (0, ""))
    check(result.stdout.count("\n") >= 10, f"{result.stdout.count(chr(10))} steps")


def curl(*words):
    result = run("curl", "-sS", "-w", "\n%{http_code} %{content_type}", *words)
    same(result.returncode, 0, result.stderr)
    body, _, told = result.stdout.rpartition("\n")
    status, _, media_type = told.partition(" ")
    return int(status), media_type, body


with step("curl: each path answers"):
    status, media_type, body = curl(f"{DESK}/api/v1/send", "-d", json.dumps({
        "From": {"Email": "a@example.org"}, "To": [{"Email": "b@example.org"}], "Subject": "By curl", "Text": "Hi."}))
    same((status, media_type), (200, "application/json"), body)
    number = json.loads(body)["ID"]
    for path, kind in (("api/v1/messages", "application/json"), (f"api/v1/message/{number}", "application/json"),
                       ("api/v1/message/latest/headers", "application/json"),
                       ("api/v1/message/latest/raw", "text/plain; charset=utf-8"), ("view/latest.txt", "text/plain; charset=utf-8"),
                       ("api/v1/tags", "application/json"), ("api/v1/search?query=subject:curl", "application/json"), ("api/v1/info", "application/json"), ("api/v1/webui", "application/json"),
                       ("livez", "text/plain"), ("readyz", "text/plain")):
        same(curl(f"{DESK}/{path}")[:2], (200, kind), path)

with step("curl: each refusal is a sentence with a status that fits"):
    for words, expected in (
            ([f"{DESK}/api/v1/message/nothing"], 404),
            ([f"{DESK}/api/v1/message/latest/part/77"], 404),
            ([f"{DESK}/api/v1/nothing"], 404),
            ([f"{DESK}/api/v1/send"], 405),
            (["-X", "DELETE", f"{DESK}/api/v1/message/{number}"], 405),
            (["-X", "PUT", f"{DESK}/api/v1/messages", "-d", "{"], 400),
            (["-X", "DELETE", f"{DESK}/api/v1/messages", "-d", "[]"], 400),
            ([f"{DESK}/api/v1/send", "-d", "{}"], 400),
            ([f"{DESK}/api/v1/search"], 400),
            (["-X", "DELETE", f"{DESK}/api/v1/search?query=larger:x"], 400),
            ([f"{DESK}/api/v1/message/latest/html-check"], 501),
            ([f"{DESK}/api/events"], 501),
            (["-X", "DELETE", "-H", "Origin: http://localhost:1", f"{DESK}/api/v1/messages"], 403),
            (["-X", "DELETE", "-H", "Sec-Fetch-Site: cross-site", f"{DESK}/api/v1/messages"], 403)):
        status, media_type, body = curl(*words)
        same((status, media_type), (expected, "application/json"), f"{words}: {body}")
        check(len(json.loads(body)["Error"]) > 10, body)
    same(len(inbox(server)), 1, "nothing was deleted")

with step("a body of 1 MiB is read, one byte more is not"):
    start, end = b'{"From":{"Email":"a@x.org"},"To":[{"Email":"b@x.org"}],"Text":"', b'"}'
    for size, expected in ((1 << 20, 200), ((1 << 20) + 1, 413)):
        with Http(server.desk) as http:
            body = start + b"x" * (size - len(start) - len(end)) + end
            same(http.ask("POST", "/api/v1/send", body=body)[0], expected, f"{size} bytes")

with step("/metrics is read by a Prometheus parser, and counts"):
    def metrics():
        with Http(server.desk) as http:
            status, fields, body = http.ask("GET", "/metrics")
        same((status, fields["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        return {family.name: family for family in text_string_to_metric_families(body.decode())}

    def of_channel(name, channel):
        return next(each.value for each in metrics()[name].samples if each.labels["channel"] == channel)

    before = of_channel("sportello_requests", "mail")
    send(letter("One more", "x"), "a@example.org", ["b@example.org"])
    until(lambda: of_channel("sportello_requests", "mail") == before + 1, "the message is counted")
    families = metrics()
    for name, kind in (("sportello_requests", "counter"), ("sportello_connections_open", "gauge"), ("sportello_received_bytes", "counter"),
                       ("sportello_thread_cpu_seconds", "counter"), ("sportello_store_messages", "gauge"),
                       ("sportello_store_commits", "counter"), ("process_resident_memory_bytes", "gauge"),
                       ("process_start_time_seconds", "gauge"), ("sportello_build_info", "gauge")):
        same((families[name].type, bool(families[name].documentation)), (kind, True), name)
    same(families["sportello_store_messages"].samples[0].value, len(inbox(server)))
    same({each.labels["channel"] for each in families["sportello_requests"].samples},
         {channel["name"] for channel in server.api("/api/v1/status")["channels"]})
    check(families["process_resident_memory_bytes"].samples[0].value > 1e6, "bytes")
    with Http(server.web) as http:
        http.ask("GET", "/a-name-of-mine")
    check("a-name-of-mine" not in str(metrics()), "no label is what a client sent")

finish()
