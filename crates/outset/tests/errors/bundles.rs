//! Bundles and rows that cannot be used.

use crate::common::Sandbox;
use crate::table;
use expect_test::expect;

#[test]
fn bundles_that_cannot_be_used() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table());
    sandbox.ok(&["-q", "run", "data.csv", "--target", "price", "train.epochs=2", "model.members=2"]);
    let bundle = |name: &str| format!("runs/data-1/bundle/{name}");
    let attempt = |change: &dyn Fn()| {
        let kept: Vec<(String, Vec<u8>)> =
            ["bundle.json", "preprocessor.json", "model.safetensors", "probes.jsonl"]
                .iter()
                .map(|name| (bundle(name), std::fs::read(sandbox.path(&bundle(name))).unwrap()))
                .collect();
        change();
        let transcript = sandbox.transcript(&["-q", "predict", "runs/data-1", "data.csv"]);
        for (name, content) in kept {
            sandbox.write(&name, content);
        }
        transcript
    };
    // Cut off.
    let cut = attempt(&|| {
        let path = sandbox.path(&bundle("model.safetensors"));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    expect![[r#"
        exit 2
        error: `runs/data-1/bundle/model.safetensors` was cut off or altered: its content is not what the bundle's `bundle.json` says
        hint: copy the bundle again from the run that made it
    "#]].assert_eq(&cut);
    // Gone.
    let gone = attempt(&|| std::fs::remove_file(sandbox.path(&bundle("preprocessor.json"))).unwrap());
    expect![[r#"
        exit 2
        error: `runs/data-1` is not a bundle: it has no `preprocessor.json`
        hint: give a run folder or the `bundle` folder in it
    "#]]
    .assert_eq(&gone);
    // Of a newer format.
    let newer = attempt(&|| {
        let text = sandbox.read(&bundle("bundle.json")).replacen("\"format\": 1", "\"format\": 99", 1);
        sandbox.write(&bundle("bundle.json"), text);
    });
    expect![[r#"
        exit 2
        error: the bundle `runs/data-1/bundle` has format 99, but this program reads formats up to 1
        hint: update Outset, or train again with this version
    "#]]
    .assert_eq(&newer);
    // Probes whose answers are not the model's, with a hash that fits.
    let probes = attempt(&|| {
        let old = sandbox.read(&bundle("probes.jsonl"));
        let first = old.find("\"prediction\":").unwrap() + "\"prediction\":".len();
        let new = format!("{}9{}", &old[..first], &old[first..]);
        let hash = |text: &str| outset_learn::bundle::sha256(text.as_bytes());
        let manifest = sandbox.read(&bundle("bundle.json")).replace(&hash(&old), &hash(&new));
        sandbox.write(&bundle("probes.jsonl"), new).write(&bundle("bundle.json"), manifest);
    });
    assert!(
        probes.starts_with(
            "exit 2\nerror: the bundle `runs/data-1` does not answer as the trained model did: probe 1 gives"
        ),
        "{probes}"
    );
    // Not a bundle at all.
    expect![[r#"
        exit 2
        error: `.` is not a bundle: it has no `bundle.json`
        hint: give a run folder or the `bundle` folder in it
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "predict", ".", "data.csv"]));
}

#[test]
fn rows_that_cannot_be_answered() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table());
    sandbox.ok(&["-q", "run", "data.csv", "--target", "price", "train.epochs=2", "model.members=2"]);
    sandbox.write("new.csv", "age\n3\n");
    expect![[r#"
        exit 2
        error: cannot answer the rows of `new.csv`: column `city` is missing
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "predict", "runs/data-1", "new.csv"]));
    sandbox.write("new.csv", "age,city\n3,Rome\nold,Oslo\n");
    expect![[r#"
        exit 2
        error: cannot answer the rows of `new.csv`: column `age` is a number, but row 2 holds `old`
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "predict", "runs/data-1", "new.csv"]));
}
