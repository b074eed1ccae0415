//! What a program is given: arguments, input, environment, descriptors; and nothing else.

use bytes::Bytes;
use sportello_service::run::Exit;

use crate::place::{Place, invocation, run, text};
use crate::{Case, case};

pub(crate) const CASES: &[Case] = &[
    case!(arguments_verbatim),
    case!(input),
    case!(input_not_read),
    case!(environment),
    case!(descriptors),
    case!(surroundings),
];

async fn arguments_verbatim(place: Place) {
    let runner = place.runner();
    let odd = ["", " ", "a b", "; exit 9", "$(echo x)", "`id`", "*", "a\nb\r\n", "'\"\\", "é", "> /tmp/x", "\t", "a=b"];
    let mut arguments = vec!["printf '%s\\0' \"$@\""];
    arguments.extend(odd);
    let outcome = run(&runner, "do", &arguments).await.unwrap();
    let seen: Vec<&str> = text(&outcome).trim_end_matches('\0').split('\0').collect();
    assert_eq!(seen, odd);

    let mut bytes = invocation("do", &["printf '%s' \"$1\""]);
    bytes.arguments.push((1..=255).collect());
    assert_eq!(runner.run(bytes).await.unwrap().stdout, (1..=255).collect::<Vec<u8>>());
}

async fn input(place: Place) {
    let runner = place.runner();
    for length in [0usize, 1, 65_536, 1 << 20] {
        let stdin: Bytes = (0..length).map(|place| (place % 251) as u8).collect();
        let outcome = runner
            .run(sportello_service::run::Invocation { stdin: stdin.clone(), ..invocation("cat", &[]) })
            .await
            .unwrap();
        assert_eq!(outcome.exit, Exit::Code(0));
        assert!(outcome.stdout == stdin, "{length} bytes");
    }
}

/// EPIPE is the program's business.
async fn input_not_read(place: Place) {
    let runner = place.runner();
    let mut invocation = invocation("do", &["exec 0<&-; echo done"]);
    invocation.stdin = vec![b'x'; 1 << 20].into();
    let outcome = runner.run(invocation).await.unwrap();
    assert_eq!((outcome.exit, text(&outcome)), (Exit::Code(0), "done\n"));
}

async fn environment(place: Place) {
    let runner = place.runner();
    let outcome = run(&runner, "env", &[]).await.unwrap();
    let mut seen: Vec<&str> = text(&outcome).lines().collect();
    seen.sort_unstable();
    let expect = [
        "HOME=/nonexistent",
        "LANG=C.UTF-8",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "SPORTELLO_COMMAND=env",
        "SPORTELLO_PEER=127.0.0.1:4711",
        "SPORTELLO_REQUEST=1.1",
    ];
    assert_eq!(seen, expect);
}

/// 3 is the folder that ls lists.
async fn descriptors(place: Place) {
    let runner = place.runner();
    for stdin in ["", "input"] {
        let outcome = runner
            .run(sportello_service::run::Invocation { stdin: stdin.into(), ..invocation("ls", &["/proc/self/fd"]) })
            .await
            .unwrap();
        assert_eq!(text(&outcome), "0\n1\n2\n3\n");
    }
}

/// The folder, the group, the terminal, the signals.
async fn surroundings(place: Place) {
    let runner = place.runner();
    let outcome =
        run(&runner, "do", &["pwd; cut -d' ' -f5 /proc/$$/stat; echo $$; cut -d' ' -f7 /proc/$$/stat"]).await.unwrap();
    let lines: Vec<&str> = text(&outcome).lines().collect();
    assert_eq!(lines[0], "/");
    assert_eq!(lines[1], lines[2], "it leads a process group");
    assert_eq!(lines[3], "0", "it has no terminal");
    // None blocked, none ignored, but the two that glibc's posix_spawn keeps for itself (32 and 33).
    let outcome = run(&runner, "do", &["grep -E 'SigBlk|SigIgn' /proc/self/status | cut -f2"]).await.unwrap();
    for line in text(&outcome).lines() {
        let set = u64::from_str_radix(line, 16).unwrap();
        assert_eq!(set & !(0b11 << 31), 0, "{line}");
    }
    assert_eq!(text(&outcome).lines().count(), 2);
}
