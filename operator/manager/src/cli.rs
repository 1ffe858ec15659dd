//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use shopkeeper_aws::Lags;

/// Shopkeeper runs shops on Amazon EKS.
#[derive(Debug, Parser)]
#[command(name = "shopkeeper", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(RunOptions),
    /// Print the custom resource definitions as YAML.
    Crds,
}

/// How to run.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// Address of /metrics, /healthz and /readyz.
    #[arg(
        long,
        env = "SHOPKEEPER_METRICS_ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub metrics_address: SocketAddr,
    /// File to write the address to once it is bound; for port 0.
    #[arg(long, env = "SHOPKEEPER_METRICS_ADDRESS_FILE")]
    pub metrics_address_file: Option<std::path::PathBuf>,
    /// Namespace of the operator, where its Lease is.
    #[arg(long, env = "POD_NAMESPACE", default_value = "shopkeeper-system")]
    pub namespace: String,
    /// Name of this replica, in the Lease and in events.
    #[arg(long, env = "POD_NAME", default_value = "shopkeeper")]
    pub pod_name: String,
    /// Whether replicas elect a leader. Without, exactly one may run.
    #[arg(long, env = "SHOPKEEPER_LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_election: bool,
    /// Passes of one kind that run at once.
    #[arg(long, env = "SHOPKEEPER_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=256))]
    pub concurrency: u16,
    /// Seconds for which SQS's counts of messages may lag behind. A queue that is to lose nothing is deleted once it was empty for as long.
    #[arg(long, env = "SHOPKEEPER_QUEUE_COUNTS_LAG_SECONDS", default_value_t = shopkeeper_aws::sqs::COUNTS_LAG.as_secs())]
    pub queue_counts_lag_seconds: u64,
    /// Seconds after which CloudTrail has told of every call that changed something. What it tells of no change to is not read again; 0 reads
    /// everything and asks CloudTrail nothing.
    #[arg(long, env = "SHOPKEEPER_CLOUDTRAIL_LAG_SECONDS", default_value_t = shopkeeper_aws::cloudtrail::LAG.as_secs())]
    pub cloudtrail_lag_seconds: u64,
    /// Form of the log. Levels by RUST_LOG, by default info.
    #[arg(long, env = "SHOPKEEPER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

impl RunOptions {
    /// How far AWS lags behind.
    #[must_use]
    pub fn lags(&self) -> Lags {
        Lags {
            queue_counts: Duration::from_secs(self.queue_counts_lag_seconds),
            cloudtrail: Duration::from_secs(self.cloudtrail_lag_seconds),
        }
    }
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}
