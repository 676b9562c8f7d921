//! `bench tune`: what searches find in the time of some full runs: by lot, as `outset tune` goes by default, and by Optuna,
//! which drives the same program.
//!
//! Time is that of the processor, so that a busy machine changes nothing but the patience it takes. What was measured is
//! kept in `target/bench-tune`, a line a search, so that the whole may be run in parts.

use super::measure::median;
use super::place::Place;
use super::{Outcome, document, process};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// Longest time for one search by the twin.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Trials that no budget comes to.
const MANY: usize = 100_000;

/// Data and what is looked for.
struct Row {
    name: &'static str,
    file: &'static str,
    /// The objective as `metrics.jsonl` calls it; less is better.
    metric: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        name: "california_housing",
        file: "tabular_regression/california_housing/housing.csv",
        metric: "median_house_value/rmse",
    },
    Row {
        name: "chnsenticorp_hotel_zh",
        file: "text_classification/chnsenticorp_hotel_zh/ChnSentiCorp_htl_all.csv",
        metric: "label/log_loss",
    },
];

/// How large the benchmark is.
pub struct Size {
    /// Full runs that the budget is worth.
    pub runs: f64,
    /// Rows of the data, evenly spaced; all of them where it is `None`.
    pub rows: Option<usize>,
    /// Epochs of a full run; the default of the experiment where it is `None`.
    pub epochs: Option<usize>,
}

/// A search: where it stood after how many seconds of the processor.
struct Course {
    /// Seconds that the run of the declared settings took, and its value.
    default: (f64, f64),
    points: Vec<(f64, f64)>,
}

/// Names of all rows.
pub fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).collect()
}

/// Makes the searches of the named rows and seeds that were not made before, prints the table of all that were and returns
/// it with its heading.
///
/// # Errors
/// If a search fails.
pub fn tune(place: &Place, names: &[&str], seeds: &[u64], size: &Size) -> Outcome<String> {
    let words = place.words(&["optuna"])?;
    let kept = Kept::open(place, size)?;
    for row in ROWS.iter().filter(|row| names.contains(&row.name)) {
        let data = subset(&place.data(row.file)?, size.rows, &place.work.join(format!("{}.csv", row.name)))?;
        for seed in seeds {
            // In turns, so that all meet the same machine.
            let random = kept.or_make(row, *seed, "random", || {
                let by_lot = ["tune.sampler=random", "tune.pruner=none"];
                row.search(place, &data, *seed, size, None, &by_lot)
            })?;
            let budget = random.default.0 * size.runs;
            let tuned = kept
                .or_make(row, *seed, "outset", || row.search(place, &data, *seed, size, Some(budget), &[]))?;
            let optuna = kept.or_make(row, *seed, "optuna", || {
                row.by_optuna(place, &data, *seed, size, budget, random.default)
            })?;
            println!(
                "{} · seed {seed} · default {:.4} · by lot {:.4} · outset {:.4} · optuna {:.4}",
                row.name,
                random.default.1,
                random.best_within(budget),
                tuned.best_within(budget),
                optuna.best_within(budget)
            );
        }
    }
    let mut lines = Vec::new();
    for row in ROWS {
        lines.extend(row.line(&kept.all(row)?, size));
    }
    let head = [
        "data",
        "seeds",
        "default",
        "by lot",
        "Outset",
        "Optuna",
        "better than by lot",
        "by lot's value after",
        "better than Optuna",
    ];
    let table = document::table(&head, &lines);
    println!("\n{table}");
    let of =
        |count: Option<usize>, what: &str| count.map_or("all".to_owned(), |count| format!("{count} {what}"));
    let size = format!(
        "Budget: the processor time of {} full runs; {} of the data, epochs of a full run: {}.",
        size.runs,
        of(size.rows, "rows"),
        of(size.epochs, "").trim().replace("all", "the default's"),
    );
    Ok(format!("{words}\n\n{size}\n\n{table}"))
}

