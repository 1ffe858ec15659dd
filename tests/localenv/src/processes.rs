//! Child processes that cannot outlive this one.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use std::os::unix::process::CommandExt as _;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Runs as the child between `setpriv` and the program itself: `$0` is the process that asked for the child. If that
/// one died before the death signal was armed, the signal never comes, and only the changed parent tells.
const RUN_IF_PARENT_LIVES: &str = r#"[ "$PPID" = "$0" ] || exit 1; exec "$@""#;

/// What to run, kept so that the same process can be started again.
#[derive(Clone, Debug)]
pub(crate) struct ProcessSpecification {
    /// Names the process in messages.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Added to the environment of this process.
    pub(crate) environment: Vec<(String, String)>,
    /// Receives standard output and standard error, appended.
    pub(crate) log: PathBuf,
}

/// A running child process; dropping it kills and reaps it.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    specification: ProcessSpecification,
    child: Mutex<Child>,
}

impl ChildProcess {
    /// Starts the process. Fails when the program or `setpriv` (util-linux) is missing.
    pub(crate) fn start(specification: ProcessSpecification) -> Result<Self> {
        if !specification.program.is_file() {
            bail!(
                "{}: no program at {}",
                specification.name,
                specification.program.display()
            );
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&specification.log)
            .with_context(|| format!("cannot open {}", specification.log.display()))?;
        let errors = log.try_clone().context("cannot share a log file")?;
        let mut command = Command::new("setpriv");
        command
            .args([
                "--pdeathsig",
                "KILL",
                "--",
                "/bin/sh",
                "-c",
                RUN_IF_PARENT_LIVES,
            ])
            .arg(std::process::id().to_string())
            .arg(&specification.program)
            .args(&specification.arguments)
            .envs(
                specification
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C in a terminal reaches the whole foreground group: without a group of its own etcd would be gone
            // before the API server, and before this process had a say in the order.
            .process_group(0);
        let child = spawn_from_lasting_thread(command)
            .with_context(|| format!("cannot start {}", specification.name))?;
        Ok(Self {
            specification,
            child: Mutex::new(child),
        })
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn specification(&self) -> &ProcessSpecification {
        &self.specification
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child().id()
    }

    /// The status it ended with, or `None` while it runs.
    pub(crate) fn exit_status(&self) -> Result<Option<ExitStatus>> {
        self.child()
            .try_wait()
            .with_context(|| format!("cannot wait for {}", self.specification.name))
    }

    /// Fails, with the end of its log, when the process has ended.
    pub(crate) fn ensure_running(&self) -> Result<()> {
        let Some(status) = self.exit_status()? else {
            return Ok(());
        };
        Err(anyhow!(
            "{} ended with {status}; the end of {}:\n{}",
            self.specification.name,
            self.specification.log.display(),
            last_lines(&self.specification.log, 20)
        ))
    }

    /// Ends the process with SIGKILL and reaps it.
    pub(crate) fn kill(&self) {
        let mut child = self.child();
        // Errors mean that it has ended and was reaped before.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Asks the process to end with SIGTERM. Does nothing when it has ended.
    pub(crate) fn request_end(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Stops the process where it is; it keeps its memory, its files and its connections.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused process go on.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Does nothing when it has ended.
    fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.child();
        // Under the lock and not reaped, the process id still belongs to this child.
        if child
            .try_wait()
            .context("cannot wait for a child")?
            .is_none()
        {
            let pid = i32::try_from(child.id())
                .ok()
                .and_then(Pid::from_raw)
                .context("not a process id")?;
            kill_process(pid, signal)
                .with_context(|| format!("cannot signal {}", self.specification.name))?;
        }
        Ok(())
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a process from a thread that lasts as long as this process.
///
/// Linux sends the parent-death signal when the THREAD that started the child ends. Threads of a runtime or of a test
/// runner come and go, and would take the control plane with them.
fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    type Job = (Command, Sender<std::io::Result<Child>>);
    static JOBS: OnceLock<Sender<Job>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (sender, receiver) = channel::<Job>();
        // Should the thread not start, the receiver is gone and sending below fails with an error of its own.
        let _ = thread::Builder::new()
            .name("process-starter".into())
            .spawn(move || {
                while let Ok((mut command, reply)) = receiver.recv() {
                    let _ = reply.send(command.spawn());
                }
            });
        sender
    });
    let (reply, answer) = channel();
    jobs.send((command, reply))
        .map_err(|_| anyhow!("the thread that starts processes has ended"))?;
    Ok(answer
        .recv()
        .context("the thread that starts processes has ended")??)
}

/// The end of a text file, for messages; empty when it cannot be read.
fn last_lines(path: &Path, count: usize) -> String {
    use std::io::{Read as _, Seek as _, SeekFrom};
    const TAIL: u64 = 16 * 1024;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
