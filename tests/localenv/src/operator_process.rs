//! The operator's own program, started, killed and started again by tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cache;
use crate::control_plane::POLL;
use crate::processes::{ChildProcess, ProcessSpecification};

/// The program to test; without it the one of the last debug build.
const PROGRAM_VARIABLE: &str = "SHOPKEEPER_BIN";

/// The operator as a process. Dropping it kills it.
#[derive(Debug)]
pub struct OperatorProcess {
    process: ChildProcess,
}

impl OperatorProcess {
    /// Starts the program with the arguments and the environment given.
    ///
    /// Its output goes to `log`, and a restart appends. Fails when there is no such program.
    pub(crate) fn start(
        program: PathBuf,
        arguments: &[&str],
        environment: Vec<(String, String)>,
        log: PathBuf,
    ) -> Result<Self> {
        let specification = ProcessSpecification {
            name: "shopkeeper".into(),
            program,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment,
            log,
        };
        Ok(Self {
            process: ChildProcess::start(specification)?,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where its output goes.
    pub fn log_path(&self) -> &Path {
        &self.process.specification().log
    }

    /// Everything it has written so far, over all its starts.
    pub fn log(&self) -> Result<String> {
        let path = self.log_path();
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until its log contains this text. Fails when the process ends first, or after `patience`.
    pub async fn wait_for_log(&self, text: &str, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !self.log()?.contains(text) {
            self.ensure_running()?;
            if Instant::now() > deadline {
                bail!(
                    "{} does not contain {text:?} after {patience:?}",
                    self.log_path().display()
                );
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The status it ended with, or `None` while it runs.
    pub fn exit_status(&self) -> Result<Option<ExitStatus>> {
        self.process.exit_status()
    }

    /// Fails, with the end of its log, when it has ended.
    pub fn ensure_running(&self) -> Result<()> {
        self.process.ensure_running()
    }

    /// Ends it at once with SIGKILL, as the kernel does to a process that uses too much memory.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Stops it where it is with SIGSTOP, as a container that is paused.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// Lets it go on with SIGCONT.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// Asks it to end with SIGTERM, as kubelet does, and waits for that. Fails after `patience`.
    pub async fn terminate(&self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        self.process.request_end()?;
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("shopkeeper has not ended {patience:?} after SIGTERM");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills it, if it still runs, and starts it again as it was started before.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = ChildProcess::start(self.process.specification().clone())?;
        Ok(())
    }
}

/// The program to test unless a test names another.
pub(crate) fn program() -> PathBuf {
    match std::env::var_os(PROGRAM_VARIABLE) {
        Some(program) => program.into(),
        None => cache::target_directory().join("debug").join("shopkeeper"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A program that ends in order when it is asked to, as the operator does.
    const ORDERLY: &str =
        r#"trap 'echo "$WORD"; exit 3' TERM; echo started; while :; do sleep 0.02; done"#;

    fn start(script: &str) -> (tempfile::TempDir, OperatorProcess) {
        let directory = tempfile::tempdir().unwrap();
        let environment = vec![("WORD".to_owned(), "goodbye".to_owned())];
        let log = directory.path().join("operator.log");
        let process = OperatorProcess::start("/bin/sh".into(), &["-c", script], environment, log);
        (directory, process.unwrap())
    }

    #[tokio::test]
    async fn it_ends_in_order_when_asked_and_starts_again() {
        let (_directory, mut process) = start(ORDERLY);
        process.wait_for_log("started", PATIENCE).await.unwrap();
        let status = process.terminate(PATIENCE).await.unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(process.log().unwrap(), "started\ngoodbye\n");

        process.restart().unwrap();
        process
            .wait_for_log("goodbye\nstarted", PATIENCE)
            .await
            .unwrap();
        process.ensure_running().unwrap();
        process.kill();
        assert_eq!(process.log().unwrap(), "started\ngoodbye\nstarted\n");
        assert!(process.exit_status().unwrap().is_some());
    }

    #[tokio::test]
    async fn an_unexpected_end_is_told_with_its_last_words() {
        let (_directory, process) = start("echo no such table; exit 1");
        let problem = process
            .wait_for_log("ready", PATIENCE)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            problem.contains("exit status: 1") && problem.contains("no such table"),
            "{problem}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let log = std::env::temp_dir().join("never-written.log");
        let problem = OperatorProcess::start("/absent/shopkeeper".into(), &[], vec![], log);
        assert!(
            problem
                .unwrap_err()
                .to_string()
                .contains("/absent/shopkeeper")
        );
    }
}
