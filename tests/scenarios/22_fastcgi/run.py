import hashlib
import json
import os
import signal
import subprocess

import php
from sportello import (BINARY, Http, Server, check, contains, finish, folder, run, same, step, until,
                       write)

HERE = folder("sportello-fastcgi-")
HERE.chmod(0o755)  # the scripts run as another user, where this one is root
WWW = HERE / "www"

SCRIPTS = {
    "echo.php": """<?php
header('Content-Type: application/json');
$files = array_map(fn ($file) => [$file['name'], $file['size'], sha1_file($file['tmp_name'])], $_FILES);
echo json_encode(['server' => $_SERVER, 'get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE, 'files' => $files,
    'body' => sha1(file_get_contents('php://input')), 'proxy' => getenv('HTTP_PROXY')], JSON_INVALID_UTF8_SUBSTITUTE);
""",
    "index.php": "<?php echo 'the front page, asked for ', $_SERVER['REQUEST_URI'];",
    "blog/index.php": "<?php echo 'the blog';",
    "large.php": "<?php for ($i = 0; $i < 1024; $i++) { echo str_repeat(chr(65 + $i % 26), 65536); }",
    "slowly.php": """<?php
while (ob_get_level()) ob_end_flush();
echo "first\\n"; flush();
while (!file_exists(__DIR__ . '/go')) { clearstatcache(); usleep(1000); }
echo "second\\n";
""",
    "teapot.php": "<?php http_response_code(418); header('X-Kind: pot'); setcookie('a', '1'); setcookie('b', '2'); echo 'short';",
    "away.php": "<?php header('Location: /elsewhere?a=b');",
    "split.php": "<?php header(\"X-A: b\\r\\nSet-Cookie: stolen=1\"); echo 'sent';",
    "fatal.php": "<?php ini_set('display_errors', '0'); echo 'begun'; nothing_of_this_name();",
    "pid.php": """<?php
while (ob_get_level()) ob_end_flush();
if (isset($_GET['begin'])) { echo getmypid(), "\\n"; flush(); }
file_put_contents(__DIR__ . '/pid', getmypid());
while (true) usleep(1000);
""",
    "length.php": "<?php header('Content-Length: 5'); echo 'exact';",
    "none.php": "<?php http_response_code(204);",
}
for name, text in SCRIPTS.items():
    write(WWW / name, text, 0o644)
write(WWW / "upload/avatar.jpg", "<?php echo 'PWNED';", 0o644)
write(WWW / ".git/secret.php", "<?php echo 'PWNED';", 0o644)
write(HERE / "outside.php", "<?php echo 'PWNED';", 0o644)
(WWW / "out.php").symlink_to(HERE / "outside.php")
write(WWW / "style.css", "p {}\n", 0o644)
WWW.chmod(0o777)

write(HERE / "sportello.kdl", f"""
state "state"
channel web address="127.0.0.1" port=0 protocol=http

domain localhost {{
    site localhost {{
        route "/kept/*" {{
            fastcgi "unix:{HERE}/fpm.sock" {{
                root "www"
                keep 1
            }}
        }}
        route "/front/*" {{
            fastcgi "unix:{HERE}/fpm.sock" {{
                root "www"
                fallback "/index.php"
            }}
        }}
        route "/other/*" {{
            strip-prefix "/other"
            rewrite "/echo.php{{path}}"
            fastcgi "unix:{HERE}/fpm.sock" {{
                root "www"
                path-info on
            }}
        }}
        route "/impatient/*" {{
            fastcgi "unix:{HERE}/fpm.sock" {{
                root "www"
                timeout head="300ms"
            }}
        }}
        route "/gone/*" {{
            fastcgi "unix:{HERE}/nothing.sock" {{
                root "www"
            }}
        }}
        route "*.php" "/index.php/*" "/echo.php/*" "/blog/*" {{
            fastcgi "unix:{HERE}/fpm.sock" {{
                root "www"
                path-info on
                param APP_ENV "scenario"
            }}
        }}
        root "www"
    }}
}}
""")
for name in ("kept", "impatient", "gone"):
    write(WWW / name / "echo.php", SCRIPTS["echo.php"], 0o644)
    write(WWW / name / "pid.php", SCRIPTS["pid.php"], 0o644)

