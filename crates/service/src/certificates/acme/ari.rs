//! When the CA would renew a certificate: it is asked, and what it says goes before our own plan (RFC 9773).

use std::time::Duration;

use instant_acme::CertificateIdentifier;
use rustls::pki_types::Der;

use super::engine::Engine;
use super::house::House;
use super::plan::{self, Window};
use super::record;
use super::site::Site;
use crate::certificates::Credential;
use crate::clock::Seconds;

impl<H: House> Engine<H> {
    /// Asks the CA when it would renew (RFC 9773 §4). Whatever goes wrong, our own plan holds.
    pub(super) async fn ask_for_window(&mut self, place: usize) {
        let now = self.house.clock().seconds();
        let chance = self.house.chance();
        let answer = match self.sites.get(place).and_then(Site::credential).and_then(identifier) {
            Some(identifier) => self.window(place, &identifier).await,
            None => Err(None),
        };
        let Some(site) = self.sites.get_mut(place) else { return };
        let before = (site.record.renew_at, site.record.window);
        match answer {
            Ok((window, told)) => {
                site.record.ask_at = plan::ask_again(now, told);
                let Some(life) = site.life() else { return };
                if Some(window) != site.record.window
                    && let Some(at) = life.within(window, chance)
                {
                    (site.record.renew_at, site.record.window) = (at, Some(window));
                }
            }
            Err(told) => site.record.ask_at = plan::ask_again(now, told),
        }
        // What was chosen within a window is kept; when to ask again is not worth a write.
        if before != (site.record.renew_at, site.record.window) {
            self.tell(place);
            if let Err(error) = self.keep_all(place).await {
                tracing::warn!(%error, "when to renew a certificate is not kept");
            }
        }
    }

    /// The CA's window, and after how long to ask again; or only that.
    async fn window(
        &mut self,
        place: usize,
        identifier: &CertificateIdentifier<'_>,
    ) -> Result<(Window, Option<Duration>), Option<Duration>> {
        let account = self.account(place).await.map_err(|_| None)?;
        match account.renewal_info(identifier).await {
            Ok((info, _)) => {
                let seconds = |moment: time::OffsetDateTime| Seconds::try_from(moment.unix_timestamp()).unwrap_or(0);
                let window = info.suggested_window;
                Ok((Window { start: seconds(window.start), end: seconds(window.end) }, self.http.heard()))
            }
            Err(instant_acme::Error::Unsupported(_)) => Err(Some(Duration::from_secs(86_400))),
            Err(error) => {
                tracing::debug!(%error, "the CA does not say when to renew");
                Err(None)
            }
        }
    }
}

/// How the CA knows a certificate (RFC 9773 §4.1).
pub(super) fn identifier(credential: &Credential) -> Option<CertificateIdentifier<'static>> {
    let (issuer, serial) = plan::identity(&record::own(credential)?)?;
    Some(CertificateIdentifier::new(Der::from_slice(&issuer), Der::from_slice(&serial)).into_owned())
}
