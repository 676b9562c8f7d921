//! What hardware costs: a dated table that the user can replace.

use crate::error::LearnError;
use crate::files;
use outset_spec::record::Money;
use outset_spec::{Bounds, Problem, Problems, Reader, Table, Value, settings};
use std::path::Path;

/// Name of the file.
pub const FILE: &str = "prices.toml";

settings! {
    /// The machine that plans and runs.
    pub struct Here {
        /// Price of an hour, electricity aside.
        price_per_hour: f64 = 0.0, in Bounds::at_least(0.0);
        /// Price of a kilowatt hour.
        price_per_kwh: f64 = 0.3, in Bounds::at_least(0.0);
        /// Watts that a busy thread draws.
        watts_per_thread: f64 = 10.0, in Bounds::at_least(0.0);
        /// Watts that the machine draws beside.
        watts_idle: f64 = 25.0, in Bounds::at_least(0.0);
    }
}

settings! {
    /// A machine that can be hired.
    pub struct Hardware {
        /// What it is called.
        name: String = String::new();
        /// `cpu` or `cuda`.
        device: String = "cpu".to_owned();
        /// Threads.
        threads: usize = 1, in Bounds::at_least(1.0);
        /// Memory that training can use, in GiB.
        memory_gib: f64 = 1.0, in Bounds::above(0.0);
        /// Billions of 32-bit operations a second that training reaches; not asked of processors, which are taken to be as
        /// fast, thread for thread, as the one that plans.
        gflops: f64 = 0.0, in Bounds::at_least(0.0);
        /// Watts that it draws.
        watts: f64 = 0.0, in Bounds::at_least(0.0);
        /// Price of an hour.
        price_per_hour: f64 = 0.0, in Bounds::at_least(0.0);
        /// Where the price was read.
        source: String = String::new();
    }
}

/// The table of prices.
#[derive(Clone, Debug)]
pub struct Prices {
    /// Day that the prices were read.
    pub date: String,
    pub currency: String,
    pub here: Here,
    pub hardware: Vec<Hardware>,
}

impl Prices {
    /// The table that comes with the program.
    pub fn builtin() -> Self {
        match Self::parse("prices.toml", include_str!("prices.toml")) {
            Ok(prices) => prices,
            Err(problems) => unreachable!("the built-in prices are sound: {problems}"),
        }
    }

    /// The prices of `given`, else those beside the experiment in `folder`, else the built-in ones.
    ///
    /// # Errors
    /// If the file cannot be read, or something is wrong with it.
    pub fn find(given: Option<&Path>, folder: &Path) -> Result<Self, LearnError> {
        let beside = folder.join(FILE);
        let path = match given {
            Some(path) => path.to_owned(),
            None if beside.is_file() => beside,
            None => return Ok(Self::builtin()),
        };
        let text = String::from_utf8_lossy(&files::read(&path)?).into_owned();
        Ok(Self::parse(&path.display().to_string(), &text)?)
    }

    fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let table = Table::parse(file, text)?;
        let mut problems = Problems::default();
        let mut reader = Reader::new(&table, "", &mut problems);
        let date = reader.get("date", String::new(), None);
        let currency = reader.get("currency", "USD".to_owned(), None);
        let here = reader.get("here", Here::default(), None);
        let mut hardware = Vec::new();
        match reader.node("hardware").map(|node| &node.value) {
            None => {}
            Some(Value::Array(items)) => {
                for item in items {
                    hardware.extend(<Hardware as outset_spec::Setting>::read(
                        item,
                        "hardware",
                        reader.problems(),
                    ));
                }
            }
            Some(_) => reader.problem(Problem::new("`hardware` must be a list of tables: `[[hardware]]`")),
        }
        if date.is_empty() {
            reader.problem(Problem::new("`date` is missing").hint("say when the prices were read"));
        }
        reader.finish();
        problems.or(Self { date, currency, here, hardware })
    }

    /// Watts that this machine draws with so many busy threads.
    pub fn watts(&self, threads: usize) -> f64 {
        self.here.watts_idle + self.here.watts_per_thread * threads as f64
    }

    /// What so many seconds cost on this machine, electricity included.
    pub fn cost(&self, seconds: f64, threads: usize) -> Money {
        Money { amount: self.per_second(threads) * seconds, currency: self.currency.clone() }
    }

    /// What a second costs on this machine.
    pub fn per_second(&self, threads: usize) -> f64 {
        (self.here.price_per_hour + self.watts(threads) / 1000.0 * self.here.price_per_kwh) / 3600.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_sound() {
        let prices = Prices::builtin();
        assert!(prices.hardware.len() >= 5 && prices.date.starts_with("20"));
        assert!(prices.hardware.iter().all(|hardware| hardware.price_per_hour > 0.0));
    }

    #[test]
    fn an_hour_by_hand() {
        let text = "date = \"2026-01-01\"\ncurrency = \"EUR\"\n[here]\nprice_per_hour = 1.0\nprice_per_kwh = 0.5\n\
                    watts_per_thread = 50\nwatts_idle = 100\n";
        let prices = Prices::parse("prices.toml", text).unwrap();
        let cost = prices.cost(7200.0, 2);
        assert!((cost.amount - 2.2).abs() < 1e-12, "{cost:?}");
        assert_eq!(cost.currency, "EUR");
    }

    #[test]
    fn slips_are_named() {
        let problems = Prices::parse("prices.toml", "date = \"x\"\n[here]\nprice_per_our = 1\n").unwrap_err();
        assert!(problems.to_string().contains("unknown key `here.price_per_our`"), "{problems}");
    }
}
