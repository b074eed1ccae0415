use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::super::tests::DEADLINES;
use super::*;
use crate::buffer::Buffer;
use crate::channel::Speaker;
use crate::deadline::TICK;
use crate::simulation::{self, Client, Simulation};

const MOST: usize = 8;

/// What a session said of its end, or what it heard: the line ahead and what came behind it.
type Heard = Rc<RefCell<Option<Result<(String, String), String>>>>;

fn line(bytes: &[u8]) -> Option<(usize, String)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((end + 1, String::from_utf8_lossy(&bytes[..end]).into_owned()))
}

async fn hear(mut connection: Connection) -> Result<(String, String), Ended> {
    let ahead = connection.ahead(MOST, line).await?;
    let mut buffer = Buffer::new();
    connection.idle(&mut buffer).await?;
    Ok((ahead, String::from_utf8_lossy(buffer.filled()).into_owned()))
}

fn connect(simulation: &Simulation) -> (Client, Heard) {
    let heard = Heard::default();
    let told = Rc::clone(&heard);
    let client = simulation.connect(async move |connection| {
        let outcome = hear(connection).await.map_err(|ended| match ended {
            Ended::TimedOut(deadline) => format!("{deadline:?}"),
            ended => ended.to_string(),
        });
        *told.borrow_mut() = Some(outcome);
    });
    (client, heard)
}

fn run(act: impl AsyncFnOnce(&Simulation)) {
    simulation::run(simulation::channel(Speaker::ClientWhenItWants, DEADLINES), act);
}

#[test]
fn what_comes_ahead_is_taken_and_nothing_behind_it() {
    for pieces in
        [&["ahead\nbehind"][..], &["ahead\n", "behind"], &["a", "h", "ead", "\nbehind"], &["ahead", "\nbehind"]]
    {
        run(async |simulation| {
            let (mut client, heard) = connect(simulation);
            for piece in pieces {
                client.send(*piece).await;
            }
            client.settle().await;
            let expect = Some(Ok(("ahead".to_owned(), "behind".to_owned())));
            assert_eq!(*heard.borrow(), expect, "{pieces:?}");
            client.leave().await;
        });
    }
}

#[test]
fn who_says_too_much_or_leaves_or_takes_too_long_is_let_go() {
    run(async |simulation| {
        let over = |heard: &Heard| heard.borrow().clone().map(|heard| heard.unwrap_err());
        let (mut client, heard) = connect(simulation);
        client.send("1234567").await;
        client.settle().await;
        assert_eq!(over(&heard), None);
        client.send("8").await;
        client.settle().await;
        assert_eq!(over(&heard).as_deref(), Some("the peer closed the connection"));

        for said in ["", "half"] {
            let (mut client, heard) = connect(simulation);
            client.send(said).await;
            client.leave().await;
            assert_eq!(over(&heard).as_deref(), Some("the peer closed the connection"), "{said:?}");
        }

        // However it trickles.
        let (mut client, heard) = connect(simulation);
        client.pass(DEADLINES.handshake - TICK * 2).await;
        client.send("half").await;
        assert_eq!(over(&heard), None);
        client.pass(TICK * 2).await;
        assert_eq!(over(&heard).as_deref(), Some("Handshake"));
    });
}

#[test]
fn a_client_counts_against_its_own_source() {
    let mut channel = simulation::channel(Speaker::ClientWhenItWants, DEADLINES);
    channel.most_connections = 2;
    simulation::run(channel, async |simulation| {
        let (proxy, client): (SocketAddr, SocketAddr) =
            ("192.0.2.1:1".parse().unwrap(), "198.51.100.1:2".parse().unwrap());
        let outcomes = Rc::new(RefCell::new(Vec::new()));
        let come = |_| {
            let outcomes = Rc::clone(&outcomes);
            simulation.connect_from(proxy, async move |mut connection: Connection| {
                let outcome = connection.is_for(client).map_err(|ended| ended.to_string());
                outcomes.borrow_mut().push((outcome, connection.peer()));
                let _ = connection.idle(&mut Buffer::new()).await;
            })
        };
        let mut both: Vec<_> = (0..2).map(come).collect();
        both[0].settle().await;
        assert_eq!(*outcomes.borrow(), [(Ok(()), client), (Ok(()), client)]);
        assert!(simulation.report().iter().all(|report| report.peer == client && report.credentials.is_none()));
        for client in both {
            client.leave().await;
        }
        assert!(simulation.report().is_empty());
    });
}
