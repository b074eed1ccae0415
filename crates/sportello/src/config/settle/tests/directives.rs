//! Each directive reaches its setting, and unless it is written what the table calls the default holds.

use super::*;

const ALL: &str = r#"
address "0.0.0.0"
hostname mail.example.org
state "state" { memory "1MiB" body="2KiB"; keep-free "3MiB"; uploads "5MiB" }
inbox { keep count=47 age="48d" bytes="49MiB" }
workers 3
grace "4s"
log debug form=json
slow-log "43ms" keep=44
connections 500 per-source=70
channel web port=8080 protocol=http {
    connections 6
    backlog 7
    first-byte "8s"
    idle "9s"
    between-bytes "10s"
    request "11s"
    write "12s"
    minimum-rate "13B" after="14s"
    head-size "5KiB" fields=51
}
channel mail port=1025 protocol=smtp address="::1" {
    message-size "15MiB"
    recipients 116
    recipient-domains 45
    messages 46
    errors 17
    idle-commands 18
    received 119
    text-line-size "20KiB"
    per-minute connections=21 messages=22 recipients=23 failures=0
    greet-delay "24s"
    unfinished "25MiB"
    this-machine like-others
}
channel commands port=7070 protocol=command address="127.0.0.1" {
    arguments 26 size="27B"
    request-size "28KiB"
    line-size "290B"
}
channel desk port=0 protocol=http address="127.0.0.1" { desk; body-size "52KiB" }
domain example.org {
    site www.example.org *.example.org {
        root "/srv"
        memory "30MiB" file="31KiB"
        listing on page=32
        hidden-names served
        error-page 404 "/404.html"
        cache-control "*" "max-age=33"
        index a.html "b.htm"
        symlinks owner
        precompressed zstd br
        compress gzip br minimum="60B" most="61MiB" { level gzip 8; types "text/*" }
    }
    mail { capture }
}
domain "*" { site "*" { root "/usr"; listing off } }
command greet {
    summary "greets"
    program "/bin/echo" "Hello" "{who}"
    argument who
    timeout "34s" kill-after="35s"
    parallel 36
    queue 37 wait="38s"
    arguments-size "39B"
    input "40B"
    output "41B"
    diagnostics "42B"
}
"#;