fpm = php.Pool(HERE)
server = Server(config=HERE / "sportello.kdl")
URL = f"http://localhost:{server.web}"


def curl(path, *more):
    """Status, head, body."""
    done = subprocess.run(["curl", "-s", "-i", "--path-as-is", "-H", "Expect:", *map(str, more), URL + path],
                          capture_output=True, timeout=60)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    head = head.decode().lower()
    return int(head.split()[1]) if head else 0, head, body


def echo(path, *more):
    status, head, body = curl(path, *more)
    same(status, 200, f"{path}: {head} {body[:300]}")
    return json.loads(body)


def sha1(data):
    return hashlib.sha1(data).hexdigest()


with step("a script is told what was asked"):
    told = echo("/echo.php/caf%C3%A9/x?a=1&b=%20", "-H", "X-Some-Thing: yes", "-H", "Cookie: c=d")["server"]
    for name, value in {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/echo.php", "SCRIPT_FILENAME": f"{WWW}/echo.php",
        "DOCUMENT_ROOT": str(WWW), "PATH_INFO": "/café/x", "QUERY_STRING": "a=1&b=%20",
        "REQUEST_URI": "/echo.php/caf%C3%A9/x?a=1&b=%20", "SERVER_PROTOCOL": "HTTP/1.1", "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "localhost", "SERVER_PORT": str(server.web),
        "HTTP_HOST": f"localhost:{server.web}", "HTTP_X_SOME_THING": "yes", "HTTP_COOKIE": "c=d", "APP_ENV": "scenario",
        "PHP_SELF": "/echo.php/café/x", "REQUEST_SCHEME": "http",
    }.items():
        same(told.get(name), value, name)
    for name in ("HTTPS", "CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_USER"):
        check(name not in told, f"{name} is there: {told.get(name)}")

with step("forms and cookies arrive as PHP knows them"):
    told = echo("/echo.php?q=1", "-d", "name=Ada&list[]=1&list[]=2", "-H", "Cookie: a=1", "-H", "Cookie: b=2")
    same(told["post"], {"name": "Ada", "list": ["1", "2"]})
    same((told["get"], told["cookie"]), ({"q": "1"}, {"a": "1", "b": "2"}))
    same(told["server"]["CONTENT_LENGTH"], "26")

with step("uploads arrive whole: small, of a few MiB, and of unknown length"):
    for size in (10, 70_000, 5 << 20):
        data = os.urandom(size)
        write(HERE / "data", data)
        told = echo("/echo.php", "-F", f"file=@{HERE / 'data'};filename=x.bin")
        same(told["files"]["file"], ["x.bin", size, sha1(data)])
        same(echo("/echo.php", "-X", "PUT", "-H", "Content-Type: a/b", "--data-binary", f"@{HERE / 'data'}")["body"], sha1(data))
    for size in (0, 1, 64 << 10, (64 << 10) + 1, 5 << 20):
        data = os.urandom(size)
        write(HERE / "data", data)
        told = echo("/echo.php", "-H", "Transfer-Encoding: chunked", "-H", "Content-Type: a/b",
                    "--data-binary", f"@{HERE / 'data'}")
        same((told["body"], told["server"]["CONTENT_LENGTH"]), (sha1(data), str(size)), f"{size} bytes in chunks")


def aside():
    """Files of the server's that have no name: bodies that were put aside."""
    links = []
    for entry in os.listdir(f"/proc/{server.pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{server.pid}/fd/{entry}"))
        except FileNotFoundError:
            pass
    return sum(link.startswith(str(server.state)) and link.endswith("(deleted)") for link in links)


