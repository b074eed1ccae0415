//! The certificates on the first page: what is shown to clients, until when, and what is wrong with it.

use maud::{Markup, html};

use super::format;
use super::layout::moment;
use crate::picture::{CertificateView, Picture};

/// Nothing where no channel speaks TLS.
pub(super) fn section(picture: &Picture) -> Markup {
    let warned = picture.certificates.iter().filter(|certificate| certificate.warning.is_some()).count();
    html! {
        @if !picture.certificates.is_empty() {
            section.block #certificates {
                h2 { "Certificates " small { (told(picture.certificates.len(), warned)) } }
                p.hint { "What clients of channels with TLS are shown; what ends first stands first." }
                div.scroll tabindex="0" role="region" aria-label="Certificates" {
                    table {
                        thead { tr { th { "names" } th { "from" } th { "signed by" } th { "good until" } th { "renewed" } th { "warning" } } }
                        tbody { @for certificate in &picture.certificates { (row(certificate)) } }
                    }
                }
            }
        }
    }
}

fn told(all: usize, warned: usize) -> String {
    if warned == 0 { format!("{all} in use") } else { format!("{warned} of {all} want somebody's care") }
}

fn row(certificate: &CertificateView) -> Markup {
    let date = |ms: Option<u64>| html! { @if let Some(ms) = ms { (moment(ms, &format::minute(ms))) } @else { "–" } };
    html! {
        tr {
            td { (certificate.names.join(" ")) }
            td { (certificate.source) @if let Some(file) = &certificate.file { " " code { (file) } } }
            td { (certificate.issuer.as_deref().unwrap_or("–")) }
            td { (date(certificate.not_after_ms)) }
            td { (date(certificate.renewal_ms)) }
            td { @if let Some(warning) = &certificate.warning { strong { (warning) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_and_nothing_where_there_is_no_tls() {
        assert_eq!(section(&Picture::default()).into_string(), "");
        let good = CertificateView { names: vec!["a.example".to_owned()], ..CertificateView::default() };
        let bad = CertificateView { warning: Some("it has <expired>".to_owned()), ..CertificateView::default() };
        let page = section(&Picture { certificates: vec![good, bad], ..Picture::default() }).into_string();
        for piece in ["1 of 2 want", "a.example", "it has &lt;expired&gt;"] {
            assert!(page.contains(piece), "{piece}: {page}");
        }
    }
}
