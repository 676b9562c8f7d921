//! The `outset` program: arguments in, a command run, an exit code out.

mod allocator;
mod arguments;
mod commands;
mod examples;
mod interrupt;
mod locate;
mod printer;

use clap::Parser as _;
use printer::Printer;
use std::process::ExitCode;

/// Exit code where the run failed.
const FAILED: u8 = 1;
/// Exit code where declaration, data or arguments are wrong.
const WRONG: u8 = 2;

/// Marks an error as one of declaration, data or arguments.
#[derive(Debug)]
pub struct Wrong;

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("declaration, data or arguments are wrong")
    }
}

impl std::error::Error for Wrong {}

fn main() -> ExitCode {
    outset_learn::begin(allocator::release_memory);
    allocator::keep_memory();
    let arguments = arguments::Arguments::parse();
    let ready = commands::start(&arguments.global);
    let work = || {
        let printer = Printer::new(&arguments.global);
        match ready.and_then(|()| commands::dispatch(&arguments, &printer)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                printer.error(&failure.message, failure.hint.as_deref());
                ExitCode::from(if failure.is_users { WRONG } else { FAILED })
            }
        }
    };
    // A loop that begins on a thread of the pool is shared without waking another first. A server waits on its own.
    if matches!(arguments.command, arguments::Command::Serve { .. }) {
        work()
    } else {
        rayon::scope(|_| work())
    }
}
