//! The environment itself: that it comes up, does what EKS does, and leaves nothing behind.

// clippy.toml allows these in test functions, and the helpers here are outside of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api_proxy;
mod controls;
mod nodes;

use std::fs;
use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use shopkeeper_localenv::LocalEnvironment;

/// Bounds a wait that would otherwise never end; a slow machine needs a fraction of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until the closure returns true.
async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn start(name: &str) -> LocalEnvironment {
    let environment = LocalEnvironment::builder(name)
        .transition_seconds(0.5)
        .progress(|line| println!("{line}"))
        .start()
        .await
        .unwrap();
    println!(
        "{name} was up after {:.1} s",
        environment.startup().as_secs_f64()
    );
    println!("logs are in {}", environment.logs_directory().display());
    environment
}

/// Whether the process runs; a zombie does not.
fn is_running(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The program's name is in parentheses and may hold anything.
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_killed_owner_leaves_nothing_running() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_localenv"))
        .args(["up", "--name", "killed"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(owner.stdout.take().unwrap());
    let is_up = output
        .lines()
        .map_while(Result::ok)
        .any(|line| line.starts_with("up after"));
    assert!(is_up, "localenv ended before it was up");
    let children = children_of(owner.id());
    assert!(children.len() >= 6, "{children:?}");

    // SIGKILL: the owner has no chance to tidy up.
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("no process of a killed owner", || async {
        !children.iter().any(|pid| is_running(*pid))
    })
    .await;
}

fn children_of(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name: the state, then the parent.
        stat.rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1))
            == Some(&parent.to_string())
    })
    .collect()
}
