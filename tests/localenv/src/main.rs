//! `localenv`: the local environment from a terminal.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use shopkeeper_localenv::{
    LocalEnvironment, Progress, PythonEnvironment, Tools, install_crypto_provider,
};
use tokio::signal::unix::{SignalKind, signal};

/// A Kubernetes control plane and a double of AWS on this machine.
#[derive(Parser)]
#[command(name = "localenv")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start an environment and keep it until Ctrl-C.
    Up {
        /// Names its logs directory.
        #[arg(long, default_value = "shop")]
        name: String,
        /// How long AWS resources stay in creating, modifying and deleting.
        #[arg(long, default_value_t = 5.0)]
        transition_seconds: f64,
        /// Also write the kubeconfig to this file.
        #[arg(long)]
        kubeconfig: Option<PathBuf>,
    },
    /// Only prepare the tools: build the control plane, install the AWS double's requirements.
    Install,
}

#[tokio::main]
async fn main() -> Result<()> {
    install_crypto_provider();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(log_filter())
        .init();
    match Arguments::parse().command {
        Command::Install => {
            tokio::task::spawn_blocking(|| {
                let progress: Progress = Arc::new(print);
                let tools = Tools::prepare(&progress)?;
                PythonEnvironment::prepare(&progress)?;
                print(&format!("ready; kubectl is {}", tools.kubectl()?.display()));
                Ok(())
            })
            .await?
        }
        Command::Up {
            name,
            transition_seconds,
            kubeconfig,
        } => up(&name, transition_seconds, kubeconfig).await,
    }
}

fn log_filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into())
}

async fn up(name: &str, transition_seconds: f64, kubeconfig: Option<PathBuf>) -> Result<()> {
    // Set up before anything is started, so that no signal ends this process the hard way in between.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let starting = LocalEnvironment::builder(name)
        .transition_seconds(transition_seconds)
        .progress(print)
        .start();
    let environment = tokio::select! {
        environment = starting => environment?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    if let Some(path) = &kubeconfig {
        std::fs::copy(environment.kubeconfig_path(), path)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    print(&format!(
        "up after {:.1} s; to look around:\n",
        environment.startup().as_secs_f64()
    ));
    for (variable, value) in environment.environment_for_operator() {
        if variable == "KUBECONFIG" {
            print(&format!(
                "  export KUBECONFIG={}",
                environment.kubeconfig_path().display()
            ));
        } else if variable.starts_with("AWS_") {
            print(&format!("  export {variable}={value}"));
        }
    }
    print(&format!(
        "  {} get nodes",
        environment.kubectl_path()?.display()
    ));
    print("  aws eks list-clusters");
    print(&format!(
        "\nlogs are in {}\nCtrl-C ends it all",
        environment.logs_directory().display()
    ));
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
    print("stopping");
    environment.stop().await
}

fn print(line: &str) {
    // Whoever read the output may have gone; the environment has not.
    let _ = writeln!(std::io::stdout(), "{line}");
}
