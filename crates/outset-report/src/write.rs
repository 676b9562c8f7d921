//! Writes the report's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::plots::{self, Plot};
use crate::run::Run;
use crate::{ReportError, page};

/// The files of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// `report.html`.
    pub report: PathBuf,
    /// The pictures in `plots/`, each as SVG and as PNG.
    pub plots: Vec<PathBuf>,
}

/// Writes `report.html` and the pictures in `plots/` from the other files in the run folder.
///
/// Each file is written under another name first, so that none is ever half there.
///
/// # Errors
/// [`ReportError`] if the folder holds no readable run or cannot be written to.
pub fn write(run: &Path) -> Result<Written, ReportError> {
    let facts = Run::read(run)?;
    let plots = plots::all(&facts);
    let folder = run.join("plots");
    if !plots.is_empty() {
        fs::create_dir_all(&folder).map_err(|source| ReportError::Write { path: folder.clone(), source })?;
    }
    let inline = draw(&plots, &folder, facts.record.environment.threads)?;
    let figures: Vec<page::Figure<'_>> =
        plots.iter().zip(inline).map(|((_, plot), svg)| page::Figure { plot, svg }).collect();
    let report = run.join("report.html");
    replace(&report, page::render(&facts, &figures)?.as_bytes())?;
    let files = plots.iter().flat_map(|(stem, _)| ["svg", "png"].map(|ending| file(&folder, stem, ending)));
    Ok(Written { report, plots: files.collect() })
}

/// Draws every picture into its files, on as many threads as the run had, but a few at most, and gives those for the page.
fn draw(plots: &[(String, Plot<'_>)], folder: &Path, threads: usize) -> Result<Vec<String>, ReportError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((index, (stem, plot))) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            plots.get(index).map(|plot| (index, plot))
        } {
            replace(&file(folder, stem, "png"), &plot.png()?)?;
            replace(&file(folder, stem, "svg"), plot.svg().as_bytes())?;
            done.push((index, plot.inline()));
        }
        Ok(done)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(threads).min(plots.len()).min(4);
    let mut drawn = vec![String::new(); plots.len()];
    let results: Vec<Result<Vec<(usize, String)>, ReportError>> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined = others.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(own).chain(joined).collect()
    });
    for result in results {
        for (index, svg) in result? {
            drawn[index] = svg;
        }
    }
    Ok(drawn)
}

fn file(folder: &Path, stem: &str, ending: &str) -> PathBuf {
    folder.join(format!("{stem}.{ending}"))
}

/// Writes a file under another name and renames it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    written.map_err(|source| {
        // What is left of it is of no use; the first error is the one to tell.
        let _ = fs::remove_file(&part);
        ReportError::Write { path: path.to_owned(), source }
    })
}
