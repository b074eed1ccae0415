//! The account at a CA (RFC 8555 §7.3): made once, kept, made anew when the CA knows it no more.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use serde::{Deserialize, Serialize};

use super::house::House;
use super::record::Rows;
use super::trouble::{Heeding, Trouble, Whose};

/// A key by which a CA knows whose account it is (RFC 8555 §7.3.4).
#[derive(Clone, PartialEq, Eq)]
pub struct External {
    /// The key's name.
    pub id: String,
    /// The key.
    pub key: Vec<u8>,
}

impl External {
    /// The key of this name from its text: base64url, as CAs give it. `None`: it is none.
    pub fn read(id: &str, text: &str) -> Option<Self> {
        let key = BASE64_URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('=')).ok()?;
        (!key.is_empty()).then(|| Self { id: id.to_owned(), key })
    }
}

impl fmt::Debug for External {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "External({})", self.id)
    }
}

/// Where an account is, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The CA's directory.
    pub directory: String,
    /// To whom the CA may write.
    pub email: Option<String>,
    /// Where the CA wants to know whose account it is.
    pub external: Option<External>,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    credentials: serde_json::Value,
    contact: Option<String>,
}

/// The account, kept or new. A new one is kept before it is used. All sites have to wait for what goes wrong.
pub(super) async fn open(house: &impl House, rows: &Rows, client: &Client, http: &Heeding) -> Result<Account, Trouble> {
    let contact = client.email.as_ref().map(|email| format!("mailto:{email}"));
    let kept = house.kept(&rows.account()).await.map_err(|error| Trouble::ca(error.0))?;
    let kept = kept.into_iter().next().and_then(|(_, bytes)| serde_json::from_slice::<Kept>(&bytes).ok());
    let builder = Account::builder_with_http(Box::new(http.clone()));
    let failed = |error| Trouble::of(&error).for_all();
    let Some(kept) = kept else {
        let contacts: Vec<&str> = contact.iter().map(String::as_str).collect();
        // Whoever configures a CA agrees to its terms; the manual says so.
        let new = NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
        let external = client.external.as_ref().map(|key| ExternalAccountKey::new(key.id.clone(), &key.key));
        let made = builder.create(&new, client.directory.clone(), external.as_ref()).await;
        let (account, credentials) = made.map_err(failed)?;
        keep(house, rows, serde_json::to_value(&credentials).unwrap_or_default(), contact).await?;
        tracing::info!(account = account.id(), directory = client.directory, "an account at the CA is made");
        return Ok(account);
    };
    let credentials: AccountCredentials = serde_json::from_value(kept.credentials.clone())
        .map_err(|_| forgotten("the account that is kept is damaged"))?;
    let account = builder.from_credentials(credentials).await.map_err(failed)?;
    if kept.contact != contact {
        let contacts: Vec<&str> = contact.iter().map(String::as_str).collect();
        match account.update_contacts(&contacts).await.map_err(|error| Trouble::of(&error)) {
            Ok(()) => keep(house, rows, kept.credentials, contact).await?,
            // It does not write to that one (RFC 8555 §7.3, `invalidContact`), and signs all the same. The next start asks again.
            Err(refused) if refused.whose == Whose::Order => {
                tracing::warn!(
                    error = refused.text,
                    "the CA does not take the new address: it writes to the one before"
                );
            }
            Err(trouble) => return Err(trouble.for_all()),
        }
    }
    Ok(account)
}

async fn keep(
    house: &impl House,
    rows: &Rows,
    credentials: serde_json::Value,
    contact: Option<String>,
) -> Result<(), Trouble> {
    let bytes = serde_json::to_vec(&Kept { credentials, contact }).unwrap_or_default();
    house.keep(&rows.account(), bytes).await.map_err(|error| Trouble::ca(error.0))
}

fn forgotten(text: &str) -> Trouble {
    Trouble { whose: Whose::Account, text: text.to_owned(), wait: None, was_ordered: false }
}
