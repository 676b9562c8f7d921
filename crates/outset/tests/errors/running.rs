//! What goes wrong on the way: the device, the loss, the disk.

use crate::common::Sandbox;
use crate::table;
use expect_test::expect;

#[test]
fn a_loss_that_runs_away() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table());
    let transcript = sandbox.transcript(&[
        "-q",
        "run",
        "data.csv",
        "--target",
        "price",
        "model.kind=linear",
        "train.optimizer.kind=sgd",
        "train.optimizer.learning_rate=1e30",
        "train.epochs=9",
        "train.schedule=constant",
    ]);
    expect![[r#"
        exit 1
        error: training stopped at step 2: the loss is no longer finite (last finite value 861.6)
        hint: the last good state is `runs/data-1/checkpoints/step-000000`; try a lower `train.optimizer.learning_rate` than 1e30
    "#]]
    .assert_eq(&transcript);
    assert!(!sandbox.path("runs/data-1/run.json").exists());
    let later = sandbox.transcript(&[
        "-q",
        "run",
        "data.csv",
        "--target",
        "price",
        "model.kind=linear",
        "train.optimizer.kind=sgd",
        "train.optimizer.learning_rate=1e5",
        "train.epochs=50",
        "train.schedule=constant",
        "train.clip_norm=0",
    ]);
    assert!(later.contains("hint: the last good state is `runs/data-2/checkpoints/step-0000"), "{later}");
    assert_eq!(std::fs::read_dir(sandbox.path("runs/data-2/checkpoints")).unwrap().count(), 1);
    assert_eq!(sandbox.json("runs/data-2/state.json")["state"], "failed");
    let shown = sandbox.ok(&["runs"]);
    assert_eq!(shown.lines().filter(|line| line.contains("  failed")).count(), 2, "{shown}");
    assert!(!sandbox.path("runs/data-2/run.json").exists());
}

#[test]
fn a_folder_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table()).write("blocked", "a file where a folder should be");
    let arguments = ["-q", "run", "data.csv", "--target", "price", "train.epochs=1", "--runs", "blocked"];
    expect![[r#"
        exit 1
        error: cannot write `blocked`: it is a file, but must be a folder
    "#]]
    .assert_eq(&sandbox.transcript(&arguments));
}

/// Runs a shell script with the program as `$0` while the folder `full` is a file system of `size`; `None`, said in a line,
/// where the machine lets the test mount none.
fn on_a_small_disk(sandbox: &Sandbox, size: &str, script: &str) -> Option<std::process::Output> {
    let mount = format!("mount -t tmpfs -o size={size} none full 2>/dev/null || exit 99; {script}");
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &mount, env!("CARGO_BIN_EXE_outset")])
        .current_dir(sandbox.path(""))
        .output();
    let output = output.ok().filter(|output| output.stderr.starts_with(b"error"));
    if output.is_none() {
        eprintln!("a full disk: left out, no file system can be mounted here");
    }
    output
}

#[test]
fn a_disk_that_is_full() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table()).write("full/.keep", "");
    let script = "\"$0\" -q run data.csv --target price --runs full model.members=2 model.hidden_size=16 \
        train.epochs=1; code=$?; find full -name run.json; exit $code";
    let Some(output) = on_a_small_disk(&sandbox, "16k", script) else { return };
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing half-written counts as a run");
    // Which file no longer fits depends on the size of the others.
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("error: cannot write `full/data-1/"), "{error}");
    assert!(error.ends_with("`: No space left on device\n"), "{error}");
}

/// The disk holds the run, but no more: the report is refused as a whole, and the run stays what it was.
#[test]
fn a_disk_that_is_full_when_the_report_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table()).write("full/.keep", "");
    let run = ["-q", "run", "data.csv", "--target", "price", "train.epochs=1", "model.members=2"];
    sandbox.ok(&run);
    std::fs::remove_file(sandbox.path("runs/data-1/report.html")).unwrap();
    std::fs::remove_dir_all(sandbox.path("runs/data-1/plots")).unwrap();
    let script = "cp -r runs/data-1 full/ && dd if=/dev/zero of=full/rest bs=4k 2>/dev/null; rm full/rest; \
        dd if=/dev/zero of=full/rest bs=4k count=$(($(df --output=avail full | tail -n 1) / 4 - 4)) 2>/dev/null; \
        \"$0\" report full/data-1; code=$?; diff -r runs/data-1 full/data-1 | grep -v '^Only in full/data-1: plots$'; \
        find full/data-1 -name '.*'; \"$0\" -q predict full/data-1 data.csv | head -n 1; exit $code";
    let Some(output) = on_a_small_disk(&sandbox, "8m", script) else { return };
    assert_eq!(output.status.code(), Some(1));
    let left = String::from_utf8_lossy(&output.stdout);
    assert_eq!(left, "row,price_prediction\n", "no half of a file, and the run as it was");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("error: cannot write `full/data-1/"), "{error}");
    assert!(error.contains("`: No space left on device\n"), "{error}");
}

#[test]
fn devices_that_are_not_there() {
    let sandbox = Sandbox::new();
    expect![[r#"
        exit 2
        error: there is no device `cpu:1` on this machine
        hint: `outset doctor` lists those that there are
    "#]]
    .assert_eq(&sandbox.transcript(&["--device", "cpu:1", "runs"]));
    expect![[r#"
        exit 2
        error: unknown device `cpi`
        hint: did you mean `cpu`?
    "#]]
    .assert_eq(&sandbox.transcript(&["--device", "cpi", "runs"]));
    #[cfg(not(feature = "cuda"))]
    expect![[r#"
        exit 2
        error: unknown device `cuda:0`
        hint: for this one build the program with `--features cuda`
    "#]]
    .assert_eq(&sandbox.transcript(&["--device", "cuda:0", "runs"]));
}

#[test]
fn an_instruction_set_that_there_is_not() {
    let sandbox = Sandbox::new();
    let output = sandbox.command(&["runs"]).env("OUTSET_ISA", "mmx").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    expect![[r#"
        error: `OUTSET_ISA` is `mmx`, but must be one of `scalar`, `neon`, `avx2`, `avx512`, `avx512_bf16`, `amx`
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
}
