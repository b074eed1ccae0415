use std::net::UdpSocket as Sync;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::Record as Wire;
use hickory_resolver::proto::rr::rdata::{CNAME, MX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;

/// What the server here answers with.
type Answers = fn(&Name) -> Vec<Wire>;

/// A name server that validates everything, and by UDP tells only what fits.
async fn serve(answers: Answers) -> SocketAddr {
    let (udp, tcp) = loop {
        let udp = Sync::bind("127.0.0.1:0").unwrap();
        udp.set_nonblocking(true).unwrap();
        // The same port must be free for TCP.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (UdpSocket::from_std(udp).unwrap(), tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4_096];
        while let Ok((length, client)) = udp.recv_from(&mut buffer).await {
            let mut reply = answer(&buffer[..length], answers);
            let mut bytes = reply.to_vec().unwrap();
            if bytes.len() > 512 {
                reply.answers.clear();
                reply.metadata.truncation = true;
                bytes = reply.to_vec().unwrap();
            }
            udp.send_to(&bytes, client).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut query = vec![0; length.into()];
                    stream.read_exact(&mut query).await.unwrap();
                    let bytes = answer(&query, answers).to_vec().unwrap();
                    stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
                    stream.write_all(&bytes).await.unwrap();
                }
            });
        }
    });
    address
}

fn answer(query: &[u8], answers: Answers) -> Message {
    let query = Message::from_vec(query).unwrap();
    let question = query.queries[0].clone();
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.metadata.authentic_data = query.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
    reply.metadata.recursion_available = true;
    let found = answers(question.name());
    if found.is_empty() {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    reply.add_answers(found);
    reply.add_query(question);
    reply
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn alias(from: &str, to: &str) -> Wire {
    Wire::from_rdata(name(from), 60, RData::CNAME(CNAME(name(to))))
}

fn mx(owner: &str, host: &str) -> Wire {
    Wire::from_rdata(name(owner), 60, RData::MX(MX::new(10, name(host))))
}

/// Aliases that are told one at a time, and in one answer; a circle; too many mail servers; a record of somebody else.
fn zone(asked: &Name) -> Vec<Wire> {
    match asked.to_ascii().as_str() {
        "step.example." => vec![alias("step.example.", "whole.example.")],
        "whole.example." => vec![alias("whole.example.", "end.example."), mx("end.example.", "MX.End.example.")],
        "circle.example." => vec![alias("circle.example.", "elcric.example.")],
        "elcric.example." => vec![alias("elcric.example.", "circle.example.")],
        "self.example." => vec![alias("self.example.", "self.example.")],
        "many.example." => (0..1_200).map(|at| mx("many.example.", &format!("mx{at}.many.example."))).collect(),
        "foreign.example." => vec![mx("other.example.", "evil.example.")],
        "null.example." => vec![mx("null.example.", ".")],
        _ => Vec::new(),
    }
}

async fn asked(validation: Validation, name: &str) -> Result<Found, Unanswered> {
    let server = serve(zone).await;
    System::asking(&Servers::These(vec![server]), validation).unwrap().find(name, Kind::Mx).await
}

#[tokio::test]
async fn aliases_are_followed_and_circles_are_seen() {
    for start in ["step.example", "WHOLE.example", "whole.example"] {
        let found = asked(Validation::OnThisMachine, start).await.unwrap();
        assert_eq!(found.records, [Record::Mx { preference: 10, exchange: "mx.end.example".to_owned() }], "{start}");
    }
    for circle in ["circle.example", "self.example"] {
        let Err(Unanswered::Trouble(why)) = asked(Validation::OnThisMachine, circle).await else { panic!("{circle}") };
        assert!(why.contains("leads nowhere"), "{why}");
    }
}

#[tokio::test]
async fn an_answer_is_bounded_and_about_what_was_asked() {
    let many = asked(Validation::OnThisMachine, "many.example").await.unwrap();
    assert_eq!(many.records.len(), RECORDS_MOST);
    assert_eq!(asked(Validation::OnThisMachine, "foreign.example").await, Err(Unanswered::NoRecords));
    assert_eq!(asked(Validation::OnThisMachine, "nobody.example.").await, Err(Unanswered::NoSuchName));
    assert_eq!(
        asked(Validation::OnThisMachine, "null.example").await.unwrap().records,
        [Record::Mx { preference: 10, exchange: String::new() }]
    );
    assert_eq!(asked(Validation::OnThisMachine, &"a".repeat(64)).await, Err(Unanswered::NoSuchName));
}

#[tokio::test]
async fn only_a_trusted_server_proves_anything() {
    for (validation, expect) in [
        (Validation::OnThisMachine, Proof::Validated),
        (Validation::Trusted, Proof::Validated),
        (Validation::Ignored, Proof::None),
    ] {
        assert_eq!(asked(validation, "step.example").await.unwrap().proof, expect, "{validation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_no_answer() {
    let free = Sync::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let servers = System::of(&[free]).unwrap();
    assert!(matches!(servers.ask("a.example", Kind::Mx).await, Err(Unanswered::Trouble(_))));
}
