//! One order, from its names to a chain of certificates (RFC 8555 §7.4).
//!
//! Every proof that was made to be seen is taken back, however the order ends. A CA chooses neither how many proofs are made nor for
//! which names: one for each name that was ordered. Bounded by [`WHOLE`] until the proofs are taken back, of it [`LONGEST`] from when all
//! can be seen, and by the agent's bounds for each request; taking back by the bounds of the program that does it.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tokio::time::{sleep, timeout};

use super::challenge::{Proof, Way};
use super::house::House;
use super::trouble::{Heeding, Trouble, plain, said};

/// How long an order may take, once all proofs can be seen.
pub(super) const LONGEST: Duration = Duration::from_secs(5 * 60);
/// How long all of it may take, until proofs are taken back: also of many names, each of which a slow program makes a record for.
pub(super) const WHOLE: Duration = Duration::from_secs(60 * 60);
/// How soon the CA is asked for news, then twice as late each time.
const SOON: Duration = Duration::from_millis(250);
/// How late at most.
const LATE: Duration = Duration::from_secs(15);

/// An order to be made.
pub(super) struct Wish<'a, H> {
    pub(super) house: &'a H,
    pub(super) account: &'a Account,
    pub(super) http: &'a Heeding,
    pub(super) names: &'a [String],
    /// The ways to prove names; tried in turn, order after order.
    pub(super) ways: &'a [Way],
    pub(super) turn: u32,
    /// The certificate that is replaced (RFC 9773 §5).
    pub(super) replaces: Option<CertificateIdentifier<'static>>,
    pub(super) key: &'a KeyPair,
}

