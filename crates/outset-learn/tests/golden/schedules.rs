use crate::{cases, close, numbers, section};
use outset_learn::schedules::Schedule;
use outset_spec::Problems;

#[test]
fn factors_are_pytorchs() {
    for case in cases(include_str!("schedules.json")) {
        let what = case["section"].as_str().unwrap();
        let mut problems = Problems::default();
        let schedule = Schedule::read(&section(&case), &mut problems);
        assert!(problems.is_empty(), "{problems}");
        let expected = numbers(&case["factors"]);
        let total = expected.len();
        let found: Vec<f64> = (1..=total).map(|step| schedule.factor(step, total)).collect();
        close(what, &found, &expected, 1e-9);
    }
}
