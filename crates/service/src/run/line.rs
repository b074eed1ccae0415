//! A line to the spawner: one socket for one runtime of the server, which sends its orders by itself and hears of its own runs.
//!
//! Orders are sent where they arise, reports are read by one task of the runtime; so a program's start and end wake no thread but the
//! worker that serves its client. Closing the line finishes all its runs.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use super::outcome::Exit;
use super::protocol::{Order, Report};
use super::spawner;

/// What becomes of a run: how it ended, or the operating system's error number where it could not be started.
pub(super) type Fate = Result<Exit, i32>;

/// A line to the spawner.
#[derive(Debug)]
pub(super) struct Line {
    /// Watched for what comes only: that the spawner has taken an order is nobody's concern.
    socket: AsyncFd<OwnedFd>,
    /// Whom to tell of each run; none any more when the line is closed.
    runs: Mutex<Option<HashMap<u64, oneshot::Sender<Fate>>>>,
    /// Orders that the socket did not take at once: at most two for each run that was asked for.
    late: mpsc::UnboundedSender<Order>,
}

/// A program that was asked for. Dropping it kills whatever is left of the process group.
#[derive(Debug)]
pub(super) struct Run {
    id: u64,
    line: Arc<Line>,
    /// Comes when it has ended, or could not begin; never when the spawner died.
    pub(super) fate: oneshot::Receiver<Fate>,
}

impl Run {
    /// Sends TERM to the process group.
    pub(super) fn term(&self) {
        self.line.tell(Order::Term { id: self.id });
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // One whose fate was told is over for the spawner too.
        if self.line.forget(self.id) {
            self.line.tell(Order::Finish { id: self.id });
        }
    }
}

impl Line {
    /// The line whose near end is `socket`, once the spawner has said that it has taken the other, and what reads it: to be polled by
    /// this runtime until it ends.
    pub(super) async fn open(socket: OwnedFd) -> io::Result<(Arc<Self>, impl Future<Output = ()> + Send + 'static)> {
        let (late, orders) = mpsc::unbounded_channel();
        let socket = sportello_net::watch_for(socket, Interest::READABLE)?;
        let line = Arc::new(Self { socket, runs: Mutex::new(Some(HashMap::new())), late });
        let Report::Ready { .. } = line.receive().await? else { return Err(io::ErrorKind::InvalidData.into()) };
        let reading = Closing(Arc::clone(&line));
        Ok((line, async move { reading.0.carry(orders).await }))
    }

    /// Starts the run `id` by its message. [`spawner::is_gone`] tells from the error that nobody is at the other end any more.
    pub(super) async fn start(line: &Arc<Self>, id: u64, message: &[u8], descriptors: &[OwnedFd]) -> io::Result<Run> {
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        loop {
            let (told, fate) = oneshot::channel();
            line.runs().as_mut().ok_or(io::ErrorKind::BrokenPipe)?.insert(id, told);
            let run = Run { id, line: Arc::clone(line), fate };
            let Err(error) = spawner::send(line.socket.as_fd(), message, &borrowed, spawner::AT_ONCE) else {
                return Ok(run);
            };
            // It was not asked for: there is nothing to finish with, now or when this future is dropped.
            line.forget(id);
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            line.room().await?;
        }
    }