impl Row {
    /// Searches with `outset tune` until the budget is spent, or that of the default's run times the runs.
    fn search(
        &self,
        place: &Place,
        data: &Path,
        seed: u64,
        size: &Size,
        budget: Option<f64>,
        settings: &[&str],
    ) -> Outcome<Course> {
        let runs = place.work.join(format!("{}-{seed}-{}", self.name, settings.len()));
        let mut command = place.outset(&["--json", "--threads", "1", "tune"]);
        command.arg(self.experiment(place)).args(self.settings(data, seed, size));
        // Random search has no end; the search by default has as many trials as the budget has room for.
        let trials = if settings.is_empty() { (size.runs * 9.0) as usize } else { MANY };
        command.arg("tune.parallel=1").arg(format!("tune.seed={seed}")).arg(format!("tune.trials={trials}"));
        command.args(settings).arg("--runs").arg(&runs);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            Killed(command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?);
        let output = child.0.stdout.take().ok_or("the child has no output")?;
        let (mut begun, mut default, mut points, mut is_whole) = (None, None, Vec::new(), false);
        for line in BufReader::new(output).lines() {
            let event: Value = serde_json::from_str(&line?)?;
            let now = cpu_seconds(child.0.id())?;
            match event["event"].as_str() {
                Some("study") => begun = Some(now),
                Some("trial") => {
                    let value = event["value"].as_f64();
                    if event["id"] == 0 && event["state"] == "done" {
                        let begun = begun.ok_or("the first trial came before the study")?;
                        default = Some((now - begun, value.unwrap_or(f64::NAN), now));
                    }
                    let Some((seconds, _, ended)) = default else { continue };
                    if let Some(value) = value.filter(|_| event["state"] != "failed") {
                        points.push((now - ended, value));
                    }
                    is_whole = now - ended >= budget.unwrap_or(seconds * size.runs);
                }
                // All trials are made.
                Some("tuned") => is_whole = true,
                _ => {}
            }
            if is_whole {
                break;
            }
        }
        drop(child);
        std::fs::remove_dir_all(&runs)?;
        if !is_whole {
            return Err(format!("{command:?} ended before its budget was spent").into());
        }
        let (seconds, value, _) = default.ok_or_else(|| format!("{command:?} ended without a trial"))?;
        Ok(Course { default: (seconds, value), points })
    }

    /// Searches with Optuna until the budget is spent.
    fn by_optuna(
        &self,
        place: &Place,
        data: &Path,
        seed: u64,
        size: &Size,
        budget: f64,
        default: (f64, f64),
    ) -> Outcome<Course> {
        let runs = place.work.join(format!("{}-{seed}-optuna", self.name));
        let mut twin = place.twin("tune/twin.py");
        twin.arg("--outset").arg(&place.outset).arg("--experiment").arg(self.experiment(place));
        twin.arg("--runs").arg(&runs).args(["--metric", self.metric, "--seed", &seed.to_string()]);
        twin.args([
            "--epochs",
            &size.epochs.unwrap_or(27).to_string(),
            "--budget",
            &budget.to_string(),
            "--",
        ]);
        twin.args(self.settings(data, seed, size));
        let log = place.work.join(format!("{}-{seed}-optuna-log", self.name));
        let finished = process::run(&mut twin, &log, LIMIT)?;
        std::fs::remove_dir_all(&runs)?;
        let points = finished.output.lines().map(|line| {
            let trial: Value = serde_json::from_str(line)?;
            Ok((trial["seconds"].as_f64().unwrap_or(f64::NAN), trial["value"].as_f64().unwrap_or(f64::NAN)))
        });
        // The declared settings were tried by the others too; their value is taken from there.
        Ok(Course { default, points: points.collect::<Outcome<_>>()? })
    }

    fn experiment(&self, place: &Place) -> PathBuf {
        place.root.join(format!("benches/tune/{}.toml", self.name))
    }

    fn settings(&self, data: &Path, seed: u64, size: &Size) -> Vec<String> {
        let mut settings = vec![format!("data.source={}", data.display()), format!("data.split.seed={seed}")];
        settings.extend(size.epochs.map(|epochs| format!("train.epochs={epochs}")));
        settings
    }

