//! `cargo xtask test`: everything that has to hold before a change lands.

mod architecture;
mod contract;
mod double;
mod programs;
mod suites;

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::ValueEnum;
use shopkeeper_localenv::{Progress, PythonEnvironment, Tools};

use crate::{generate, repository};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only these parts; may be repeated or separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only tests whose name contains this.
    #[arg(long)]
    filter: Option<String>,
}

/// A part of the tests. They run in this order, the quick ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Code is formatted as rustfmt does it.
    Format,
    /// What may depend on what.
    Architecture,
    /// Generated files are what the code says.
    Gen,
    /// clippy, with warnings denied.
    Lint,
    /// Unit, property, golden and integration tests of every crate.
    Unit,
    /// Python tests of the AWS double.
    Double,
    /// The AWS double held against AWS.
    Contract,
    /// Scenarios against a real API server and the AWS double.
    E2e,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("", |name| name.get_name()))
    }
}

/// How a part ended.
enum Outcome {
    Passed(String),
    Skipped(String),
    Failed(String),
}

/// What the parts share.
struct Session {
    filter: Option<String>,
    python: Option<PathBuf>,
}

impl Session {
    /// An interpreter with what the AWS double needs; installed the first time it is asked for.
    fn python(&mut self) -> Result<PathBuf> {
        if let Some(python) = &self.python {
            return Ok(python.clone());
        }
        let environment = PythonEnvironment::prepare(&progress())?;
        let python = environment.interpreter().to_owned();
        self.python = Some(python.clone());
        Ok(python)
    }
}

/// Runs the parts. Every part runs, whatever became of those before it; fails when any of them did.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut session = Session {
        filter: arguments.filter.clone(),
        python: None,
    };
    let chosen: Vec<Part> = Part::value_variants()
        .iter()
        .copied()
        .filter(|part| arguments.only.is_empty() || arguments.only.contains(part))
        .collect();
    // Where the control plane has to be built, it is built beside the crates: rustc leaves cores idle while it compiles the
    // largest of them. Whoever needs it first waits for it, and says what went wrong.
    let tools = chosen
        .iter()
        .any(|part| matches!(part, Part::Unit | Part::E2e))
        .then(|| thread::spawn(|| Tools::prepare(&progress()).map(drop)));
    let mut ended = Vec::new();
    for part in &chosen {
        println!("\n== {part}");
        let began = Instant::now();
        let outcome = run_part(*part, &mut session)
            .unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        match &outcome {
            Outcome::Passed(_) => {}
            Outcome::Skipped(why) => println!("!! SKIPPED {part}: {why}"),
            Outcome::Failed(why) => println!("!! FAILED {part}: {why}"),
        }
        ended.push((*part, outcome, began.elapsed()));
    }
    if let Some(tools) = tools {
        // No build is left behind. Its failure is that of the parts that needed it.
        let _ = tools.join();
    }
    summarise(&ended)
}

fn run_part(part: Part, session: &mut Session) -> Result<Outcome> {
    match part {
        Part::Format => {
            repository::run(&mut repository::cargo(&["fmt", "--all", "--check"])?)?;
            Ok(Outcome::Passed(String::new()))
        }
        Part::Architecture => architecture::check().map(Outcome::Passed),
        Part::Gen => {
            generate::check()?;
            Ok(Outcome::Passed(String::new()))
        }
        Part::Lint => suites::lint(),
        Part::Unit => suites::unit(session),
        Part::Double => suites::double(session),
        Part::Contract => contract::run(session),
        Part::E2e => {
            // Before anything is measured, and once for all scenarios.
            Tools::prepare(&progress())?;
            suites::e2e(session)
        }
    }
}

fn progress() -> Progress {
    Arc::new(|line: &str| println!("{line}"))
}

/// One line a part, and a closing line. Fails when a part did.
fn summarise(ended: &[(Part, Outcome, Duration)]) -> Result<()> {
    println!();
    let mut failed = Vec::new();
    for (part, outcome, took) in ended {
        let (word, detail) = match outcome {
            Outcome::Passed(detail) => ("ok", detail.as_str()),
            Outcome::Skipped(why) => ("SKIPPED", why.as_str()),
            Outcome::Failed(_) => {
                failed.push(part.to_string());
                ("FAILED", "")
            }
        };
        println!("{word:8}{part:13}{:>5} s  {detail}", took.as_secs());
    }
    let passed = ended
        .iter()
        .filter(|(_, outcome, _)| matches!(outcome, Outcome::Passed(_)))
        .count();
    let total: Duration = ended.iter().map(|(_, _, took)| *took).sum();
    let closing = format!(
        "xtask test: {passed} of {} parts passed in {} s",
        ended.len(),
        total.as_secs()
    );
    if failed.is_empty() {
        println!("{closing}");
        return Ok(());
    }
    bail!("{closing}; failed: {}", failed.join(", "))
}
