//! The device that this process computes on: the processor, unless the program chooses another in its beginning.
//!
//! The features `cuda` and `wgpu` add devices to the same program. The libraries of either are loaded when such a device
//! is asked for, so that the program starts without them too. Other devices run the operations composed of Burn's own.

use burn::tensor::Device;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use burn::tensor::DeviceType;
use outset_ops::{isa, precision};
use outset_spec::{Problem, problem};
use std::sync::OnceLock;

/// The kinds of devices that this build can use, the processor first.
pub const KINDS: &[&str] = &[
    CPU,
    #[cfg(feature = "cuda")]
    "cuda",
    #[cfg(feature = "wgpu")]
    "wgpu",
];

const CPU: &str = "cpu";

static CHOSEN: OnceLock<(String, Device)> = OnceLock::new();

/// Has this process compute on a device: `cpu`, or a kind of [`KINDS`] with the number of one of its devices, as in `wgpu:0`,
/// the first where there is no number. To be called once, before anything is computed.
///
/// # Errors
/// If there is no such device, or one was chosen already, or the environment names an instruction set that there is not.
pub fn choose(name: &str) -> Result<(), Problem> {
    isa::forced().map_err(|unknown| Problem::new(unknown.to_string()))?;
    let (kind, number) = name.split_once(':').unwrap_or((name, "0"));
    if !KINDS.contains(&kind) {
        let problem = problem::unknown("device", name, KINDS, None);
        return Err(match kind {
            "cuda" | "wgpu" => {
                problem.hint(format!("for this one build the program with `--features {kind}`"))
            }
            _ => problem,
        });
    }
    let device = number.parse::<usize>().ok().and_then(|number| of_kind(kind).into_iter().nth(number));
    let Some(device) = device else {
        let problem = Problem::new(format!("there is no device `{name}` on this machine"));
        return Err(problem.hint("`outset doctor` lists those that there are"));
    };
    let name = if kind == CPU { CPU.to_owned() } else { format!("{kind}:{number}") };
    CHOSEN.set((name, device)).map_err(|_| Problem::new("a device was chosen already"))
}

/// The device that this process computes on.
pub fn chosen() -> Device {
    CHOSEN.get().map_or_else(Device::flex, |(_, device)| device.clone())
}

/// The name of that device.
pub fn name() -> &'static str {
    CHOSEN.get().map_or(CPU, |(name, _)| name)
}

/// Whether that is the processor.
pub fn is_cpu() -> bool {
    name() == CPU
}

/// Whether that device multiplies factors that were rounded to bf16.
pub fn has_bf16() -> bool {
    is_cpu() && precision::has_bf16()
}

/// The names of all devices that there are, each with what it is, where that can be told.
pub fn available() -> Vec<(String, String)> {
    let mut found = vec![(CPU.to_owned(), String::new())];
    for kind in KINDS.iter().filter(|kind| **kind != CPU) {
        let named = |(number, device)| (format!("{kind}:{number}"), words(device));
        found.extend(of_kind(kind).iter().enumerate().map(named));
    }
    found
}

/// All devices of a kind.
fn of_kind(kind: &str) -> Vec<Device> {
    match kind {
        CPU => vec![Device::flex()],
        #[cfg(feature = "cuda")]
        "cuda" => Device::enumerate(DeviceType::Cuda).into_vec(),
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::enumerate(DeviceType::Wgpu).into_vec(),
        _ => Vec::new(),
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn words(device: &Device) -> String {
    device.identity().map(|identity| identity.name).unwrap_or_default()
}

#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
fn words(_: &Device) -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        let refusal = |name| choose(name).unwrap_err().to_string();
        assert_eq!(refusal("cpi"), "unknown device `cpi`\nhint: did you mean `cpu`?");
        for name in ["cpu:1", "cpu:one", "cpu:"] {
            assert!(refusal(name).contains(&format!("no device `{name}`")), "{}", refusal(name));
        }
        assert!(is_cpu() && chosen() == Device::flex());
        assert_eq!(available()[0].0, CPU);
    }
}
