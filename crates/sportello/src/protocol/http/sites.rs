//! Which site answers a request: the one that its authority names (RFC 9110 §7.2, §7.4).
//!
//! A name is compared without case, without port and without its last dot; `*.example.org` stands for every name below
//! `example.org`, and the longest that fits wins. What no site names goes to the default, where there is one; else it was
//! misdirected (421). Bounded by the sites that were configured; a request for the site of the latest one costs a comparison.

use std::cell::{RefCell, RefMut};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use sportello_service::files::Files;
use sportello_service::site::Site;
use sportello_wire::http1::target::Host;
use thiserror::Error;

use super::again::Recent;
use crate::observe::access::SiteLog;

/// The name of a site, or of all sites below one: checked, in lower case, without port and last dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SiteName {
    /// The name; of a wildcard what stands behind `*.`.
    text: Box<str>,
    breadth: Breadth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Breadth {
    One,
    Below,
}

/// What cannot name a site.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} cannot name a site: write a host such as \"www.example.org\", \"*.example.org\" or \"[::1]\", without port"
)]
pub struct BadSiteName(String);

impl SiteName {
    /// Reads a host name, an address literal, or `*.` and a host name.
    ///
    /// # Errors
    /// When it is none of these, or has a port.
    pub fn parse(text: &str) -> Result<Self, BadSiteName> {
        let bad = || BadSiteName(text.to_owned());
        let (name, breadth) = match text.strip_prefix("*.") {
            Some(name) => (name, Breadth::Below),
            None => (text, Breadth::One),
        };
        let host = Host::parse(name.as_bytes()).ok_or_else(bad)?;
        let port = match host {
            Host::V6(_) => name.contains("]:"),
            _ => name.contains(':'),
        };
        let address = !matches!(host, Host::Name(_));
        let canonical = canonical(host);
        let empty_label = canonical.split('.').any(str::is_empty) && !address;
        if port || name.contains('*') || empty_label || (address && breadth == Breadth::Below) {
            return Err(bad());
        }
        Ok(Self { text: canonical.into(), breadth })
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.breadth == Breadth::Below { "*." } else { "" };
        write!(formatter, "{star}{}", self.text)
    }
}

/// In lower case and without its last dot; an address as it is written.
pub(super) fn canonical(host: Host<'_>) -> String {
    match host {
        Host::Name(name) => {
            let name = name.strip_suffix(b".").unwrap_or(name);
            String::from_utf8_lossy(name).to_ascii_lowercase()
        }
        Host::V4(address) => address.to_string(),
        Host::V6(address) => format!("[{address}]"),
    }
}

/// The sites of one channel, as one worker serves them.
#[derive(Default)]
pub struct Sites {
    names: HashMap<SiteName, Rc<Site>>,
    default: Option<Rc<Site>>,
    latest: RefCell<Latest>,
    recent: RefCell<Recent>,
    /// By the address of the site, which `names` or `default` hold.
    logs: HashMap<*const Site, SiteLog>,
}

/// The latest authority and what it led to.
#[derive(Default)]
struct Latest {
    host: Vec<u8>,
    choice: Option<Choice>,
}

/// Two sites of one channel have one name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the name {0} is given to two sites of one channel")]
pub struct TakenName(SiteName);

/// What an authority leads to.
#[derive(Clone)]
pub(super) enum Choice {
    /// The site that bears this name.
    Named(Rc<Site>),
    /// No site bears it; the default answers.
    Default(Rc<Site>),
    /// No site bears it, and there is no default.
    None,
}

impl Sites {
    /// One folder, whatever the host.
    pub fn only(files: Files) -> Self {
        Self { default: Some(Rc::new(Site::of_folder(Rc::new(files)))), ..Self::default() }
    }

    /// Adds a site by its names.
    ///
    /// # Errors
    /// When a name is taken; the names before it are then added already.
    pub fn add(&mut self, names: &[SiteName], site: &Rc<Site>) -> Result<(), TakenName> {
        self.latest.take();
        self.recent.take();
        for name in names {
            if self.names.insert(name.clone(), Rc::clone(site)).is_some() {
                return Err(TakenName(name.clone()));
            }
        }
        Ok(())
    }

    /// Tells of what a site has answered in this log.
    pub fn log_to(&mut self, site: &Rc<Site>, log: SiteLog) {
        self.logs.insert(Rc::as_ptr(site), log);
    }

    /// The access log of a site.
    pub(super) fn log(&self, site: &Rc<Site>) -> Option<&SiteLog> {
        // Where no site has one this is all there is to it.
        if self.logs.is_empty() { None } else { self.logs.get(&Rc::as_ptr(site)) }
    }

    /// The site that a request for this authority belongs to, answered by it or refused.
    pub(super) fn site(&self, written: &[u8], named: Option<Host<'_>>) -> Option<Rc<Site>> {
        match self.choose(written, named) {
            Choice::Named(site) | Choice::Default(site) => Some(site),
            Choice::None => None,
        }
    }

    /// Makes a site answer to names that no site bears, and to requests that name no host (HTTP/1.0).
    pub fn set_default(&mut self, site: Rc<Site>) {
        self.latest.take();
        self.recent.take();
        self.default = Some(site);
    }

    /// The requests that were read lately. Not to be held across a wait.
    pub(super) fn recent(&self) -> RefMut<'_, Recent> {
        self.recent.borrow_mut()
    }

    /// The site for the authority `written`, in which `named` was found; `None` where none was written.
    pub(super) fn choose(&self, written: &[u8], named: Option<Host<'_>>) -> Choice {
        let (false, Some(named)) = (self.names.is_empty(), named) else { return self.fallback() };
        let mut latest = self.latest.borrow_mut();
        if let Some(choice) = &latest.choice
            && latest.host == written
        {
            return choice.clone();
        }
        let choice = self.look_up(named);
        latest.host.clear();
        latest.host.extend_from_slice(written);
        latest.choice = Some(choice.clone());
        choice
    }

    /// Whether a site bears this very name.
    pub(super) fn bears(&self, named: Host<'_>) -> bool {
        !self.names.is_empty() && matches!(self.look_up(named), Choice::Named(_))
    }

    fn look_up(&self, named: Host<'_>) -> Choice {
        let mut wanted = SiteName { text: canonical(named).into(), breadth: Breadth::One };
        if let Some(site) = self.names.get(&wanted) {
            return Choice::Named(Rc::clone(site));
        }
        if matches!(named, Host::Name(_)) {
            wanted.breadth = Breadth::Below;
            // A name has at most 255 bytes, so this ends after 127 labels.
            while let Some((_, above)) = wanted.text.split_once('.') {
                wanted.text = above.into();
                if let Some(site) = self.names.get(&wanted) {
                    return Choice::Named(Rc::clone(site));
                }
            }
        }
        self.fallback()
    }

    fn fallback(&self) -> Choice {
        self.default.as_ref().map_or(Choice::None, |site| Choice::Default(Rc::clone(site)))
    }
}

#[cfg(test)]
mod tests;
