//! `sportello queue`: the mail for other servers, as the running server has it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Paper, visible};
use super::place::{Way, Whereabouts};

/// `sportello queue`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Queue {
    #[command(subcommand)]
    pub order: Order,
    /// The state folder of the running server, with the socket by which it is asked
    /// [default: $XDG_STATE_HOME/sportello or ~/.local/state/sportello]
    #[arg(long, value_name = "DIR", global = true)]
    pub state: Option<PathBuf>,
}

/// What is done with the queue.
#[derive(Clone, Debug, Subcommand)]
pub enum Order {
    /// Show the newest entries
    List(List),
    /// Show a message's entries: each recipient, and the last conversation with its server
    Show(Show),
    /// Show where mail goes: how much waits, what was not reached
    Destinations(Destinations),
    /// Try entries at once
    Retry(Chosen),
    /// Keep entries from being tried
    Hold(Chosen),
    /// Let held entries go on
    Release(Chosen),
    /// Delete entries; their senders hear nothing
    Delete(Chosen),
    /// Try nothing at a destination until it is resumed
    Suspend(Named),
    /// Go on with a suspended destination
    Resume(Named),
}

/// `sportello queue list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// The most entries that are shown, 1 to 200.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub number: u64,
    /// Only those for this domain.
    #[arg(long, value_name = "DOMAIN")]
    pub destination: Option<String>,
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
}

/// `sportello queue show`.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// The message's number: the id that its sender was told.
    pub message: u64,
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
}

/// `sportello queue destinations`.
#[derive(Clone, Debug, Args)]
pub struct Destinations {
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
}

/// Which entries.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Chosen {
    /// Those of this message.
    #[arg(conflicts_with = "all")]
    pub message: Option<u64>,
    /// Those for this domain.
    #[arg(long, value_name = "DOMAIN", conflicts_with = "all")]
    pub destination: Option<String>,
    /// All there are.
    #[arg(long)]
    pub all: bool,
}

/// Which destination.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// The domain of the recipients.
    pub domain: String,
}

const EXAMPLES: &str = "\
An entry is one message for the recipients at one domain. It is tried until it is delivered, refused for good, or five days old.

Examples:
  sportello queue list
  sportello queue show 1234
  sportello queue destinations --json
  sportello queue retry --destination example.net
  sportello queue hold 1234
  sportello queue delete 1234 --destination example.net
  sportello queue suspend example.net

Exit codes: 0 done, 1 failed or nothing was meant (one sentence on standard error says why), 2 wrong usage.";

/// Runs it.
pub fn run(queue: &Queue) -> Result<u8, Failed> {
    let way = Whereabouts { server: None, state: queue.state.clone() }.commands()?;
    if let Way::Tcp(_) = way {
        return Err(Failed::new(
            "the running server's socket (command.sock in its state folder) cannot be seen: only its own user may see the queue",
        ));
    }
    let mut commands = Commands::reach(&way, Deadlines::default())?;
    let (words, json) = words(&queue.order);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut paper = Paper::stdout();
    match &queue.order {
        Order::List(_) | Order::Show(_) | Order::Destinations(_) if json => {
            paper.json(&commands.json::<serde_json::Value>(&words)?)?;
        }
        Order::List(_) | Order::Show(_) | Order::Destinations(_) => {
            let said = commands.bytes(&words)?;
            for line in String::from_utf8_lossy(&said).lines() {
                paper.line(visible(line))?;
            }
        }
        Order::Suspend(Named { domain }) | Order::Resume(Named { domain }) => {
            if commands.count(&words)? == 0 {
                return Err(Failed::new(format!("{} stood so already", visible(domain))));
            }
        }
        Order::Retry(_) | Order::Hold(_) | Order::Release(_) | Order::Delete(_) => {
            let number = commands.count(&words)?;
            if number == 0 {
                return Err(Failed::new("no such entry is in the queue"));
            }
            paper.line(format_args!("{number} {}", if number == 1 { "entry" } else { "entries" }))?;
        }
    }
    Ok(0)
}

/// The request, and whether its answer is JSON.
fn words(order: &Order) -> (Vec<String>, bool) {
    let mut words = vec!["QUEUE".to_owned()];
    let mut say = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
    let json = match order {
        Order::List(List { number, destination, json }) => {
            say(&["LIST", &number.to_string()]);
            if let Some(destination) = destination {
                say(&["DESTINATION", destination]);
            }
            *json
        }
        Order::Show(Show { message, json }) => {
            say(&["SHOW", &message.to_string()]);
            *json
        }
        Order::Destinations(Destinations { json }) => {
            say(&["DESTINATIONS"]);
            *json
        }
        Order::Retry(of) => choose("RETRY", of, &mut say),
        Order::Hold(of) => choose("HOLD", of, &mut say),
        Order::Release(of) => choose("RELEASE", of, &mut say),
        Order::Delete(of) => choose("DELETE", of, &mut say),
        Order::Suspend(Named { domain }) => {
            say(&["SUSPEND", domain]);
            false
        }
        Order::Resume(Named { domain }) => {
            say(&["RESUME", domain]);
            false
        }
    };
    if json {
        words.push("JSON".to_owned());
    }
    (words, json)
}

fn choose(what: &str, of: &Chosen, say: &mut impl FnMut(&[&str])) -> bool {
    say(&[what]);
    if of.all {
        say(&["ALL"]);
    }
    if let Some(message) = of.message {
        say(&["MESSAGE", &message.to_string()]);
    }
    if let Some(destination) = &of.destination {
        say(&["DESTINATION", destination]);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_one_request() {
        let of = |message, destination: Option<&str>, all| Chosen {
            message,
            destination: destination.map(str::to_owned),
            all,
        };
        for (order, expect) in [
            (Order::List(List { number: 20, destination: None, json: true }), "QUEUE LIST 20 JSON"),
            (Order::Show(Show { message: 7, json: false }), "QUEUE SHOW 7"),
            (Order::Retry(of(None, None, true)), "QUEUE RETRY ALL"),
            (Order::Delete(of(Some(7), Some("a.example"), false)), "QUEUE DELETE MESSAGE 7 DESTINATION a.example"),
            (Order::Suspend(Named { domain: "a.example".to_owned() }), "QUEUE SUSPEND a.example"),
        ] {
            assert_eq!(words(&order).0.join(" "), expect);
        }
    }
}
