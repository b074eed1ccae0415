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
    let folderless = checked("precompressed br\nrespond 204");
    assert!(folderless.faults[0].message.contains("is said of a folder"), "{:?}", folderless.faults);
}
