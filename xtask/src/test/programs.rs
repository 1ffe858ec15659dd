//! Test programs that cargo has built, run several at once.
//!
//! `cargo test` runs one after the other. Most of ours wait most of the time, for a server that starts or for states of AWS that last,
//! and two cores do several in the time of one.

use std::{
    collections::VecDeque,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::repository;

/// A program that takes longer hangs. The longest takes a quarter of an hour on two cores.
const HANGS: Duration = Duration::from_secs(45 * 60);

/// How often it is looked whether a program has ended.
const POLL: Duration = Duration::from_millis(100);

/// A program full of tests: those of a library, of a binary, or a file of `tests/`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestProgram {
    /// Name of its target, which is that of its file in `tests/`.
    pub(super) name: String,
    executable: PathBuf,
    /// The folder of its package, where cargo runs it.
    folder: PathBuf,
}

/// Cargo, with clippy in place of the compiler for our own crates.
///
/// `cargo clippy` only checks, and has the dependencies checked for that, which are then built once more for the tests: of the AWS SDKs
/// either takes a quarter of an hour. Here they are built once, and ours are linted where they are built. Everything that the tests
/// build has to be built so, or it is built twice.
pub(super) fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = repository::cargo(arguments)?;
    command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    Ok(command)
}

/// Builds what `cargo build` builds with these arguments, shows its warnings and says whether there are any. Fails on errors.
///
/// They are not denied: who tries something out wants its tests to run although an import is left over.
pub(super) fn has_warnings(arguments: &[&str]) -> Result<bool> {
    let mut command = cargo(&["build", "--message-format", "json"])?;
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let shown: Vec<String> = messages.lines().filter_map(diagnostic).collect();
    for diagnostic in &shown {
        eprintln!("{diagnostic}");
    }
    if !output.status.success() {
        bail!("cargo build failed ({})", output.status);
    }
    Ok(!shown.is_empty())
}

/// What the compiler says, if a message of cargo tells of that, as it shows it to people.
fn diagnostic(message: &str) -> Option<String> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-message" {
        return None;
    }
    message["message"]["rendered"].as_str().map(str::to_owned)
}

/// Builds the test programs that `cargo test` would run with these arguments.
pub(super) fn build(arguments: &[&str]) -> Result<Vec<TestProgram>> {
    let mut command = cargo(&["test", "--no-run"])?;
    command
        .args(arguments)
        .args(["--message-format", "json-render-diagnostics"])
        // Progress and errors of the compiler go to the terminal.
        .stderr(Stdio::inherit());
    let messages = repository::read(&mut command)?;
    let programs: Vec<TestProgram> = messages.lines().filter_map(program_of).collect();
    if programs.is_empty() {
        bail!("cargo built no test programs");
    }
    Ok(programs)
}

/// The program that a message of cargo tells of, if it tells of one.
fn program_of(message: &str) -> Option<TestProgram> {
    let message: Value = serde_json::from_str(message).ok()?;
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
    if text("/reason") != Some("compiler-artifact") || message["profile"]["test"] != true {
        return None;
    }
    Some(TestProgram {
        name: text("/target/name")?.to_owned(),
        executable: PathBuf::from(text("/executable")?),
        folder: Path::new(text("/manifest_path")?).parent()?.to_owned(),
    })
}

/// Runs test programs, so many at once, those that are named `first` before the others: what takes longest and begins last ends alone.
/// `prepare` adds what they need to know. What one prints is shown when it has ended. Fails with the names of all that failed.
pub(super) fn run(
    programs: Vec<TestProgram>,
    at_once: usize,
    first: &[&str],
    prepare: impl Fn(&mut Command) + Sync,
) -> Result<()> {
    let (mut ordered, others): (Vec<_>, Vec<_>) = programs
        .into_iter()
        .partition(|program| first.contains(&program.name.as_str()));
    ordered.extend(others);
    let count = ordered.len();
    let waiting = Mutex::new(VecDeque::from(ordered));
    let next = || {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    };
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(program) = next() {
                    if let Err(error) = run_one(&program, &prepare) {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.push(format!("{} ({error:#})", program.name));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        bail!("{} of {count} failed: {}", failed.len(), failed.join(", "));
    }
    Ok(())
}

fn run_one(program: &TestProgram, prepare: &impl Fn(&mut Command)) -> Result<()> {
    let mut command = Command::new(&program.executable);
    command
        .current_dir(&program.folder)
        // As cargo sets it.
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .stdin(Stdio::null());
    prepare(&mut command);
    let logs = repository::target_directory()?.join("test-programs");
    fs::create_dir_all(&logs)?;
    let log = logs.join(format!("{}.log", program.name));
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stderr(file.try_clone()?).stdout(file);
    println!("-- {} begins, into {}", program.name, log.display());
    let began = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", program.executable.display()))?;
    let status = ended(&mut child, began + HANGS)?;
    // In one call: what others print does not come between.
    println!(
        "\n-- {} ({:.1} s)\n{}",
        program.name,
        began.elapsed().as_secs_f64(),
        String::from_utf8_lossy(&fs::read(&log)?).trim(),
    );
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("{status}"),
        None => bail!("it had not ended after {} min", HANGS.as_secs() / 60),
    }
}

/// How a program ended; `None` if it had to be killed.
fn ended(child: &mut Child, latest: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= latest {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_told_from_what_else_is_built() {
        let message = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/shop/tests/e2e/Cargo.toml","target":{{"kind":["test"],"name":"first_light"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let expected = TestProgram {
            name: "first_light".into(),
            executable: "/target/first_light-1".into(),
            folder: "/shop/tests/e2e".into(),
        };
        let executable = r#""/target/first_light-1""#;
        assert_eq!(program_of(&message(true, executable)), Some(expected));
        assert_eq!(program_of(&message(false, executable)), None);
        assert_eq!(program_of(&message(true, "null")), None);
        assert_eq!(
            program_of(r#"{"reason":"build-finished","success":true}"#),
            None
        );
        assert_eq!(program_of("no JSON"), None);
    }

    #[test]
    fn what_the_compiler_says_is_shown() {
        let warning = r#"{"reason":"compiler-message","message":{"level":"warning","rendered":"warning: unused import"}}"#;
        assert_eq!(
            diagnostic(warning).as_deref(),
            Some("warning: unused import")
        );
        assert_eq!(
            diagnostic(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }

    #[test]
    fn what_hangs_is_killed() {
        let mut hanging = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(ended(&mut hanging, Instant::now()).unwrap().is_none());
        let mut ending = Command::new("true").spawn().unwrap();
        let latest = Instant::now() + HANGS;
        assert!(ended(&mut ending, latest).unwrap().unwrap().success());
    }

    #[test]
    fn all_run_and_those_that_fail_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str| TestProgram {
            name: name.into(),
            executable: "/bin/sh".into(),
            folder: folder.path().to_owned(),
        };
        let programs = vec![program("one"), program("two"), program("three")];
        // One at a time, so that the file tells the order.
        let script = "echo ran >> order; test $(wc -l < order) -ne 2";
        let error = run(programs, 1, &["three"], |command| {
            command.args(["-c", script]);
        })
        .unwrap_err()
        .to_string();
        assert!(error.starts_with("1 of 3 failed: one ("), "{error}");
        let order = fs::read_to_string(folder.path().join("order")).unwrap();
        assert_eq!(order.lines().count(), 3);
    }
}
