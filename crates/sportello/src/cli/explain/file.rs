//! What lies in a folder.

use std::path::PathBuf;

use sportello_service::files::{Batch, Files, Form, Found, Taste};
use sportello_service::site::Folder;
use sportello_service::status::said;
use sportello_wire::http1::coding::Order;
use sportello_wire::http1::target::{PathEnd, TreePath};

use super::Told;
use crate::cli::paper::Failed;

/// What lies there.
pub(super) fn found(
    files: &Files,
    (path, query): (&[u8], Option<&[u8]>),
    folder: &Folder,
    told: &mut Told<'_>,
) -> Result<u8, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| Failed::new(format!("cannot look: {error}")))?;
    let taste = Taste { form: Form::Html, order: Order::PLAIN };
    match runtime.block_on(files.find(path, query, taste, Batch::begin())) {
        Ok(Found::Hot(_)) => {
            told.say(format!("200: the file {}, from memory once it was read", file(path, folder).display()))
        }
        Ok(Found::Large(_)) => {
            told.say(format!("200: the file {}, from the disk each time", file(path, folder).display()))
        }
        Ok(Found::Answer(answer)) if answer.status == 200 => {
            told.say(format!("200: a listing of the folder {}, which has no index", file(path, folder).display()));
        }
        Ok(Found::Answer(answer)) => {
            told.say(format!("{}: a folder is asked for with a slash at its end", answer.status))
        }
        Err(failure) => {
            let status = said(failure.class).http;
            told.say(format!("{status}: {} ({})", failure.public, file(path, folder).display()));
            return Ok(1);
        }
    }
    Ok(0)
}

/// Where it lies, or would.
fn file(path: &[u8], folder: &Folder) -> PathBuf {
    let Ok(tree) = TreePath::decode(path) else { return folder.path.clone() };
    let place = folder.path.join(String::from_utf8_lossy(&tree.names).as_ref());
    let index = folder.settings.index.iter().map(|name| place.join(name)).find(|index| index.is_file());
    index.filter(|_| tree.end == PathEnd::Slash).unwrap_or(place)
}
