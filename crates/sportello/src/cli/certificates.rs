//! `sportello certificates` and `sportello ca`: what the running server shows to clients, and how they come to trust it.

use std::io::IsTerminal;

use clap::{Args, Subcommand};
use sportello_service::picture::CertificateView;
use sportello_wire::date::mail_date;

use super::connections::cut;
use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Ink, Paper, Style, visible};
use super::place::Whereabouts;

/// `sportello certificates`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Certificates {
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
    /// Where the server is.
    #[command(flatten)]
    pub whereabouts: Whereabouts,
    /// What to do with them; without it they are listed.
    #[command(subcommand)]
    pub order: Option<Order>,
}

/// What to do with certificates.
#[derive(Clone, Debug, Subcommand)]
pub enum Order {
    /// Have another certificate from the CA now: by ACME, as often as its bounds allow
    Renew(Renew),
}

/// `sportello certificates renew`.
#[derive(Clone, Debug, Args)]
pub struct Renew {
    /// A name that the certificate bears.
    pub name: String,
    /// Where the server is.
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// `sportello ca`.
#[derive(Clone, Debug, Args)]
#[command(after_help = TRUST)]
pub struct Ca {
    /// Where the server is.
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

const EXAMPLES: &str = "\
One line for each certificate of the running server, the one that expires first on top: until when it is good, when it will be \
renewed (or that is tried again), where it is from (file, acme, local, stand-in), who signed it, and for which names it is shown. \
What is wrong with it stands beneath.

Examples:
  sportello certificates
  sportello certificates --json | jq '.[] | select(.warning)'
  sportello certificates renew www.example.org

Exit codes: 0 shown, 1 no server answers (one sentence on standard error says why), 2 wrong usage.";

const TRUST: &str = "\
Prints the root of the local CA of the running server in PEM. It is made at the first need and kept in the state folder; whoever \
trusts it trusts this server for any name, so install it on your own machines only.

Where to install it (the file is named root.pem here):
  Debian, Ubuntu  as /usr/local/share/ca-certificates/root.crt, then update-ca-certificates
  Fedora          in /etc/pki/ca-trust/source/anchors/, then update-ca-trust
  macOS           security add-trusted-cert -d -k /Library/Keychains/System.keychain root.pem
  Chromium        certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n sportello -i root.pem
  Firefox         Settings, Privacy & Security, View Certificates, Authorities, Import
  Node            NODE_EXTRA_CA_CERTS=root.pem

Examples:
  sportello ca > root.pem
  curl --cacert root.pem https://localhost:8443/

Exit codes: 0 printed, 1 no server answers or it has no local CA (one sentence on standard error says why), 2 wrong usage.";

/// Runs `sportello certificates`.
pub fn run(certificates: &Certificates) -> Result<u8, Failed> {
    if let Some(Order::Renew(Renew { name, whereabouts })) = &certificates.order {
        let mut commands = Commands::reach(&whereabouts.commands()?, Deadlines::default())?;
        let said = commands.bytes(&["CERTIFICATES", "RENEW", name])?;
        Paper::stdout().line(format_args!("{}", visible(&String::from_utf8_lossy(&said))))?;
        return Ok(0);
    }
    let way = certificates.whereabouts.commands()?;
    let views: Vec<CertificateView> = Commands::reach(&way, Deadlines::default())?.json(&["CERTIFICATES", "JSON"])?;
    let mut paper = Paper::stdout();
    if certificates.json {
        paper.json(&views)?;
    } else if views.is_empty() {
        paper.text("no channel of the server speaks TLS\n".to_owned())?;
    } else {
        let text = table(&views, paper.ink());
        paper.text(text)?;
    }
    Ok(0)
}

/// Runs `sportello ca`.
pub fn run_ca(ca: &Ca) -> Result<u8, Failed> {
    let way = ca.whereabouts.commands()?;
    let root: Option<String> = Commands::reach(&way, Deadlines::default())?.json(&["CERTIFICATES", "ROOT"])?;
    let Some(root) = root else {
        return Err(Failed::new("the server has no local CA: none of its channels has needed one yet (tls=local)"));
    };
    Paper::stdout().text(root)?;
    if std::io::stdout().is_terminal() {
        Paper::stderr().line(format_args!("sportello ca --help says where to install it"))?;
    }
    Ok(0)
}

fn table(views: &[CertificateView], ink: Ink) -> String {
    let line = format!("{:<16} {:<16} {:<8} {:<28} {}", "good until", "renewed", "from", "signed by", "names");
    let mut text = format!("{}\n", ink.paint(Style::Faint, line));
    for view in views {
        let names = if view.names.is_empty() { "(none)".to_owned() } else { visible(&view.names.join(" ")) };
        text += &format!(
            "{:<16} {:<16} {:<8} {:<28} {names}\n",
            day(view.not_after_ms),
            day(view.renewal_ms),
            view.source,
            cut(view.issuer.as_deref().unwrap_or("-"), 28),
        );
        if let Some(file) = &view.file {
            text += &format!("{:<16} {}\n", "", visible(file));
        }
        if let Some(warning) = &view.warning {
            text += &format!("{:<16} {}\n", "", ink.paint(Style::Bad, visible(warning)));
        }
    }
    text
}

/// `6 Nov 1994 08:49` of a date that is not in the far future.
fn day(milliseconds: Option<u64>) -> String {
    let Some(milliseconds) = milliseconds else { return "-".to_owned() };
    // `Sun, 6 Nov 1994 08:49:37 +0000`
    let date = mail_date(milliseconds / 1_000);
    let day = date.split_once(", ").map_or(date.as_str(), |(_, rest)| rest);
    day.rsplit_once(':').map_or(day, |(day, _)| day).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_certificate_is_a_line_and_what_is_wrong_stands_beneath() {
        let views = [
            CertificateView {
                source: "file".to_owned(),
                file: Some("/a\x1b.pem".to_owned()),
                warning: Some("cannot be read".to_owned()),
                ..CertificateView::default()
            },
            CertificateView {
                names: vec!["a.example".to_owned(), "b.example".to_owned()],
                source: "local".to_owned(),
                issuer: Some("Sportello local CA".to_owned()),
                not_after_ms: Some(784_111_777_000),
                renewal_ms: Some(0),
                ..CertificateView::default()
            },
        ];
        let text = table(&views, Ink::Plain);
        assert!(!text.contains('\x1b'));
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("6 Nov 1994 08:49 1 Jan 1970 00:00 local    Sportello local CA"), "{text}");
        assert!(last.ends_with(" a.example b.example") && text.contains("cannot be read"), "{text}");
        assert_eq!(day(None), "-");
    }
}
