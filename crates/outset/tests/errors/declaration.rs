//! What is wrong with the experiment file or the arguments.

use crate::{check, check_file};
use expect_test::expect;

#[test]
fn keys_and_kinds_misspelt() {
    check_file(
        "[data]\nsorce = \"data.csv\"\n[inputs]\nage = \"nummer\"\n[outputs]\nprice = \"number\"\n[model]\nkind = \"mpl\"\n[train]\nepocs = 3\noptimizer = \"adamm\"\n",
        expect![[r#"
            exit 2
            error: unknown key `data.sorce`
             --> outset.toml:2:1
              |
            2 | sorce = "data.csv"
              | ^^^^^
            hint: did you mean `source`?

            error: unknown type `nummer` of column `age`
             --> outset.toml:4:7
              |
            4 | age = "nummer"
              |       ^^^^^^^^
            hint: did you mean `number`?

            error: unknown model `mpl`
             --> outset.toml:8:8
              |
            8 | kind = "mpl"
              |        ^^^^^
            hint: did you mean `mlp`?

            error: unknown key `train.epocs`
              --> outset.toml:10:1
               |
            10 | epocs = 3
               | ^^^^^
            hint: did you mean `epochs`?

            error: unknown optimizer `adamm`
              --> outset.toml:11:13
               |
            11 | optimizer = "adamm"
               |             ^^^^^^^
            hint: did you mean `adam`? `outset list optimizers` shows all

            error: `data.source` is missing
            hint: name the file with your rows, for example `source = "data.csv"`
        "#]],
    );
    check_file(
        "[data]\nsource = \"data.csv\"\n[inputs]\nage = \"nummer\"\n[outputs]\nprice = \"number\"\n[model]\nkind = \"mpl\"\nhidden = 3\n[train]\noptimizer = \"adamm\"\n",
        expect![[r#"
            exit 2
            error: unknown type `nummer` of column `age`
             --> outset.toml:4:7
              |
            4 | age = "nummer"
              |       ^^^^^^^^
            hint: did you mean `number`?

            error: unknown model `mpl`
             --> outset.toml:8:8
              |
            8 | kind = "mpl"
              |        ^^^^^
            hint: did you mean `mlp`?

            error: unknown optimizer `adamm`
              --> outset.toml:11:13
               |
            11 | optimizer = "adamm"
               |             ^^^^^^^
            hint: did you mean `adam`? `outset list optimizers` shows all
        "#]],
    );
}

#[test]
fn values_of_another_type() {
    check_file(
        "[data]\nsource = \"data.csv\"\n[outputs]\nprice = \"number\"\n[model]\ndropout = \"a lot\"\nhidden_size = 0\n[train]\nepochs = -3\noptimizer = { kind = \"sgd\", learning_rate = -0.001 }\n",
        expect![[r#"
            exit 2
            error: `model.dropout` is `"a lot"`, but must be a number
             --> outset.toml:6:11
              |
            6 | dropout = "a lot"
              |           ^^^^^^^

            error: `model.hidden_size` is `0`, but must be from 1 to 1000000
             --> outset.toml:7:15
              |
            7 | hidden_size = 0
              |               ^

            error: `train.epochs` is `-3`, but must be at least 1
             --> outset.toml:9:10
              |
            9 | epochs = -3
              |          ^^

            error: `train.optimizer.learning_rate` is `-0.001`, but must be greater than 0
              --> outset.toml:10:45
               |
            10 | optimizer = { kind = "sgd", learning_rate = -0.001 }
               |                                             ^^^^^^
        "#]],
    );
}

#[test]
fn text_that_is_not_toml() {
    check_file(
        "[data\nsource = 3\n",
        expect![[r#"
        exit 2
        error: unclosed table, expected `]`
         --> outset.toml:1:6
          |
        1 | [data
          |      ^
    "#]],
    );
}

#[test]
fn columns_that_are_not_there() {
    check_file(
        "[data]\nsource = \"data.csv\"\nexclude = [\"citty\"]\n[inputs]\nagee = \"number\"\n[outputs]\nprice = \"number\"\n",
        expect![[r#"
            exit 2
            error: `[inputs]` names column `agee`, which `data.csv` does not have
             --> outset.toml:5:1
              |
            5 | agee = "number"
              | ^^^^
            hint: did you mean `age`?

            error: `data.exclude` names column `citty`, which `data.csv` does not have
             --> outset.toml:3:12
              |
            3 | exclude = ["citty"]
              |            ^^^^^^^
            hint: did you mean `city`?
        "#]],
    );
}

#[test]
fn arguments_that_are_wrong() {
    check(
        &[],
        &["-q", "new"],
        expect![[r#"
        exit 2
        error: nothing to begin from
        hint: `outset new DIR --from DATA --target COLUMN`, or `outset new --example line`
    "#]],
    );
    check(
        &[],
        &["-q", "new", "--example", "lime"],
        expect![[r#"
        exit 2
        error: unknown example `lime`
        hint: did you mean `line`?
    "#]],
    );
    check(
        &[],
        &["-q", "report", "nowhere"],
        expect![[r#"
        exit 2
        error: `nowhere` holds no `run.json`, but a run folder was expected
        hint: give the folder that `outset run` named after `Saved`, such as `runs/line-1`
    "#]],
    );
}

#[test]
fn a_spread_where_nothing_is_divided() {
    check_file(
        "[data]\nsource = \"data.csv\"\n[inputs]\nage = { type = \"number\", scale = \"quantile\", spread = 3 }\n[outputs]\nprice = \"number\"\n",
        expect![[r#"
            exit 2
            error: `inputs.age.spread` has no place where `scale` is "quantile"
             --> outset.toml:4:55
              |
            4 | age = { type = "number", scale = "quantile", spread = 3 }
              |                                                       ^
            hint: it belongs to the scales "standard", "robust" and "log"
        "#]],
    );
}
