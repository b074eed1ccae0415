//! The desk's own files: style, scripts, icon. All in the binary, named by a hash of their contents, so that a browser keeps
//! them for good and never has an old one.

use bytes::Bytes;

use crate::desk::Request;
use crate::web::Answer;

/// Where the files of this build are found: `/assets/<version>/<name>`.
pub(super) fn url(name: &str) -> String {
    format!("/assets/{VERSION:016x}/{name}")
}

/// One file, or `None` where there is none of that name. Another version than ours is answered, but not kept.
pub(super) fn answer(request: &Request, version: &str, name: &str) -> Option<Answer> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    let tag = format!("\"{VERSION:016x}\"");
    let ours = format!("{VERSION:016x}") == version;
    let kept = if ours { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fresh = request.field("if-none-match").is_some_and(|sent| sent.split(',').any(|one| one.trim() == tag));
    let answer =
        if fresh { Answer::empty(304) } else { Answer::bytes(200, asset.media_type, Bytes::from_static(asset.bytes)) };
    Some(answer.with("etag", tag).with("cache-control", kept))
}

struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

const fn script(name: &'static str, bytes: &'static [u8]) -> Asset {
    Asset { name, media_type: "text/javascript; charset=utf-8", bytes }
}

const ASSETS: &[Asset] = &[
    Asset { name: "desk.css", media_type: "text/css; charset=utf-8", bytes: include_bytes!("assets/desk.css") },
    Asset { name: "server.css", media_type: "text/css; charset=utf-8", bytes: include_bytes!("assets/server.css") },
    Asset { name: "mail.css", media_type: "text/css; charset=utf-8", bytes: include_bytes!("assets/mail.css") },
    Asset { name: "icon.svg", media_type: "image/svg+xml", bytes: include_bytes!("assets/icon.svg") },
    script("theme.js", include_bytes!("assets/theme.js")),
    script("server.js", include_bytes!("assets/server.js")),
    script("events.js", include_bytes!("assets/events.js")),
    script("stage.js", include_bytes!("assets/stage.js")),
    script("rates.js", include_bytes!("assets/rates.js")),
    script("chart.js", include_bytes!("assets/chart.js")),
    script("tables.js", include_bytes!("assets/tables.js")),
    script("format.js", include_bytes!("assets/format.js")),
    script("inbox.js", include_bytes!("assets/inbox.js")),
    script("message.js", include_bytes!("assets/message.js")),
    script("keys.js", include_bytes!("assets/keys.js")),
    script("page.js", include_bytes!("assets/page.js")),
];

/// FNV-1a over all names and contents: it tells builds apart, it guards nothing.
const VERSION: u64 = {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < ASSETS.len() {
        hash = fnv1a(hash, ASSETS[index].name.as_bytes());
        hash = fnv1a(hash, ASSETS[index].bytes);
        index += 1;
    }
    hash
};

const fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
}
