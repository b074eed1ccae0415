//! How much memory a thousand large bodies take while they all arrive at once.
//!
//! ```sh
//! cargo run --release -p sportello-store --example many_large -- [FOLDER [SENDERS [MIB]]]
//! ```
//!
//! Every sender writes 16 KiB in turn, none declares a size, none is finished before all have begun; then all are
//! accepted. Prints the greatest resident size of the process (VmHWM), and the sums of the store.

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::path::PathBuf;

use sportello_store::{Accept, Envelope, Error, Incoming, Origin, Place, Settings, Store, Summary};

const PIECE: usize = 16 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let senders: usize = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let mebibytes: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let folder = parent.join(format!("sportello-many-large-{}", std::process::id()));
    let store = Store::open(Settings::new(&folder))?;
    println!("before: {}", resident()?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(arrive(&store, senders, mebibytes))?;
    println!("{senders} senders of {mebibytes} MiB: {}", resident()?);
    println!("{:?}", store.figures());
    runtime.block_on(store.close());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

async fn arrive(store: &Store, senders: usize, mebibytes: usize) -> Result<(), Error> {
    let piece = vec![b'x'; PIECE];
    let mut bodies = Vec::with_capacity(senders);
    for _ in 0..senders {
        bodies.push(store.begin(None)?);
    }
    for _ in 0..mebibytes * (1 << 20) / PIECE {
        let tasks = tokio::task::LocalSet::new();
        let running: Vec<_> = bodies
            .drain(..)
            .map(|mut body: Incoming| {
                let piece = piece.clone();
                tasks.spawn_local(async move { body.write(&piece).await.map(|()| body) })
            })
            .collect();
        tasks.await;
        for task in running {
            bodies.push(task.await.map_err(|_| Error::Spoiled)??);
        }
    }
    println!("all under way: {:?}", store.figures());
    let tasks = tokio::task::LocalSet::new();
    for body in bodies {
        let store = store.clone();
        tasks.spawn_local(async move {
            let origin = Origin {
                peer: ([127, 0, 0, 1], 40_000).into(),
                helo: String::new(),
                channel: "mail".to_owned(),
                connection: 1,
            };
            let accept = Accept {
                envelope: Envelope::default(),
                origin,
                summary: Summary::default(),
                body,
                places: vec![Place::CAUGHT],
                queue: Vec::new(),
                trace: None,
            };
            if let Err(error) = store.accept(accept).await {
                println!("{error}");
            }
        });
    }
    tasks.await;
    Ok(())
}

fn resident() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    Ok(lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", "))
}
