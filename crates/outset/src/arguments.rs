//! Commands and flags.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Takes your own data to a model that you can trust and ship.
#[derive(Debug, Parser)]
#[command(name = "outset", version, about, propagate_version = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that stand before or after any command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Print one JSON object a line on standard output instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but answers and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print every column's role, every epoch and all metrics
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
    /// Threads to compute with, at most [default: one a processor]
    #[arg(long, global = true, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Device to compute on: `cpu`, or one that `outset doctor` lists, such as `cuda:0`
    #[arg(long, global = true, default_value = "cpu", value_name = "DEVICE")]
    pub device: String,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// What to work on: an experiment, or data and a target.
#[derive(Clone, Debug, Args)]
pub struct What {
    /// Folder with an `outset.toml`, a `.toml` file, or data with `--target`, and settings as KEY=VALUE [default: this folder]
    #[arg(value_name = "EXPERIMENT | KEY=VALUE")]
    pub words: Vec<String>,
    /// Column to predict, where EXPERIMENT is data; may be given several times
    #[arg(long, value_name = "COLUMN")]
    pub target: Vec<String>,
}

/// Where runs go, and what they cost.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// Folder of the runs [default: `runs` beside the experiment]
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Table of prices [default: `prices.toml` beside the experiment, else the built-in one]
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Draft an experiment from data, or write a built-in example
    New {
        /// Folder to make
        dir: Option<PathBuf>,
        /// Data to draft the experiment from
        #[arg(long, value_name = "DATA", conflicts_with = "example")]
        from: Option<String>,
        /// Column to predict; may be given several times
        #[arg(long, value_name = "COLUMN")]
        target: Vec<String>,
        /// Built-in example to write, with its data; `outset list examples` shows all
        #[arg(long, value_name = "NAME")]
        example: Option<String>,
    },
    /// Read file and data, show what was understood, list all problems
    Check(What),
    /// Forecast time, memory, energy and price before anything is spent
    Plan {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        place: Where,
        /// Say instead which language model makes the most of so many floating-point operations
        #[arg(long, value_name = "FLOPS", conflicts_with_all = ["words", "target", "prices", "runs"])]
        language_model: Option<f64>,
        /// Tokens that its attention reaches over, to count its operations too
        #[arg(long, value_name = "TOKENS", requires = "language_model", value_parser = clap::value_parser!(u32).range(1..))]
        context: Option<u32>,
    },
    /// Do everything: split, preprocess, train, evaluate, test once, report, bundle
    Run {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        place: Where,
    },
    /// Train and evaluate on val, leaving the test part alone; or go on with a run that was stopped
    Train {
        #[command(flatten)]
        what: What,
        /// Go on with this run, in its own folder, to the end that it was begun for
        #[arg(long, value_name = "RUN", conflicts_with_all = ["words", "target", "runs"])]
        resume: Option<PathBuf>,
        #[command(flatten)]
        place: Where,
    },
    /// Search for better settings, test the best once; asked again, the search goes on
    Tune {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        place: Where,
        /// Folder of the search, which several processes may share, or `postgres://USER@HOST/DATABASE`, which many
        /// machines may share [default: `NAME.study` beside the runs]
        #[arg(long, value_name = "DIR | URL")]
        study: Option<String>,
    },
    /// Look at the test part of a run (each look is counted)
    Test {
        /// Folder of the run
        run: PathBuf,
    },
    /// List runs: state, objective, time; or the trials of a search, also while it goes on
    Runs {
        /// Folder of runs, of the experiment that has them, or of a search, or the server of searches [default: this folder]
        #[arg(default_value = ".", hide_default_value = true, value_name = "DIR | URL")]
        dir: String,
    },
    /// Show what differs between two runs: settings, data and metrics
    Compare {
        /// Folder of the first run
        a: PathBuf,
        /// Folder of the second run
        b: PathBuf,
    },
    /// Write the report of a run again from its recorded facts
    Report {
        /// Folder of the run
        run: PathBuf,
    },
    /// Write the course of a run into the files of another tracker
    Track {
        /// Folder of the run
        run: PathBuf,
        /// Folder of TensorBoard's event files
        #[arg(long, value_name = "DIR", required_unless_present = "mlflow")]
        tensorboard: Option<PathBuf>,
        /// MLflow's file store, such as `mlruns`
        #[arg(long, value_name = "DIR")]
        mlflow: Option<PathBuf>,
    },
    /// Answer the rows of a file
    Predict {
        /// Bundle or run folder
        bundle: PathBuf,
        /// File of rows, or `-` for standard input
        data: String,
        /// File to write; JSON Lines where it ends in `.jsonl`, else CSV [default: CSV on standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Largest share of rows that may go without an answer because their picture cannot be used
        #[arg(long, default_value_t = 0.01, value_name = "SHARE", value_parser = parse_share)]
        max_skipped: f64,
    },
    /// Answer over HTTP, with a page to try the model
    Serve {
        /// Bundle or run folder
        bundle: PathBuf,
        /// Address to listen on; loopback unless you open it
        #[arg(long, default_value = "127.0.0.1")]
        host: std::net::IpAddr,
        /// Port to listen on; 0 for any free one
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Largest body of a request
        #[arg(long, default_value = "10MiB", value_name = "SIZE", value_parser = parse_size)]
        max_body: usize,
        /// Most rows of a request
        #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
        max_rows: usize,
        /// Longest time for a request
        #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_time)]
        timeout: std::time::Duration,
    },
    /// List what can be named in an experiment
    List {
        /// What to list
        #[arg(value_enum)]
        kind: Listable,
    },
    /// Show devices, threads, instruction sets and versions: what to paste into a bug report
    Doctor,
    /// Write completions for a shell to standard output
    Completions {
        /// Shell to complete for
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// What `outset list` knows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Listable {
    Activations,
    Decoders,
    Encoders,
    Examples,
    Initializers,
    Losses,
    Metrics,
    Models,
    Optimizers,
    Schedules,
    Settings,
    Types,
}

/// Reads a size such as `10MiB` or `500kB`.
fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[digits..].trim() {
        "" | "B" => 1,
        "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return Err("expected a size such as `10MiB`".to_owned()),
    };
    let number: usize = text[..digits].parse().map_err(|_| "expected a size such as `10MiB`".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "the size is too large".to_owned())
}

/// Reads a share between 0 and 1.
fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a share between 0 and 1, such as `0.05`".to_owned())
}

/// Reads a time such as `10s`.
fn parse_time(text: &str) -> Result<std::time::Duration, String> {
    text.parse::<outset_spec::Duration>()
        .map(|time| time.0)
        .map_err(|_| "expected a time such as `10s`".to_owned())
}
