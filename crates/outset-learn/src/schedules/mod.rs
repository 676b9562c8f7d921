//! Courses of the learning rate: factors of the base rate by step, each as `torch.optim.lr_scheduler` computes it.
//!
//! Adding one: its file, its `mod` line and its entry below.

mod constant;
mod cosine;
mod exponential;
mod one_cycle;
mod step;

pub use self::constant::Constant;
pub use self::cosine::Cosine;
pub use self::exponential::Exponential;
pub use self::one_cycle::OneCycle;
pub use self::step::Step;

use crate::kinds::kinds;
use outset_spec::{Bounds, Problems, Section, settings};

kinds! {
    /// A course of the learning rate after warm-up.
    pub enum Course: Shape, "schedule", "schedules" {
        /// The same rate throughout.
        "constant" => Constant,
        /// A drop by a factor every so many steps.
        "step" => Step,
        /// A drop by the same factor at every step.
        "exponential" => Exponential,
        /// Half a cosine wave from the base rate down to a floor.
        "cosine" => Cosine,
        /// Up to the base rate and down to almost nothing, in one go.
        "one_cycle" => OneCycle,
    }
}

/// What a course says of one step.
trait Shape {
    /// The factor at `step` of `total` steps, the first being 0; `step < total`.
    fn factor(&self, step: usize, total: usize) -> f64;
}

settings! {
    /// A linear rise of the rate before the course begins.
    pub struct WarmUp {
        /// Steps that the rate rises for.
        warmup_steps: Option<usize> = None;
        /// Share of all steps that the rate rises for, where `warmup_steps` is left out.
        warmup: f64 = 0.0, in Bounds::between(0.0, 1.0);
    }
}

/// The course of the learning rate: a linear warm-up, then a [`Course`] over the steps that are left.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub warm_up: WarmUp,
    pub course: Course,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { warm_up: WarmUp::default(), course: Course::Constant(Constant::default()) }
    }
}

impl Schedule {
    /// Every kind with its description and its own keys; [`WarmUp`]'s keys go with each.
    pub const ALL: &'static [crate::kinds::Kind] = Course::ALL;

    /// Reads the `schedule` of `[train]`, constant where the file names none.
    pub fn read(section: &Section, problems: &mut Problems) -> Self {
        let mut reader = section.reader("train.schedule", problems);
        let warm_up = WarmUp::read_from(&mut reader);
        let Some(course) = Course::read_kind(section.kind_or("constant"), &mut reader) else {
            problems.push(Course::unknown(section));
            return Self { warm_up, ..Self::default() };
        };
        reader.finish();
        Self { warm_up, course }
    }

    /// The long form, every default filled in.
    pub fn to_section(&self) -> Section {
        let mut section = self.course.to_section();
        self.warm_up.write_to(&mut section.parameters);
        section
    }

    /// What the base rate is multiplied by at `step` of `total_steps`, the first being 1.
    ///
    /// Warm-up over `n` steps takes `1 / (n + 1)`, `2 / (n + 1)`, …; the course begins at step `n + 1`. Steps beyond
    /// the last have the factor of the last.
    pub fn factor(&self, step: usize, total_steps: usize) -> f64 {
        let total = total_steps.max(1);
        let step = step.clamp(1, total) - 1;
        let rise = match self.warm_up.warmup_steps {
            Some(steps) => steps,
            None => (self.warm_up.warmup * total as f64).round() as usize,
        };
        if step < rise {
            return (step + 1) as f64 / (rise + 1) as f64;
        }
        self.course.part().factor(step - rise, total - rise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(schedule: &Schedule, total: usize) -> Vec<f64> {
        (1..=total).map(|step| schedule.factor(step, total)).collect()
    }

    #[test]
    fn warm_up_leads_into_the_course() {
        let warm_up = WarmUp { warmup_steps: Some(3), ..WarmUp::default() };
        let schedule = Schedule { warm_up, course: Course::Constant(Constant::default()) };
        assert_eq!(factors(&schedule, 5), [0.25, 0.5, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn a_share_of_few_steps_is_rounded() {
        let warm_up = WarmUp { warmup: 0.25, ..WarmUp::default() };
        let schedule = Schedule { warm_up, course: Course::Constant(Constant::default()) };
        assert_eq!(factors(&schedule, 4), [0.5, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn any_number_of_steps_gives_finite_factors() {
        for kind in Course::KINDS {
            let schedule = Schedule::read(&Section::of(kind), &mut Problems::default());
            for total in 0..10 {
                for step in 0..12 {
                    let factor = schedule.factor(step, total);
                    assert!((0.0..=1.0).contains(&factor), "{kind} {step}/{total}: {factor}");
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read_alike() {
        for kind in Course::KINDS {
            let mut problems = Problems::default();
            let mut schedule = Schedule::read(&Section::of(kind), &mut problems);
            schedule.warm_up.warmup_steps = Some(7);
            assert_eq!(Schedule::read(&schedule.to_section(), &mut problems), schedule);
            assert_eq!(problems, Problems::default());
        }
    }

    #[test]
    fn slips_get_a_suggestion() {
        let mut problems = Problems::default();
        Schedule::read(&Section::of("cosin"), &mut problems);
        assert_eq!(
            problems.to_string(),
            "unknown schedule `cosin`\nhint: did you mean `cosine`? `outset list schedules` shows all"
        );
    }
}
