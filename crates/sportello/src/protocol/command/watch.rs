//! A connection that monitors: it is sent what others ask, and may itself only PING, RESET and QUIT.

use std::mem;

use sportello_net::Ended;
use sportello_wire::resp::Next;

use super::dispatch::is;
use super::monitor::MOST;
use super::session::Session;

/// How watching ended, the connection being of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// It asks again like any other.
    Reset,
    /// It is to be closed.
    Over,
}

impl Session {
    /// Shows requests until the client has enough. A client that reads slower than they come misses some and is told how many;
    /// one that does not read at all is closed at the write deadline; one to which nothing happens, at the idle one.
    pub(super) async fn watch(&mut self) -> Result<Watched, Ended> {
        let Some(mut feed) = self.service.audience.monitors().watch() else {
            self.reply.error("BUSY", format!("{MOST} connections monitor already; CLIENT LIST shows them"));
            return Ok(Watched::Reset);
        };
        self.reply.ok();
        let mut needed = 1;
        let mut lines = Vec::new();
        loop {
            self.flush().await?;
            let more = {
                let Self { connection, input, .. } = self;
                tokio::select! {
                    // Its own words first, or a flood would keep it from ever leaving.
                    biased;
                    more = input.fill(connection, needed) => Some(more?),
                    () = feed.next(&mut lines) => None,
                }
            };
            match more {
                Some(false) => return Ok(Watched::Over),
                Some(true) => match self.told() {
                    Told::More(more) => needed = more,
                    Told::Ended(watched) => return Ok(watched),
                },
                None => {
                    self.connection.write_all(&lines).await?;
                    // The room of one burst is not kept.
                    drop(mem::take(&mut lines));
                }
            }
        }
    }

    /// Reads what the client says while it monitors.
    fn told(&mut self) -> Told {
        loop {
            let Self { connection, reply, input, parser, .. } = self;
            let consumed = match parser.next(input.filled()) {
                Next::Incomplete { needed } => return Told::More(needed),
                Next::Nothing { consumed } => consumed,
                Next::Refused(refused) => {
                    reply.error("ERR", refused.to_string());
                    return Told::Ended(Watched::Over);
                }
                Next::Request { arguments, consumed } => {
                    connection.count_request(sportello_net::Failed::No);
                    let name = Some(arguments.name());
                    if is(name, "QUIT") {
                        reply.ok();
                        return Told::Ended(Watched::Over);
                    }
                    if is(name, "RESET") {
                        reply.simple("RESET");
                        input.consume(consumed);
                        self.reset();
                        return Told::Ended(Watched::Reset);
                    }
                    if is(name, "PING") {
                        reply.pong();
                    } else {
                        reply.error("ERR", "this connection monitors: it takes PING, RESET and QUIT");
                    }
                    consumed
                }
            };
            input.consume(consumed);
        }
    }
}

enum Told {
    /// Nothing whole before the input is this long.
    More(usize),
    Ended(Watched),
}
