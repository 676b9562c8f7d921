//! `bench kernels`: the rate of each kernel beside what the machine can do.

use super::place::Place;
use super::{Outcome, document};
use std::process::{Command, Stdio};

/// Builds and runs the benchmark of `outset-kernels` on two threads and returns its table.
///
/// # Errors
/// If it cannot be built or run.
pub fn kernels(place: &Place) -> Outcome<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut bench = Command::new(cargo);
    bench.args(["bench", "--locked", "--package", "outset-kernels", "--bench", "kernels"]);
    bench.env("RAYON_NUM_THREADS", "2").current_dir(&place.root).stderr(Stdio::inherit());
    let output = bench.output()?;
    if !output.status.success() {
        return Err("the benchmark of the kernels cannot be run".into());
    }
    table(&String::from_utf8(output.stdout)?)
}

/// Makes a table of the benchmark's lines.
fn table(lines: &str) -> Outcome<String> {
    let mut lines = lines.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let machine = lines.next().unwrap_or_default();
    let [level, threads, flops, bytes] = machine[..] else {
        return Err("the benchmark of the kernels says nothing of the machine".into());
    };
    let rows: Vec<Vec<String>> = lines
        .filter(|cells| cells.len() == 5)
        .map(|cells| {
            let share = format!("{} %", cells[2]);
            [cells[0], cells[1], &share, cells[3], cells[4]].map(str::to_owned).to_vec()
        })
        .collect();
    if rows.is_empty() {
        return Err("the benchmark of the kernels shows no kernel".into());
    }
    let table = document::table(&["kernel", "rate", "of the machine's", "in three parts", "in bf16"], &rows);
    Ok(format!(
        "Instruction set: {level}, {threads} threads. The machine multiplies and adds at {flops} GFLOP/s and copies \
         64 MiB at {bytes} GB/s.\n\n{table}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_a_table() {
        let text = table(
            "avx2\t2\t200\t30.5\nlayer norm\t20.1 GB/s\t66\t\t\nproduct\t150 GFLOP/s\t75\t200 GFLOP/s\t300 GFLOP/s\n",
        );
        assert_eq!(
            text.unwrap(),
            "Instruction set: avx2, 2 threads. The machine multiplies and adds at 200 GFLOP/s and copies 64 MiB at 30.5 GB/s.\
             \n\n| kernel     | rate        | of the machine's | in three parts | in bf16     |\n\
             | ---------- | ----------- | ---------------- | -------------- | ----------- |\n\
             | layer norm | 20.1 GB/s   | 66 %             |                |             |\n\
             | product    | 150 GFLOP/s | 75 %             | 200 GFLOP/s    | 300 GFLOP/s |"
        );
        assert!(table("").is_err());
    }
}
