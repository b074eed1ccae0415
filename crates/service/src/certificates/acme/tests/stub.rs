//! A CA of ours (RFC 8555, RFC 9773), in memory: it reads what it is sent, looks at proofs as a CA does, signs, and fails as it is told.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};

use super::home::Home;
use crate::certificates::acme::{Clock, House, Way};

#[derive(Clone)]
pub(super) struct Stub {
    state: Arc<Mutex<State>>,
    home: Home,
    clock: Clock,
}

pub(super) struct State {
    issuer: Issuer<'static, KeyPair>,
    /// Whether nobody answers.
    pub(super) is_down: bool,
    /// What goes wrong next, once each: where, and the answer.
    pub(super) faults: Vec<Fault>,
    /// Whether it never looks for a proof.
    pub(super) never_looks: bool,
    /// Names for which it sees no proof.
    pub(super) blind_to: Vec<String>,
    /// What it never answers.
    pub(super) is_deaf_to: Option<&'static str>,
    /// Names that it wants proved, whatever was ordered.
    pub(super) asks_for: Option<Vec<String>>,
    /// How long what it signs is good.
    pub(super) life: Duration,
    /// For what it signs, whatever it is asked for.
    pub(super) signs_for: Option<Vec<String>>,
    /// The window for all certificates, as RFC 3339 says, and when to ask again; without it the CA knows no such thing.
    pub(super) window: Option<((String, String), u64)>,
    /// Accounts that it knows.
    pub(super) accounts: Vec<Value>,
    /// All that was asked: how long after the beginning, and the path.
    pub(super) asked: Vec<(Duration, String)>,
    /// What orders said, one by one.
    pub(super) orders: Vec<Order>,
}

#[derive(Clone)]
pub(super) struct Fault {
    pub(super) path: &'static str,
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) retry_after: Option<u64>,
}

pub(super) struct Order {
    pub(super) at: Duration,
    pub(super) replaces: Option<String>,
    identifiers: Value,
    authorizations: Vec<Authorization>,
    chain: Option<String>,
}

struct Authorization {
    name: String,
    is_wildcard: bool,
    status: &'static str,
    error: Option<Value>,
}

const HOST: &str = "https://ca.test";
const WAYS: [(&str, Way); 3] = [("http-01", Way::Http), ("tls-alpn-01", Way::Tls), ("dns-01", Way::Dns)];

impl Stub {
    pub(super) fn new(home: &Home) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let state = State {
            issuer: Issuer::new(params, KeyPair::generate().unwrap()),
            is_down: false,
            faults: Vec::new(),
            never_looks: false,
            blind_to: Vec::new(),
            is_deaf_to: None,
            asks_for: None,
            life: Duration::from_secs(90 * 86_400),
            signs_for: None,
            window: None,
            accounts: Vec::new(),
            asked: Vec::new(),
            orders: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), home: home.clone(), clock: home.clock() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn client(&self) -> Arc<dyn HttpClient> {
        Arc::new(self.clone())
    }

    /// When orders were made, from the beginning.
    pub(super) fn ordered(&self) -> Vec<Duration> {
        self.state().orders.iter().map(|order| order.at).collect()
    }

