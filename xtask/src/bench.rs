//! `cargo xtask bench`: what the operator costs, as ratios within one run.
//!
//! Every bench starts an environment of its own, measures the operator's process from outside (its processor time and memory
//! by the kernel, its requests by the API server's audit log and the AWS double's record), prints a table, and as its last
//! line one JSON object. Absolute figures say little on another machine; the ratios do.

mod converge;
mod edit;
mod failover;
mod fleet;
mod idle;
mod metrics;
mod process;
mod report;
mod stage;
mod start;

use anyhow::{Context, Result};
use clap::Subcommand;
use shopkeeper_localenv::install_crypto_provider;

use crate::repository;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// Measure the unoptimised operator of `target/debug`, which is there after the tests, instead of building one with
    /// optimisation (about 40 minutes the first time). `SHOPKEEPER_BIN` names any other.
    #[arg(long, global = true)]
    debug: bool,
}

#[derive(Subcommand)]
enum Bench {
    /// From the first custom resource to the last that is Ready, beside a bare client that applies the same objects.
    Converge(converge::Options),
    /// From a person's edit to its first write, while everything else is due for a look, too.
    Edit(edit::Options),
    /// From the end of the leader to the first pass of the next one.
    Failover(failover::Options),
    /// A resync of every service of an unchanged world: what is read, and that nothing is written.
    Idle(idle::Options),
    /// From the start of the operator among settled services to its first pass.
    Start(start::Options),
}

/// Runs one bench. Fails when something did not become Ready.
pub fn run(arguments: &Arguments) -> Result<()> {
    install_crypto_provider();
    let operator = build_operator(arguments.debug)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start an async runtime")?;
    let report = runtime.block_on(async {
        match &arguments.bench {
            Bench::Converge(options) => converge::run(options, &operator).await,
            Bench::Edit(options) => edit::run(options, &operator).await,
            Bench::Failover(options) => failover::run(options, &operator).await,
            Bench::Idle(options) => idle::run(options, &operator).await,
            Bench::Start(options) => start::run(options, &operator).await,
        }
    })?;
    report.print();
    Ok(())
}

/// The operator to measure.
fn build_operator(debug: bool) -> Result<std::path::PathBuf> {
    if let Some(given) = std::env::var_os("SHOPKEEPER_BIN") {
        return Ok(given.into());
    }
    let mut arguments = repository::BUILD_OPERATOR.to_vec();
    if !debug {
        arguments.push("--release");
    }
    repository::run(&mut repository::cargo(&arguments)?)?;
    let profile = if debug { "debug" } else { "release" };
    Ok(repository::target_directory()?
        .join(profile)
        .join("shopkeeper"))
}
