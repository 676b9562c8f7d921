//! The pictures of a run, set into the page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Value, context};
use std::path::Path;

use crate::ReportError;
use crate::format;
use crate::run::Run;

/// Groups of pictures for the template; nothing for a run without any.
pub fn gallery(run: &Run) -> Result<Option<Value>, ReportError> {
    let Some(gallery) = &run.gallery else { return Ok(None) };
    let mut groups = Vec::new();
    for group in &gallery.groups {
        let mut pictures = Vec::new();
        for picture in &group.pictures {
            // A name with a folder in it would be none that a run has written.
            let Some(file) = Path::new(&picture.file).file_name() else { continue };
            let path = run.folder.join("pictures").join(file);
            let bytes = std::fs::read(&path).map_err(|source| ReportError::Read { path, source })?;
            pictures.push(context! {
                data => STANDARD.encode(bytes),
                name => &picture.name,
                actual => &picture.actual,
                prediction => &picture.prediction,
                wrong => picture.actual != picture.prediction,
                probability => picture.probability.map(format::percent),
            });
        }
        groups.push(context! { title => &group.title, note => &group.note, pictures => pictures });
    }
    Ok(Some(context! { input => &gallery.input, output => &gallery.output, groups => groups }))
}