    /// How often something beneath this path was asked for.
    pub(super) fn count(&self, path: &str) -> usize {
        self.state().asked.iter().filter(|(_, asked)| asked.starts_with(path)).count()
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Result<Response<Bytes>, Error> {
        let mut state = self.state();
        state.asked.push((self.home.age(), path.to_owned()));
        if state.is_down {
            return Err(Error::Other("connection refused".into()));
        }
        if let Some(place) = state.faults.iter().position(|fault| path.starts_with(fault.path)) {
            return Ok(state.faults.remove(place).response());
        }
        let (kid, payload) = if *method == Method::POST { opened(body) } else { (None, Value::Null) };
        let numbers: Vec<usize> = path.split('/').filter_map(|word| word.parse().ok()).collect();
        let (order, place) = (numbers.first().copied().unwrap_or(0), numbers.get(1).copied().unwrap_or(0));
        let is_known = |state: &State| {
            let number = kid.as_deref().and_then(|kid| kid.rsplit('/').next()?.parse::<usize>().ok());
            number.is_some_and(|number| number < state.accounts.len())
        };
        let word = path.split('/').nth(1).unwrap_or("");
        if !["directory", "nonce", "newaccount", "renewal"].contains(&word) && !is_known(&state) {
            return Ok(problem(400, "accountDoesNotExist", "no such account"));
        }
        Ok(match word {
            "directory" => directory(state.window.is_some()),
            "nonce" => response(200, &json!({})),
            "newaccount" => {
                state.accounts.push(payload);
                located(201, &format!("{HOST}/account/{}", state.accounts.len() - 1), &json!({"status": "valid"}))
            }
            "account" => response(200, &json!({"status": "valid"})),
            "neworder" => {
                let number = state.orders.len();
                let mut order = Order::new(self.home.age(), &payload);
                if let Some(names) = &state.asks_for {
                    order.authorizations = names.iter().map(|name| Authorization::new(name)).collect();
                }
                state.orders.push(order);
                located(201, &format!("{HOST}/order/{number}"), &state.orders[number].json(number))
            }
            "order" => response(200, &state.orders[order].json(order)),
            "authorization" => response(200, &state.orders[order].authorizations[place].json(order, place)),
            "challenge" => self.look(&mut state, order, place, path.rsplit('/').next().unwrap_or("")),
            "finalize" => {
                let chain = sign(&state, &payload, self.clock.now());
                state.orders[order].chain = Some(chain);
                response(200, &state.orders[order].json(order))
            }
            "certificate" => {
                let chain = state.orders[order].chain.clone().unwrap();
                Response::builder().status(200).header("replay-nonce", "n").body(chain.into()).unwrap()
            }
            "renewal" => {
                let ((start, end), again) = state.window.clone().unwrap();
                let body = json!({"suggestedWindow": {"start": start, "end": end}});
                let mut answer = response(200, &body);
                answer.headers_mut().insert("retry-after", again.into());
                answer
            }
            _ => problem(404, "malformed", "no such thing"),
        })
    }

    /// Looks for the proof, as the challenge says.
    fn look(&self, state: &mut State, order: usize, place: usize, way: &str) -> Response<Bytes> {
        let is_blind = state.blind_to.contains(&state.orders[order].authorizations[place].name);
        let never_looks = state.never_looks;
        let authorization = &mut state.orders[order].authorizations[place];
        let (token, (_, wanted)) =
            (token(order, place, way), WAYS.iter().find(|(word, _)| *word == way).copied().unwrap());
        let is_seen = self.home.state().proofs.iter().any(|proof| {
            proof.way == wanted
                && proof.name == authorization.name
                && proof.token == token
                && proof.answer.starts_with(&format!("{token}."))
        });
        authorization.status = match is_seen && !is_blind {
            _ if never_looks => "pending",
            true => "valid",
            false => "invalid",
        };
        if authorization.status == "invalid" {
            let kind = "urn:ietf:params:acme:error:unauthorized";
            authorization.error = Some(json!({"type": kind, "detail": format!("nothing seen by {way}")}));
        }
        response(200, &json!({"type": way, "url": "x", "token": token, "status": "processing"}))
    }
}

impl HttpClient for Stub {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let stub = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            assert_eq!(parts.uri.authority().unwrap().as_str(), "ca.test");
            // An answer takes a while, in which a server can be stopped.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let is_deaf = stub.state().is_deaf_to.is_some_and(|path| parts.uri.path().starts_with(path));
            if is_deaf {
                std::future::pending::<()>().await;
            }
            let (parts, body) = stub.answer(&parts.method, parts.uri.path(), &body.to_bytes())?.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

impl Fault {
    pub(super) fn new(path: &'static str, status: u16, kind: &'static str) -> Self {
        Self { path, status, kind, retry_after: None }
    }

    fn response(&self) -> Response<Bytes> {
        let mut answer = problem(self.status, self.kind, "as the test wants");
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert("retry-after", seconds.into());
        }
        answer
    }
}

impl Order {
    fn new(at: Duration, payload: &Value) -> Self {
        let identifiers = payload["identifiers"].clone();
        let authorization = |identifier: &Value| Authorization::new(identifier["value"].as_str().unwrap());
        let authorizations = identifiers.as_array().unwrap().iter().map(authorization).collect();
        let replaces = payload["replaces"].as_str().map(str::to_owned);
        Self { at, replaces, identifiers, authorizations, chain: None }
    }

