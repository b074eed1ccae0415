//! `sportello reload`: the running server reads its configuration again.

use clap::Args;

use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Paper, visible};
use super::place::{Way, Whereabouts};
use crate::reload::Reloaded;

/// `sportello reload`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Reload {
    /// Print what came of it as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// The state folder of the running server, with the socket by which it is asked
    /// [default: $XDG_STATE_HOME/sportello or ~/.local/state/sportello]
    #[arg(long, value_name = "DIR")]
    pub state: Option<std::path::PathBuf>,
}

const EXAMPLES: &str = "\
The file is read and checked first. If anything is wrong with it all of that is told, and the server goes on as it was. If nothing \
is, the file is in force from the next request of each connection on; no connection is closed but those of channels that are no \
more, when they have answered what they were asked. A SIGHUP to the server does the same, and tells the log.

Examples:
  sportello reload
  sportello check sportello.kdl && sportello reload

Exit codes: 0 the file is in force, 1 it is not (what is wrong is on standard error), 2 wrong usage.";

/// Runs it.
pub fn run(reload: &Reload) -> Result<u8, Failed> {
    let way = Whereabouts { server: None, state: reload.state.clone() }.commands()?;
    if let Way::Tcp(_) = way {
        return Err(Failed::new(
            "the running server's socket (command.sock in its state folder) cannot be seen: only its own user may reload it",
        ));
    }
    let reloaded: Reloaded = Commands::reach(&way, Deadlines::default())?.json(&["RELOAD", "JSON"])?;
    let code = u8::from(!reloaded.ok);
    if reload.json {
        Paper::stdout().json(&reloaded)?;
        return Ok(code);
    }
    let mut errors = Paper::stderr();
    for line in reloaded.warnings.iter().chain(&reloaded.errors) {
        errors.line(format_args!("{}", visible(line)))?;
    }
    if !reloaded.ok {
        errors.line(format_args!("sportello: not reloaded, the configuration of before runs on"))?;
        return Ok(code);
    }
    let mut paper = Paper::stdout();
    paper.line(format_args!("{} is in force ({})", visible(&reloaded.file), visible(&reloaded.hash)))?;
    for change in &reloaded.changes {
        paper.line(format_args!("  {}", visible(change)))?;
    }
    Ok(code)
}
