//! The binary `shopkeeper`: wires the parts together and runs them.
//!
//! May touch everything. Must not decide anything: what to do is in `shopkeeper-plan`, how in `shopkeeper-aws` and
//! `shopkeeper-kube`.

mod accounts;
mod cli;
mod definitions;
mod key;
mod memory;
mod metrics;
mod names;
mod neighbours;
mod pass;
mod queues;
mod resource_metrics;
mod run;
mod server;
mod stores;
mod telemetry;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    // Two TLS providers are linked in (kube's and the AWS SDK's); rustls wants one chosen before anything else.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        anyhow::bail!("a TLS provider was installed already");
    }
    match cli::Cli::parse().command {
        cli::Command::Run(options) => {
            telemetry::start(options.log_format);
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(run::run(options))
        }
        cli::Command::Crds => {
            for definition in shopkeeper_api::all_crds()? {
                print!("---\n{}", serde_yaml_ng::to_string(&definition)?);
            }
            Ok(())
        }
    }
}
