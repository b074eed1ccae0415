//! What a proxy of TCP connections says ahead of its client's bytes.

use std::fmt::Write as _;
use std::net::SocketAddr;

use sportello_wire::proxy_protocol::{Header, LONGEST, parse};

/// However it is cut, it is the same header or none; what is read is read again from what it says.
pub(crate) fn header(data: &[u8]) {
    let whole = parse(data);
    for end in 0..data.len() {
        let (cut, longer) = (parse(&data[..end]), parse(&data[..end + 1]));
        // Once something is certain it stays so, whatever follows.
        if cut != Ok(None) {
            assert_eq!(cut, longer);
        }
    }
    let Ok(Some(Header { length, client })) = whole else { return };
    assert!(0 < length && length <= data.len().min(LONGEST));
    if let Some(client) = client {
        let said = said(client);
        assert_eq!(parse(said.as_bytes()), Ok(Some(Header { length: said.len(), client: Some(client) })));
    }
}

fn said(client: SocketAddr) -> String {
    let (family, ours) = if client.is_ipv4() { ("TCP4", "192.0.2.1") } else { ("TCP6", "2001:db8::1") };
    let mut line = format!("PROXY {family} ");
    write!(line, "{} {ours} {} 443\r\n", client.ip(), client.port()).unwrap();
    line
}
