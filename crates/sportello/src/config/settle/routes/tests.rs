use std::path::Path;

use super::*;
use crate::config::Checked;
use crate::config::source::Source;

fn checked(site: &str) -> Checked {
    let text = format!("channel web port=0 protocol=http\ndomain a.example {{ site a.example {{\n{site}\n}} }}\n");
    let mut faults = Vec::new();
    let source = Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults);
    Checked::new(source, faults)
}

fn description(site: &str) -> Arc<Description> {
    let checked = checked(site);
    assert!(checked.faults.is_empty(), "{:?}", checked.faults);
    Arc::clone(&checked.settings.unwrap().sites[0].description)
}

/// How many codings the files of each folder are given in, in the order of the file.
fn encoded(site: &str) -> Vec<usize> {
    description(site).folders.iter().map(|folder| folder.settings.compression.levels.len()).collect()
}

#[test]
fn files_are_encoded_behind_compress_and_beside_it() {
    for (site, expect) in [
        ("root \"/srv\"", &[0][..]),
        ("compress br gzip\nroot \"/srv\"", &[2]),
        // Beside root it holds wherever it stands, as all that is said of a folder.
        ("root \"/srv\"\ncompress gzip", &[1]),
        (
            "route \"/a/*\" { root \"/usr\"; }\ncompress gzip\nroute \"/b/*\" { root \"/bin\"; }\nroot \"/srv\"",
            &[0, 1, 1],
        ),
        ("compress gzip\nroute \"/a/*\" { compress br zstd; root \"/usr\"; }\nroot \"/srv\"", &[2, 1]),
        // The nearest holds.
        ("compress gzip\nroute \"/a/*\" { compress off; root \"/usr\"; }\nroot \"/srv\"", &[0, 1]),
        ("compress off\nroute \"/a/*\" { compress br; root \"/usr\"; }\nroot \"/srv\"", &[1, 0]),
        // One that only prepares says nothing of what is kept.
        ("route \"/a/*\" { compress gzip; }\nroot \"/srv\"", &[0]),
    ] {
        assert_eq!(encoded(site), expect, "{site}");
    }
}

#[test]
fn compress_is_a_step_for_whatever_answers() {
    let steps = |site: &str| {
        let items = &description(site).block.items;
        items.iter().map(|item| matches!(item.what, Item::Step(Step::Compress(_)))).collect::<Vec<_>>()
    };
    assert_eq!(steps("hsts max-age=\"1d\"\ncompress gzip\nproxy \"http://127.0.0.1:1\""), [false, true]);
    assert_eq!(steps("route \"/a\" { respond 204; }\ncompress gzip\nrespond 204"), [false, true]);
    let wrong = checked("compress gzip gzip\nroute \"/a\" { respond 204; }\nrespond 204");
    assert_eq!(wrong.faults.len(), 1, "told once: {:?}", wrong.faults);
    for site in ["compress off gzip", "compress off minimum=\"1KiB\"", "compress off { level gzip 1; }"] {
        let wrong = checked(&format!("{site}\nrespond 204"));
        assert!(wrong.faults.len() == 1 && wrong.faults[0].message.contains("stands alone"), "{:?}", wrong.faults);
    }
    let folderless = checked("precompressed br\nrespond 204");
    assert!(folderless.faults[0].message.contains("is said of a folder"), "{:?}", folderless.faults);
}

#[test]
fn scripts_that_would_be_given_out_as_text_are_warned_of() {
    let php = "route \"*.php\" { fastcgi \"php:9000\" { root \"/srv\"; }; }";
    for (site, expect) in [
        (format!("{php}\nroot \"/srv\""), &[][..]),
        (format!("{php}\nroot \"/usr\""), &[]),
        ("fastcgi \"php:9000\" { root \"/srv\"; }".to_owned(), &[]),
        // Another place of the same folder.
        (
            format!("route \"/static/*\" {{ strip-prefix \"/static\"; root \"/srv\"; }}\n{php}\nroot \"/usr\""),
            &["/static/…"],
        ),
        (format!("{php}\nroute \"/static/*\" {{ strip-prefix \"/static\"; root \"/srv\"; }}\nroot \"/srv\""), &[]),
        // Only a part is run.
        ("route \"/app/*\" { fastcgi \"php:9000\" { root \"/srv\"; }; }\nroot \"/srv\"".to_owned(), &["/…"]),
        ("route \"/app/*\" { fastcgi \"php:9000\" { root \"/usr/bin\"; }; }\nroot \"/usr\"".to_owned(), &["/…"]),
        (
            "route \"/app/*\" { fastcgi \"php:9000\" { root \"/srv\"; }; }\nroute \"*.php\" { deny; }\nroot \"/srv\""
                .to_owned(),
            &[],
        ),
        (format!("{php}\nroot \"/srv\"\nfallback \"/index.php\""), &["/index.php would"]),
        (format!("{php}\nroot \"/srv\"\nfallback \"/index.php?from={{path}}\" \"/x.html\""), &["would be given"]),
        (format!("{php}\nroot \"/srv\"\nfallback \"/index.html\""), &[]),
        (format!("{php}\nroot \"/usr\"\nfallback \"/index.php\""), &[]),
    ] {
        let checked = checked(&site);
        let told: Vec<&str> = checked.faults.iter().map(|fault| fault.message.as_str()).collect();
        assert!(checked.settings.is_some(), "{site}: {told:?}");
        assert_eq!(told.len(), expect.len(), "{site}: {told:?}");
        for (told, part) in told.iter().zip(expect) {
            assert!(told.contains("as text") && told.contains(part), "{site}: {told}");
        }
    }
}

#[test]
fn hosts_are_settled_to_what_is_asked_for() {
    let file = |domain: &str, site: &str| {
        let text = format!("channel web port=0 protocol=http\ndomain {domain} {{ site {site} {{ respond 204; }} }}\n");
        let mut faults = Vec::new();
        let source = Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults);
        Checked::new(source, faults)
    };
    let checked = file("bücher.example", "\"*.Bücher.example\" xn--bcher-kva.example www.BÜCHER.example.");
    assert!(checked.faults.is_empty(), "{:?}", checked.faults);
    let names: Vec<String> = checked.settings.unwrap().sites[0].hosts.names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["*.xn--bcher-kva.example", "xn--bcher-kva.example", "www.xn--bcher-kva.example"]);
    let twice = file("bücher.example", "bücher.example xn--bcher-kva.example");
    assert!(twice.faults[0].message.contains("is written twice"), "{:?}", twice.faults);
    for wrong in ["ü..bücher.example", "xn--a.bücher.example", "\"u\\u{200d}ü.bücher.example\""] {
        let checked = file("bücher.example", wrong);
        let fault = &checked.faults[0];
        assert!(
            checked.settings.is_none() && fault.help.as_ref().is_some_and(|help| help.contains("A-label")),
            "{fault:?}"
        );
        let place = checked.source.place(fault.span.start);
        assert_eq!((place.line, place.column > 20), (2, true), "{wrong}");
    }
}
