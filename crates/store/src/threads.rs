//! A few named threads that take jobs from one bounded queue.
//!
//! Used for `blocking-*` (spool files, syncs) and `store-reader-*` (each with a connection of its own). Knows nothing
//! of what a job does. Bounded by: the number of threads, the length of the queue. A full queue makes the caller wait,
//! asynchronously.
//!
//! At shutdown: [`Pool::close`] lets everything queued run and joins the threads. A pool that is only dropped does the
//! same without being waited for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::{fmt, io};

use tokio::sync::{mpsc, oneshot, watch};

use crate::error::Error;

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

enum Order<C> {
    Run(Job<C>),
    Close,
}

/// The threads; `C` is what each of them owns.
pub(crate) struct Pool<C> {
    orders: mpsc::Sender<Order<C>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    ended: watch::Receiver<()>,
}

impl<C: Send + 'static> Pool<C> {
    /// Starts one thread per context, named `name-0`, `name-1`, …
    pub(crate) fn start(name: &str, contexts: Vec<C>, queue: usize) -> io::Result<Self> {
        let (orders, receiver) = mpsc::channel(queue);
        let (alive, ended) = watch::channel(());
        let (receiver, alive) = (Arc::new(Mutex::new(receiver)), Arc::new(alive));
        let mut threads = Vec::with_capacity(contexts.len());
        for (number, mut context) in contexts.into_iter().enumerate() {
            let (receiver, alive) = (Arc::clone(&receiver), Arc::clone(&alive));
            threads.push(Builder::new().name(format!("{name}-{number}")).spawn(move || {
                work(&receiver, &mut context);
                drop(context);
                drop(alive);
            })?);
        }
        Ok(Self { orders, threads: Mutex::new(threads), ended })
    }

    /// Runs `job` on one of the threads. Dropping this future once the job is queued does not stop the job; its result
    /// is dropped on the thread that made it.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut C) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job<C> = Box::new(move |context| drop(answer.send(job(context))));
        self.orders.send(Order::Run(job)).await.map_err(|_| Error::Closed)?;
        // The sender is dropped without an answer only by a job that panicked, or by a pool that went away.
        answered.await.map_err(|_| Error::Closed)
    }

    /// The same for a thread that may wait by blocking.
    pub(crate) fn run_blocking<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut C) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job<C> = Box::new(move |context| drop(answer.send(job(context))));
        self.orders.blocking_send(Order::Run(job)).map_err(|_| Error::Closed)?;
        answered.blocking_recv().map_err(|_| Error::Closed)
    }

    /// Queues `job` if there is room at once; else gives it back.
    pub(crate) fn offer(&self, job: impl FnOnce(&mut C) + Send + 'static) -> Result<(), Refused<C>> {
        use mpsc::error::TrySendError::{Closed, Full};
        match self.orders.try_send(Order::Run(Box::new(job))) {
            Ok(()) | Err(Full(Order::Close) | Closed(Order::Close)) => Ok(()),
            Err(Full(Order::Run(job)) | Closed(Order::Run(job))) => Err(Refused(job)),
        }
    }

    /// Takes no more jobs, runs those it has, and joins the threads. Again: waits for the same end.
    pub(crate) async fn close(&self) {
        // An error says that somebody else closed it.
        let _ = self.orders.send(Order::Close).await;
        // Nothing is ever sent: this returns when the last thread has dropped its end.
        let _ = self.ended.clone().changed().await;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl<C> fmt::Debug for Pool<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// A job that found no room.
pub(crate) struct Refused<C>(Job<C>);

impl<C> Refused<C> {
    /// Runs it here and now.
    pub(crate) fn run(self, context: &mut C) {
        (self.0)(context);
    }
}

fn work<C>(receiver: &Mutex<mpsc::Receiver<Order<C>>>, context: &mut C) {
    loop {
        // The lock is held while waiting: the other threads then wait for the lock instead of the queue.
        let mut queue = receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let order = queue.blocking_recv();
        match order {
            None => return,
            Some(Order::Close) => queue.close(),
            Some(Order::Run(job)) => {
                drop(queue);
                if catch_unwind(AssertUnwindSafe(|| job(context))).is_err() {
                    tracing::error!("a job panicked; its thread goes on");
                }
            }
        }
    }
}
