//! Bodies encoded on the fly, against nginx at the same level: CPU per request, at what ratio.

use std::fs;

use crate::error::{Doing, Error};
use crate::generator::exchange::{Exchange, Kind, Secrecy};
use crate::generator::http;
use crate::harness::Harness;
use crate::peers::nginx::{self, AccessLog, Configured, Core, Files};
use crate::peers::sportello::{self, workspace};
use crate::result::{Finding, Measure};

/// What is encoded: the beginning of our own manual and reference, prose, tables and examples in one.
const TEXTS: [&str; 2] = ["docs/manual.md", "docs/reference.md"];
const CONNECTIONS: usize = 8;
/// What our bodies may be larger than nginx's, at most: an equal ratio.
const LARGER: f64 = 1.02;

/// A text of `length` bytes at gzip's `level`.
pub(crate) fn run(harness: &Harness, length: usize, level: u32, target: f64) -> Result<Finding, Error> {
    let root = harness.folder("root")?;
    let mut text = Vec::new();
    for part in TEXTS {
        text.extend(fs::read(workspace().join(part)).doing(|| format!("reading {part}"))?);
    }
    let body = text.get(..length).ok_or_else(|| Error::not_so("the texts are too short"))?;
    fs::write(root.join("text.txt"), body).doing(|| "writing the file to serve".to_owned())?;
    // Nothing is kept in memory, so each answer is encoded anew; nginx knows no other way.
    let ours = format!(
        "channel web port=0 protocol=http\ndomain example.org {{\n    site \"*\" {{\n        root \"{}\"\n        memory \"0B\"\n        \
         compress gzip {{ level gzip {level}; }}\n    }}\n}}\n",
        root.display()
    );
    let theirs = Configured {
        name: "nginx",
        core: Core::Servers,
        listen: "",
        http: format!("{} gzip on; gzip_comp_level {level}; gzip_types text/plain;", Files::Small.directives()),
        server: format!("root {};", root.display()),
        log: AccessLog::Off,
    };
    let mut contenders =
        vec![sportello::start_configured(harness, "Sportello", &ours)?, nginx::start_as(harness, &theirs)?];
    let mut exchanges = Vec::new();
    let mut sizes = Vec::new();
    for contender in &contenders {
        let request = http::request_to(&contender.address.to_string(), "/text.txt", "Accept-Encoding: gzip\r\n");
        let encoded = http::gzipped(contender.address, &request, body)?;
        sizes.push(encoded.encoded);
        exchanges.push(Exchange {
            requests: vec![request],
            answer: encoded.length,
            depth: 1,
            connections: CONNECTIONS,
            kind: Kind::Kept,
            secrecy: Secrecy::Plain,
        });
    }
    let (ours, theirs) = (sizes.first().copied().unwrap_or(0), sizes.get(1).copied().unwrap_or(0));
    if ours as f64 > theirs as f64 * LARGER {
        return Err(Error::not_so(format!("no equal ratio: {ours} bytes against {theirs}")));
    }
    let slices = super::in_turns(harness, &mut contenders, &exchanges)?;
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let notes = vec![format!(
        "gzip {level} of {length} bytes of our manual and reference: {ours} bytes, by nginx {theirs}; {CONNECTIONS} connections; Sportello keeps \
         nothing in memory (`memory \"0B\"`), so that each answer is encoded anew"
    )];
    Ok(Finding::compared(Measure::CpuPerOperation, target, named, slices, notes))
}
