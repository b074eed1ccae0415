//! What an application is told of a request: the meta-variables of CGI (RFC 3875 §4.1), as PHP knows them.
//!
//! What a client names can only become an `HTTP_…` variable, and only from a name of letters, digits and `-`: `_` and `.` would become `_` too,
//! and shadow another field. `Proxy` is none (it would be `HTTP_PROXY`, which programs read as their proxy). Bounded by the request's fields and
//! by one record for each variable.

use std::borrow::Cow;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sportello_wire::fastcgi::request::{Params, TooLong, begin};

use super::exchange::Input;
use super::pool::Pool;
use super::script::Script;
use super::{Asked, Claims, Settings};
use crate::proxy::is_claim;
use crate::web::{Request, Scheme};

/// Whether a parameter may have this name: capital letters, digits and `_`, no digit first.
pub fn is_name(name: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(is_byte) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Writes the beginning of a request: all but its body.
pub(super) fn write(
    request: &Request,
    script: &Script,
    asked: &Asked,
    settings: &Settings,
    input: &Input,
) -> Result<Vec<u8>, TooLong> {
    let mut out = Vec::with_capacity(2048);
    begin(Pool::after(settings), &mut out);
    let mut variables = Variables { params: Params::new(&mut out), said: &settings.params };
    of_script(&mut variables, request, script, settings)?;
    of_request(&mut variables, request, asked, input)?;
    of_connection(&mut variables, request, asked)?;
    of_fields(&mut variables, request, asked)?;
    for (name, value) in &settings.params {
        variables.params.add(name.as_bytes(), value.as_bytes())?;
    }
    variables.params.end();
    Ok(out)
}

/// Variables as they are written, without those that the settings say.
struct Variables<'a, 'o> {
    params: Params<'o>,
    said: &'a [(Box<str>, Box<str>)],
}

impl Variables<'_, '_> {
    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), TooLong> {
        if self.said.iter().any(|(said, _)| **said == *name) { Ok(()) } else { self.params.add(name.as_bytes(), value) }
    }
}

/// §4.1.5, §4.1.6, §4.1.13, and what PHP reads in their place.
fn of_script(
    to: &mut Variables<'_, '_>,
    request: &Request,
    script: &Script,
    settings: &Settings,
) -> Result<(), TooLong> {
    let root = settings.seen_as.as_deref().unwrap_or(&settings.root);
    let url = [b"/", &script.names[..]].concat();
    to.add("SCRIPT_FILENAME", &beneath(root, &url))?;
    to.add("DOCUMENT_ROOT", root.as_os_str().as_bytes())?;
    to.add("SCRIPT_NAME", &url)?;
    to.add("DOCUMENT_URI", request.path.normal())?;
    if !script.info.is_empty() {
        to.add("PATH_INFO", &script.info)?;
        to.add("PATH_TRANSLATED", &beneath(root, &script.info))?;
    }
    Ok(())
}

fn beneath(root: &Path, url: &[u8]) -> Vec<u8> {
    let root = root.as_os_str().as_bytes();
    [root.strip_suffix(b"/").unwrap_or(root), url].concat()
}

/// §4.1.2, §4.1.3, §4.1.4, §4.1.7, §4.1.12, §4.1.16, §4.1.17.
fn of_request(to: &mut Variables<'_, '_>, request: &Request, asked: &Asked, input: &Input) -> Result<(), TooLong> {
    to.add("GATEWAY_INTERFACE", b"CGI/1.1")?;
    to.add("SERVER_PROTOCOL", b"HTTP/1.1")?;
    to.add("SERVER_SOFTWARE", concat!("Sportello/", env!("CARGO_PKG_VERSION")).as_bytes())?;
    // Without it php-cgi takes the request for one that went past its server.
    to.add("REDIRECT_STATUS", b"200")?;
    to.add("REQUEST_METHOD", &request.verb)?;
    to.add("QUERY_STRING", request.query.as_deref().unwrap_or_default())?;
    let target = asked.target.as_deref().map_or_else(|| Cow::Owned(request.target()), Cow::Borrowed);
    to.add("REQUEST_URI", &target)?;
    to.add("REQUEST_SCHEME", request.scheme.name().as_bytes())?;
    if let Some(length) = input.length().or_else(|| request.fields.has("content-length").then_some(0)) {
        to.add("CONTENT_LENGTH", length.to_string().as_bytes())?;
    }
    if let Some(media_type) = request.fields.value("content-type") {
        to.add("CONTENT_TYPE", media_type)?;
    }
    Ok(())
}

