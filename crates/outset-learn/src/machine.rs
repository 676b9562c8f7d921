//! What the machine is, and how much memory this process took.

use outset_spec::record::Environment;

/// Describes the machine that this process runs on.
pub fn environment(device: &str) -> Environment {
    Environment {
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processor: processor(),
        device: device.to_owned(),
        threads: rayon::current_num_threads(),
        instruction_set: outset_ops::isa::level().to_string(),
    }
}

fn processor() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    name.unwrap_or("unknown").to_owned()
}

/// The most memory that this process has held at once, in bytes; 0 where the system does not say.
pub fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
