//! Where things are: the tree, the data, the program to measure, Python, and a folder to work in.

use super::Outcome;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Paths that a benchmark needs.
pub struct Place {
    /// The top of the source tree.
    pub root: PathBuf,
    /// The program to measure.
    pub outset: PathBuf,
    /// The interpreter of the twins.
    pub python: PathBuf,
    /// An empty folder for runs and logs.
    pub work: PathBuf,
}

impl Place {
    /// Finds all paths, building the program where none is named, and empties the work folder of the benchmark `name`.
    ///
    /// # Errors
    /// If the program cannot be built or the work folder cannot be made.
    pub fn find(name: &str) -> Outcome<Self> {
        let mut place = Self::of_tree(name)?;
        let (root, target) = (&place.root, target(&place.root));
        place.outset = match std::env::var_os("OUTSET_BINARY") {
            Some(path) => {
                PathBuf::from(path).canonicalize().map_err(|error| format!("OUTSET_BINARY: {error}"))?
            }
            None => {
                let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let arguments = ["build", "--release", "--locked", "--package", "outset"];
                if !Command::new(cargo).args(arguments).current_dir(root).status()?.success() {
                    return Err("`outset` cannot be built".into());
                }
                target.join("release/outset").canonicalize()?
            }
        };
        Ok(place)
    }

    /// Finds the paths of a benchmark that needs no `outset` program.
    ///
    /// # Errors
    /// If the work folder cannot be made.
    pub fn of_tree(name: &str) -> Outcome<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let python = std::env::var_os("OUTSET_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
        let work = target(&root).join("bench").join(name);
        if work.exists() {
            std::fs::remove_dir_all(&work)?;
        }
        std::fs::create_dir_all(&work)?;
        Ok(Self { root, outset: PathBuf::new(), python, work: work.canonicalize()? })
    }

    /// A file of the data sets.
    ///
    /// # Errors
    /// If `OUTSET_DATA` is not set or has no such file.
    pub fn data(&self, file: &str) -> Outcome<PathBuf> {
        let folder = std::env::var_os("OUTSET_DATA")
            .ok_or("OUTSET_DATA is not set; it names the folder of the data sets")?;
        let path = Path::new(&folder).join(file);
        path.canonicalize().map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// An `outset` command.
    pub fn outset(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.outset);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// A Python command of a script under `benches/`.
    pub fn twin(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(self.root.join("benches").join(script)).current_dir(&self.work);
        command
    }

    /// Machine, date and versions in a paragraph; `packages` are Python's.
    ///
    /// # Errors
    /// If program or interpreter do not tell their versions.
    pub fn words(&self, packages: &[&str]) -> Outcome<String> {
        let outset = answer(self.outset(&["--version"]))?;
        Ok(format!("{} {outset}.", self.words_of_machine(packages)?))
    }

    /// Machine, date and Python's versions in a paragraph.
    ///
    /// # Errors
    /// If the interpreter does not tell its versions.
    pub fn words_of_machine(&self, packages: &[&str]) -> Outcome<String> {
        let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
        let processor = field(&cpu, "model name").unwrap_or("unknown processor");
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let kibibytes: f64 =
            field(&memory, "MemTotal").and_then(|text| text.split(' ').next()).unwrap_or("0").parse()?;
        let load = std::fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or("unknown");
        let cores = std::thread::available_parallelism()?;
        let script = "import sys, platform, importlib.metadata as m\n\
                      names = [f'{name} {m.version(name)}' for name in sys.argv[1:]]\n\
                      print(', '.join(['Python ' + platform.python_version(), *names]))";
        let mut python = Command::new(&self.python);
        python.args(["-c", script]).args(packages);
        let python = answer(python)?;
        Ok(format!(
            "Measured on {} on {processor}, {cores} cores, {:.0} GiB of memory; load of the machine in the minute before: \
             {load}. {python}.",
            today()?,
            kibibytes / f64::from(1 << 20),
        ))
    }
}

/// Where Cargo builds.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The value of the first `name: value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

/// What a short command prints.
fn answer(mut command: Command) -> Outcome<String> {
    let output = command.output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed\n{}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The date in UTC.
fn today() -> Outcome<String> {
    Ok(date(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400))
}

/// The date of a day, counted from 1970-01-01.
fn date(mut day: u64) -> String {
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (day, expected) in
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_088, "2024-12-31")]
        {
            assert_eq!(date(day), expected);
        }
    }

    #[test]
    fn fields() {
        assert_eq!(field("a: 1\nmodel name\t: X Y\n", "model name"), Some("X Y"));
        assert_eq!(field("", "model name"), None);
    }
}