/// §4.1.1, §4.1.8, §4.1.11, §4.1.14, §4.1.15.
fn of_connection(to: &mut Variables<'_, '_>, request: &Request, asked: &Asked) -> Result<(), TooLong> {
    let (peer, local) = (request.client.peer, request.client.local);
    let address = asked.address.unwrap_or(peer.ip()).to_canonical();
    to.add("REMOTE_ADDR", address.to_string().as_bytes())?;
    // Of whoever stands behind a proxy it is not known.
    if address == peer.ip().to_canonical() {
        to.add("REMOTE_PORT", peer.port().to_string().as_bytes())?;
    }
    to.add("SERVER_ADDR", local.ip().to_canonical().to_string().as_bytes())?;
    to.add("SERVER_PORT", local.port().to_string().as_bytes())?;
    match host(&request.authority) {
        b"" => to.add("SERVER_NAME", literal(local.ip().to_canonical()).as_bytes())?,
        name => to.add("SERVER_NAME", name)?,
    }
    if request.scheme == Scheme::Https {
        to.add("HTTPS", b"on")?;
    }
    if let Some(account) = &asked.account {
        to.add("AUTH_TYPE", b"Basic")?;
        to.add("REMOTE_USER", account.as_bytes())?;
    }
    Ok(())
}

/// An authority without its port.
fn host(authority: &[u8]) -> &[u8] {
    let after = authority.iter().rposition(|&byte| byte == b']').map_or(0, |bracket| bracket.saturating_add(1));
    let rest = authority.get(after..).unwrap_or_default();
    let length = memchr::memchr(b':', rest).unwrap_or(rest.len());
    authority.get(..after.saturating_add(length)).unwrap_or_default()
}

fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// §4.1.18.
fn of_fields(to: &mut Variables<'_, '_>, request: &Request, asked: &Asked) -> Result<(), TooLong> {
    if !request.authority.is_empty() {
        to.add("HTTP_HOST", &request.authority)?;
    }
    for (place, (name, value)) in request.fields.iter().enumerate() {
        let is_again = request.fields.iter().take(place).any(|(before, _)| before == name);
        // Whoever logged in here did it with a password that is not the application's.
        let is_ours = name == "authorization" && asked.account.is_some();
        let is_believed = matches!(asked.claims, Claims::Told(says) if says.names(name));
        if is_again || is_ours || (is_claim(name) && !is_believed) || UNTOLD.contains(&name) {
            continue;
        }
        let Some(variable) = variable(name) else { continue };
        if request.fields.values(name).nth(1).is_none() {
            to.add(&variable, value)?;
        } else {
            // RFC 9110 §5.3; of cookies, RFC 9113 §8.2.3.
            let between: &[u8] = if name == "cookie" { b"; " } else { b", " };
            let values: Vec<&[u8]> = request.fields.values(name).collect();
            to.add(&variable, &values.join(between))?;
        }
    }
    Ok(())
}

/// The variable for a field; none for a name that another field's would be too.
fn variable(name: &str) -> Option<String> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain.then(|| format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_")))
}

/// Fields that are no variables: those that have one of their own, those that concern one connection (RFC 9110 §7.6.1), and `Proxy`.
const UNTOLD: [&str; 13] = [
    "content-length",
    "content-type",
    "host",
    "proxy",
    "proxy-authorization",
    "proxy-connection",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];
