"""Another server decides who may go on."""


from sportello import Http, Server, check, contains, finish, folder, refusing_port, same, step, write
from upstream import Upstream, body_of, field

here = folder("sportello-ask-")


def decides(connection, file, head):
    """As Authelia and its like: by the cookie."""
    cookie = field(head, "cookie")
    if "/broken" in "".join(field(head, "x-forwarded-uri")):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
        return "leave"
    if "/garbled" in "".join(field(head, "x-forwarded-uri")):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
        return "leave"
    if cookie == ["session=ada"]:
        connection.sendall(b"HTTP/1.1 200 OK\r\nRemote-User: ada\r\nRemote-Groups: staff\r\nX-Other: no\r\nContent-Length: 0\r\n\r\n")
    elif "/page" in "".join(field(head, "x-forwarded-uri")):
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: https://login.example.org/?to=page\r\nContent-Length: 0\r\n\r\n")
    else:
        connection.sendall(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"staff\"\r\nContent-Type: text/plain\r\n"
                           b"Content-Length: 13\r\n\r\nwho are you?\n")


def behind(connection, file, head):
    body = body_of(file, head)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 7) + b"secret " + body)


gate, app = Upstream(decides), Upstream(behind)
GONE = refusing_port()

server = Server(config=write(here / "sportello.kdl", f"""
state "state"
channel web port=0 protocol=http
domain example.org {{
    site "*" {{
        route "/staff/*" {{
            ask "http://127.0.0.1:{gate.port}" path="/verify" {{
                copy "Remote-User" "Remote-Groups"
            }}
            proxy "http://127.0.0.1:{app.port}"
        }}
        route "/down/*" {{
            ask "http://127.0.0.1:{GONE}" path="/verify"
            proxy "http://127.0.0.1:{app.port}"
        }}
        respond 200 "open to all"
    }}
}}
"""))
SESSION = "Cookie: session=ada"


def ask(path, *fields, method="GET", body=None):
    with Http(server.web) as client:
        return client.ask(method, path, fields, body=body)


with step("who is refused reads why, and nothing reaches what lies behind"):
    for path in ("/staff/x", "/staff/x?a=b", "/./staff//x", "/%73taff/x"):
        status, fields, body = ask(path)
        same((status, fields["www-authenticate"], body), (401, 'Basic realm="staff"', b"who are you?\n"), path)
    status, fields, _ = ask("/staff/page")
    same((status, fields["location"]), (302, "https://login.example.org/?to=page"))
    same(ask("/staff/x", "Cookie: session=eve", "Remote-User: ada")[0], 401)
    same(app.heard, [])
    same(ask("/elsewhere")[2], b"open to all")

with step("it is told what is wanted, in one form, and is sent no body"):
    ask("/staff//a%20b/../c?d=e", method="POST", body=b"hello")
    head = gate.heard[-1]
    same(head[0], "GET /verify HTTP/1.1")
    same((field(head, "x-forwarded-method"), field(head, "x-forwarded-uri")), (["POST"], ["/staff/c?d=e"]))
    same((field(head, "x-forwarded-for"), field(head, "x-forwarded-proto")), (["127.0.0.1"], ["http"]))
    same((field(head, "content-length"), field(head, "transfer-encoding")), ([], []))

with step("who may goes on, with the fields that it says and not with the client's own"):
    status, _, body = ask("/staff/x", SESSION, "Remote-User: root", "Remote_User: root", "REMOTE-GROUPS: wheel", method="POST", body=b"hello")
    same((status, body), (200, b"secret hello"))
    head = app.heard[-1]
    same((field(head, "remote-user"), field(head, "remote-groups")), (["ada"], ["staff"]))
    same((field(head, "remote_user"), field(head, "x-other")), ([], []))
    same(field(head, "cookie"), ["session=ada"])

with step("every request of a connection is asked about"):
    before = len(app.heard)
    with Http(server.web) as client:
        statuses = [client.ask("GET", "/staff/x", fields)[0] for fields in ([SESSION], [], [SESSION], ["Cookie: session=eve"])]
    same(statuses, [200, 401, 200, 401])
    same(len(app.heard), before + 2)

with step("nobody passes where there is no answer, or none that can be read"):
    before = len(app.heard)
    for path in ("/staff/broken", "/staff/garbled", "/down/x"):
        for fields in ([], [SESSION]):
            status, _, body = ask(path, *fields)
            check(status in (502, 503), f"{path}: {status}")
            check(b"secret" not in body, path)
    same(len(app.heard), before)
    gate.close()

with step("the server behind it is asked only with leave, also when the one that decides is gone for good"):
    before = len(app.heard)
    for _ in range(5):
        status, _, body = ask("/staff/x", "Cookie: session=nobody")
        check(status in (401, 502, 503), status)
    same(len(app.heard), before)
    contains(ask("/elsewhere")[2], b"open to all")

app.close()
finish()
