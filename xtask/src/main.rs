//! Development tasks: `cargo xtask <task>`.

mod generate;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Shopkeeper")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write what is generated from the code: crds/ and docs/reference.md.
    Gen(generate::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Gen(arguments) => generate::run(&arguments),
    }
}
