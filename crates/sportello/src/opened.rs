//! The sites with what they need open: folders, as all workers share them; and the sites that one worker serves, made of them.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use sportello_service::fastcgi::FastCgi;
use sportello_service::files::{self, Files, Root};
use sportello_service::run::Runner;
use sportello_service::site::{self, Folder};
use sportello_service::spool::Spool;

use crate::config::{Others, Settings, Site};
use crate::protocol::http;

/// A site with its folders open, in the order of its description.
pub type Opened = (Vec<Arc<Root>>, Site);

/// Opens what the sites of these settings need.
///
/// # Errors
/// When a folder is not to be had.
pub fn open(settings: &Settings) -> Result<Vec<Opened>, files::OpenError> {
    let state = &settings.store.folder;
    settings.sites.iter().map(|site| Ok((open_roots(site, state)?, site.clone()))).collect()
}

/// Opens the folders of a site. Nothing of the state folder is ever served, wherever it lies: it holds everybody's mail.
fn open_roots(site: &Site, state: &Path) -> Result<Vec<Arc<Root>>, files::OpenError> {
    let open = |folder: &Folder| {
        let root = Root::open(&folder.path)?.following(folder.settings.links).keeping_back(state)?;
        if root.keeps_back() {
            let (state, root) = (state.display(), folder.path.display());
            tracing::warn!(%state, %root, "the state folder lies in a folder that is served: it is kept back");
        }
        Ok(Arc::new(root))
    };
    site.description.folders.iter().map(open).collect()
}

/// What the HTTP channels give that are not the desk, and each site in the order of the settings; long bodies of requests wait in `spool`,
/// `runner` runs their programs.
pub fn sites(opened: &[Opened], spool: &Arc<Spool>, runner: Option<&Runner>) -> (http::Sites, Vec<Rc<site::Site>>) {
    let (mut sites, mut all) = (http::Sites::default(), Vec::new());
    for (roots, written) in opened {
        let folders = written.description.folders.iter().zip(roots);
        let files =
            |(folder, root): (&Folder, &Arc<Root>)| Rc::new(Files::new(Arc::clone(root), Arc::clone(&folder.settings)));
        let applications = written.description.applications.iter().filter_map(|application| {
            let root = Arc::clone(roots.get(application.folder)?);
            let fastcgi = FastCgi::new(Arc::clone(&application.settings), root, Arc::clone(spool));
            Some(Rc::new(fastcgi.counted(&application.figures)))
        });
        let site = site::Site::new(Arc::clone(&written.description), folders.map(files).collect());
        let site = site.with_applications(applications.collect());
        let site = Rc::new(match runner {
            Some(runner) => site.with_runner(runner.clone()),
            None => site,
        });
        if let Err(taken) = sites.add(&written.hosts.names, &site) {
            tracing::error!(%taken, "a site is not served by this name");
        }
        if written.hosts.others == Others::Answered {
            sites.set_default(Rc::clone(&site));
        }
        all.push(site);
    }
    (sites, all)
}