#[test]
fn every_directive_reaches_its_setting() {
    // A machine without IPv6 has a second loopback address all the same.
    let second = if std::net::UdpSocket::bind("[::1]:0").is_ok() { "::1" } else { "127.0.0.2" };
    let settings = settings(&ALL.replace("::1", second));
    let seconds = Duration::from_secs;
    assert_eq!((settings.address.to_string().as_str(), settings.hostname.as_str()), ("0.0.0.0", "mail.example.org"));
    let store = &settings.store;
    assert_eq!(store.folder, Path::new("/tmp/state"));
    assert_eq!((store.memory_budget, store.memory_body, store.disk_reserve), (1 << 20, 2 << 10, 3 << 20));
    assert_eq!((settings.uploads.bytes, settings.uploads.keep_free), (5 << 20, 3 << 20));
    let kept = store.retention;
    assert_eq!(
        (kept.most_messages, kept.oldest, kept.most_bytes),
        (Some(47), Some(seconds(48 * 86_400)), Some(49 << 20))
    );
    assert_eq!((settings.workers, settings.grace), (3, seconds(4)));
    assert_eq!(settings.log, Logging { level: LevelFilter::DEBUG, form: Form::Json });
    assert_eq!((settings.slow_log.slower_than.as_millis(), settings.slow_log.length), (43, 44));
    assert_eq!((settings.most_connections, settings.most_per_source), (500, 70));
    let [web, mail, commands, desk] = settings.channels.as_slice() else { panic!("four channels") };
    assert_eq!((web.channel.most_connections, web.channel.backlog), (6, 7));
    let d = web.channel.deadlines;
    assert_eq!(
        [d.first_byte, d.idle, d.between_bytes, d.request, d.write, d.rate_grace].map(|time| time.as_secs()),
        [8, 9, 10, 11, 12, 14]
    );
    assert_eq!(d.minimum_rate, 13);
    assert_eq!(mail.channel.address, std::net::SocketAddr::new(second.parse().unwrap(), 1_025));
    assert!(mail.channel.loopback && !web.channel.loopback && commands.channel.loopback);
    let Role::Smtp(smtp) = &mail.role else { panic!("smtp") };
    let l = &smtp.limits;
    assert_eq!(
        (l.message, l.recipients, l.errors, l.idle_commands, l.received, l.text_line),
        (15 << 20, 116, 17, 18, 119, 20 << 10)
    );
    assert_eq!((l.recipient_domains, l.messages), (45, 46));
    let rates = [smtp.connections, smtp.messages, smtp.recipients, smtp.failures];
    assert_eq!(rates.map(|rate| rate.map_or(0, |often| often.per_minute.get())), [21, 22, 23, 0]);
    assert_eq!((smtp.greet_delay, smtp.unfinished, smtp.local), (seconds(24), 25 << 20, smtp::Local::LikeOthers));
    assert_eq!(smtp.domains, smtp::Domains::These(["example.org".to_owned()].into()));
    let Role::Command(l) = &commands.role else { panic!("command") };
    assert_eq!((l.arguments, l.argument, l.request, l.line), (26, 27, 28 << 10, 290));
    let (Role::Desk(desk_limits), Role::Sites(limits)) = (&desk.role, &web.role) else { panic!("http") };
    assert_eq!((limits.head.head, limits.head.request_line, limits.head.fields), (5 << 10, 5 << 10, 51));
    assert_eq!((desk_limits.body, desk_limits.head), (52 << 10, Default::default()));
    assert_eq!(desk.channel.index, 3);
    let [site, other] = settings.sites.as_slice() else { panic!("two sites") };
    let names: Vec<String> = site.hosts.names.iter().map(ToString::to_string).collect();
    assert_eq!(
        (names, site.hosts.others),
        (vec!["www.example.org".to_owned(), "*.example.org".to_owned()], Others::NotOurs)
    );
    let files = |site: &Site| Arc::clone(&site.description.folders[0].settings);
    assert_eq!((files(site).hot_files, files(site).hot_file), (30 << 20, 31 << 10));
    let said = format!("{:?}", files(site));
    assert!(
        said.contains("per_page: 32")
            && said.contains("hidden: Served")
            && said.contains("links: SameOwner")
            && said.contains("precompressed: [Zstd, Brotli]")
            && said.contains("minimum: 60, most: 63963136")
            && said.contains("Level { coding: Gzip, number: 8 }, Level { coding: Brotli, number: 5 }")
            && said.contains("types: These([Family(\"text/\")])")
            && said.contains("[\"a.html\", \"b.htm\"]")
            && said.contains("max-age=33")
            && said.contains("404"),
        "{said}"
    );
    assert!(other.hosts.names.is_empty() && other.hosts.others == Others::Answered);
    assert!(format!("{:?}", files(other)).contains("listing: Off"));
    let [program] = settings.programs.as_slice() else { panic!("one program") };
    let l = program.limits;
    assert_eq!([l.timeout, l.grace, l.queue_wait].map(|time| time.as_secs()), [34, 35, 38]);
    assert_eq!([l.parallel, l.queue, l.arguments, l.stdin, l.output, l.stderr], [36, 37, 39, 40, 41, 42]);
    assert_eq!(
        (program.name(), program.template.usage().as_str(), program.summary.as_deref()),
        ("greet", "who", Some("greets"))
    );
}

