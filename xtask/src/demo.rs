//! `cargo xtask demo`: a whole shop on this machine, from nothing to Ready, to look around in.

mod inventory;
mod readiness;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use shopkeeper_localenv::{LocalEnvironment, OperatorProcess, install_crypto_provider};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::repository;

/// Where examples/octank lives.
const NAMESPACE: &str = "shop";

/// How much of the operator's log is shown when something goes wrong.
const LAST_LINES: usize = 40;

/// How long the operator may take to hand its lease back when the demo ends.
const FAREWELL: Duration = Duration::from_secs(10);

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave when everything is Ready, instead of staying up until Ctrl-C.
    #[arg(long)]
    exit: bool,
    /// How long AWS resources stay in creating, modifying and deleting. In AWS it is minutes.
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    transition_seconds: f64,
    /// Give up when not everything is Ready after this time, counted from the moment the shop is applied.
    #[arg(long, default_value_t = 300, value_name = "S")]
    timeout_seconds: u64,
    /// Fail when everything was Ready later than this, counted from the start of the demo with all that it had to build.
    #[arg(long, value_name = "S")]
    within: Option<u64>,
}

/// Runs the demo. Fails when something did not become Ready, with the end of the operator's log.
pub fn run(arguments: &Arguments) -> Result<()> {
    install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start an async runtime")?;
    let result = runtime.block_on(interruptible(arguments));
    // What was interrupted may still sit in a blocking call, such as a build; its process got the signal as well.
    runtime.shutdown_background();
    result
}

/// SIGINT and SIGTERM: listened to before anything is started, so that none of them leaves anything behind.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
}

impl Interruption {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

async fn interruptible(arguments: &Arguments) -> Result<()> {
    let mut interruption = Interruption::listen()?;
    let clock = Clock::start();
    let environment = tokio::select! {
        environment = prepare(arguments, &clock) => environment?,
        () = interruption.received() => bail!("interrupted"),
    };
    let result = tokio::select! {
        result = open_shop(arguments, &clock, &environment) => result,
        () = interruption.received() => Err(anyhow::anyhow!("interrupted")),
    };
    let (operator, took) = match result {
        Ok(open) => open,
        Err(error) => {
            clock.say(&format!(
                "logs are kept in {}",
                shown(environment.logs_directory())
            ));
            environment.stop().await?;
            return Err(error);
        }
    };
    if !arguments.exit {
        say("\nCtrl-C ends it all");
        interruption.received().await;
        say("stopping");
    }
    let farewell = operator.terminate(FAREWELL).await;
    environment.stop().await?;
    let status = farewell?;
    if !status.success() {
        bail!("the operator did not end in order ({status})");
    }
    in_time(took, arguments.within)
}

/// Whether the shop was Ready within so many seconds, where that was asked for.
fn in_time(took: Duration, within: Option<u64>) -> Result<()> {
    match within {
        Some(seconds) if took > Duration::from_secs(seconds) => bail!(
            "the shop was Ready after {:.0} s, and not within {seconds} s",
            took.as_secs_f64()
        ),
        _ => Ok(()),
    }
}

/// Builds what is missing and starts the environment.
async fn prepare(arguments: &Arguments, clock: &Clock) -> Result<LocalEnvironment> {
    build_operator(clock).await?;
    clock.say("starting a Kubernetes control plane and the AWS double");
    let progress_clock = *clock;
    let environment = LocalEnvironment::builder("demo")
        .transition_seconds(arguments.transition_seconds)
        .progress(move |line| progress_clock.say(line))
        .start()
        .await?;
    clock.say(&format!(
        "the environment is up after {:.0} s",
        environment.startup().as_secs_f64()
    ));
    Ok(environment)
}

/// Builds the operator with cargo's own progress on the terminal, unless `SHOPKEEPER_BIN` names one.
async fn build_operator(clock: &Clock) -> Result<()> {
    if std::env::var_os("SHOPKEEPER_BIN").is_some() {
        return Ok(());
    }
    clock.say("building the operator, if it has changed: about 15 minutes the first time, with AWS's SDKs");
    let command = repository::cargo(&repository::BUILD_OPERATOR)?;
    let status = tokio::process::Command::from(command)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the operator cannot be built ({status})");
    }
    Ok(())
}

