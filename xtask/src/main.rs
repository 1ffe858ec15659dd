//! Development tasks: `cargo xtask <task>`.
//!
//! Depends on nothing that needs an AWS SDK, so that the first task on a fresh machine starts soon and says what it does
//! while the rest is built.

mod bench;
mod demo;
mod generate;
mod repository;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Shopkeeper")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run a whole shop on this machine: a Kubernetes control plane, AWS, the operator and examples/octank.
    Demo(demo::Arguments),
    /// Check everything: style, generated files, unit tests, the AWS double, end-to-end scenarios.
    Test(test::Arguments),
    /// Measure what the operator costs: a table, and as the last line one JSON object.
    Bench(bench::Arguments),
    /// Write what is generated from the code: crds/, config/ and docs/reference.md.
    Gen(generate::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Gen(arguments) => generate::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
