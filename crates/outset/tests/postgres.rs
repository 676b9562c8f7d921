//! One search by many machines, over a real PostgreSQL server, where `OUTSET_POSTGRES` names the folder of its programs.
#![cfg(unix)]
#![allow(clippy::print_stderr)]

mod common;

use common::Sandbox;
use outset_learn::checkpoint;
use outset_learn::tune::database::{Database, Place, Trial};
use outset_learn::tune::engine::{Address, Cell, Engine as _, Piece, Postgres};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A server of its own for one test; it asks for a password.
struct Server {
    process: Child,
    port: u16,
    _folder: TempDir,
}

/// User and group that the server runs as: PostgreSQL refuses to be run by root.
fn user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]) == Some(0) { Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)) } else { None }
}

impl Server {
    /// Starts a server, or says in one line that the test is left out.
    fn start() -> Option<Self> {
        let Some(programs) = std::env::var_os("OUTSET_POSTGRES").map(PathBuf::from) else {
            eprintln!("left out: OUTSET_POSTGRES names no folder with the programs of PostgreSQL");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (data, secret) = (folder.path().join("data"), folder.path().join("secret"));
        std::fs::write(&secret, "pass: word").unwrap();
        std::fs::create_dir(&data).unwrap();
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            if let Some((user, group)) = user() {
                command.uid(user).gid(group).env("HOME", folder.path());
            }
            command.current_dir(folder.path());
            command
        };
        if let Some((user, group)) = user() {
            for path in [folder.path(), &data, &secret] {
                std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
            }
        }
        let made = command("initdb")
            .args(["--auth=scram-sha-256", "--username=ann", "--no-sync", "--pwfile"])
            .arg(&secret)
            .arg("--pgdata")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = command("postgres")
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-p", &port.to_string(), "-k"])
            .arg(folder.path())
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ready =
            || command("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status();
        while !ready().unwrap().success() {
            assert!(process.try_wait().unwrap().is_none(), "the server did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { process, port, _folder: folder })
    }

    fn address(&self) -> String {
        format!("postgres://ann:pass%3A%20word@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A machine with a copy of the experiment and its data.
fn machine() -> Sandbox {
    let mut rows = String::from("age,city,price\n");
    for row in 0..400 {
        let lot = row * 7919 % 1013;
        let age = 20 + lot % 50;
        let _ = writeln!(rows, "{age},{},{}", ["Rome", "Oslo"][lot % 2], 100 + 3 * age + (row * 37) % 11);
    }
    let file = "name = \"it\"\n[data]\nsource = \"data.csv\"\n[outputs]\nprice = \"number\"\n\
                [model]\nmembers = 2\nhidden_size = 16\nnum_layers = 1\n\
                [train]\nepochs = 9\nema = 0.0\nearly_stopping = false\n\
                optimizer = { kind = \"adamw\", learning_rate = 1e-5 }\n\
                [tune]\ntrials = 12\nparallel = 1\n\
                space.\"train.optimizer.learning_rate\" = { log = [1e-4, 1e-1] }\n\
                space.\"model.hidden_size\" = { choice = [8, 16] }\n";
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", rows).write("outset.toml", file);
    sandbox
}

fn search(machine: &Sandbox, address: &str) -> Command {
    let mut command = machine.command(&["-q", "--threads", "1", "tune", "--study", address]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The folder of a trial on a machine.
fn of_trial(machine: &Sandbox, id: usize) -> Option<PathBuf> {
    let study = std::fs::read_dir(machine.path("runs/it.study")).ok()?.flatten().next()?.path();
    let folder = study.join(format!("trials/{id:04}"));
    folder.is_dir().then_some(folder)
}

#[test]
fn many_machines_work_on_one_search() {
    let Some(server) = Server::start() else { return };
    let address = server.address();
    // One that is lost amid its fourth trial, with all that it had.
    let lost = machine();
    let mut child = search(&lost, &address).spawn().unwrap();
    while of_trial(&lost, 4).is_none() {
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            panic!("the search ended too early: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lost);

    let machines = [machine(), machine()];
    let children = machines.each_ref().map(|machine| search(machine, &address).spawn().unwrap());
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let winners: Vec<&Sandbox> =
        machines.iter().filter(|machine| machine.path("runs/it-1/run.json").exists()).collect();
    let [winner] = winners[..] else { panic!("{} machines tested the winner", winners.len()) };
    assert!(
        machines.iter().all(|machine| of_trial(machine, 0).is_none()),
        "trial 0 was done by the lost one"
    );
    let record = winner.json("runs/it-1/run.json");
    let trials = record["tune"]["trials"].as_array().unwrap();
    let ids: BTreeSet<u64> = trials.iter().map(|trial| trial["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (0..=12).collect());
    assert_eq!(record["test_looks"], 1);
    let study = record["tune"]["study"].as_str().unwrap();
    assert_eq!(study, format!("postgres://ann@127.0.0.1:{}/postgres", server.port), "no password is kept");

    // Whichever machines the winner was on, it ends as one that never moved.
    let bundle = std::fs::read(winner.path("runs/it-1/bundle/model.safetensors")).unwrap();
    winner.ok(&["-q", "--threads", "1", "run", "runs/it-1/best.toml", "--runs", "again"]);
    let again = std::fs::read(winner.path("again/it-1/bundle/model.safetensors")).unwrap();
    assert!(bundle == again, "weights differ");

    let slips = machine();
    let port = server.port.to_string();
    let refused = |address: &str| {
        let said = slips.transcript(&["-q", "tune", "train.epochs=3", "--study", address]);
        said.replace(&port, "PORT")
    };
    assert_eq!(
        refused(&address),
        "exit 2\nerror: `postgres://ann@127.0.0.1:PORT/postgres` is the study of another experiment: \
         `train.epochs` was 9 and is 3\n\
         hint: put the experiment back to go on with it, or give it another `name` than `it`\n"
    );
    assert_eq!(
        refused(&address.replace("pass%3A", "pass")),
        "exit 1\nerror: the study `postgres://ann@127.0.0.1:PORT/postgres` cannot be worked with: \
         password authentication failed for user \"ann\"\n"
    );
    assert_eq!(
        refused(&address.replace(":pass%3A%20word", "")),
        "exit 1\nerror: the study `postgres://ann@127.0.0.1:PORT/postgres` cannot be worked with: \
         the server asks for a password, but the address names none and `PGPASSWORD` is not set\n"
    );
    drop(server);
    let said = refused(&address);
    assert!(said.ends_with("cannot be worked with: Connection refused\n"), "{said}");
}

fn open(server: &Server, name: &str) -> Database {
    let place = Place::Server(Address::parse(&server.address()).unwrap());
    Database::open(&place, name, &json!({}), "loss").unwrap()
}

fn write_checkpoint(folder: &Path, step: usize, content: &[u8]) {
    let progress = outset_learn::train::Progress { step, ..Default::default() };
    let path = folder.join("checkpoints").join(checkpoint::name(step));
    let files = [Ok(("model.safetensors".to_owned(), content))];
    checkpoint::write(&path, 1, Some(&progress), files).unwrap();
}

#[test]
fn checkpoints_and_trials_travel() {
    let Some(server) = Server::start() else { return };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut a, mut b, mut other) = (open(&server, "it"), open(&server, "it"), open(&server, "other"));
    assert!(a.token() == b.token() && a.token() != other.token());

    let trial = Trial {
        id: 3,
        settings: [("train.optimizer.learning_rate".to_owned(), json!(0.1 + 0.2))].into(),
        state: "paused".to_owned(),
        values: vec![1.0 / 3.0, 1e-300],
        seconds: 0.1 + 0.2,
        latency: Some(1e-5),
        interval: Some([-1.5, 2.5]),
        error: Some("it's \"wrong\" — \\ $1".to_owned()),
        ..Trial::default()
    };
    a.alone(|database| database.put(&trial)).unwrap();
    assert_eq!(b.trials().unwrap(), [trial]);
    assert!(other.trials().unwrap().is_empty());

    assert!(a.hold(Piece::Trial(3)).unwrap() && !b.hold(Piece::Trial(3)).unwrap());
    assert!(other.hold(Piece::Trial(3)).unwrap(), "studies do not get in each other's way");
    assert!(a.hold(Piece::Conclusion).unwrap() && !b.hold(Piece::Conclusion).unwrap());
    assert_eq!(b.held().unwrap(), BTreeSet::from([3]));
    a.release(Piece::Trial(3)).unwrap();
    assert!(b.held().unwrap().is_empty());

    // Every byte there is, and more than a packet holds.
    let content: Vec<u8> = (0..300_000u32).map(|index| (index % 251) as u8 ^ (index >> 12) as u8).collect();
    write_checkpoint(here.path(), 800, &content);
    a.keep(3, here.path()).unwrap();
    b.fetch(3, there.path()).unwrap();
    let (_, found) = checkpoint::find(&there.path().join("checkpoints")).newest.unwrap();
    assert!(found.progress.step == 800 && found.files["model.safetensors"] == content);
    // What is here is farther than what is there.
    write_checkpoint(there.path(), 900, &content[..10]);
    b.fetch(3, there.path()).unwrap();
    assert_eq!(checkpoint::list(&there.path().join("checkpoints"))[0].0, 900);
    b.keep(3, there.path()).unwrap();
    a.fetch(3, here.path()).unwrap();
    let (_, found) = checkpoint::find(&here.path().join("checkpoints")).newest.unwrap();
    assert!(found.progress.step == 900 && found.files["model.safetensors"] == content[..10]);

    // A connection that ends lets go of all that it held.
    drop(a);
    while !b.hold(Piece::Conclusion).unwrap() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nobody_waits_for_ever() {
    let Some(server) = Server::start() else { return };
    let mut connection = Postgres::connect(&Address::parse(&server.address()).unwrap()).unwrap();
    let shown = |name: &str| connection.run(&format!("SHOW {name}"), &[]).unwrap();
    assert_eq!(
        ["statement_timeout", "tcp_keepalives_idle"].map(shown),
        ["5min", "60"].map(|value| [[Cell::Text(value.to_owned())]])
    );
}
