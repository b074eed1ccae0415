//! Sportello: the web, mail and command server of a domain, in one process on one address.
//!
//! `main` only decides what this process is: the spawner, the server, or a client of one.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use sportello::announce::{self, Ready};
use sportello::cli::{self, Command, Serve};
use sportello::config::{Checked, Settings};
use sportello::observe::log::Log;
use sportello::reload::{self, InForce, Reloads, Requests};
use sportello::server::{self, Server};
use sportello::stop::{self, Asked, Hangup, Signals};
use sportello_service::run::spawner;

fn main() -> ExitCode {
    if spawner::asked_for() {
        return spawner::main();
    }
    match cli::parse() {
        Command::Serve(flags) => match serve(&flags) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // Standard error may be closed; the exit code tells all the same.
                let _ = writeln!(io::stderr(), "sportello: {}", cli::chain(&*error));
                ExitCode::FAILURE
            }
        },
        client => cli::run(&client),
    }
}

fn serve(flags: &Serve) -> Result<(), Box<dyn Error>> {
    let (settings, configuration) = match &flags.config {
        Some(file) => {
            let checked = Checked::read(file)?;
            cli::told(&checked);
            let configuration = reload::configuration(file, checked.source.text());
            (checked.settings.ok_or("the server is not started with this configuration")?, Some(configuration))
        }
        None => {
            cli::hint_at_file();
            (Settings::from_flags(flags)?, None)
        }
    };
    // The spawner comes before every thread and before every descriptor that a program must not see.
    let spawner = spawner::start()?;
    let log = Log::start(settings.log.level, settings.log.form)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let hangup = if flags.config.is_some() { Hangup::Reloads } else { Hangup::Ends };
        let mut signals = Signals::listen(hangup)?;
        let (reloads, requests) = Reloads::channel();
        let mut server = server::start(&settings, configuration, spawner, &log, reloads).await?;
        server.accepts().await;
        let ready = Ready::new(&settings, &server.doors);
        ready.leave()?;
        // Nobody may be there to read it; the server serves all the same.
        let _ = say_ready(flags, &settings, &ready, &server);
        let mut in_force = InForce { file: flags.config.clone(), settings };
        until_asked_to_stop(&mut signals, requests, &mut in_force, &mut server).await;
        stop::stop(signals, server, in_force.settings.grace).await;
        ready.take_away();
        log.flush();
        Ok(())
    });
    // What still waits for a disk that does not answer is left.
    runtime.shutdown_background();
    served
}

/// Serves, and puts other configurations in force when asked, one at a time.
async fn until_asked_to_stop(
    signals: &mut Signals,
    mut requests: Requests,
    in_force: &mut InForce,
    server: &mut Server,
) {
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => return,
                Asked::Reload => drop(in_force.reload(server).await),
            },
            Some(answer) = requests.recv() => {
                // Whoever asked may have left.
                let _ = answer.send(in_force.reload(server).await);
            }
        }
    }
}

fn say_ready(flags: &Serve, settings: &Settings, ready: &Ready, server: &Server) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if flags.json {
        writeln!(output, "{}", ready.line())?;
        output.flush()
    } else {
        announce::table(&mut output, settings, &server.doors)
    }
}
