//! What must be waited for: programs, mail, the picture of the server.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use sportello_net::{Connection, Ended, Failed};
use sportello_service::run::Invocation;
use sportello_wire::resp::Arguments;
use tokio::time::Instant;

use super::client::Victims;
use super::kept::Secret;
use super::mail::Order;
use super::session::{self, STOPPING, Session};
use super::show::{self, Subject};
use super::{account, client, dkim, mail, mailbox, outcome, queue};

/// Something to wait for.
pub(super) struct Task {
    pub(super) label: Label,
    /// What SLOWLOG keeps of it, should it be slow.
    pub(super) words: Vec<Box<[u8]>>,
    pub(super) action: Action,
}

/// What is to be done.
pub(super) enum Action {
    Run {
        invocation: Invocation,
    },
    Show {
        subject: Subject,
        form: Form,
    },
    Info {
        sections: Vec<String>,
    },
    Reload {
        form: Form,
    },
    /// The root of the local CA.
    Root,
    /// Another certificate for what bears this name.
    RenewCertificate {
        name: String,
    },
    Dkim {
        order: dkim::Order,
    },
    Mail {
        order: Order,
    },
    Account {
        order: account::Order,
    },
    Mailbox {
        order: mailbox::Order,
    },
    Queue {
        order: queue::Order,
    },
    ListClients {
        wanted: client::Wanted,
    },
    KillClients {
        victims: Victims,
    },
}

/// For whom an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// People.
    Text,
    /// Machines.
    Json,
}

/// What is logged of a request.
pub(super) struct Label {
    pub(super) verb: Box<str>,
    pub(super) object: Vec<u8>,
    pub(super) began: Instant,
}

impl Label {
    /// The name in capitals, and the arguments as far as they fit, without secrets.
    pub(super) fn of(arguments: &Arguments<'_>, began: Instant) -> Self {
        const MOST: usize = 96;
        let verb = String::from_utf8_lossy(arguments.name().get(..32).unwrap_or(arguments.name())).to_ascii_uppercase();
        let mut object = Vec::new();
        let secret = Secret::of(arguments);
        for (place, argument) in arguments.from(0).enumerate().skip(1).take(8) {
            if secret.hides(place) {
                continue;
            }
            if !object.is_empty() {
                object.push(b' ');
            }
            object.extend_from_slice(argument.get(..MOST).unwrap_or(argument));
        }
        object.truncate(MOST);
        Self { verb: verb.into(), object, began }
    }
}