/// From an empty cluster to a shop that is Ready; with the time that it was Ready after, from the start of the demo.
async fn open_shop(
    arguments: &Arguments,
    clock: &Clock,
    environment: &LocalEnvironment,
) -> Result<(OperatorProcess, Duration)> {
    let root = repository::root()?;
    clock.say("installing the custom resource definitions and the operator's rights");
    apply(environment, &root.join("crds")).await?;
    apply(environment, &root.join("config/rbac.yaml")).await?;
    environment
        .kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "--filename",
            &root.join("crds").display().to_string(),
        ])
        .await?;

    let before = inventory::aws(environment).await?;
    let port = environment.reserve_port()?;
    let metrics_address = format!("127.0.0.1:{port}");
    let kubeconfig = operator_kubeconfig(environment)?;
    clock.say("starting the operator, with the rights of config/rbac.yaml and no more");
    let operator = environment.start_operator_with(
        "operator",
        &[
            "run",
            "--log-format",
            "text",
            "--metrics-address",
            &metrics_address,
        ],
        &[
            ("KUBECONFIG", &kubeconfig.display().to_string()),
            // Its last words are to be the reason why it ended.
            ("RUST_BACKTRACE", "0"),
        ],
    )?;

    clock.say("applying examples/octank");
    environment
        .kubectl(&["create", "namespace", NAMESPACE])
        .await?;
    let example = root.join("examples/octank");
    apply(environment, &example).await?;
    let patience = Duration::from_secs(arguments.timeout_seconds);
    let applied = Instant::now();
    if let Err(error) = readiness::wait(environment, &operator, &example, patience, |line| {
        clock.say(line)
    })
    .await
    {
        say(&format!(
            "\nthe last words of the operator:\n{}\n",
            last_lines(&operator.log()?)
        ));
        return Err(error);
    }
    let took = clock.elapsed();
    clock.say(&format!(
        "everything is Ready, {:.0} s after it was applied and {:.0} s after the start",
        applied.elapsed().as_secs_f64(),
        took.as_secs_f64()
    ));
    say("\n$ kubectl get shopkeeper -A");
    say(environment
        .kubectl(&["get", "shopkeeper", "--all-namespaces"])
        .await?
        .trim_end());
    say(&inventory::kubernetes(environment).await?);
    say(&inventory::made_in_aws(
        &before,
        &inventory::aws(environment).await?,
    ));
    if !arguments.exit {
        say(&how_to_look_around(environment, port)?);
    }
    Ok((operator, took))
}

async fn apply(environment: &LocalEnvironment, path: &Path) -> Result<()> {
    let path = path.display().to_string();
    environment
        .kubectl(&["apply", "--server-side", "--filename", &path])
        .await
        .map(drop)
}

/// The operator as the service account of config/rbac.yaml: a right that is missing there fails here, and not in somebody's
/// cluster.
fn operator_kubeconfig(environment: &LocalEnvironment) -> Result<PathBuf> {
    environment.kubeconfig_for(
        "service-account",
        LocalEnvironment::OPERATOR_USER,
        Some("system:serviceaccounts"),
    )
}

fn how_to_look_around(environment: &LocalEnvironment, port: u16) -> Result<String> {
    let endpoint = environment.aws_endpoint()?;
    Ok(format!(
        "
To look around, in another terminal:

  export KUBECONFIG={kubeconfig}
  alias kubectl={kubectl}
  kubectl get shopkeeper -A
  kubectl describe orderservice orders -n {NAMESPACE}
  kubectl patch catalogservice catalog -n {NAMESPACE} --type merge -p '{{\"spec\":{{\"nodes\":{{\"nodeGroup\":{{\"max\":15}}}}}}}}'
  kubectl delete orderservice orders -n {NAMESPACE}

  export AWS_ENDPOINT_URL={endpoint} AWS_REGION={region} AWS_DEFAULT_REGION={region} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  aws rds describe-db-instances          # the AWS CLI v2, or any AWS SDK
  curl {endpoint}/_double/inventory      # everything at once
  curl '{endpoint}/_double/calls?write=true'

  curl http://127.0.0.1:{port}/metrics   # the operator's metrics; /healthz and /readyz beside them

The operator is a process here and no pod. Nodes are simulated and come one by one: FailedScheduling at the beginning is as it should be, and
so is FailedGetResourceMetric, since nothing measures pods that do not run. To apply a file again after edits:
  kubectl apply --server-side --force-conflicts -f examples/octank

Logs of every process are in {logs}",
        kubeconfig = environment.kubeconfig_path().display(),
        kubectl = environment.kubectl_path()?.display(),
        region = shopkeeper_localenv::REGION,
        logs = shown(environment.logs_directory()),
    ))
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// A path as the user would write it from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Says what happens, and when it does.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn say(&self, line: &str) {
        say(&format!("{:>5.0} s  {line}", self.elapsed().as_secs_f64()));
    }
}

fn say(line: &str) {
    // Whoever read the output may have gone; the shop has not.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_fails_where_that_was_asked_for() {
        let took = Duration::from_secs(31);
        assert!(in_time(took, None).is_ok());
        assert!(in_time(took, Some(31)).is_ok());
        let told = in_time(took, Some(30)).unwrap_err().to_string();
        assert_eq!(told, "the shop was Ready after 31 s, and not within 30 s");
    }
}
