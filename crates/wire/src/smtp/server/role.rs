//! What a channel is for, and which extensions follow from that.

use crate::sasl::server::OffersBinding;

/// What a session is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Mail is caught: none of it is delivered further, so nothing is reported and nobody need say who he is.
    #[default]
    Capture,
    /// Servers bring mail for the domains that are here (RFC 5321 §3.1). Nobody says who he is.
    Exchange,
    /// People and programs that have accounts here hand in what they send (RFC 6409): encrypted, and after AUTH.
    Submission,
}

/// What a client may say just now beyond RFC 5321.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) auth: Auth,
    /// DSN (RFC 3461).
    pub(super) reports: bool,
    /// REQUIRETLS (RFC 8689).
    pub(super) require_tls: bool,
}

/// Whether AUTH may be said (RFC 4954).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Auth {
    /// There is none here.
    #[default]
    None,
    /// When the session is encrypted.
    OnceEncrypted,
    /// Yes.
    Offered(OffersBinding),
}

impl Role {
    /// What it offers. REQUIRETLS is offered under TLS only (RFC 8689 §2), and so is AUTH: passwords are not sent in the clear.
    pub(super) fn offers(self, encrypted: bool, binding: OffersBinding) -> Offered {
        let auth = match self {
            Self::Capture | Self::Exchange => Auth::None,
            Self::Submission if encrypted => Auth::Offered(binding),
            Self::Submission => Auth::OnceEncrypted,
        };
        Offered { auth, reports: self != Self::Capture, require_tls: encrypted && self != Self::Capture }
    }
}