impl Session {
    /// Does what is to be waited for and answers it. Fails when the client is gone, which ends what was begun.
    pub(super) async fn perform(&mut self, task: Box<Task>) -> Result<(), Ended> {
        let Task { label, words, action } = *task;
        self.connection.set_doing(&label.verb);
        let result = self.carry_out(&label, action).await;
        self.connection.set_doing("idle");
        let took = label.began.elapsed();
        if self.service.slow_log.want(took) {
            self.service.records.slow.keep(self.service.slow_log.length, &self.connection, took, words);
        }
        match result {
            Err(Ended::Stopping) => {
                self.reply.error("ERR", STOPPING);
                session::record(&self.connection, &self.reply, 0, &label);
                self.flush().await?;
                Err(Ended::Stopping)
            }
            Err(ended) => {
                session::tell(&self.connection, &label, "left", 0, Failed::Yes);
                Err(ended)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn carry_out(&mut self, label: &Label, action: Action) -> Result<(), Ended> {
        let service = Rc::clone(&self.service);
        match action {
            Action::Run { invocation } => {
                let result = unless_left(&mut self.connection, service.runner.run(invocation)).await?;
                let told = outcome::answer(result, label, &mut self.reply);
                let failed = if told == "exit 0" { Failed::No } else { Failed::Yes };
                session::tell(&self.connection, label, &told, self.reply.len() as u64, failed);
                return Ok(());
            }
            Action::Show { subject, form } => {
                let picture = unless_left(&mut self.connection, (service.observer)()).await?;
                show::show(&picture, subject, form, &mut self.reply);
            }
            Action::Info { sections } => {
                let picture = unless_left(&mut self.connection, (service.observer)()).await?;
                show::info(&picture, &sections, &mut self.reply);
            }
            Action::Reload { form } => {
                // A reload goes on though whoever asked for it has left.
                let asked = async { service.reloads.as_ref()?.ask().await };
                match unless_left(&mut self.connection, asked).await? {
                    Some(reloaded) => show::reloaded(&reloaded, form, &mut self.reply),
                    None => self.reply.error("BUSY", "too many ask for a reload, or the server stops"),
                }
            }
            Action::Root => match unless_left(&mut self.connection, service.keyring.root()).await? {
                Ok(root) => show::json(&root, &mut self.reply),
                Err(error) => self.reply.error("ERR", error.to_string()),
            },
            Action::RenewCertificate { name } => {
                let renewed = unless_left(&mut self.connection, service.keyring.renew(&name)).await?;
                show::renewed(&renewed, &mut self.reply);
            }
            Action::Dkim { order } => Box::pin(dkim::carry_out(self, order)).await?,
            Action::Mail { order } => mail::carry_out(self, order).await?,
            Action::Account { order } => Box::pin(account::carry_out(self, order)).await?,
            Action::Mailbox { order } => Box::pin(mailbox::carry_out(self, order)).await?,
            Action::Queue { order } => Box::pin(queue::carry_out(self, order)).await?,
            Action::ListClients { wanted } => {
                let reports = unless_left(&mut self.connection, service.workers.report(client::MOST_LISTED)).await?;
                client::list(&reports, &wanted, self);
            }
            Action::KillClients { victims } => client::kill(victims, self).await,
        }
        session::record(&self.connection, &self.reply, 0, label);
        Ok(())
    }
}

/// Waits for `work` unless the client leaves first; then the work is dropped.
///
/// One that has only shut down its sending side (`nc -N`, `nc -q`) cannot be told from one that is gone until something is sent to
/// it, so the work has [`HALF_CLOSED`] to end.
pub(super) async fn unless_left<T>(connection: &mut Connection, work: impl Future<Output = T>) -> Result<T, Ended> {
    if connection.is_killed() {
        return Err(Ended::Killed);
    }
    let mut work = pin!(work);
    if let Ok(done) = tokio::time::timeout(UNWATCHED, &mut work).await {
        return Ok(done);
    }
    let ended = tokio::select! {
        biased;
        done = &mut work => return Ok(done),
        ended = connection.left() => ended,
    };
    if !matches!(ended, Ended::Closed) {
        return Err(ended);
    }
    tokio::time::timeout(HALF_CLOSED, work).await.map_err(|_| ended)
}

/// Work that takes no longer is done before anybody watches for the client to leave, which begins with registering its connection.
const UNWATCHED: Duration = Duration::from_millis(5);
/// How long a client that sends nothing more may wait for its answer.
const HALF_CLOSED: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use sportello_net::{Channel, Deadlines, Speaker, simulation};
    use tokio::sync::oneshot;

    use super::*;

    fn channel() -> Channel {
        simulation::channel(Speaker::ClientWhenItWants, Deadlines::default())
    }

    /// One that was killed while many short things are done for it, one after the other.
    #[test]
    fn a_killed_client_has_nothing_more_done_for_it_however_short() {
        simulation::run(channel(), async |simulation| {
            let ended = Rc::new(Cell::new(None));
            let ((done, first), (told, killed)) = (oneshot::channel(), oneshot::channel());
            let tell = Rc::clone(&ended);
            let client = simulation.connect(async move |mut connection: Connection| {
                done.send(unless_left(&mut connection, tokio::task::yield_now()).await).unwrap();
                killed.await.unwrap();
                tell.set(Some(unless_left(&mut connection, tokio::task::yield_now()).await));
            });
            assert!(matches!(first.await, Ok(Ok(()))));
            assert!(simulation.kill(client.id()));
            told.send(()).unwrap();
            client.leave().await;
            let ended = ended.take();
            assert!(matches!(ended, Some(Err(Ended::Killed))), "{ended:?}");
        });
    }
}