    /// The row of the table, from the seeds that have all three searches.
    fn line(&self, all: &[(u64, [Course; 3])], size: &Size) -> Option<Vec<String>> {
        if all.is_empty() {
            return None;
        }
        let mut values: [Vec<f64>; 4] = Default::default();
        let (mut over_random, mut over_optuna, mut shares) = (0, 0, Vec::new());
        for (_, [random, tuned, optuna]) in all {
            let budget = random.default.0 * size.runs;
            let found = [random, tuned, optuna].map(|course| course.best_within(budget));
            values[0].push(random.default.1);
            found.iter().zip(&mut values[1..]).for_each(|(found, values)| values.push(*found));
            over_random += usize::from(found[1] < found[0]);
            over_optuna += usize::from(found[1] < found[2]);
            // What chance did not make better than the declared settings says nothing of how soon others are as good.
            if found[0] < random.default.1 {
                shares.push(tuned.seconds_to(found[0]) / budget);
            }
        }
        let show = |values: &[f64]| {
            let middle = median(values);
            if middle > 100.0 { format!("{middle:.0}") } else { format!("{middle:.4}") }
        };
        let count = all.len();
        let after = median(&shares);
        Some(vec![
            self.name.to_owned(),
            count.to_string(),
            show(&values[0]),
            show(&values[1]),
            show(&values[2]),
            show(&values[3]),
            format!("{over_random} of {count}"),
            match shares.len() {
                0 => "–".to_owned(),
                some if after.is_finite() => {
                    format!("{:.0} % of the time ({some} of {count})", after * 100.0)
                }
                some => format!("never ({some} of {count})"),
            },
            format!("{over_optuna} of {count}"),
        ])
    }
}

impl Course {
    /// The best value after so many seconds, that of the declared settings among them.
    fn best_within(&self, seconds: f64) -> f64 {
        let in_time = self.points.iter().filter(|(at, _)| *at <= seconds).map(|(_, value)| *value);
        in_time.fold(self.default.1, f64::min)
    }

    /// Seconds until a value is as good; infinite where none is.
    fn seconds_to(&self, value: f64) -> f64 {
        let found = self.points.iter().find(|(_, found)| *found <= value);
        found.map_or(f64::INFINITY, |(at, _)| *at)
    }

    fn to_json(&self) -> Value {
        json!({ "default": self.default, "points": self.points })
    }

    fn from_json(value: &Value) -> Outcome<Self> {
        let pair = |value: &Value| Some((value[0].as_f64()?, value[1].as_f64()?));
        let points = value["points"].as_array().map(|points| points.iter().filter_map(pair).collect());
        Ok(Self {
            default: pair(&value["default"]).ok_or("a kept search has no default")?,
            points: points.ok_or("a kept search has no points")?,
        })
    }
}

/// What was measured before.
struct Kept {
    path: PathBuf,
}

impl Kept {
    fn open(place: &Place, size: &Size) -> Outcome<Self> {
        let folder = place.work.join("../../bench-tune");
        std::fs::create_dir_all(&folder)?;
        let mut name = format!("{}-runs", size.runs);
        size.rows.map(|rows| write!(name, "-{rows}-rows")).transpose()?;
        size.epochs.map(|epochs| write!(name, "-{epochs}-epochs")).transpose()?;
        Ok(Self { path: folder.canonicalize()?.join(format!("{name}.jsonl")) })
    }

