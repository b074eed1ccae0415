//! What goes by names: certificates, and the logs of sites.

use super::*;

#[test]
fn a_site_that_is_named_by_an_address_asks_for_what_a_channel_asks() {
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/clients-ca.pem");
    let tls = format!("tls {{ client-certificate require ca=\"{ca}\" }}");
    let written = |channels: &str, names: &str, block: &str| {
        let sites = format!("site {names} {{\n{block}\nroot \"/usr\" }}\nsite b.test {{ root \"/usr\" }}");
        checked(&format!("{channels}\ndomain \"*\" {{\n{sites}\n}}"))
    };
    let (open, strict) = (
        "channel open port=0 protocol=http tls=local",
        format!("channel strict port=0 protocol=http tls=local {{ {tls} }}"),
    );
    let both = format!("{open}\n{strict}");
    for (channels, names, block, is_fine) in [
        (open, r#""[::1]" a.test"#, &*tls, false),
        (open, r#"a.test "127.0.0.1""#, &tls, false),
        (open, "a.test", &tls, true),
        (open, r#""127.0.0.1" a.test"#, "", true),
        (&both, r#""[::1]" a.test"#, &tls, true),
    ] {
        let checked = written(channels, names, block);
        assert_eq!(checked.settings.is_some(), is_fine, "{names} over {channels}: {:?}", checked.faults);
        let told = checked.faults.iter().any(|fault| fault.message.contains("connects to an address"));
        assert_eq!(told, !is_fine, "{:?}", checked.faults);
    }
    // As the host of a request is looked for.
    let settings = written(&both, r#""[0:0:0:0:0:0:0:1]" A.test"#, &tls).settings.unwrap();
    let clients = &settings.channels[0].tls.as_ref().unwrap().settings.clients;
    let mut named: Vec<_> = clients.keys().map(String::as_str).collect();
    named.sort_unstable();
    assert_eq!(named, ["[::1]", "a.test", "b.test"]);
    let wanted = settings.certificates.groups.iter().find(|group| group.names.contains(&"a.test".to_owned()));
    assert_eq!(wanted.unwrap().names, ["::1", "a.test"], "a certificate is for an address without brackets");
}

#[test]
fn one_access_log_is_put_aside_by_one_hand() {
    let folder = std::env::temp_dir().join(format!("sportello-one-log-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("logs")).unwrap();
    std::os::unix::fs::symlink("logs", folder.join("link")).unwrap();
    fs::write(folder.join("logs/there"), "").unwrap();
    fs::hard_link(folder.join("logs/there"), folder.join("hard")).unwrap();
    let logs = |one: &str, other: &str| {
        let log = |said: &str| said.replace("DIR", folder.to_str().unwrap());
        let site = |name: &str, said: &str| format!("site {name} {{\n log {}\n root \"/usr\"\n }}\n", log(said));
        let sites = site("a.test", one) + &site("b.test", other);
        checked(&format!("channel web port=0 protocol=http\ndomain \"*\" {{\n{sites}}}"))
    };
    let same = "do not say the same";
    for (one, other, expect) in [
        (r#""DIR/logs/a""#, r#""DIR/logs/a" format=json"#, None),
        (r#""DIR/logs/a" { rotate keep=3; }"#, r#""DIR/logs/a" { rotate keep=3; }"#, None),
        (r#""DIR/logs/a" { rotate keep=3; }"#, r#""DIR/logs/a""#, Some(same)),
        (r#""DIR/logs/a" { rotate size="1KiB"; }"#, r#""DIR/logs/a" { rotate size="2KiB"; }"#, Some(same)),
        (r#""DIR/logs/a" { rotate keep=3; }"#, r#""DIR/logs/b""#, None),
        (r#""DIR/logs/a""#, r#""DIR/link/a""#, Some("are one file")),
        (r#""DIR/logs/there""#, r#""DIR/hard""#, Some("are one file")),
        (r#""-""#, r#""-""#, None),
    ] {
        let checked = logs(one, other);
        assert_eq!(checked.settings.is_some(), expect.is_none(), "{one} and {other}: {:?}", checked.faults);
        let told = checked.faults.iter().all(|fault| expect.is_some_and(|expect| fault.message.contains(expect)));
        assert!(told && checked.faults.len() <= 1, "{one} and {other}: {:?}", checked.faults);
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn names_that_no_certificate_can_have_are_told_where_one_is_needed() {
    let long = format!("{}.test", "a".repeat(64));
    let (most, beyond) = (format!("{}.test", "a".repeat(63)), format!("{}test", "a.".repeat(125)));
    for (name, is_fine) in [
        ("a.test", true),
        ("a_b.test.", true),
        ("*.a.test", true),
        ("[::1]", true),
        ("127.0.0.1", true),
        (&most, true),
        (&long, false),
        (&beyond, false),
        ("a~b.test", false),
        ("*.a!b.test", false),
    ] {
        for (tls, is_told) in [("local", !is_fine), ("off", false)] {
            let channel = format!("channel web port=0 protocol=http tls={tls}");
            let checked = checked(&format!("{channel}\ndomain \"*\" {{ site \"{name}\" {{ root \"/usr\"; }}; }}"));
            let told = checked.faults.iter().any(|fault| fault.message.contains("no certificate can be for"));
            assert_eq!((told, checked.settings.is_none()), (is_told, is_told), "{name}: {:?}", checked.faults);
        }
    }
}

#[test]
fn the_certificate_of_a_site_goes_before_that_of_the_machines_name() {
    let wanted = |hostname: &str, site: &str| {
        let site = format!("domain \"*\" {{ site \"{site}\" {{ root \"/usr\"; }}; }}");
        settings(&format!("hostname {hostname}\nchannel web port=0 protocol=http tls=local\n{site}")).certificates
    };
    let names = |wanted: &Wanted| wanted.groups.iter().map(|group| group.names.join(" ")).collect::<Vec<_>>();
    for (hostname, site, own) in [
        ("a.test", "a.test", "a.test localhost 127.0.0.1 ::1"),
        ("mail.b.test", "*.b.test", "localhost 127.0.0.1 ::1"),
        ("x.mail.b.test", "*.b.test", "x.mail.b.test localhost 127.0.0.1 ::1"),
        ("b.test", "*.b.test", "b.test localhost 127.0.0.1 ::1"),
    ] {
        let wanted = wanted(hostname, site);
        assert_eq!(names(&wanted), [site, own]);
        assert_eq!(wanted.usual.as_deref(), Some(hostname));
    }
}

#[test]
fn a_ca_of_ones_own_is_asked_for_names_that_the_world_does_not_know() {
    let signer = |acme: &str| {
        let site = "domain \"*\" { site git.internal { root \"/usr\"; }; }";
        let channel = "channel web port=0 protocol=http tls=auto";
        settings(&format!("{channel}\n{acme}\n{site}")).certificates.groups[0].signer
    };
    for (acme, expect) in [
        ("", Signer::Local),
        ("acme", Signer::Acme),
        ("acme { staging }", Signer::Acme),
        ("acme directory=\"https://acme.zerossl.com/v2/DV90\"", Signer::Acme),
        ("acme directory=\"https://DV.ACME-v02.api.pki.goog:443/directory\"", Signer::Acme),
        ("acme directory=\"https://ca.internal:14000/dir\"", Signer::OwnAcme),
        ("acme directory=\"https://letsencrypt.org.evil.example/dir\"", Signer::OwnAcme),
        ("acme directory=\"https://myssl.com/dir\"", Signer::OwnAcme),
    ] {
        assert_eq!(signer(acme), expect, "{acme}");
    }
}
