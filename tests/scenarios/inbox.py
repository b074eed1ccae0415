"""The caught mail, as the desk's JSON API gives it."""

from sportello import Http, check


def inbox(server):
    """The messages, newest first."""
    return server.api("/api/v1/messages?limit=200")["messages"]


def raw(server, message):
    """The stored bytes of one message."""
    with Http(server.desk, 60) as http:
        code, _, body = http.ask("GET", f"/api/v1/message/{message['id']}/raw")
        check(code == 200, f"raw of {message['id']}: {code}")
        return body
