//! Instruction sets: what the machine has, and kernels compiled for each level.
//!
//! `OUTSET_ISA` (`scalar`, `neon`, `avx2`, `avx512`, `avx512_bf16`, `amx`) forces a lower level than the detected one, to
//! test or measure the other paths. A level that the machine lacks is never used, and any other name is refused.

use std::{error::Error, fmt, sync::OnceLock};

/// Name of the environment variable that forces a lower level.
pub const VARIABLE: &str = "OUTSET_ISA";

/// An instruction set that kernels are compiled for, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The target's baseline: SSE2 on x86-64, without fused multiply-add.
    Scalar,
    /// AArch64 with its 128-bit vectors.
    Neon,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX-512 with bf16 dot products.
    Avx512Bf16,
    /// That, and tiles of bf16 in registers of their own (Intel's AMX, where the system lets a program use it).
    Amx,
}

impl Level {
    /// Every level, from the lowest to the highest.
    pub const ALL: [Level; 6] =
        [Level::Scalar, Level::Neon, Level::Avx2, Level::Avx512, Level::Avx512Bf16, Level::Amx];

    /// Returns the name that [`VARIABLE`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Neon => "neon",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
            Level::Avx512Bf16 => "avx512_bf16",
            Level::Amx => "amx",
        }
    }

    /// Finds a level by its name.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }

    /// Whether a machine whose highest level this is has another.
    fn has(self, other: Level) -> bool {
        other <= self && (other != Level::Neon || self == Level::Neon)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns the highest level that this machine has.
pub fn detected() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            let avx512 = std::is_x86_feature_detected!("avx512f")
                && std::is_x86_feature_detected!("avx512bw")
                && std::is_x86_feature_detected!("avx512dq")
                && std::is_x86_feature_detected!("avx512vl");
            return match avx512 {
                true if std::is_x86_feature_detected!("avx512bf16") && has_amx() => Level::Amx,
                true if std::is_x86_feature_detected!("avx512bf16") => Level::Avx512Bf16,
                true => Level::Avx512,
                false => Level::Avx2,
            };
        }
        Level::Scalar
    }
    #[cfg(target_arch = "aarch64")]
    {
        Level::Neon
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        Level::Scalar
    }
}

/// Whether the machine has tile registers for bf16 and the system grants this process their use.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn has_amx() -> bool {
    // Linux: arch_prctl(2) asks for a part of the register state that is large and hence off at first.
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // Bits of cpuid's leaf 7.
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    let features = std::arch::x86_64::__cpuid_count(7, 0).edx;
    // SAFETY: the call changes nothing but which registers the process may use.
    features & AMX_BF16 != 0
        && features & AMX_TILE != 0
        && unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) } == 0
}

/// Other systems aren't asked.
#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn has_amx() -> bool {
    false
}

/// What [`VARIABLE`] holds where it is the name of no level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLevel(pub String);

impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Level::ALL.map(|level| format!("`{level}`")).join(", ");
        write!(f, "`{VARIABLE}` is `{}`, but must be one of {names}", self.0)
    }
}

impl Error for UnknownLevel {}

/// Returns the level that [`VARIABLE`] names, if it is set to anything.
///
/// # Errors
/// If no level has that name. A program asks before it computes, as [`level`] panics then.
pub fn forced() -> Result<Option<Level>, UnknownLevel> {
    let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else { return Ok(None) };
    let name = name.to_string_lossy();
    Level::from_name(&name).map(Some).ok_or_else(|| UnknownLevel(name.into_owned()))
}

/// Returns the level in use: the highest that the machine has, up to the one that [`VARIABLE`] names. It is read once.
///
/// # Panics
/// If that is the name of no level.
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| match forced() {
        Ok(forced) => forced.map_or(detected(), |forced| highest(forced, detected())),
        Err(unknown) => panic!("{unknown}"),
    })
}

/// The highest level up to `limit` that a machine with `detected` has.
fn highest(limit: Level, detected: Level) -> Level {
    let had = Level::ALL.into_iter().filter(|level| *level <= limit && detected.has(*level));
    had.max().unwrap_or(Level::Scalar)
}

