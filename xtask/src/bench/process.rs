//! Child processes with their wall-clock time and peak memory.

use super::Outcome;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A child that ended well.
pub struct Finished {
    /// From before the start to after the end.
    pub seconds: f64,
    /// The largest resident set.
    pub peak_bytes: u64,
    /// What it wrote to standard output.
    pub output: String,
}

/// Runs a child to its end, both its streams into files beside `log`.
///
/// # Errors
/// If it cannot be started, does not end within `limit`, or fails; with the last lines of its standard error.
pub fn run(command: &mut Command, log: &Path, limit: Duration) -> Outcome<Finished> {
    let clock = Instant::now();
    let running = Running::start(command, log)?;
    let (status, peak_bytes) = running.wait(limit)?;
    let seconds = clock.elapsed().as_secs_f64();
    if status != 0 {
        let why = if seconds >= limit.as_secs_f64() { "did not end in time" } else { "failed" };
        return Err(format!("{command:?} {why}\n{}", last_words(log)).into());
    }
    let output = std::fs::read_to_string(log.with_extension("out"))?;
    Ok(Finished { seconds, peak_bytes, output })
}

/// The last lines that a child wrote to standard error.
pub fn last_words(log: &Path) -> String {
    let errors = std::fs::read_to_string(log.with_extension("err")).unwrap_or_default();
    let lines: Vec<&str> = errors.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// A child that runs; it is killed when this goes out of scope.
pub struct Running {
    pid: i32,
    is_over: bool,
}

impl Running {
    /// Starts a child, its streams into `log` with the endings `.out` and `.err`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Outcome<Self> {
        command.stdin(Stdio::null());
        command.stdout(File::create(log.with_extension("out"))?);
        command.stderr(File::create(log.with_extension("err"))?);
        let child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        Ok(Self { pid: i32::try_from(child.id())?, is_over: false })
    }

    /// Whether the child has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        if !self.is_over {
            // SAFETY: asks about a child of ours that was not waited for; null pointers ask for nothing back.
            let ended = unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), libc::WNOHANG) };
            self.is_over = ended == self.pid;
        }
        self.is_over
    }

    /// Asks the child to end and waits for it, at most ten seconds; returns its largest resident set in bytes.
    ///
    /// # Errors
    /// If it ended by itself before, or cannot be waited for.
    pub fn stop(self) -> Outcome<u64> {
        if self.is_over {
            return Err("the child ended by itself".into());
        }
        signal(self.pid, libc::SIGTERM);
        let (_, peak_bytes) = self.wait(Duration::from_secs(10))?;
        Ok(peak_bytes)
    }

    /// Waits for the end, killing the child after `limit`: the status, 0 if all went well, and the largest resident
    /// set in bytes.
    fn wait(mut self, limit: Duration) -> Outcome<(i32, u64)> {
        let pid = self.pid;
        // A thread that kills the child unless it is told before `limit` that the child has ended.
        let (ended, watch) = channel::<()>();
        let watchdog = thread::spawn(move || {
            if watch.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                signal(pid, libc::SIGKILL);
            }
        });
        let mut status = 0;
        // SAFETY: a `rusage` is made of integers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: `pid` is a child of ours that was not waited for, and both pointers are to live variables.
            if unsafe { libc::wait4(self.pid, &raw mut status, 0, &raw mut usage) } == self.pid {
                break;
            }
            let error = std::io::Error::last_os_error();
            if error.kind() != std::io::ErrorKind::Interrupted {
                return Err(error.into());
            }
        }
        self.is_over = true;
        drop(ended);
        let _ = watchdog.join();
        // Linux counts in KiB.
        Ok((status, u64::try_from(usage.ru_maxrss)? * 1024))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            signal(self.pid, libc::SIGKILL);
            // SAFETY: waits for a child of ours that was not waited for; null pointers ask for nothing back.
            unsafe { libc::wait4(self.pid, std::ptr::null_mut(), 0, std::ptr::null_mut()) };
        }
    }
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: sends a signal to a child of ours, which keeps its number until it is waited for.
    unsafe { libc::kill(pid, signal) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Outcome<Finished> {
        let log = std::env::temp_dir().join(format!("xtask-{}-{}", std::process::id(), script.len()));
        let finished = run(Command::new("sh").args(["-c", script]), &log, limit);
        for ending in ["out", "err"] {
            let _ = std::fs::remove_file(log.with_extension(ending));
        }
        finished
    }

    #[test]
    fn a_child_is_timed_and_weighed() {
        let finished = shell("echo done", Duration::from_secs(10)).unwrap();
        assert_eq!(finished.output, "done\n");
        assert!(finished.seconds > 0.0 && finished.peak_bytes > 100_000);
    }

    #[test]
    fn a_failure_shows_the_last_words() {
        let error = shell("echo oh no >&2; exit 3", Duration::from_secs(10)).err().unwrap();
        assert!(error.to_string().ends_with("failed\noh no"), "{error}");
    }

    #[test]
    fn a_child_that_takes_too_long_is_killed() {
        let error = shell("exec sleep 60", Duration::from_millis(50)).err().unwrap();
        assert!(error.to_string().contains("did not end in time"), "{error}");
    }
}