with step("slow uploads, twice as many as PHP has processes, keep nobody waiting; each arrives whole, and who leaves is forgotten"):
    uploads = []
    for number in range(2 * 4 + 2):
        data = os.urandom(70_000 + number)
        upload = Http(server.web)
        uploads.append((upload, data, number % 2))
        framing = b"Transfer-Encoding: chunked" if number % 2 else b"Content-Length: %d" % len(data)
        upload.send(b"POST /echo.php HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\n" + framing + b"\r\n\r\n")
        upload.send((b"%x\r\n" % len(data) if number % 2 else b"") + data[:-1])
    until(lambda: aside() == len(uploads), "all are put aside")
    for _ in range(8):
        same(curl("/index.php/while")[2], b"the front page, asked for /index.php/while")
    for upload, _, _ in uploads[-2:]:
        upload.close()
    until(lambda: aside() == len(uploads) - 2, "who left has nothing there")
    for upload, data, chunked in uploads[:-2]:
        upload.send(data[-1:] + (b"\r\n0\r\n\r\n" if chunked else b""))
        status, _, body = upload.answer()
        told = json.loads(body)
        same((status, told["body"], told["server"]["CONTENT_LENGTH"]), (200, sha1(data), str(len(data))))
        upload.close()
    until(lambda: aside() == 0, "nor does who was answered")
    same([name for name in os.listdir(server.state) if name.startswith("body")], [])