/// How `a * b + c` is computed at a level.
///
/// Without hardware support [`f32::mul_add`] is a call into the C library, some fifty times slower than the two
/// instructions that it replaces, so kernels are generic over this trait instead of calling it.
pub(crate) trait Arithmetic: Copy {
    /// Returns `a * b + c`, rounded once or twice.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// One rounding, one instruction.
#[derive(Clone, Copy)]
pub(crate) struct Fused;

/// Two roundings, for levels without the fused instruction.
#[derive(Clone, Copy)]
pub(crate) struct Separate;

impl Arithmetic for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Arithmetic for Separate {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// Arithmetic of the target's baseline.
#[cfg(target_arch = "aarch64")]
pub(crate) type Baseline = Fused;
/// Arithmetic of the target's baseline.
#[cfg(not(target_arch = "aarch64"))]
pub(crate) type Baseline = Separate;

/// Compiles a function body once for each level and picks one at run time.
///
/// The body is generic over its [`Arithmetic`], named in angle brackets after the function's name. What it calls
/// must be `#[inline(always)]` to be compiled for the level too.
macro_rules! kernel {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$arithmetic:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<$arithmetic: $crate::isa::Arithmetic>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body::<$crate::isa::Fused>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body::<$crate::isa::Fused>($($arg),*)
                }
                let level = $crate::isa::level();
                if level >= $crate::isa::Level::Avx512 {
                    // SAFETY: `level` never exceeds what the machine has.
                    return unsafe { avx512($($arg),*) };
                }
                if level >= $crate::isa::Level::Avx2 {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body::<$crate::isa::Baseline>($($arg),*)
        }
    };
}
pub(crate) use kernel;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.name()), Some(level));
        }
        assert_eq!(Level::from_name("mmx"), None);
    }

    #[test]
    fn a_level_that_the_machine_lacks_is_the_next_lower_one() {
        for (limit, detected, expected) in [
            (Level::Amx, Level::Avx2, Level::Avx2),
            (Level::Avx2, Level::Amx, Level::Avx2),
            (Level::Avx2, Level::Scalar, Level::Scalar),
            (Level::Neon, Level::Avx2, Level::Scalar),
            (Level::Scalar, Level::Neon, Level::Scalar),
            (Level::Amx, Level::Neon, Level::Neon),
        ] {
            assert_eq!(highest(limit, detected), expected, "{limit} where {detected} is the highest");
        }
    }

    /// Also in the processes that the tests below start.
    #[test]
    fn the_level_in_use_is_the_forced_one_or_the_highest() {
        let level = level();
        match forced().unwrap() {
            None => assert_eq!(level, detected()),
            Some(forced) if detected().has(forced) => assert_eq!(level, forced),
            Some(forced) => assert!(level < forced),
        }
    }

    /// This test binary, to be run with a level.
    fn with_level(name: &str) -> std::process::Command {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.env(VARIABLE, name).arg("--quiet");
        command
    }

    #[test]
    fn the_name_of_no_level_is_refused() {
        let test = "isa::tests::the_level_in_use_is_the_forced_one_or_the_highest";
        for (name, words) in
            [("amx", "1 passed"), ("", "1 passed"), ("mmx", "`OUTSET_ISA` is `mmx`, but must be one of")]
        {
            let output = with_level(name).args(["--exact", test]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains(words), "with `{name}`:\n{said}");
            assert_eq!(output.status.success(), name != "mmx");
        }
        let unknown = UnknownLevel("mmx".to_owned()).to_string();
        assert!(unknown.ends_with("`scalar`, `neon`, `avx2`, `avx512`, `avx512_bf16`, `amx`"), "{unknown}");
    }

    /// Runs this test binary again at each lower level, so that every kernel's tests hold on every path.
    #[test]
    fn lower_levels_pass_the_same_tests() {
        if std::env::var_os(VARIABLE).is_some() {
            return;
        }
        let lower = Level::ALL.into_iter().filter(|&level| level < detected() && detected().has(level));
        for level in lower {
            let output = with_level(level.name()).output().unwrap();
            assert!(output.status.success(), "at {level}:\n{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}
