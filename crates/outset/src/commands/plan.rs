//! `outset plan`.

use super::Failure;
use crate::arguments::{What, Where};
use crate::interrupt;
use crate::locate::locate;
use crate::printer::{Printer, clock, count};
use outset_learn::plan::prices::Prices;
use outset_learn::plan::scaling::{BESIROGLU, Fit, HOFFMANN, shape};
use outset_learn::plan::{Plan, rehearse};
use outset_learn::tune::space::parts;
use outset_learn::{event::Event, files, resume, run};
use outset_spec::record::{Money, RunRecord};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where the last forecast of each experiment is kept, in the folder of its runs.
const FILE: &str = "plan.json";

/// A folder that is removed again.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Forecasts a run.
pub fn plan(what: &What, place: &Where, printer: &Printer) -> Result<(), Failure> {
    let located = locate(what)?;
    let runs = place.runs.clone().unwrap_or(located.runs);
    let prices = Prices::find(place.prices.as_deref(), &located.experiment.folder)?;
    let folder = std::env::temp_dir();
    let scratch = Scratch(files::new_run(&folder, &format!("outset-plan-{}", std::process::id()))?);
    interrupt::end_without(scratch.0.clone());
    let rehearsal = rehearse(&located.experiment, &scratch.0, &mut |event| {
        if matches!(event, Event::Data { .. } | Event::Split { .. } | Event::Model { .. }) {
            printer.event(event);
        }
    })?;
    let watch = Instant::now();
    begin_and_end();
    if scratch.0.join("run.json").is_file() {
        super::report::write(&scratch.0)?;
        // A run's record is written again with what the report took.
        run::write_record(&scratch.0, &run::read_record(&scratch.0)?)?;
    }
    let key = json!({
        "declared": rehearsal.declared,
        "rows_sha256": rehearsal.rows_sha256,
        "threads": rehearsal.threads,
    });
    let plan = rehearsal.plan(watch.elapsed().as_secs_f64(), outset_learn::peak_memory_bytes(), &prices);
    // A forecast that cannot be kept is a forecast all the same.
    if std::fs::create_dir_all(&runs).is_ok() {
        let kept = json!({ "for": key, "plan": plan });
        let _ = files::write(&runs.join(FILE), kept.to_string().as_bytes());
    }
    if printer.is_json() {
        printer.object(&plan);
    } else {
        show(&plan, printer);
    }
    Ok(())
}

/// Begins this program and ends it again, which a run's own clock does not see.
fn begin_and_end() {
    if let Ok(program) = std::env::current_exe() {
        let _ = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    }
}

fn show(plan: &Plan, printer: &Printer) {
    let rehearsal = &plan.rehearsal;
    let lines = [
        (
            "rows",
            format!(
                "{} train · {} val · {} test",
                count(rehearsal.train_rows),
                count(rehearsal.val_rows),
                count(rehearsal.test_rows)
            ),
        ),
        (
            "steps",
            format!(
                "{} of {} rows, {} epochs at most",
                count(rehearsal.steps),
                count(rehearsal.batch_size),
                rehearsal.epochs
            ),
        ),
        (
            "search",
            rehearsal.search.as_ref().map_or_else(String::new, |search| {
                format!(
                    "{} trials, worth about {:.1} full runs, {} at most",
                    count(search.trials),
                    search.full_runs,
                    search.most_full_runs
                )
            }),
        ),
        ("parameters", count(plan.parameters)),
        ("arithmetic", format!("{} FLOPs", scientific(plan.flops))),
        ("memory", bytes(plan.peak_memory_bytes)),
        (
            "time",
            format!(
                "{} ({} of training; {} steps were timed){}",
                time(plan.seconds),
                time(plan.train_seconds),
                rehearsal.steps_timed,
                if plan.least_seconds < plan.seconds * 0.95 {
                    format!(", {} at least where it stops early", time(plan.least_seconds))
                } else {
                    String::new()
                }
            ),
        ),
        ("energy", watt_hours(plan.energy_kwh)),
        ("price", money(&plan.cost)),
        ("verdict", plan.verdict.clone()),
    ];
    let of_steps = ["arithmetic", "memory", "time", "energy", "price"];
    let is_known = |name: &str| rehearsal.was_timed() || !of_steps.contains(&name);
    for (name, text) in lines.into_iter().filter(|(name, text)| !text.is_empty() && is_known(name)) {
        printer.answer(&format!("{name:<11}{text}\n"));
    }
    if plan.hardware.is_empty() {
        return;
    }
    printer.answer(&format!("\nElsewhere, roughly (prices of {}):\n", plan.prices));
    let mut rows = vec![["machine", "device", "time", "energy", "price", "memory"].map(str::to_owned)];
    for there in &plan.hardware {
        rows.push([
            there.name.clone(),
            there.device.clone(),
            time(there.seconds),
            // A table of hardware need not say what it draws.
            if there.energy_kwh > 0.0 { watt_hours(there.energy_kwh) } else { "–".to_owned() },
            money(&there.cost),
            if there.fits_memory { "fits" } else { "does not fit" }.to_owned(),
        ]);
    }
    printer.table(&rows);
}

