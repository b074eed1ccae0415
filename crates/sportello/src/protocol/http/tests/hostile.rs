//! What must never happen over a real socket: two readings of one request, a way out of the root, contents of two files in one.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

/// All that comes back for `request`, with another one behind it, which must never be answered.
fn refused(house: &House, request: &[u8]) -> Vec<u8> {
    let mut stream = house.client();
    // The server may have closed before all of it was taken.
    let _ = stream.write_all(&[request, LAST.as_bytes()].concat());
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[track_caller]
fn check(house: &House, status: u16, request: &[u8]) {
    let shown = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
    let answer = String::from_utf8(refused(house, request)).unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
    assert_eq!(answer.lines().filter(|line| line.starts_with("HTTP/1.1 ")).count(), 1, "{shown:?}: {answer}");
    assert!(answer.contains("\r\nconnection: close\r\n") && !answer.ends_with("first"), "{shown:?}: {answer}");
}

const HEAD: &str = "POST /a HTTP/1.1\r\nHost: localhost\r\n";

#[test]
fn nothing_is_answered_after_a_refusal_and_the_next_connection_is_fine() {
    let house = House::open();
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5,5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 05",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding : chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\r\n folded",
        "X: \0",
        "Host: localhost",
        "Host: evil.example",
        "X",
    ] {
        check(&house, 400, format!("{HEAD}{lines}\r\n\r\n0\r\n\r\n").as_bytes());
        assert_eq!(house.dialogue(LAST), [ok("first")], "{lines}");
    }
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;\0\r\nhello\r\n0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nHost: evil.example\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\nGET /b HTTP/1.1\r\n\r\n",
    ] {
        check(&house, 400, format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{body}").as_bytes());
        assert_eq!(house.dialogue(LAST), [ok("first")], "{body:?}");
    }
    house.close();
}

