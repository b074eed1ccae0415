//! What is looked at before it is used: programs, folders, addresses, domains.

use super::*;

#[test]
fn a_bound_on_bodies_is_for_the_desk() {
    let text =
        "channel web port=0 protocol=http { body-size \"2KiB\" }\ndomain \"*\" { site \"*\" { root \"/srv\" } }\n";
    let faults = checked(text).faults;
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(fault.message, "sites take no bodies: body-size is for the channel of the desk");
}

#[test]
fn programs_that_others_may_write_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("sportello-settle-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("greet");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    let text = format!("channel c port=0 protocol=command\ncommand greet {{ program {file:?} }}\n");
    for (folder_mode, file_mode, expect) in [
        (0o755, 0o755, None),
        (0o755, 0o757, Some("everybody may write")),
        (0o777, 0o755, Some("everybody may write")),
        (0o1777, 0o755, None),
    ] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(folder_mode)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(file_mode)).unwrap();
        let faults = checked(&text).faults;
        let told = faults.first().map(|fault| fault.message.as_str());
        assert_eq!(told.is_some(), expect.is_some(), "{told:?}");
        assert!(expect.is_none_or(|expect| told.is_some_and(|told| told.contains(expect))), "{told:?}");
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn no_folder_above_a_program_or_its_link_is_for_others_to_write() {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("sportello-above-{}", std::process::id()));
    fs::create_dir_all(folder.join("real/inner")).unwrap();
    fs::create_dir_all(folder.join("links/inner")).unwrap();
    let file = folder.join("real/inner/greet");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let link = folder.join("links/inner/greet");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let told = |program: &Path| {
        let faults =
            checked(&format!("channel c port=0 protocol=command\ncommand greet {{ program {program:?} }}\n")).faults;
        faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>()
    };
    for (open, by_link) in [("real", true), ("real/inner", true), ("links", true), ("links/inner", true)] {
        let open = folder.join(open);
        for (mode, refused) in [(0o755, false), (0o1777, false), (0o777, true), (0o755, false)] {
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(!told(&link).is_empty(), refused && by_link, "{open:?} {mode:o}");
            assert_eq!(!told(&file).is_empty(), refused && file.starts_with(&open), "{open:?} {mode:o}");
        }
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_named_domain_without_mail_is_refused_beside_everybody() {
    let text = "channel mail port=0 protocol=smtp\nchannel web port=0 protocol=http\n\
                domain example.org { site example.org { root \"/srv\" } }\ndomain \"*\" { mail { capture } }\n";
    let settings = settings(text);
    let domains = settings.channels.iter().find_map(|door| match &door.role {
        Role::Smtp(settings) => Some(settings.domains.clone()),
        _ => None,
    });
    assert_eq!(domains, Some(smtp::Domains::AllBut(["example.org".to_owned()].into())));
}

#[test]
fn an_address_is_one_that_can_be_listened_on() {
    let file = |address: &str| {
        format!(
            "address {address:?}\nchannel web port=0 protocol=http\ndomain \"*\" {{ site \"*\" {{ root \"/srv\" }} }}\n"
        )
    };
    let mapped = settings(&file("::ffff:127.0.0.1"));
    assert_eq!(mapped.address.to_string(), "127.0.0.1");
    // An address for documents, RFC 5737 §3, is no machine's.
    let checked = checked(&file("192.0.2.1"));
    assert!(checked.settings.is_none());
    let told: Vec<_> = checked.faults.iter().map(|fault| fault.message.as_str()).collect();
    assert!(
        matches!(told.as_slice(), [one] if one.contains("192.0.2.1 is not an address of this machine")),
        "{told:?}"
    );
}

#[test]
fn the_state_folder_can_be_made() {
    let file = std::env::temp_dir().join(format!("sportello-no-folder-{}", std::process::id()));
    fs::write(&file, "").unwrap();
    let text = |state: &Path| {
        format!(
            "state {state:?}\nchannel web port=0 protocol=http\ndomain \"*\" {{ site \"*\" {{ root \"/srv\" }} }}\n"
        )
    };
    for beneath in ["a", "a/b/c"] {
        let checked = checked(&text(&file.join(beneath)));
        assert!(checked.settings.is_none(), "{beneath}");
        assert!(checked.faults.iter().any(|fault| fault.message.contains("cannot be made")), "{:?}", checked.faults);
    }
    fs::remove_file(&file).unwrap();
    assert!(checked(&text(&file.join("a/b"))).settings.is_some());
}

#[test]
fn there_are_so_many_channels_and_no_more() {
    for (count, fits) in [(256, true), (257, false)] {
        let mut text = "domain \"*\" { site \"*\" { root \"/srv\" } }\n".to_owned();
        (0..count).for_each(|number| text.push_str(&format!("channel c{number} port=0 protocol=http\n")));
        assert_eq!(checked(&text).settings.is_some(), fits, "{count}");
    }
    let same = "channel web port=1 protocol=http\n".repeat(7_000);
    assert!(checked(&same).faults.len() < 1_000);
}

#[test]
fn addresses_that_hold_each_other_are_one_place() {
    for (one, other, same) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("0.0.0.0", "127.0.0.1", true),
        ("127.0.0.1", "0.0.0.0", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("::", "127.0.0.1", false),
        ("::", "::1", true),
    ] {
        assert_eq!(same_place(one.parse().unwrap(), other.parse().unwrap()), same, "{one} {other}");
    }
}

#[test]
fn the_state_folder_is_not_served() {
    let folder = std::env::temp_dir().join(format!("sportello-state-{}", std::process::id()));
    fs::create_dir_all(folder.join("www/in")).unwrap();
    std::os::unix::fs::symlink("www", folder.join("link")).unwrap();
    for (state, root, expect) in [
        ("state", "www", None),
        ("www-state/new", "www", None),
        ("www", "www", Some((Severity::Error, "is in the state folder"))),
        ("www", "www/in", Some((Severity::Error, "is in the state folder"))),
        ("link", "www/in", Some((Severity::Error, "is in the state folder"))),
        ("www/new/state", "www", Some((Severity::Warning, "it is not served"))),
        ("link/new", "www", Some((Severity::Warning, "it is not served"))),
        ("www/in", "link", Some((Severity::Warning, "it is not served"))),
    ] {
        let text = format!(
            "state {:?}\nchannel web port=0 protocol=http\ndomain \"*\" {{ site \"*\" {{ root {:?} }} }}\n",
            folder.join(state),
            folder.join(root)
        );
        let faults = checked(&text).faults;
        let told = faults.first().map(|fault| (fault.severity, fault.message.as_str(), fault.also.len()));
        match (told, expect) {
            (None, None) => {}
            (Some((severity, message, 1)), Some((expected, part)))
                if severity == expected && message.contains(part) => {}
            other => panic!("{state} {root}: {other:?}"),
        }
        let flags = crate::cli::Serve {
            folder: folder.join(root),
            state: Some(folder.join(state)),
            ..crate::cli::Serve::default()
        };
        let refused = matches!(expect, Some((Severity::Error, _)));
        assert_eq!(Settings::from_flags(&flags).is_err(), refused, "{state} {root}");
    }
    fs::remove_dir_all(&folder).unwrap();
}