/// Everything for which the table names a default that can be written, written.
const DEFAULTS: &str = r#"
address "127.0.0.1"
trusted-proxies "192.0.2.10" field=x-forwarded
state "/tmp/s" { memory "64MiB" body="128KiB"; keep-free "64MiB"; uploads "4GiB" }
grace "10s"
log info form=text
slow-log "10ms" keep=128
ban failures=10 within="10min" for="1h"
channel web port=1 protocol=http tls=off {
    backlog 4096
    first-byte "30s"
    idle "75s"
    between-bytes "20s"
    request "60s"
    write "30s"
    minimum-rate "256B" after="20s"
    head-size "16KiB" fields=100
}
channel desk port=0 protocol=http {
    desk
    body-size "1MiB"
}
channel mail port=2 protocol=smtp {
    first-byte "5min"
    idle "5min"
    between-bytes "3min"
    request "1h"
    write "60s"
    minimum-rate "64B" after="3min"
    message-size "100MiB"
    recipients 1000
    recipient-domains 1000
    messages 100000
    errors 20
    idle-commands 1000
    received 100
    text-line-size "1MiB"
    per-minute connections=15000 messages=30000 recipients=300000 failures=600
    greet-delay "0ms"
    unfinished "256MiB"
    this-machine trusted
}
channel commands port=3 protocol=command {
    first-byte "1h"
    idle "1h"
    between-bytes "30s"
    request "2min"
    write "30s"
    minimum-rate "256B" after="20s"
    arguments 1024 size="512KiB"
    request-size "1MiB"
    line-size "64KiB"
}
domain "*" {
    site "*" {
        route "/a" { respond 200 "a" type="text/plain; charset=utf-8" }
        route "/b" { redirect "/c" status=302 }
        route "/c" {
            fastcgi "php:9000" {
                root "/usr"
                split ".php"
                index "index.php"
                timeout connect="5s" head="60s" between="60s"
                parallel 128
                keep 1 idle="10s"
            }
        }
        route "/d" { run a type="text/plain; charset=utf-8" method=POST }
        route "/e" {
            proxy "http://127.0.0.1:3000" {
                upstream "http://127.0.0.1:3001" weight=1 role=regular
                balance round-robin
                host client
                health "/" every="10s" within="5s" rise=2 fall=3
                eject 3 within="10s" for="10s"
                parallel PLACES
                tries 3
                timeout connect="5s" head="60s" between="60s" tunnel="600s"
                keep 32 age="60s"
            }
        }
        header set "a" "b" of=answer
        ask "http://127.0.0.1:9091" path="/" within="10s"
        hsts max-age="1d" subdomains=no preload=no
        limit rate="10/s" at-once=5 by=address
        root "/srv"
        memory "32MiB" file="256KiB"
        listing on page=1000
        hidden-names not-there
        log "/tmp/a.log" format=combined { rotate size="100MiB" age="3660d" keep=10 }
    }
    mail { capture }
}
domain a.example {
    mail { judge { spf tag; dmarc junk; iprev tag; dnsbl "bl.example" then=reject; trouble accept } }
}
command a {
    program "/bin/echo"
    timeout "30s" kill-after="2s"
    parallel 16
    queue 64 wait="10s"
    arguments-size "96KiB"
    input "16MiB"
    output "1MiB"
    diagnostics "4KiB"
}
resolver validation=local
relay "relay.example" tls=required
sending port=25 policy-port=443
"#;

#[test]
fn what_the_table_calls_the_default_is_the_default() {
    let least = "trusted-proxies \"192.0.2.10\"\nstate \"/tmp/s\"\nchannel web port=1 protocol=http\nchannel desk port=0 protocol=http { desk }\nchannel mail port=2 protocol=smtp\n\
                 channel commands port=3 protocol=command\ndomain \"*\" { site \"*\" { route \"/a\" { respond 200 a }; route \"/b\" { redirect \"/c\" }; route \"/c\" { fastcgi \"php:9000\" { root \"/usr\"; keep 1 } }; route \"/d\" { run a }; route \"/e\" { proxy \"http://127.0.0.1:3000\" { upstream \"http://127.0.0.1:3001\"; health \"/\" } }; header set a b; ask \"http://127.0.0.1:9091\"; hsts max-age=\"1d\"; limit rate=\"10/s\" at-once=5; root \"/srv\"; log \"/tmp/a.log\" }; mail { capture } }\n\
                 domain a.example { mail { judge { dnsbl \"bl.example\" } } }\n\
                 command a { program \"/bin/echo\" }\nrelay \"relay.example\"\n";
    let debug = |text: &str| {
        let mut settings = settings(text);
        // Only where they were written may differ.
        for door in &mut settings.channels {
            door.origin = crate::config::Origin::Flag("");
        }
        let text = format!("{settings:#?}");
        text.lines().filter(|line| !line.trim_start().starts_with("line: ")).collect::<Vec<_>>().join("\n")
    };
    // Those of two proxies, of which whoever is asked is one, follow from what the machine allows.
    let places = (usual::raise_descriptor_limit() / 6 / 2).to_string();
    assert_eq!(debug(&DEFAULTS.replace("PLACES", &places)), debug(least));
    // And what is written above is what the table says, word for word.
    for row in crate::config::table::rows() {
        let defaults = row.properties.iter().map(|property| property.default).chain([row.default]);
        for default in defaults.flat_map(|default| default.split('"').skip(1).step_by(2)) {
            assert!(DEFAULTS.contains(&format!("\"{default}\"")), "{}: {default}", row.path());
        }
        for property in row.properties.iter().filter(|property| !property.default.contains(' ')) {
            let written = format!(" {}={}", property.name, property.default);
            let elsewhere = property.default.is_empty() || property.default == "address";
            assert!(elsewhere || DEFAULTS.contains(&written), "{}:{written}", row.path());
        }
    }
}