#[test]
fn lines_that_are_no_requests_are_told_so_and_closed() {
    let house = House::open();
    let host = "Host: localhost\r\n\r\n";
    for (status, request) in [
        (400, format!("GET  / HTTP/1.1\r\n{host}")),
        (400, format!("GET /  HTTP/1.1\r\n{host}")),
        (400, "GET /\r\n".to_owned()),
        (400, format!("GET / HTTP/1.1\n{host}")),
        (400, format!("GET /a\0 HTTP/1.1\r\n{host}")),
        (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned()),
        (400, format!("GET http://u@localhost/a HTTP/1.1\r\n{host}")),
        (400, format!("GET ftp://localhost/a HTTP/1.1\r\n{host}")),
        (421, format!("GET https://localhost/a HTTP/1.1\r\n{host}")),
        (505, "PRI * HTTP/3.0\r\n\r\n".to_owned()),
        (501, format!("CONNECT localhost:80 HTTP/1.1\r\n{host}")),
        (417, format!("GET / HTTP/1.1\r\nExpect: x\r\n{host}")),
    ] {
        check(&house, status, request.as_bytes());
    }
    check(&house, 400, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\xff\xfe");
    // It says what it is to whoever reads it.
    let told = refused(&house, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03");
    assert!(String::from_utf8_lossy(&told).contains("this port speaks HTTP, not TLS"));
    assert_eq!(house.dialogue(LAST), [ok("first")]);
    house.close();
}

#[test]
fn long_heads_are_taken_at_the_limit_and_refused_beyond() {
    let house = House::open();
    let limits = http1::Limits::default();
    let close = "Host: localhost\r\nConnection: close\r\n";
    let line = |length: usize| {
        let query = "x".repeat(length - "GET /a? HTTP/1.1".len());
        format!("GET /a?{query} HTTP/1.1\r\n{close}\r\n")
    };
    let field = |length: usize| {
        let begin = format!("GET /a HTTP/1.1\r\n{close}X: ");
        let value = "x".repeat(length - begin.len() - 4);
        format!("{begin}{value}\r\n\r\n")
    };
    let name = |length: usize| {
        let begin = format!("GET /a HTTP/1.1\r\n{close}");
        let name = "x".repeat(length - begin.len() - 6);
        format!("{begin}{name}: \r\n\r\n")
    };
    let fields = |count: usize| format!("GET /a HTTP/1.1\r\n{close}{}\r\n", "X: y\r\n".repeat(count - 2));
    for request in [line(limits.request_line), field(limits.head), name(limits.head), fields(limits.fields)] {
        assert_eq!(house.dialogue(&request), [ok("first")]);
    }
    check(&house, 414, line(limits.request_line + 1).as_bytes());
    check(&house, 431, field(limits.head + 1).as_bytes());
    check(&house, 431, name(limits.head + 1).as_bytes());
    check(&house, 431, fields(limits.fields + 1).as_bytes());
    let method = |length: usize| format!("{} /a HTTP/1.1\r\n{close}\r\n", "M".repeat(length));
    assert_eq!(house.dialogue(&method(32))[0].0, 501);
    check(&house, 501, method(33).as_bytes());
    house.close();
}

/// A folder `root` in the house, with a secret beside it.
fn with_secret() -> (House, PathBuf) {
    let house = House::serving(Deadlines::default(), |folder| {
        fs::create_dir_all(folder.join("root/real")).unwrap();
        Served::Sites(Sites::only(files(&folder.join("root"), Settings::default())))
    });
    fs::create_dir_all(house.folder.join("root/real")).unwrap();
    fs::create_dir_all(house.folder.join("outside")).unwrap();
    fs::write(house.folder.join("outside/f"), "SECRET").unwrap();
    fs::write(house.folder.join("root/real/f"), "inside").unwrap();
    let root = house.folder.join("root");
    (house, root)
}

#[test]
fn no_encoding_of_a_path_leads_out_of_the_root() {
    let (house, root) = with_secret();
    symlink(house.folder.join("outside"), root.join("absolute")).unwrap();
    symlink("../outside", root.join("relative")).unwrap();
    symlink("../outside/f", root.join("file")).unwrap();
    symlink("real/../../outside", root.join("winding")).unwrap();
    symlink("/dev/zero", root.join("zero")).unwrap();
    symlink("/proc/self/environ", root.join("environ")).unwrap();
    symlink("real", root.join("fine")).unwrap();
    let ups = [
        "..",
        "%2e%2e",
        "%2E%2e",
        ".%2e",
        "%2e.",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "%e0%80%ae%e0%80%ae",
        "%f0%80%80%ae%f0%80%80%ae",
        "%uff0e%uff0e",
        "..%00",
        "..%20",
        "...",
        "....",
        "..;",
        "..%5c",
        "..%2f",
        "..%252f",
        "..%c0%af",
        "..%ef%bc%8f",
        ". .",
    ];
    let outside = house.folder.join("outside/f");
    let outside = outside.to_str().unwrap();
    let mut targets: Vec<String> = ups
        .iter()
        .flat_map(|up| {
            [
                format!("/{up}/outside/f"),
                format!("/real/{up}/{up}/outside/f"),
                format!("/./{up}/outside/f"),
                format!("/{up}{outside}"),
            ]
        })
        .collect();
    targets.extend([
        format!("/{outside}"),
        format!("//{outside}"),
        outside.replace('/', "%2f"),
        format!("/%2f{outside}"),
    ]);
    targets.extend(
        [
            "/..\\outside\\f",
            "/real\\..\\..\\outside\\f",
            "//outside/f",
            "///..//outside/f",
            "/real//../../outside/f",
            "/absolute/f",
            "/relative/f",
            "/file",
            "/winding/f",
            "/zero",
            "/environ",
            "/fine/../../outside/f",
            "/real/f/",
            "/real/f/.",
            "/real/f%00",
            "/real/f%00.html",
            "/real/f.",
            "/real/f%20",
            "/real./f",
            "/%",
            "/%2",
            "/%zz",
            "/%ff%fe",
            "/real/f/..",
            "/fine/f/../../../outside/f",
            "http://localhost/../outside/f",
            "http://localhost/%2e%2e/outside/f",
        ]
        .map(str::to_owned),
    );
    for target in &targets {
        let answers = house.dialogue(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert_eq!(answers.len(), 1, "{target}");
        // A folder of the root may be what such a path means, and is then listed.
        assert!(matches!(answers[0].0, 200 | 301 | 400 | 404), "{target}: {answers:?}");
        assert!(!answers[0].1.contains("SECRET") && !answers[0].1.contains("root:"), "{target}");
    }
    for target in ["/real/f", "/fine/f", "/./real/f", "/real/../real/f", "/%72eal/f"] {
        let answers = house.dialogue(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert_eq!(answers, [ok("inside")], "{target}");
    }
    house.close();
}

#[test]
fn a_folder_swapped_for_a_link_out_of_the_root_gives_nothing_away() {
    let (house, root) = with_secret();
    let over = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (over, root) = (Arc::clone(&over), root.clone());
        thread::spawn(move || {
            symlink("../outside", root.join("link")).unwrap();
            let swap = |a: &str, b: &str| {
                let (a, b) = (root.join(a), root.join(b));
                rustix::fs::renameat_with(rustix::fs::CWD, a, rustix::fs::CWD, b, rustix::fs::RenameFlags::EXCHANGE)
                    .unwrap();
            };
            let mut swaps = 0;
            while !over.load(Ordering::Relaxed) {
                swap("real", "link");
                swaps += 1;
            }
            swaps
        })
    };
    let mut seen = [0; 2];
    let mut stream = house.client();
    for _ in 0..3000 {
        stream.write_all(get("/real/f").as_bytes()).unwrap();
        match read_answer(&mut stream) {
            (200, body) => {
                assert_eq!(body, "inside");
                seen[0] += 1;
            }
            (404, body) => {
                assert!(!body.contains("SECRET"));
                seen[1] += 1;
            }
            // The kernel gave up on a walk that was disturbed again and again.
            (status, body) => assert!(status == 503 || status == 500, "{status} {body}"),
        }
    }
    over.store(true, Ordering::Relaxed);
    assert!(swapping.join().unwrap() > 100, "hardly a race");
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    drop(stream);
    house.close();
}

#[test]
fn what_is_no_file_is_never_waited_for() {
    let (house, root) = with_secret();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo"), 0o600.into()).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    // As many at once as would take every disk thread, were one of them to wait.
    let mut clients: Vec<_> = (0..64).map(|_| house.client()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        let target = if index % 2 == 0 { "/fifo" } else { "/socket" };
        client.write_all(get(target).as_bytes()).unwrap();
    }
    for client in &mut clients {
        assert_eq!(read_answer(client).0, 404);
    }
    drop(clients);
    let answers = house.dialogue("GET /real/f HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(answers, [ok("inside")]);
    house.close();
}

#[test]
fn a_file_replaced_while_it_is_sent_arrives_as_one_version_or_not_whole() {
    let house = House::open();
    let path = house.folder.join("big");
    let length = 32 << 20;
    let begin = |content: u8| {
        fs::write(&path, vec![content; length]).unwrap();
        let mut stream = house.client();
        stream.write_all(get("/big").as_bytes()).unwrap();
        let mut some = [0; 1000];
        stream.read_exact(&mut some).unwrap();
        (stream, some.to_vec())
    };
    let finish = |mut stream: TcpStream, mut bytes: Vec<u8>| {
        // Only when all has come may the client go.
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let mut rest = vec![0; length + head - bytes.len()];
        let mut at = 0;
        while at < rest.len() {
            match stream.read(&mut rest[at..]) {
                Ok(0) | Err(_) => break,
                Ok(count) => at += count,
            }
        }
        bytes.extend_from_slice(&rest[..at]);
        bytes.split_off(head)
    };
    // Another file takes its place: the one that was opened is sent to its end.
    let (stream, some) = begin(b'1');
    fs::write(house.folder.join("new"), vec![b'2'; length]).unwrap();
    fs::rename(house.folder.join("new"), &path).unwrap();
    let body = finish(stream, some);
    assert!(body.len() == length && body.iter().all(|&byte| byte == b'1'));
    // It is written anew where it is: what is of two versions never comes whole.
    let (stream, some) = begin(b'3');
    fs::write(&path, vec![b'4'; length]).unwrap();
    let body = finish(stream, some);
    assert!(body.len() < length, "{} bytes", body.len());
    // It grows, as a log does: what was there when it was asked for comes.
    let (stream, some) = begin(b'5');
    fs::File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    let body = finish(stream, some);
    assert!(body.len() == length && body.iter().all(|&byte| byte == b'5'));
    house.close();
}

#[test]
fn ten_thousand_requests_in_one_flood_are_answered_in_order() {
    let house = House::open();
    fs::write(house.folder.join("c"), "third").unwrap();
    let mut stream = house.client();
    let mut writing = stream.try_clone().unwrap();
    let flood = thread::spawn(move || {
        let round = ["/a", "/b", "/c", "/nothing", "/a"].map(get).concat();
        writing.write_all(round.repeat(2000).as_bytes()).unwrap();
        writing.write_all(LAST.as_bytes()).unwrap();
    });
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    flood.join().unwrap();
    let answers = split(&text, false);
    assert_eq!(answers.len(), 10_001);
    for round in answers[..10_000].chunks(5) {
        assert_eq!(
            [&round[0], &round[1], &round[2], &round[4]],
            [&ok("first"), &ok("second"), &ok("third"), &ok("first")]
        );
        assert_eq!(round[3].0, 404);
    }
    house.close();
}
