//! The commands, one file each.

mod check;
mod compare;
mod doctor;
mod list;
mod new;
mod plan;
mod predict;
mod report;
mod run;
mod runs;
mod serve;
mod test;
mod track;
mod tune;

use crate::arguments::{Arguments, Command, Global};
use crate::printer::Printer;
use clap::CommandFactory as _;
use outset_learn::LearnError;
use outset_spec::{Problem, Problems};

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    pub hint: Option<String>,
    /// Whether declaration, data or arguments are at fault.
    pub is_users: bool,
}

impl Failure {
    /// Something that the user can mend.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_users: true }
    }

    /// Something that went wrong while doing what was rightly asked for.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_users: false }
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// All problems of a declaration.
    pub fn problems(problems: Problems) -> Self {
        Self::wrong(problems.to_string())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::problems(problem.into())
    }
}

impl From<LearnError> for Failure {
    fn from(error: LearnError) -> Self {
        Self { hint: error.hint(), is_users: error.is_users(), message: with_causes(&error) }
    }
}

impl From<outset_learn::bundle::BundleError> for Failure {
    fn from(error: outset_learn::bundle::BundleError) -> Self {
        LearnError::from(error).into()
    }
}

/// The message of an error and of what caused it.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        // The number of an operating system's error says nothing to a user.
        let text = source.to_string();
        let text = text.find(" (os error").map_or(text.as_str(), |end| &text[..end]);
        if !message.ends_with(text) {
            message.push_str(": ");
            message.push_str(text);
        }
        cause = source.source();
    }
    message
}

/// Starts as many threads as are asked for, and sees to the device.
pub fn start(global: &Global) -> Result<(), Failure> {
    if let Some(threads) = global.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global();
        pool.map_err(|error| Failure::failed(format!("cannot start {threads} threads: {error}")))?;
    }
    Ok(outset_learn::device::choose(&global.device)?)
}

/// Runs the command that the arguments name.
pub fn dispatch(arguments: &Arguments, printer: &Printer) -> Result<(), Failure> {
    match &arguments.command {
        Command::New { dir, from, target, example } => {
            new::new(dir.as_deref(), from.as_deref(), target, example.as_deref(), printer)
        }
        Command::Check(what) => check::check(what, printer),
        Command::Plan { language_model: Some(flops), context, .. } => {
            plan::language_model(*flops, *context, printer)
        }
        Command::Plan { what, place, .. } => plan::plan(what, place, printer),
        Command::Run { what, place } => run::run(what, place, false, printer),
        Command::Train { resume: Some(run), place, .. } => run::resume(run, place.prices.as_deref(), printer),
        Command::Train { what, place, resume: None } => run::run(what, place, true, printer),
        Command::Tune { what, place, study } => tune::tune(what, place, study.as_deref(), printer),
        Command::Runs { dir } => runs::runs(dir, printer),
        Command::Compare { a, b } => compare::compare(a, b, printer),
        Command::Test { run } => test::test(run, printer),
        Command::Report { run } => report::report(run, printer),
        Command::Track { run, tensorboard, mlflow } => {
            track::track(run, tensorboard.as_deref(), mlflow.as_deref(), printer)
        }
        Command::Predict { bundle, data, output, max_skipped } => {
            predict::predict(bundle, data, output.as_deref(), *max_skipped, printer)
        }
        Command::Serve { bundle, host, port, max_body, max_rows, timeout } => {
            let settings = outset_serve::Settings {
                address: (*host, *port).into(),
                max_body: *max_body,
                max_rows: *max_rows,
                timeout: *timeout,
                api_key: std::env::var("OUTSET_API_KEY").ok().filter(|key| !key.is_empty()),
            };
            serve::serve(bundle, settings, printer)
        }
        Command::List { kind } => list::list(*kind, printer),
        Command::Doctor => doctor::doctor(printer),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "outset", &mut script);
            printer.answer(&String::from_utf8_lossy(&script));
            Ok(())
        }
    }
}
