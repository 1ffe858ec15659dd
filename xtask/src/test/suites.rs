//! Tests that cargo and pytest run.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};

use super::{Outcome, Session, programs};
use crate::repository;

/// Files of scenarios that run at once. Each scenario has a control plane of its own, about 0.6 GB of memory and most of a core while it
/// starts; then it waits more than it works.
const FILES_AT_ONCE: usize = 3;

/// Scenarios of one file that run at once.
const SCENARIOS_AT_ONCE: &str = "2";

/// The file of scenarios that takes longest.
const LONGEST_FILE: &str = "operator_is_killed";

/// Programs of other tests that run at once.
const PROGRAMS_AT_ONCE: usize = 2;

/// Tests of a program that run at once. Many start a server each; more of them would only wait for each other.
const TEST_THREADS: &str = "2";

/// The programs of other tests that take longest: one computes, the other waits for a server.
const LONGEST_PROGRAMS: [&str; 2] = ["shop", "matrix"];

/// clippy over every target of every crate, which builds them for the tests: no warning passes.
pub(super) fn lint() -> Result<Outcome> {
    if programs::has_warnings(&["--workspace", "--all-targets"])? {
        bail!("there are warnings, which `cargo clippy --workspace --all-targets` shows as well");
    }
    Ok(Outcome::Passed(String::new()))
}

/// Every test but the scenarios.
pub(super) fn unit(session: &mut Session) -> Result<Outcome> {
    let python = session.python()?;
    let workspace = ["--workspace", "--exclude", "shopkeeper-e2e"];
    let chosen = programs::build(&workspace)?;
    let count = chosen.len();
    let filter = session.filter.clone();
    programs::run(chosen, PROGRAMS_AT_ONCE, &LONGEST_PROGRAMS, |command| {
        command
            .env("SHOPKEEPER_PYTHON", &python)
            .env("RUST_TEST_THREADS", TEST_THREADS)
            .args(&filter);
    })?;
    // Examples in documentation are no programs that cargo tells of.
    let mut examples = programs::cargo(&["test", "--doc"])?;
    examples.args(workspace);
    repository::run(&mut examples)?;
    Ok(Outcome::Passed(format!("{count} programs")))
}

/// What pytest ends with where no test was chosen.
const NO_TESTS: i32 = 5;

/// The double's own tests, in two processes: a double in each, and Python computes on one core.
pub(super) fn double(session: &mut Session) -> Result<Outcome> {
    let python = session.python()?;
    let folder = repository::root()?.join("tests/localenv/aws");
    let run = |files: &[OsString]| -> Result<Output> {
        let mut command = Command::new(&python);
        command.args(["-m", "pytest", "--quiet"]).args(files);
        if let Some(filter) = &session.filter {
            command.args(["-k", filter]);
        }
        command
            .current_dir(&folder)
            .stdin(Stdio::null())
            .output()
            .context("cannot run pytest")
    };
    let halves = halves(&folder.join("tests"))?;
    let ended = thread::scope(|scope| {
        let running = halves.each_ref().map(|files| scope.spawn(|| run(files)));
        running.map(thread::ScopedJoinHandle::join)
    });
    let mut codes = Vec::new();
    for output in ended {
        let output = output.map_err(|_| anyhow::anyhow!("pytest was not waited for"))??;
        print!("{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        codes.push(output.status.code());
    }
    let is_fine = |code: &Option<i32>| {
        *code == Some(0) || (*code == Some(NO_TESTS) && session.filter.is_some())
    };
    if !codes.iter().all(is_fine) {
        bail!("the tests of the AWS double failed");
    }
    if codes.iter().all(|code| *code == Some(NO_TESTS)) {
        return Ok(Outcome::Skipped("no test of that name".into()));
    }
    Ok(Outcome::Passed(String::new()))
}

/// The files of tests in a folder, in two parts that are about as long as each other.
fn halves(folder: &Path) -> Result<[Vec<OsString>; 2]> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("test_") {
            files.push((entry.metadata()?.len(), entry.path().into_os_string()));
        }
    }
    files.sort();
    let (mut halves, mut sizes) = ([Vec::new(), Vec::new()], [0, 0]);
    for (size, file) in files.into_iter().rev() {
        let shorter = usize::from(sizes[1] < sizes[0]);
        sizes[shorter] += size;
        halves[shorter].push(file);
    }
    Ok(halves)
}

