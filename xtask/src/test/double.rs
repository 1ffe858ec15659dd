//! The AWS double alone, without a control plane.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::repository;

/// It answers after about 3 seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// An empty double. Dropping it ends it.
pub(super) struct Double {
    process: Child,
    endpoint: String,
    folder: PathBuf,
}

impl Double {
    /// Starts it on a free port and waits until it answers. Fails with the end of its log.
    pub(super) fn start(python: &Path, arguments: &[&str]) -> Result<Self> {
        let name = format!("double-{}", std::process::id());
        let folder = repository::target_directory()?.join("xtask").join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let port_file = folder.join("port");
        let log_path = folder.join("double.log");
        let log = fs::File::create(&log_path)?;
        let process = Command::new(python)
            .args([
                "-m",
                "shopkeeper_double",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--port-file",
            ])
            .arg(&port_file)
            .args(["--parent-pid", &std::process::id().to_string()])
            .args(arguments)
            .current_dir(repository::root()?.join("tests/localenv/aws"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the AWS double")?;
        let mut double = Self {
            process,
            endpoint: String::new(),
            folder,
        };
        let deadline = Instant::now() + PATIENCE;
        while double.endpoint.is_empty() {
            // Written in one piece once the double answers.
            if let Ok(port) = fs::read_to_string(&port_file) {
                double.endpoint = format!("http://127.0.0.1:{}", port.trim());
            } else if double.process.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                bail!("the AWS double did not start:\n{log}");
            } else {
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(double)
    }

    /// Where every service answers.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where its log is, and what else belongs to this run.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        // It keeps nothing, so there is nothing to end in order. An error means that it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
