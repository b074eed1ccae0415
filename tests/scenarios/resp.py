"""A RESP client that shows exactly what came over the wire, for what client libraries hide."""

from sportello import Connection, check


class Error(str):
    """An error answer, without its dash."""


class Resp(Connection):
    def __init__(self, port, seconds=45):
        super().__init__(port, seconds)

    def send(self, *words):
        pieces = [f"*{len(words)}\r\n".encode()]
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            pieces.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.socket.sendall(b"".join(pieces))

    def ask(self, *words):
        self.send(*words)
        return self.read()

    def line(self, text):
        """One line of text, as a person types it."""
        self.socket.sendall(text.encode() + b"\r\n")
        return self.read()

    def exactly(self, count):
        """So many bytes of answers, whatever they are."""
        data = self.file.read(count)
        check(len(data) == count, f"{len(data)} bytes of {count}")
        return data

    def read(self):
        line = self.file.readline()
        check(line.endswith(b"\r\n"), f"an answer, not {line!r}")
        kind, rest = line[:1], line[1:-2].decode(errors="replace")
        if kind == b"+":
            return rest
        if kind == b"-":
            return Error(rest)
        if kind in b":(":
            return int(rest)
        if kind in b",":
            return float(rest)
        if kind == b"#":
            return rest == "t"
        if kind == b"_":
            return None
        if kind in b"$=":
            if rest == "-1":
                return None
            data = self.file.read(int(rest) + 2)
            check(data.endswith(b"\r\n"), "the end of a bulk string")
            return data[4:-2] if kind == b"=" else data[:-2]
        if kind in b"*~>":
            return None if rest == "-1" else [self.read() for _ in range(int(rest))]
        if kind == b"%":
            return {_key(self.read()): self.read() for _ in range(int(rest))}
        raise AssertionError(f"an answer of unknown kind: {line!r}")


def _key(value):
    return value.decode() if isinstance(value, bytes) else value
