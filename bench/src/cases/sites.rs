//! A thousand sites with a certificate each: how long the start takes, and whether finding one costs more than where there is one.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use crate::certificate;
use crate::error::{Doing, Error};
use crate::generator::exchange::{Exchange, Kind, Secrecy};
use crate::generator::handshake::Handshakes;
use crate::generator::http;
use crate::generator::tls::{self, Resume};
use crate::harness::Harness;
use crate::peers::sportello;
use crate::result::{Finding, Measure, Spread, Unit};
use crate::rounds::{Contender, take_turns};

/// How many there are.
const SITES: usize = 1_000;
/// How often the start is measured.
const STARTS: usize = 5;
const PATH: &str = "/1k.txt";
const BODY: [u8; 1024] = [b'x'; 1024];
const MANY: &str = "Sportello";
const ONE: &str = "Sportello, one site";

/// From the start of the process to the line that says it is ready.
pub(crate) fn start(harness: &Harness) -> Result<Finding, Error> {
    let sites = Sites::make(harness, SITES)?;
    let mut seconds = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let contender = sites.serve(harness, MANY)?;
        seconds.push(began.elapsed().as_secs_f64());
        sites.check(&contender)?;
    }
    let spread = Spread::of(seconds);
    let notes = vec![
        format!("the slowest of {STARTS} starts on one core; the fastest {:.2} s", spread.least),
        "1,000 sites, folders, certificates and keys, all read anew".to_owned(),
    ];
    Ok(Finding::bounded(Unit::Seconds, spread.greatest, 2.0, notes))
}

/// Full handshakes, each for another of the names, against such with the only one.
pub(crate) fn handshakes(harness: &Harness, target: f64) -> Result<Finding, Error> {
    let (many, one) = (Sites::make(harness, SITES)?, Sites::make(harness, 1)?);
    let mut contenders = vec![many.serve(harness, MANY)?, one.serve(harness, ONE)?];
    for contender in &mut contenders {
        contender.log = None;
    }
    let loads = [&many, &one].map(|sites| {
        Ok::<_, Error>(Handshakes { names: sites.server_names()?, connections: 32, resume: Resume::Never })
    });
    let [many, one] = loads;
    let (many, one) = (many?, one?);
    let slices = take_turns(harness, &mut contenders, &mut |contender, time, meter| {
        if contender.name == ONE { &one } else { &many }.run(contender.address, time, meter)
    })?;
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let notes = vec!["each handshake names the next of 1,000 names, and is shown that one's certificate".to_owned()];
    Ok(Finding::compared(Measure::CpuPerOperation, target, named, slices, notes))
}

/// Requests over as many connections as there are sites, each for a site of its own, against such for the only one, which has as
/// many files: what so many files cost, both pay.
pub(crate) fn requests(harness: &Harness, target: f64) -> Result<Finding, Error> {
    let (many, mut one) = (Sites::make(harness, SITES)?, Sites::make(harness, 1)?);
    let of_many = many.names.iter().map(|name| http::request_to(name, PATH, "")).collect();
    let host = one.names.first().cloned().unwrap_or_default();
    let of_one = many.names.iter().map(|name| http::request_to(&host, &format!("/{name}{PATH}"), "")).collect();
    one.root = Some(many.folder.clone());
    let mut contenders = vec![many.serve(harness, MANY)?, one.serve(harness, ONE)?];
    let mut exchanges = Vec::new();
    for ((contender, sites), requests) in contenders.iter().zip([&many, &one]).zip([of_many, of_one]) {
        let requests: Vec<Vec<u8>> = requests;
        let (name, first) = (sites.names.first(), requests.first());
        let (name, first) = name.zip(first).ok_or_else(|| Error::not_so("no site"))?;
        let config = tls::client(Resume::Never)?;
        let answer = http::answer_secure(contender.address, &config, name, first, &BODY)?.length;
        exchanges.push(Exchange {
            requests,
            answer,
            depth: 1,
            connections: SITES,
            kind: Kind::Kept,
            secrecy: Secrecy::Tls(config, sites.server_names()?),
        });
    }
    let slices = super::in_turns(harness, &mut contenders, &exchanges)?;
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let notes = vec![
        "1,000 kept connections over TLS, one request at a time on each, 1 KiB; each for a site with a file of its own, or each for \
         another file of the only site"
            .to_owned(),
    ];
    Ok(Finding::compared(Measure::CpuPerOperation, target, named, slices, notes))
}

/// So many sites, each with a folder and a certificate.
struct Sites {
    folder: PathBuf,
    names: Vec<String>,
    /// What all of them serve; of none each has its own.
    root: Option<PathBuf>,
}

impl Sites {
    fn make(harness: &Harness, count: usize) -> Result<Self, Error> {
        let folder = harness.folder(&format!("sites-{count}"))?;
        // Of one length, so that all requests are.
        let names: Vec<String> = (0..count).map(|number| format!("www{number:04}.example.org")).collect();
        for name in &names {
            let root = folder.join(name);
            fs::create_dir(&root).doing(|| "making a site's folder".to_owned())?;
            fs::write(root.join("1k.txt"), BODY).doing(|| "writing the file to serve".to_owned())?;
            certificate::make(&folder, name)?;
        }
        Ok(Self { folder, names, root: None })
    }

    fn serve(&self, harness: &Harness, name: &str) -> Result<Contender, Error> {
        let mut text = "channel web port=0 protocol=http tls=auto\ndomain example.org {\n".to_owned();
        for name in &self.names {
            let at = self.folder.join(name);
            let root = self.root.as_deref().unwrap_or(&at).display();
            let at = at.display();
            let _ = writeln!(text, "    site {name} {{ root \"{root}\"; certificate \"{at}.pem\" key=\"{at}.key\"; }}");
        }
        text.push_str("}\n");
        sportello::start_configured(harness, name, &text)
    }

    fn server_names(&self) -> Result<Vec<rustls::pki_types::ServerName<'static>>, Error> {
        self.names.iter().map(|name| tls::name(name)).collect()
    }

    /// Asks the first and the last of them.
    fn check(&self, contender: &Contender) -> Result<(), Error> {
        let config = tls::client(Resume::Never)?;
        for name in self.names.first().into_iter().chain(self.names.last()) {
            let request = http::request_to(name, PATH, "");
            http::answer_secure(contender.address, &config, name, &request, &BODY)?;
        }
        Ok(())
    }
}