    fn runs(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Fate>>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the run was still to be told of.
    fn forget(&self, id: u64) -> bool {
        self.runs().as_mut().is_some_and(|runs| runs.remove(&id).is_some())
    }

    /// Every run is lost.
    fn close(&self) {
        *self.runs() = None;
    }

    /// Sends an order of few bytes, now or as soon as there is room. A line that is closed has no run to give orders for.
    fn tell(&self, order: Order) {
        if self.send(&order).is_err() {
            let _ = self.late.send(order);
        }
    }

    fn send(&self, order: &Order) -> io::Result<()> {
        spawner::send(self.socket.as_fd(), &order.encode().unwrap_or_default(), &[], spawner::AT_ONCE)
    }

    /// Waits until the spawner has taken some of what was sent.
    async fn room(&self) -> io::Result<()> {
        let socket = self.socket.get_ref().try_clone()?;
        sportello_net::watch_for(socket, Interest::WRITABLE)?.writable().await?.retain_ready();
        Ok(())
    }

    /// The life of the task: tells each run its fate, and sends what is late. It goes on reading while it waits for room, since the
    /// spawner may be waiting for that.
    async fn carry(&self, mut late: mpsc::UnboundedReceiver<Order>) {
        let mut next = None;
        loop {
            tokio::select! {
                report = self.receive() => match report {
                    Ok(report) => self.settle(report),
                    // The spawner is gone, which its watcher tells.
                    Err(error) => return tracing::debug!(%error, "a line to the spawner ends"),
                },
                order = late.recv(), if next.is_none() => next = order,
                room = self.room(), if next.is_some() => {
                    next = match room.and_then(|()| next.as_ref().map_or(Ok(()), |order| self.send(order))) {
                        Ok(()) => None,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => next,
                        // An order must not be lost: a line that closes finishes all its runs.
                        Err(error) => return tracing::error!(%error, "a line to the spawner is given up"),
                    };
                }
            }
        }
    }

    async fn receive(&self) -> io::Result<Report> {
        let mut message = [0; 64];
        let length = self
            .socket
            .async_io(Interest::READABLE, |socket| {
                spawner::receive(socket.as_fd(), &mut message, &mut Vec::new(), spawner::NOT_WAITING)
            })
            .await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        message.get(..length).and_then(Report::decode).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn settle(&self, report: Report) {
        let (id, fate) = match report {
            Report::Ready { .. } => return,
            Report::Failed { id, errno } => (id, Err(i32::try_from(errno).unwrap_or_default())),
            Report::Exited { id, exit } => (id, Ok(exit)),
        };
        // A run that was finished with no longer wants to know.
        let told = self.runs().as_mut().and_then(|runs| runs.remove(&id));
        let _ = told.map(|told| told.send(fate));
    }
}

/// Closes the line when its task ends, or is dropped.
struct Closing(Arc<Line>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::protocol::MESSAGE;
    use super::*;

    /// The messages that wait at the spawner's end.
    fn heard(far: &OwnedFd) -> Vec<Vec<u8>> {
        let mut message = vec![0; MESSAGE];
        let mut all = Vec::new();
        while let Ok(length) = spawner::receive(far.as_fd(), &mut message, &mut Vec::new(), spawner::NOT_WAITING) {
            all.push(message[..length].to_vec());
        }
        all
    }

    /// While the spawner takes nothing, clients come and go.
    #[tokio::test(start_paused = true)]
    async fn a_start_that_is_given_up_before_it_was_sent_leaves_nothing() {
        let (near, far) = spawner::pair().unwrap();
        let ready = Report::Ready { pid: 1 }.encode();
        spawner::send(far.as_fd(), &ready, &[], spawner::AT_ONCE).unwrap();
        let (line, reading) = Line::open(near).await.unwrap();
        tokio::spawn(reading);
        let filler = vec![b'f'; MESSAGE];
        while spawner::send(line.socket.as_fd(), &filler, &[], spawner::AT_ONCE).is_ok() {}
        for id in 0..1_000 {
            let start = Line::start(&line, id, b"start", &[]);
            tokio::time::timeout(Duration::from_secs(1), start).await.unwrap_err();
        }
        assert!(line.runs().as_ref().unwrap().is_empty());
        let fillers = heard(&far);
        assert!(!fillers.is_empty() && fillers.iter().all(|message| *message == filler));
        // What was late would come now.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(heard(&far), Vec::<Vec<u8>>::new());
        // One that waits until there is room is asked for, and finished with when it is given up.
        while spawner::send(line.socket.as_fd(), &filler, &[], spawner::AT_ONCE).is_ok() {}
        let start = Line::start(&line, 7, b"start", &[]);
        tokio::pin!(start);
        tokio::time::timeout(Duration::from_secs(1), &mut start).await.unwrap_err();
        heard(&far);
        drop(start.await.unwrap());
        assert_eq!(heard(&far), [b"start".to_vec(), Order::Finish { id: 7 }.encode().unwrap()]);
        assert!(line.runs().as_ref().unwrap().is_empty());
    }
}
