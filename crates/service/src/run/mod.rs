//! Runs programs for any protocol.
//!
//! Knows nothing of HTTP, SMTP or RESP: it takes an [`Invocation`] and gives an [`Outcome`]. A program is never a child of the
//! server but of the [`spawner`], a small process of the same binary started before any thread; [`Runner`] is the handle by which
//! every worker reaches it. Never a shell: an argument vector, an absolute path, an environment of fixed names.
//!
//! Bounded by [`Limits`]: invocations at once and waiting, wall time, bytes of arguments, of output and of diagnostics.

mod audit;
mod invocation;
mod line;
mod link;
mod outcome;
mod parameter;
mod program;
mod protocol;
mod runner;
mod running;
pub mod spawner;
mod tree;

pub use invocation::Invocation;
pub use outcome::{Exit, Outcome};
pub use parameter::{Parameter, Takes, Template, TemplateError};
pub use program::{Limits, Program, ProgramError};
pub use runner::Runner;
pub use spawner::{SpawnerHandle, StartError};
