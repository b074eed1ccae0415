//! `sportello tour`: shows what a server is, on a real one, and checks everything it shows.

mod host;
mod letter;
mod naps;
mod show;
mod visit;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use sportello_service::picture::Picture;
use sportello_wire::smtp::client;

use self::host::Host;
use self::letter::Letter;
use self::naps::Naps;
use self::visit::{Visit, Ways};
use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Paper};
use super::place::{Place, Wanted, Whereabouts, reach};

/// `sportello tour`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Tour {
    /// Use the server that is running here instead of starting one.
    #[arg(long)]
    pub running: bool,
    /// The state folder of the running server to use; implies --running.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Print everything as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
It starts a server of its own on free ports (or uses a running one) and shows

  1. one web, one mail and one command request at the same time on one address: from which client, through which channel, by \
which thread, with which answer, and what TCP knows of the way;
  2. eight programs of one second each that are all done after about one second;
  3. a stored mail, read back and compared byte for byte.

With a running server the mail stays in its inbox, and the programs are shown if it was started with --command nap=/bin/sleep.

Exit codes: 0 everything shown is so, 1 something is not (a sentence says what), 2 wrong usage.

Examples:
  sportello tour
  sportello tour --running
  sportello tour --json | python3 -m json.tool";

/// What the tour's own server serves at `/`.
const PAGE: &str = include_str!("page.html");

/// Everything that was seen.
#[derive(Debug, Serialize)]
struct Facts {
    /// Whether everything is as it should be.
    ok: bool,
    /// What is not, in sentences.
    untrue: Vec<String>,
    server: ServerFacts,
    at_the_same_time: Vec<Visit>,
    programs: Naps,
    mail: Letter,
}

/// The server, as it says itself.
#[derive(Debug, Serialize)]
struct ServerFacts {
    version: String,
    address: String,
    pid: u32,
    /// Whether it was started for the tour.
    own: bool,
    channels: Vec<(String, u16)>,
    threads: Vec<String>,
}

/// What is not as it should be.
#[derive(Debug, Default)]
struct Untrue(Vec<String>);

impl Untrue {
    fn note(&mut self, sentence: String) {
        self.0.push(sentence);
    }

    fn notes(&self) -> &[String] {
        &self.0
    }
}

/// Runs it.
pub fn run(tour: &Tour) -> Result<u8, Failed> {
    if tour.running || tour.state.is_some() {
        let whereabouts = Whereabouts { server: None, state: tour.state.clone() };
        let place = |wanted| whereabouts.place(wanted);
        let places =
            Places { web: place(Wanted::Web)?, mail: place(Wanted::Mail)?, commands: place(Wanted::Commands)? };
        return walk(tour, &places, None);
    }
    let host = Host::start(sleep_program()?)?;
    let place = |wanted| reach(&host.ready, wanted);
    let places = Places { web: place(Wanted::Web)?, mail: place(Wanted::Mail)?, commands: place(Wanted::Commands)? };
    walk(tour, &places, Some(host))
}

/// Where the tour goes.
struct Places {
    web: Place,
    mail: Place,
    commands: Place,
}

fn walk(tour: &Tour, places: &Places, host: Option<Host>) -> Result<u8, Failed> {
    let mut paper = Paper::stdout();
    let mut shown = |text: String| if tour.json { Ok(()) } else { paper.text(text) };
    let ink = Paper::stdout().ink();
    let mut untrue = Untrue::default();

    let picture: Picture = Commands::open(&places.commands, Deadlines::default())?.json(&["STATUS", "JSON"])?;
    let server = server_facts(&picture, host.is_some());
    shown(show::server(&server, ink))?;

    let sender = address("tour@sportello.invalid")?;
    let recipient = address("you@sportello.invalid")?;
    let message = letter::write(&sender, &recipient);
    let ways = Ways {
        web: &places.web,
        mail: &places.mail,
        commands: &places.commands,
        sender: &sender,
        recipient: &recipient,
        message: &message,
    };
    let (visits, reply) = visit::three(&ways, &mut untrue)?;
    shown(show::visits(&visits, ink))?;

    let programs = naps::eight(&places.commands, &mut untrue)?;
    shown(show::naps(&programs, ink))?;

    let mail = letter::read_back(&places.commands, &reply, &message, &mut untrue)?;
    shown(show::letter(&mail, ink))?;

    let stopped = host.map(Host::stop).transpose()?;
    let facts = Facts {
        ok: untrue.notes().is_empty(),
        untrue: untrue.notes().to_vec(),
        server,
        at_the_same_time: visits,
        programs,
        mail,
    };
    shown(show::end(&facts, stopped, ink))?;
    if tour.json {
        Paper::stdout().json(&facts)?;
    }
    outcome(&facts)
}

fn outcome(facts: &Facts) -> Result<u8, Failed> {
    if facts.ok { Ok(0) } else { Err(Failed::new(format!("not so: {}", facts.untrue.join("; ")))) }
}

fn address(text: &str) -> Result<client::Path, Failed> {
    client::Path::parse(text).ok_or_else(|| Failed::new(format!("{text} is no address")))
}

fn server_facts(picture: &Picture, own: bool) -> ServerFacts {
    let port = |address: std::net::SocketAddr| address.port();
    ServerFacts {
        version: picture.version.clone(),
        address: picture.address.map_or_else(|| "?".to_owned(), |address| address.to_string()),
        pid: picture.pid,
        own,
        channels: picture
            .channels
            .iter()
            // The command line's own socket has no port, and nothing to show here.
            .filter_map(|channel| Some((channel.name.clone(), port(channel.address?))))
            .collect(),
        threads: picture.threads.iter().map(|thread| thread.name.clone()).collect(),
    }
}

/// `sleep`, where this system keeps it.
fn sleep_program() -> Result<&'static Path, Failed> {
    let places = ["/bin/sleep", "/usr/bin/sleep", "/run/current-system/sw/bin/sleep"];
    let found = places.map(Path::new).into_iter().find(|path| path.exists());
    found.ok_or_else(|| Failed::new("this system has no /bin/sleep, which the tour runs"))
}

/// `41 µs`, `3.1 ms`, `1.02 s`
fn span(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 0.001 => format!("{:.0} µs", seconds * 1_000_000.0),
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1_000.0),
        seconds => format!("{seconds:.2} s"),
    }
}

#[cfg(test)]
mod tests;