/// The scenarios, with the operator as it is now.
///
/// They are named one by one over the whole workspace, not by their package: cargo settles the features of dependencies for
/// the packages it is asked for, and would build the AWS SDKs once more for the scenarios alone.
pub(super) fn e2e(session: &mut Session) -> Result<Outcome> {
    let all = scenarios()?;
    if all.is_empty() {
        bail!("there are no scenarios in tests/e2e/tests");
    }
    let chosen = chosen(&all, session.filter.as_deref());
    if chosen.is_empty() {
        bail!("no scenario has that name; there are {}", all.join(", "));
    }
    // With the scenarios, or cargo would settle other features for the operator alone.
    let mut arguments = vec!["--workspace"];
    for scenario in &chosen {
        arguments.extend(["--test", scenario]);
    }
    let mut operator = programs::cargo(&["build", "--bin", "shopkeeper"])?;
    repository::run(operator.args(&arguments))?;
    let files = programs::build(&arguments)?;
    let python = session.python()?;
    programs::run(files, FILES_AT_ONCE, &[LONGEST_FILE], |command| {
        command
            .env("SHOPKEEPER_PYTHON", &python)
            .args(["--test-threads", SCENARIOS_AT_ONCE]);
    })?;
    Ok(Outcome::Passed(format!(
        "{} of {} files of scenarios",
        chosen.len(),
        all.len()
    )))
}

/// The files of scenarios whose names have the filter in them.
fn chosen<'a>(all: &'a [String], filter: Option<&str>) -> Vec<&'a String> {
    let is_chosen = |name: &&String| filter.is_none_or(|filter| name.contains(filter));
    all.iter().filter(is_chosen).collect()
}

/// The test targets of tests/e2e.
fn scenarios() -> Result<Vec<String>> {
    targets_in(&repository::root()?.join("tests/e2e/tests"))
}

/// The test targets in a folder, as cargo finds them: files, and folders with a `main.rs`.
fn targets_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if !folder.is_dir() {
        return Ok(names);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_target = path.join("main.rs").is_file()
            || path.extension().is_some_and(|extension| extension == "rs");
        if let (true, Some(name)) = (is_target, path.file_stem()) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is between backquotes in the last column of the tables of docs/coverage.md.
    fn shown_by() -> Vec<String> {
        let page = repository::root().unwrap().join("docs/coverage.md");
        let page = fs::read_to_string(page).unwrap();
        let columns = page
            .lines()
            .filter_map(|line| line.strip_suffix(" |")?.rsplit("| ").next());
        let quoted = columns.flat_map(|column| column.split('`').skip(1).step_by(2));
        quoted.map(str::to_owned).collect()
    }

    #[test]
    fn coverage_names_every_scenario_and_nothing_that_is_not_there() {
        let (shown, scenarios) = (shown_by(), scenarios().unwrap());
        let is_unnamed = |name: &&String| !shown.contains(name);
        let unnamed: Vec<_> = scenarios.iter().filter(is_unnamed).collect();
        assert!(
            unnamed.is_empty(),
            "docs/coverage.md does not name {unnamed:?}"
        );
        let root = repository::root().unwrap();
        let is_lost = |name: &&String| !scenarios.contains(name) && !root.join(name).exists();
        let lost: Vec<_> = shown.iter().filter(is_lost).collect();
        assert!(
            lost.is_empty(),
            "docs/coverage.md names {lost:?}, which is not there"
        );
    }

    #[test]
    fn a_scenario_in_a_folder_is_one_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for path in [
            "one.rs",
            "two/main.rs",
            "two/part.rs",
            "data/file.yaml",
            "README.md",
        ] {
            write(path);
        }
        assert_eq!(targets_in(folder.path()).unwrap(), ["one", "two"]);
    }

    #[test]
    fn the_tests_of_the_double_are_in_one_half_or_the_other() {
        let folder = tempfile::tempdir().unwrap();
        for (name, size) in [
            ("test_a.py", 5),
            ("test_b.py", 3),
            ("test_c.py", 3),
            ("conftest.py", 9),
        ] {
            fs::write(folder.path().join(name), "#".repeat(size)).unwrap();
        }
        let names = halves(folder.path()).unwrap().map(|half| {
            let mut names: Vec<_> = half
                .iter()
                .map(|file| Path::new(file).file_name().unwrap().to_owned())
                .collect();
            names.sort();
            names
        });
        assert_eq!(names[0], ["test_a.py"]);
        assert_eq!(names[1], ["test_b.py", "test_c.py"]);
    }

    #[test]
    fn a_filter_chooses_files_and_none_where_it_is_misspelt() {
        let all = ["edits_reach_aws".to_owned(), "operator_survives".to_owned()];
        assert_eq!(chosen(&all, None).len(), 2);
        assert_eq!(chosen(&all, Some("edits")), [&all[0]]);
        assert!(chosen(&all, Some("edit_reaches")).is_empty());
    }

    #[test]
    fn every_scenario_that_cargo_knows_is_run() {
        let metadata = repository::read(
            &mut repository::cargo(&["metadata", "--no-deps", "--format-version", "1"]).unwrap(),
        )
        .unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages
            .iter()
            .find(|package| package["name"] == "shopkeeper-e2e")
            .unwrap();
        let mut known: Vec<&str> = package["targets"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|target| target["kind"][0] == "test")
            .map(|target| target["name"].as_str().unwrap())
            .collect();
        known.sort_unstable();
        assert_eq!(scenarios().unwrap(), known);
    }
}
