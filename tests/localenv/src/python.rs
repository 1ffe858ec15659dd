//! The Python environment that the AWS double runs in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{Progress, cache};

/// An interpreter that has the AWS double's requirements, used as it is.
const INTERPRETER_VARIABLE: &str = "SHOPKEEPER_PYTHON";

/// An interpreter with the requirements of the AWS double installed.
#[derive(Clone, Debug)]
pub struct PythonEnvironment {
    interpreter: PathBuf,
}

impl PythonEnvironment {
    /// Finds the environment in the cache, or makes it with `python3 -m venv`, which blocks for about half a minute.
    ///
    /// Fails when Python 3 or the package index cannot be reached, with what pip said.
    pub fn prepare(progress: &Progress) -> Result<Self> {
        if let Some(interpreter) = std::env::var_os(INTERPRETER_VARIABLE) {
            return Ok(Self {
                interpreter: interpreter.into(),
            });
        }
        let requirements = folder().join("requirements.txt");
        let key = cache::key_of(&[&requirements], "venv")?;
        let directory = cache::directory("python", &key, |directory| {
            progress("preparing the AWS double's Python environment");
            run(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
            run(Command::new(interpreter_in(directory))
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--requirement",
                ])
                .arg(&requirements))
        })?;
        Ok(Self {
            interpreter: interpreter_in(&directory),
        })
    }

    /// Its interpreter.
    pub fn interpreter(&self) -> &Path {
        &self.interpreter
    }
}

/// The folder with the double's package.
pub(crate) fn folder() -> PathBuf {
    cache::source_folder().join("aws")
}

fn interpreter_in(directory: &Path) -> PathBuf {
    directory.join("bin").join("python")
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