with step("output is passed on whole and as it comes"):
    status, _, body = curl("/large.php")
    same((status, len(body), sha1(body)), (200, 64 << 20, sha1(b"".join(bytes([65 + i % 26]) * 65536 for i in range(1024)))))
    with Http(server.web) as client:
        client.send(b"GET /slowly.php HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, fields = client.head()
        same(status, 200)

        def piece():
            size = int(client.file.readline(), 16)
            return client.exactly(size + 2).rstrip(b"\r\n")

        same(piece(), b"first", "before the second line is there")
        write(WWW / "go", "", 0o644)
        same((piece(), piece()), (b"second", b""))
    status, head, body = curl("/length.php")
    contains(head, "content-length: 5")
    same(body, b"exact")

with step("statuses, fields and redirections are the script's"):
    status, head, body = curl("/teapot.php")
    same((status, body), (418, b"short"))
    contains(head, "x-kind: pot")
    same(head.count("set-cookie:"), 2)
    status, head, _ = curl("/away.php")
    same(status, 302)
    contains(head, "location: /elsewhere?a=b")
    same(curl("/none.php")[0], 204)
    status, head, body = curl("/echo.php", "-I")
    same((status, body), (200, b""))

with step("a folder has its script, and is asked for with a slash"):
    same(curl("/blog/")[2], b"the blog")
    status, head, _ = curl("/blog?a=b")
    same(status, 301)
    contains(head, "location: /blog/?a=b")
    same(curl("/index.php/2024/hello?p=1")[2], b"the front page, asked for /index.php/2024/hello?p=1")
    same(curl("/style.css")[2], b"p {}\n")

with step("a script stands in for what is not there, and is told what was asked for"):
    same(curl("/front/2024/hello?p=1")[2], b"the front page, asked for /front/2024/hello?p=1")
    same(curl("/front/upload/avatar.jpg/x.php")[2], b"the front page, asked for /front/upload/avatar.jpg/x.php")
    told = echo("/other/x%20y?p=1")["server"]
    same((told["REQUEST_URI"], told["SCRIPT_NAME"], told["PATH_INFO"]), ("/other/x%20y?p=1", "/echo.php", "/x y"))

with step("nothing is run that is no script, and no source is shown"):
    for path, expected in {
        "/upload/avatar.jpg/x.php": 404, "/upload/avatar.jpg/.php": 404, "/upload/avatar.jpg%00.php": 400,
        "/upload/avatar.jpg%2fx.php": 400, "/upload/avatar.jpg/%2e%2e/avatar.jpg/x.php": 404,
        "/kept/echo.php/": 404, "/kept/echo.php/x": 404, "/kept/echo.php//": 404, "/kept/echo.php/%2e/": 404,
        "/missing.php": 404, "/missing.php/echo.php": 404, "/out.php": 404, "/.git/secret.php": 404,
        "/../outside.php": 400, "/%2e%2e/outside.php": 400, "/blog/..%2f..%2foutside.php": 400, "/blog\\..\\echo.php": 400,
        "/echo.php%0a": 404, "/echo.php%20": 404, "/echo.php.": 404, "/echo.PHP": 404, "/echo.php::$DATA": 404,
    }.items():
        status, _, body = curl(path)
        same(status, expected, path)
        check(b"PWNED" not in body and b"<?php" not in body, f"{path}: {body[:200]}")
    check(b"<?php echo 'PWNED'" in curl("/upload/avatar.jpg")[2], "what is no script is a file like any other")

with step("a client cannot make a script believe what only the server knows"):
    told = echo("/echo.php", "-H", "Proxy: http://evil.example/", "-H", "X_Some_Thing: forged", "-H", "X.Some.Thing: forged",
                "-H", "X-Some-Thing: true", "-H", "X-Forwarded-For: 10.0.0.1", "-H", "X-Forwarded-Proto: https",
                "-H", "Forwarded: for=10.0.0.1", "-H", "Script_Filename: /etc/passwd", "-H", "Https: on",
                "-H", "Remote-Addr: 10.0.0.1", "-H", "Content_Length: 9", "-H", "Php-Value: auto_prepend_file=/etc/passwd")
    check("HTTP_PROXY" not in told["server"] and told["proxy"] is False, "httpoxy")
    same(told["server"]["HTTP_X_SOME_THING"], "true")
    same((told["server"]["REMOTE_ADDR"], told["server"]["SCRIPT_FILENAME"]), ("127.0.0.1", f"{WWW}/echo.php"))
    for name in ("HTTPS", "CONTENT_LENGTH", "PHP_VALUE", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED"):
        check(name not in told["server"], f"{name}: {told['server'].get(name)}")
    status, head, _ = curl("/split.php")
    check("stolen" not in head, head)

with step("a script that fails or is killed is told of, and never looks whole"):
    status, _, body = curl("/fatal.php")
    check(status in (200, 500), status)
    until(lambda: "nothing_of_this_name" in server.stderr(), "what it complained of is in the log")
    line = next(line for line in server.stderr().splitlines() if "nothing_of_this_name" in line)
    contains(line, "/fatal.php")

    def killed(path):
        (WWW / "pid").unlink(missing_ok=True)
        client = subprocess.Popen(["curl", "-s", "-w", "%{http_code}", URL + path], stdout=subprocess.PIPE)
        pid = until(lambda: (WWW / "pid").exists() and (WWW / "pid").read_text(), "the script runs")
        os.kill(int(pid), signal.SIGKILL)
        output = client.communicate(timeout=30)[0].decode()
        return client.returncode, output[-3:]

    same(killed("/pid.php"), (0, "502"))
    code, status = killed("/pid.php?begin")
    check(code != 0 and status == "200", f"an answer that broke off ends as one: {code} {status}")

with step("an application that is silent or not there is told as that"):
    status, _, body = curl("/impatient/pid.php")
    same(status, 504)
    check(str(HERE).encode() not in body, body)
    same(curl("/gone/echo.php")[0], 502)
    same(curl("/gone/nothing.php")[0], 404)

with step("a connection is used again where that is said, and explain tells what is run"):
    for _ in range(5):
        same(echo("/kept/echo.php")["server"]["SCRIPT_NAME"], "/kept/echo.php")
    text = (HERE / "sportello.kdl").read_text().replace("port=0", "port=18080")
    write(HERE / "fixed.kdl", text)
    said = run(BINARY, "explain", "--config", HERE / "fixed.kdl", "http://localhost:18080/echo.php/x")
    contains(said.stdout, "runs the script echo.php with the path /x")

server.stop()
fpm.stop()
finish()