    fn lines(&self) -> Outcome<Vec<Value>> {
        let text = if self.path.exists() { std::fs::read_to_string(&self.path)? } else { String::new() };
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    fn find(&self, row: &Row, seed: u64, by: &str) -> Outcome<Option<Course>> {
        let is_it = |line: &Value| line["data"] == row.name && line["seed"] == seed && line["by"] == by;
        self.lines()?
            .iter()
            .find(|line| is_it(line))
            .map(|line| Course::from_json(&line["course"]))
            .transpose()
    }

    /// A search that was made before, or that is made and kept now.
    fn or_make(
        &self,
        row: &Row,
        seed: u64,
        by: &str,
        make: impl FnOnce() -> Outcome<Course>,
    ) -> Outcome<Course> {
        if let Some(course) = self.find(row, seed, by)? {
            return Ok(course);
        }
        let course = make()?;
        let line = json!({ "data": row.name, "seed": seed, "by": by, "course": course.to_json() });
        let mut file = std::fs::File::options().create(true).append(true).open(&self.path)?;
        writeln!(file, "{line}")?;
        Ok(course)
    }

    /// The seeds of a row that have all three searches.
    fn all(&self, row: &Row) -> Outcome<Vec<(u64, [Course; 3])>> {
        let lines = self.lines()?;
        let mut seeds: Vec<u64> = lines.iter().filter_map(|line| line["seed"].as_u64()).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let mut all = Vec::new();
        for seed in seeds {
            let [random, tuned, optuna] = ["random", "outset", "optuna"].map(|by| self.find(row, seed, by));
            if let (Some(random), Some(tuned), Some(optuna)) = (random?, tuned?, optuna?) {
                all.push((seed, [random, tuned, optuna]));
            }
        }
        Ok(all)
    }
}

/// A child that does not outlive its use.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds that a process had the processor.
fn cpu_seconds(pid: u32) -> Outcome<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold blanks.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |field: usize| -> Outcome<f64> { Ok(fields.get(field).ok_or("no such field")?.parse()?) };
    // SAFETY: asks for a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    Ok((ticks(11)? + ticks(12)?) / per_second)
}

/// A file with at most so many records of a CSV file, evenly spaced, below its header; the file itself where all are asked
/// for.
fn subset(data: &Path, rows: Option<usize>, output: &Path) -> Outcome<PathBuf> {
    let Some(rows) = rows else { return Ok(data.to_owned()) };
    let text = std::fs::read_to_string(data)?;
    let records = records(&text);
    let (header, records) = records.split_first().ok_or("the file is empty")?;
    let count = rows.min(records.len());
    let chosen = (0..count).map(|index| records[index * records.len() / count]);
    std::fs::write(output, std::iter::once(*header).chain(chosen).collect::<String>())?;
    Ok(output.to_owned())
}

/// The records of a CSV file with their line ends, of which one in quotes ends none.
fn records(text: &str) -> Vec<&str> {
    let (mut records, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => {
                records.push(&text[start..=at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < text.len() {
        records.push(&text[start..]);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_in_quotes_ends_no_record() {
        assert_eq!(records("a,b\n1,\"x\ny\"\n2,z"), ["a,b\n", "1,\"x\ny\"\n", "2,z"]);
    }

    #[test]
    fn a_course_is_judged_within_the_budget() {
        let course = |points: &[(f64, f64)]| Course { default: (2.0, 5.0), points: points.to_vec() };
        let random = course(&[(3.0, 4.0), (30.0, 1.0), (50.0, 0.5)]);
        assert_eq!((random.best_within(1.0), random.best_within(40.0)), (5.0, 1.0));
        assert_eq!((random.seconds_to(5.0), random.seconds_to(1.0)), (3.0, 30.0));
        assert_eq!(random.seconds_to(0.1), f64::INFINITY);
        let (tuned, optuna) = (course(&[(4.0, 1.0), (9.0, 0.8)]), course(&[(4.0, 0.7)]));
        let again = Course::from_json(&tuned.to_json()).unwrap();
        assert_eq!(again.points, tuned.points);
        let size = Size { runs: 20.0, rows: None, epochs: None };
        let line = ROWS[0].line(&[(0, [random, tuned, optuna])], &size).unwrap();
        assert_eq!(line[6..], ["1 of 1", "10 % of the time (1 of 1)", "0 of 1"]);
    }

    #[test]
    fn each_row_has_its_experiment() {
        for row in ROWS {
            let path = format!("{}/../benches/tune/{}.toml", env!("CARGO_MANIFEST_DIR"), row.name);
            let text = std::fs::read_to_string(&path).unwrap();
            let output = row.metric.split('/').next().unwrap();
            assert!(text.contains(&format!("name = \"{}\"", row.name)), "{path}");
            assert!(text.contains(&format!("\n{output} = ")), "{path}");
        }
    }
}