/// Says which language model makes the most of a budget of arithmetic.
pub fn language_model(flops: f64, context: Option<u32>, printer: &Printer) -> Result<(), Failure> {
    if !(1e12..1e30).contains(&flops) {
        return Err(Failure::wrong(format!("`--language-model` is {flops}, but must be from 1e12 to 1e30")));
    }
    let head = ["fit", "parameters", "layers", "hidden size", "tokens", "tokens a parameter", "loss"];
    let mut rows = vec![head.map(str::to_owned)];
    for fit in [BESIROGLU, HOFFMANN] {
        let best = match context {
            Some(context) => fit.optimum_with_context(flops, context.into()),
            None => fit.optimum(flops),
        };
        let (layers, hidden) = shape(best.parameters);
        if printer.is_json() {
            printer.object(&json!({
                "event": "optimum", "fit": fit.name, "flops": flops,
                "parameters": best.parameters, "tokens": best.tokens, "loss": best.loss,
                "num_layers": layers.round(), "hidden_size": hidden.round(), "context": context,
            }));
        }
        rows.push([
            fit.name.to_owned(),
            scientific(best.parameters),
            format!("{layers:.0}"),
            format!("{hidden:.0}"),
            scientific(best.tokens),
            format!("{:.1}", best.tokens / best.parameters),
            format!("{:.3}", best.loss),
        ]);
    }
    if !printer.is_json() {
        printer.table(&rows);
        let Fit { e, .. } = BESIROGLU;
        printer.answer(&format!(
            "\nThe losses are those of the data that was fitted, whose own entropy the first fit puts at {e}.\n"
        ));
    }
    Ok(())
}

/// Writes into a record what it cost, and the forecast of it beside what came, where there was one.
pub fn compare(folder: &Path, record: &mut RunRecord, prices: &Prices) {
    let seconds = record.timings.get("total").copied().unwrap_or(0.0);
    let cost = prices.cost(seconds, record.environment.threads);
    let kept = folder.parent().map(|runs| runs.join(FILE)).and_then(|path| std::fs::read(path).ok());
    let kept: Option<Value> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let (Some(kept), Ok(state)) = (kept, resume::read_state(folder)) {
        // Where a search was forecast, its winner's settings stand in the place of the declared ones.
        let declared = |declared: &Value| {
            let mut declared = declared.clone();
            if let Some(tune) = &state.tune {
                take_out(&mut declared, &["tune".to_owned()]);
                tune.keys.keys().for_each(|key| take_out(&mut declared, &parts(key)));
            }
            declared
        };
        let same = declared(&kept["for"]["declared"]) == declared(&state.declared)
            && kept["for"]["rows_sha256"] == state.data.rows_sha256.as_str()
            && kept["for"]["threads"] == record.environment.threads;
        if same {
            let plan = &kept["plan"];
            let (steps, planned) = (record.training.steps, plan["rehearsal"]["steps"].as_f64());
            record.forecast = Some(json!({
                "seconds": plan["seconds"],
                "train_seconds": plan["train_seconds"],
                "peak_memory_bytes": plan["peak_memory_bytes"],
                // The forecast may have been made with other prices.
                "cost": prices.cost(plan["seconds"].as_f64().unwrap_or(0.0), record.environment.threads),
                "steps": plan["rehearsal"]["steps"],
                // Training may end before its last epoch; the forecast for the steps that were made.
                "seconds_for_steps": planned.filter(|_| plan["rehearsal"]["search"].is_null()).map(|planned| {
                    let train = plan["train_seconds"].as_f64().unwrap_or(0.0);
                    let whole = plan["seconds"].as_f64().unwrap_or(0.0);
                    whole - train + train * steps as f64 / planned.max(1.0)
                }),
                "actual": {
                    "seconds": seconds,
                    "train_seconds": record.timings.get("train"),
                    "peak_memory_bytes": record.peak_memory_bytes,
                    "cost": cost,
                    "steps": steps,
                },
            }));
        }
    }
    record.cost = Some(cost);
}

/// Takes a key out of a table, and the tables that are empty without it.
fn take_out(table: &mut Value, parts: &[String]) {
    let (Some(table), [first, rest @ ..]) = (table.as_object_mut(), parts) else { return };
    if let Some(inner) = table.get_mut(first).filter(|_| !rest.is_empty()) {
        take_out(inner, rest);
        if inner.as_object().is_none_or(|inner| !inner.is_empty()) {
            return;
        }
    }
    table.shift_remove(first);
}

/// A time as people say it.
fn time(seconds: f64) -> String {
    if seconds < 60.0 { format!("{} s", significant(seconds)) } else { clock(seconds) }
}

fn watt_hours(energy_kwh: f64) -> String {
    format!("{} Wh", significant(energy_kwh * 1000.0))
}

fn money(money: &Money) -> String {
    let digits = if money.amount < 0.01 { 5 } else { 2 };
    format!("{:.digits$} {}", money.amount, money.currency)
}

fn bytes(bytes: u64) -> String {
    let mebibytes = bytes as f64 / (1 << 20) as f64;
    if mebibytes < 1024.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
}

fn significant(value: f64) -> String {
    let digits = if value >= 10.0 {
        0
    } else if value >= 1.0 {
        1
    } else {
        3
    };
    format!("{value:.digits$}")
}

/// `1.2e9`.
fn scientific(value: f64) -> String {
    format!("{value:.2e}")
}
