//! Sportello: the web, mail and command server of a domain, in one process on one address.
//!
//! `main` only decides what this process is: the spawner, the server, or a client of one.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use sportello::announce::{self, Ready};
use sportello::cli::{self, Command, LogLevel, Serve};
use sportello::config::Settings;
use sportello::observe::log::{Form, Log};
use sportello::server::{self, Server};
use sportello::stop;
use sportello_service::run::spawner;
use tracing::metadata::LevelFilter;

fn main() -> ExitCode {
    if spawner::asked_for() {
        return spawner::main();
    }
    match cli::parse() {
        Command::Serve(flags) => match serve(&flags) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // Standard error may be closed; the exit code tells all the same.
                let _ = writeln!(io::stderr(), "sportello: {}", chain(&*error));
                ExitCode::FAILURE
            }
        },
        client => cli::run(&client),
    }
}

fn serve(flags: &Serve) -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_flags(flags)?;
    // The spawner comes before every thread and before every descriptor that a program must not see.
    let spawner = spawner::start()?;
    let log = Log::start(level(flags.log), if flags.log_json { Form::Json } else { Form::Text })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = stop::Signals::listen()?;
        let server = server::start(&settings, spawner, &log)?;
        server.accepts().await;
        let ready = Ready::new(&settings, &server.doors);
        ready.leave()?;
        // Nobody may be there to read it; the server serves all the same.
        let _ = say_ready(flags, &settings, &ready, &server);
        stop::when_asked(signals, server, settings.grace).await;
        ready.take_away();
        log.flush();
        Ok(())
    })
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

fn level(written: LogLevel) -> LevelFilter {
    match written {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

/// An error and its causes in one sentence.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