impl<H: House> Wish<'_, H> {
    /// The chain in PEM.
    pub(super) async fn fulfil(self) -> Result<String, Trouble> {
        let identifiers: Vec<_> = self.names.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let mut new = NewOrder::new(&identifiers);
        if let Some(replaced) = &self.replaces {
            new = new.replaces(replaced.clone());
        }
        let mut order = self.account.new_order(&new).await.map_err(|error| Trouble::of(&error))?;
        self.go_on(&mut order).await.map_err(Trouble::once_ordered)
    }

    async fn go_on(&self, order: &mut Order) -> Result<String, Trouble> {
        let mut shown = Vec::new();
        let result = timeout(WHOLE, self.prove_and_finish(order, &mut shown)).await;
        for proof in &shown {
            self.house.unprove(proof).await;
        }
        result.unwrap_or_else(|_| Err(Trouble::order("the order is not done in time")))
    }

    /// What may be seen, if only half, is put into `shown`.
    async fn prove_and_finish(&self, order: &mut Order, shown: &mut Vec<Proof>) -> Result<String, Trouble> {
        let proofs = self.proofs(order).await?;
        for proof in &proofs {
            // One that fails half-way is taken back too.
            shown.push(proof.clone());
            let proved = self.house.prove(proof).await;
            proved.map_err(|error| Trouble::order(format!("{}: {}", proof.name, error.0)))?;
        }
        self.house.until_seen(&proofs).await;
        match timeout(LONGEST, self.finish(order, &proofs)).await {
            Ok(result) => result,
            Err(_) => Err(Trouble::order("the CA has not decided in time")),
        }
    }

    /// What the CA wants to be shown: for each name that it does not yet know to be ours.
    async fn proofs(&self, order: &mut Order) -> Result<Vec<Proof>, Trouble> {
        let mut proofs = Vec::new();
        // RFC 8555 §7.1.3: one for each name, or fewer.
        if order.state().authorizations.len() > self.names.len() {
            return Err(Trouble::order("the CA wants more proofs than there are names"));
        }
        let mut authorizations = order.authorizations();
        while let Some(next) = authorizations.next().await {
            let mut authorization = next.map_err(|error| Trouble::of(&error))?;
            let name = self.ordered(authorization.identifier().identifier)?.to_owned();
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                status => return Err(Trouble::order(format!("{name}: the CA says that it is {status:?}"))),
            }
            let offered: Vec<ChallengeType> =
                authorization.challenges.iter().map(|challenge| challenge.r#type.clone()).collect();
            let way = self.choose(&name, authorization.wildcard, &offered)?;
            let Some(challenge) = authorization.challenge(kind(way)) else { continue };
            let answer = challenge.key_authorization();
            proofs.push(Proof {
                way,
                name,
                token: challenge.token.clone(),
                answer: answer.as_str().to_owned(),
                digest: answer.digest().as_ref().to_vec(),
                value: answer.dns_value(),
            });
        }
        Ok(proofs)
    }

    /// The name that was ordered, without `*.`, for which the CA wants a proof.
    fn ordered(&self, asked: &Identifier) -> Result<&str, Trouble> {
        let Identifier::Dns(asked) = asked else {
            return Err(Trouble::order("the CA asks for something that is no name"));
        };
        let mut hosts = self.names.iter().map(|name| name.strip_prefix("*.").unwrap_or(name));
        let foreign = || Trouble::order(plain(&format!("the CA asks for {asked}, which was not ordered")));
        hosts.find(|host| host.eq_ignore_ascii_case(asked)).ok_or_else(foreign)
    }

    fn choose(&self, name: &str, is_wildcard: bool, offered: &[ChallengeType]) -> Result<Way, Trouble> {
        let fit: Vec<Way> = self.ways.iter().copied().filter(|way| !is_wildcard || way.is_for_wildcards()).collect();
        if fit.is_empty() {
            let text = format!("*.{name} can be proved by DNS-01 only: write challenge dns with a program");
            return Err(Trouble::order(text));
        }
        let fit: Vec<Way> = fit.into_iter().filter(|way| offered.contains(&kind(*way))).collect();
        let place = usize::try_from(self.turn).unwrap_or(0).checked_rem(fit.len()).unwrap_or(0);
        let refused = || Trouble::order(format!("{name}: the CA takes none of the challenges that are configured"));
        fit.get(place).copied().ok_or_else(refused)
    }

    async fn finish(&self, order: &mut Order, proofs: &[Proof]) -> Result<String, Trouble> {
        self.tell_ready(order, proofs).await?;
        self.wait(order, |status| status != OrderStatus::Pending).await?;
        if order.state().status == OrderStatus::Ready {
            let mut params = CertificateParams::new(self.names).map_err(|error| Trouble::order(error.to_string()))?;
            params.distinguished_name = DistinguishedName::new();
            let request = params.serialize_request(self.key).map_err(|error| Trouble::order(error.to_string()))?;
            order.finalize_csr(request.der()).await.map_err(|error| Trouble::of(&error))?;
        }
        self.wait(order, |status| status == OrderStatus::Valid).await?;
        let chain = order.certificate().await.map_err(|error| Trouble::of(&error))?;
        chain.ok_or_else(|| Trouble::order("the CA says that it has signed, and gives no certificate"))
    }

    /// Lets the CA look.
    async fn tell_ready(&self, order: &mut Order, proofs: &[Proof]) -> Result<(), Trouble> {
        let mut authorizations = order.authorizations();
        while let Some(next) = authorizations.next().await {
            let mut authorization = next.map_err(|error| Trouble::of(&error))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let tokens: Vec<_> = authorization.challenges.iter().map(|challenge| challenge.token.clone()).collect();
            let Some(proof) = proofs.iter().find(|proof| tokens.contains(&proof.token)) else { continue };
            if let Some(mut challenge) = authorization.challenge(kind(proof.way)) {
                challenge.set_ready().await.map_err(|error| Trouble::of(&error))?;
            }
        }
        Ok(())
    }

    /// Asks for news until the order is as it should be; bounded by the caller.
    async fn wait(&self, order: &mut Order, is_enough: impl Fn(OrderStatus) -> bool) -> Result<(), Trouble> {
        let mut pause = SOON;
        loop {
            let status = order.state().status;
            if status == OrderStatus::Invalid {
                return Err(why(order).await);
            }
            if is_enough(status) {
                return Ok(());
            }
            sleep(self.http.heard().map_or(pause, |told| told.clamp(SOON, LATE))).await;
            pause = pause.saturating_mul(2).min(LATE);
            order.refresh().await.map_err(|error| Trouble::of(&error))?;
        }
    }
}

/// What the CA says of an order that has failed: what it found when it looked, or else what it says of the whole.
async fn why(order: &mut Order) -> Trouble {
    let mut found = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(next) = authorizations.next().await {
        let Ok(authorization) = next else { continue };
        let name = authorization.identifier().to_string();
        for challenge in &authorization.challenges {
            found.extend(challenge.error.as_ref().map(|problem| format!("{name}: {}", said(problem))));
        }
    }
    if found.is_empty() {
        found.extend(order.state().error.as_ref().map(said));
    }
    if found.is_empty() {
        found.push("the CA says that the order is invalid, and not why".to_owned());
    }
    Trouble::order(plain(&found.join("; ")))
}

fn kind(way: Way) -> ChallengeType {
    match way {
        Way::Http => ChallengeType::Http01,
        Way::Tls => ChallengeType::TlsAlpn01,
        Way::Dns => ChallengeType::Dns01,
    }
}
