"""The caught mail, as the desk's API gives it, in the names of the scenarios."""

from sportello import Http, check


def inbox(server, start=0):
    """The messages, newest first, at most 1000 of them after `start` newer ones."""
    found = server.api(f"/api/v1/messages?limit=1000&start={start}")["messages"]
    return [{"id": each["ID"], "subject": each["Subject"], "size": each["Size"]} for each in found]


def all_messages(server):
    """All messages, page by page; nothing may arrive meanwhile."""
    found = []
    while page := inbox(server, len(found)):
        found += page
    return found


def raw(server, message):
    """The stored bytes of one message."""
    with Http(server.desk, 60) as http:
        code, _, body = http.ask("GET", f"/api/v1/message/{message['id']}/raw")
        check(code == 200, f"raw of {message['id']}: {code}")
        return body
