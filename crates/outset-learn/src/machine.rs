//! What the machine is, and how much memory this process took.

use crate::device;
use outset_spec::record::Environment;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Describes the machine that this process runs on.
pub fn environment() -> Environment {
    Environment {
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processor: processor(),
        device: device::name().to_owned(),
        threads: rayon::current_num_threads(),
        instruction_set: outset_ops::isa::level().to_string(),
    }
}

/// Name of this machine among others; empty where the system does not say.
pub fn name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    name.or_else(|| std::env::var("COMPUTERNAME").ok()).unwrap_or_default().trim().to_owned()
}

fn processor() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    name.unwrap_or("unknown").to_owned()
}

/// The most memory before the system was told to forget it.
static BEFORE: AtomicU64 = AtomicU64::new(0);

/// The most memory that this process holds at once while it does `act`, in bytes, or has held since it began where the
/// system cannot be told to begin anew.
pub fn peak_memory_within(act: impl FnOnce()) -> u64 {
    BEFORE.fetch_max(status("VmHWM:"), Ordering::Relaxed);
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    act();
    status("VmHWM:")
}

/// Memory that this process could still take, in bytes; `None` where the system does not say.
pub fn available_memory_bytes() -> Option<u64> {
    let information = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = information.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024;
    // A container may be allowed less than the machine has.
    let read = |name: &str| {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok()
    };
    let limit = read("memory.max").zip(read("memory.current")).map(|(most, now)| most.saturating_sub(now));
    Some(limit.map_or(free, |limit| limit.min(free)))
}

/// Share of the free memory that training may take: the rest is for what follows, and for others.
const SHARE: f64 = 0.9;

/// Memory that training may take, in bytes; `None` where the system does not say.
pub fn usable_memory_bytes() -> Option<f64> {
    Some(available_memory_bytes()? as f64 * SHARE)
}

/// The most memory that this process has held at once, in bytes; 0 where the system does not say.
pub fn peak_memory_bytes() -> u64 {
    status("VmHWM:").max(BEFORE.load(Ordering::Relaxed))
}

/// What the program told in the beginning.
struct Program {
    /// When the process was begun.
    started: Instant,
    /// Hands freed memory back to the system.
    release_memory: fn(),
}

static PROGRAM: OnceLock<Program> = OnceLock::new();

/// To be called first by a program, with how its allocator hands freed memory back to the system.
///
/// Has the system give the process small pages until it needs much memory: large ones take up to half as much again.
pub fn begin(release_memory: fn()) {
    // Loading the program is part of its time.
    let schedule = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = schedule.split_whitespace().next().and_then(|field| field.parse().ok());
    let now = Instant::now();
    let started = now.checked_sub(Duration::from_nanos(nanoseconds.unwrap_or(0))).unwrap_or(now);
    let _ = PROGRAM.set(Program { started, release_memory });
    outset_ops::pages::allow_huge(false);
}

/// When the program was begun; now, where it did not say.
pub fn started() -> Instant {
    PROGRAM.get().map_or_else(Instant::now, |program| program.started)
}

/// Hands freed memory back to the system where one kind of work ends and another begins, which would ask for other sizes:
/// what both keep would add up.
pub fn release_memory() {
    if let Some(program) = PROGRAM.get() {
        (program.release_memory)();
    }
}

/// Memory above which large pages are worth what they waste.
const LARGE: u64 = 128 << 20;

/// Lets the system use large pages from now on, if this process holds much memory or is about to take so many bytes more.
pub fn expect_memory(more: u64) {
    if resident_memory_bytes().saturating_add(more) > LARGE {
        outset_ops::pages::allow_huge(true);
    }
}

/// The memory that this process holds, in bytes; 0 where the system does not say.
pub fn resident_memory_bytes() -> u64 {
    status("VmRSS:")
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
