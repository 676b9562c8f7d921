//! `bench start`, part three: the servers, from start to ready and under load, beside FastAPI with PyTorch.

use super::Outcome;
use super::http::{self, Connection};
use super::measure::{Comparison, Goal, Unit, mebibytes, median, quantile};
use super::place::Place;
use super::process::{self, Running};
use serde_json::{Map, Value};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Rows to ask about, under the folder of the data sets; the model never saw them.
const ROWS: &str = "tabular_classification/adult_income/adult_test.csv";
/// Longest time from start to ready.
const LIMIT: Duration = Duration::from_secs(120);
/// Requests before anything is measured, and those whose time is measured.
const WARM_UP: usize = 200;
const LATENCIES: usize = 1000;
/// Connections at once, and for how long.
const CONNECTIONS: usize = 16;
const LOAD: Duration = Duration::from_secs(4);

/// What is measured of one server in all rounds.
#[derive(Default)]
struct Figures {
    ready: Vec<f64>,
    first_ready: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    per_second: Vec<f64>,
    memory: Vec<f64>,
}

/// Starts, asks and stops both servers in turns and compares the medians.
///
/// # Errors
/// If a server does not come up or a request fails.
pub fn serve(place: &Place, run: &Path, saved: &Path, rounds: usize) -> Outcome<Vec<Comparison>> {
    let requests = requests(&place.data(ROWS)?)?;
    let (mut outset, mut twin) = (Figures::default(), Figures::default());
    for round in 1..=rounds {
        let port = free_port()?;
        let mut command = place.outset(&["serve"]);
        command.arg(run).args(["--port", &port.to_string()]);
        outset.measure(&mut command, place, port, &requests)?;
        let port = free_port()?;
        let mut command = place.twin("serve/twin.py");
        command.arg("--model").arg(saved).args(["--port", &port.to_string()]);
        twin.measure(&mut command, place, port, &requests)?;
        println!("serve · round {round}/{rounds} · outset {} · twin {}", outset.last(), twin.last());
    }
    let compare = |what: &str, of: fn(&Figures) -> &[f64], unit, goal| Comparison {
        what: what.to_owned(),
        outset: median(of(&outset)),
        twin: Some(median(of(&twin))),
        unit,
        goal,
    };
    Ok(vec![
        compare(
            "`outset serve` from start to ready",
            |all| &all.ready,
            Unit::Milliseconds,
            Goal::AtMost(50.0),
        ),
        compare("… after some time without use", |all| &all.first_ready, Unit::Milliseconds, Goal::None),
        compare("one prediction on adult, p50", |all| &all.p50, Unit::Milliseconds, Goal::AtMost(1.0)),
        compare("… p99", |all| &all.p99, Unit::Milliseconds, Goal::None),
        compare("requests over 16 connections", |all| &all.per_second, Unit::PerSecond, Goal::Times(10.0)),
        compare("peak memory of the server", |all| &all.memory, Unit::Mebibytes, Goal::None),
    ])
}

impl Figures {
    fn measure(
        &mut self,
        command: &mut Command,
        place: &Place,
        port: u16,
        requests: &[Vec<u8>],
    ) -> Outcome<()> {
        // Between two rounds the system may have dropped the program's file from memory, which the first start brings back.
        let (server, seconds) = start(command, place, port)?;
        self.first_ready.push(seconds * 1e3);
        server.stop()?;
        let (server, seconds) = start(command, place, port)?;
        self.ready.push(seconds * 1e3);
        http::one_after_the_other(port, requests, WARM_UP)?;
        let seconds = http::one_after_the_other(port, requests, LATENCIES)?;
        self.p50.push(quantile(&seconds, 0.5) * 1e3);
        self.p99.push(quantile(&seconds, 0.99) * 1e3);
        self.per_second.push(http::at_once(port, requests, CONNECTIONS, LOAD)?);
        self.memory.push(mebibytes(server.stop()?));
        Ok(())
    }

    /// The figures of the last round.
    fn last(&self) -> String {
        let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
        format!(
            "ready {:.1} ms, p50 {:.3} ms, p99 {:.3} ms, {:.0} requests/s",
            last(&self.ready),
            last(&self.p50),
            last(&self.p99),
            last(&self.per_second),
        )
    }
}

/// Starts a server; gives it with the seconds until it was ready.
fn start(command: &mut Command, place: &Place, port: u16) -> Outcome<(Running, f64)> {
    let clock = Instant::now();
    let log = place.work.join("serve-log");
    let mut server = Running::start(command, &log)?;
    if !wait_until_ready(&mut server, port, clock + LIMIT) {
        return Err(format!("{command:?} does not get ready\n{}", process::last_words(&log)).into());
    }
    Ok((server, clock.elapsed().as_secs_f64()))
}

/// Asks for the server's health until it answers 200; false if it ended instead, or at the deadline.
fn wait_until_ready(server: &mut Running, port: u16, deadline: Instant) -> bool {
    let request = http::request("GET", "/health/ready", "");
    while Instant::now() < deadline && !server.has_ended() {
        if let Ok(mut connection) = Connection::open(port)
            && let Ok((200, _)) = connection.send(&request)
        {
            return true;
        }
        thread::sleep(Duration::from_micros(200));
    }
    false
}

/// A port that is free now.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Prediction requests of the first rows of a CSV file without quotes, the target left out.
fn requests(file: &Path) -> Outcome<Vec<Vec<u8>>> {
    let text = std::fs::read_to_string(file)?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let request =
        |line: &str| http::request("POST", "/predict", &Value::Object(row(&names, line)).to_string());
    Ok(lines.take(100).map(request).collect())
}

/// A line's cells by column, numbers as numbers, without the last column.
fn row(names: &[&str], line: &str) -> Map<String, Value> {
    let cells = names.iter().zip(line.split(',')).take(names.len() - 1);
    let value = |cell: &str| cell.parse::<i64>().map_or_else(|_| Value::from(cell), Value::from);
    cells.map(|(name, cell)| ((*name).to_owned(), value(cell))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_numbers_and_no_target() {
        let row = row(&["age", "work", "income"], "25,Private,<=50K");
        assert_eq!(Value::Object(row).to_string(), r#"{"age":25,"work":"Private"}"#);
    }
}
