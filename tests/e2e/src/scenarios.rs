//! Several scenarios in one environment: starting one takes longer than most scenarios do.

use std::time::Instant;

use anyhow::{Result, bail};
use futures::future::{LocalBoxFuture, join_all};

/// A named scenario.
pub type Scenario<'a> = (&'static str, LocalBoxFuture<'a, Result<()>>);

/// Runs scenarios that do not touch each other at the same time, and tells of each.
///
/// Fails after all of them have ended, with what went wrong in each.
pub async fn run_together(scenarios: Vec<Scenario<'_>>) -> Result<()> {
    let run = scenarios.into_iter().map(|(name, scenario)| async move {
        let began = Instant::now();
        let result = scenario.await;
        let seconds = began.elapsed().as_secs_f64();
        match &result {
            Ok(()) => println!("scenario {name}: ok, {seconds:.1} s"),
            Err(error) => println!("scenario {name}: FAILED after {seconds:.1} s: {error:#}"),
        }
        result.map_err(|error| format!("{name}: {error:#}"))
    });
    let failures: Vec<String> = join_all(run)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        bail!(
            "{} scenarios failed:\n  {}",
            failures.len(),
            failures.join("\n  ")
        )
    }
}
