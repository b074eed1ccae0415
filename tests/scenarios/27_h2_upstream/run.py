import os
import socket
import subprocess
import threading

from sportello import Http, Server, check, connect, finish, folder, run, same, step, until, write
from upstream import Upstream, body_of, websocket

home = folder("sportello-h2-upstream-")
LARGE = os.urandom(1 << 20) * 12
write(home / "files/index.html", "behind\n")
write(home / "files/large.bin", LARGE)


def echo(connection, file, head):
    body = body_of(file, head)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def waits(connection, file, head):
    begun.release()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun")
    go_on.acquire()
    connection.sendall(b"ended")


begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
app, slow, sockets = Upstream(echo), Upstream(waits), Upstream(websocket)

made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
           "20", "-subj", "/CN=app.internal", "-addext", "subjectAltName=DNS:app.internal", "-addext",
           "basicConstraints=critical,CA:FALSE", "-keyout", home / "app.key", "-out", home / "app.pem")
same(made.returncode, 0, made.stderr)

behind = Server(config=write(home / "behind.kdl", f'''
state "{home}/behind"
certificate "{home}/app.pem" key="{home}/app.key"
channel web port=0 protocol=http tls=auto
channel plain port=0 protocol=http
channel desk port=0 protocol=http {{ desk; }}
domain app.internal {{
    site app.internal {{
        route "/echo" {{ proxy "http://127.0.0.1:{app.port}"; }}
        route "/slow" {{ proxy "http://127.0.0.1:{slow.port}"; }}
        root "{home}/files"
    }}
}}
'''))
SECURED, PLAIN = behind.web, behind.ports["plain"]

listener = socket.create_server(("127.0.0.1", 0))
NGINX = listener.getsockname()[1]
listener.close()
(home / "nginx").mkdir()
os.chmod(home, 0o755)
write(home / "nginx.conf", f'''
daemon off; master_process off; pid {home}/nginx/pid; error_log {home}/nginx/error.log;
events {{ }}
http {{
    access_log {home}/nginx/access.log;
    client_body_temp_path {home}/nginx/a; proxy_temp_path {home}/nginx/b; fastcgi_temp_path {home}/nginx/c;
    uwsgi_temp_path {home}/nginx/d; scgi_temp_path {home}/nginx/e;
    server {{
        listen 127.0.0.1:{NGINX} http2;
        keepalive_requests 7;
        root {home}/files;
        location /says {{ return 200 "$server_protocol $http_host\\n"; }}
    }}
}}
''')
nginx = subprocess.Popen(["nginx", "-c", str(home / "nginx.conf"), "-p", str(home)], stderr=subprocess.DEVNULL)


def listens():
    try:
        connect(NGINX, seconds=1).close()
        return True
    except OSError:
        return False


until(listens, "nginx listens")

TLS = f'tls ca="{home}/app.pem" name=app.internal; host "app.internal"'
front = Server(config=write(home / "front.kdl", f'''
state "{home}/front"
channel web port=0 protocol=http
channel desk port=0 protocol=http {{ desk; }}
domain example.org {{
    site "*" {{
        route "/plain/*" {{ strip-prefix "/plain"; proxy "h2c://127.0.0.1:{PLAIN}" {{ host "app.internal"; health "/"; }} }}
        route "/secured/*" {{ strip-prefix "/secured"; proxy "h2://127.0.0.1:{SECURED}" {{ {TLS}; }} }}
        route "/stranger/*" {{ strip-prefix "/stranger"; proxy "h2://127.0.0.1:{SECURED}" {{ host "app.internal"; }} }}
        route "/old/*" {{ proxy "h2c://127.0.0.1:{app.port}"; }}
        route "/nginx/*" {{ strip-prefix "/nginx"; proxy "h2c://127.0.0.1:{NGINX}"; }}
        route "/ws" {{ proxy "h2c://127.0.0.1:{PLAIN}"; }}
        route "/ws-beside" {{ proxy "h2c://127.0.0.1:{PLAIN}" "http://127.0.0.1:{sockets.port}"; }}
    }}
}}
'''))
WEB = front.web


def ask(method, path, *more, body=None):
    with Http(WEB) as client:
        return client.ask(method, path, list(more), body=body)


for where in ("plain", "secured"):
    with step(f"{where}: pages, heads, ranges and what is not there"):
        same(ask("GET", f"/{where}/")[::2], (200, b"behind\n"))
        same(ask("GET", f"/{where}/", "Range: bytes=1-3")[::2], (206, b"ehi"))
        status, fields, body = ask("HEAD", f"/{where}/")
        same((status, fields["content-length"], body), (200, "7", b""))
        same(ask("GET", f"/{where}/", f"If-None-Match: {fields['etag']}")[0], 304)
        same(ask("GET", f"/{where}/missing")[0], 404)

    with step(f"{where}: large bodies pass both ways"):
        check(ask("GET", f"/{where}/large.bin")[2] == LARGE, "a large file")
        check(ask("POST", f"/{where}/echo", body=LARGE)[2] == LARGE, "a large body and its echo")

    with step(f"{where}: many requests at once"):
        urls = [f"http://127.0.0.1:{WEB}/{where}/?{number}" for number in range(100)]
        result = run("curl", "-sS", "--parallel", "--parallel-max", "50", *urls)
        same((result.returncode, result.stdout), (0, "behind\n" * 100), result.stderr)

with step("nginx, whose connections end after a few requests, is asked on others"):
    for number in range(30):
        same(ask("GET", "/nginx/says")[::2], (200, f"HTTP/2.0 127.0.0.1:{WEB}\n".encode()), number)
    check(ask("GET", "/nginx/large.bin")[2] == LARGE, "a large file")
    urls = [f"http://127.0.0.1:{WEB}/nginx/?{number}" for number in range(100)]
    result = run("curl", "-sS", "--parallel", "--parallel-max", "50", *urls)
    same((result.returncode, result.stdout), (0, "behind\n" * 100), result.stderr)

with step("a certificate that nobody vouches for, or HTTP/1.1 in the place of HTTP/2, is a 502"):
    same(ask("GET", "/stranger/")[0], 502)
    same(ask("GET", "/old/")[0], 502)
    until(lambda: "a request failed at an upstream" in front.stderr() + front.stdout(), "the log says so")

with step("a WebSocket is a 502, and passes to an upstream of HTTP/1.1 beside"):
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    same(ask("GET", "/ws", *upgrade)[0], 502)
    for _ in range(2):
        with Http(WEB) as client:
            client.send("\r\n".join([f"GET /ws-beside HTTP/1.1\r\nHost: 127.0.0.1:{WEB}", *upgrade, "\r\n"]).encode())
            same(client.head()[0], 101)

with step("what was begun comes whole while the upstream stops; then it is not there"):
    with Http(WEB) as client:
        client.send(f"GET /plain/slow HTTP/1.1\r\nHost: 127.0.0.1:{WEB}\r\n\r\n".encode())
        same((client.head()[1]["content-length"], client.exactly(5)), ("10", b"begun"))
        begun.acquire()
        stopping = threading.Thread(target=behind.stop)
        stopping.start()
        go_on.release()
        same(client.exactly(5), b"ended")
        stopping.join()
    check(ask("GET", "/secured/")[0] in (502, 503), "nobody is there")

nginx.terminate()
nginx.wait()
front.stop()
finish()