    /// The names that were ordered.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.identifiers.as_array().unwrap().iter();
        names.map(|identifier| identifier["value"].as_str().unwrap().to_owned()).collect()
    }

    fn json(&self, number: usize) -> Value {
        let is = |status: &str| self.authorizations.iter().any(|authorization| authorization.status == status);
        let status = match &self.chain {
            Some(_) => "valid",
            None if is("invalid") => "invalid",
            None if is("pending") => "pending",
            None => "ready",
        };
        let authorizations: Vec<String> =
            (0..self.authorizations.len()).map(|place| format!("{HOST}/authorization/{number}/{place}")).collect();
        json!({
            "status": status, "identifiers": self.identifiers, "authorizations": authorizations, "replaces": self.replaces,
            "finalize": format!("{HOST}/finalize/{number}"), "certificate": format!("{HOST}/certificate/{number}"),
        })
    }
}

impl Authorization {
    fn new(name: &str) -> Self {
        let is_wildcard = name.starts_with("*.");
        Self { name: name.trim_start_matches("*.").to_owned(), is_wildcard, status: "pending", error: None }
    }

    fn json(&self, order: usize, place: usize) -> Value {
        let challenge = |(way, _): &(&str, Way)| {
            let url = format!("{HOST}/challenge/{order}/{place}/{way}");
            json!({"type": way, "url": url, "token": token(order, place, way), "status": self.status, "error": self.error})
        };
        let offered = WAYS.iter().filter(|(_, way)| !self.is_wildcard || *way == Way::Dns);
        json!({
            "identifier": {"type": "dns", "value": self.name}, "status": self.status, "wildcard": self.is_wildcard,
            "challenges": offered.map(challenge).collect::<Vec<_>>(),
        })
    }
}

fn token(order: usize, place: usize, way: &str) -> String {
    format!("token-{order}-{place}-{way}")
}

fn directory(knows_windows: bool) -> Response<Bytes> {
    let mut directory = json!({
        "newNonce": format!("{HOST}/nonce"), "newAccount": format!("{HOST}/newaccount"),
        "newOrder": format!("{HOST}/neworder"), "revokeCert": format!("{HOST}/revoke"),
    });
    if knows_windows {
        directory["renewalInfo"] = format!("{HOST}/renewal").into();
    }
    response(200, &directory)
}

/// Whose request it is, and what it says (RFC 7515 §7.2.2).
fn opened(body: &[u8]) -> (Option<String>, Value) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let part = |name: &str| BASE64.decode(body[name].as_str().unwrap()).unwrap();
    let protected: Value = serde_json::from_slice(&part("protected")).unwrap();
    (protected["kid"].as_str().map(str::to_owned), serde_json::from_slice(&part("payload")).unwrap_or_default())
}

fn sign(state: &State, payload: &Value, now: SystemTime) -> String {
    let request = BASE64.decode(payload["csr"].as_str().unwrap()).unwrap();
    let mut request = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
    request.params.not_before = now.into();
    request.params.not_after = (now + state.life).into();
    request.params.use_authority_key_identifier_extension = true;
    request.params.serial_number = Some(vec![1, state.orders.len() as u8].into());
    if let Some(names) = &state.signs_for {
        request.params.subject_alt_names =
            names.iter().map(|name| SanType::DnsName(name.as_str().try_into().unwrap())).collect();
    }
    request.signed_by(&state.issuer).unwrap().pem()
}

fn response(status: u16, body: &Value) -> Response<Bytes> {
    Response::builder().status(status).header("replay-nonce", "n").body(body.to_string().into()).unwrap()
}

fn located(status: u16, url: &str, body: &Value) -> Response<Bytes> {
    let mut answer = response(status, body);
    answer.headers_mut().insert("location", url.parse().unwrap());
    answer
}

fn problem(status: u16, kind: &str, detail: &str) -> Response<Bytes> {
    response(status, &json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail}))
}
