//! What EKS and the controllers of AWS do to a cluster from outside, played against the double.

mod fargate;
mod ingress;
mod instance_types;
mod node_groups;
mod node_joiner;
mod nodes;
mod service;
mod subnets;

use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use kube::Client;
use tokio::sync::oneshot;

use crate::REGION;

pub(crate) use ingress::create_ingress_class;
pub(crate) use nodes::{create_base_nodes, is_ready};

/// How the simulation names itself to AWS and to the API server, so that its requests can be told from the operator's.
pub(crate) const USER_AGENT: &str = "localenv-simulation";

/// The running simulation. Dropping it ends it.
pub(crate) struct Simulation {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulation {
    /// Starts the simulation; without an endpoint there are no node groups to join nodes for.
    ///
    /// It has a thread and a runtime of its own: a test that blocks its own runtime, or ends it while others still use
    /// the environment, must not stop the world.
    pub(crate) fn start(config: kube::Config, aws_endpoint: Option<String>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot create the runtime of the simulation")?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("simulation".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        // Also when the sender is dropped.
                        _ = stopped => (),
                        result = run(config, aws_endpoint) => if let Err(problem) = result {
                            tracing::error!(problem = format!("{problem:#}"), "the simulation ended");
                        },
                    }
                });
            })
            .context("cannot start the thread of the simulation")?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there was reported when it happened.
            let _ = thread.join();
        }
    }
}

async fn run(mut config: kube::Config, aws_endpoint: Option<String>) -> Result<()> {
    // A disruption budget answers an eviction with 429. The client would wait and repeat it for a minute, while every
    // other node group stands still.
    config.default_retry = false;
    let client = Client::try_from(config)?;
    let join_nodes = async {
        match aws_endpoint {
            Some(endpoint) => {
                tokio::join!(
                    node_joiner::NodeJoiner::new(client.clone(), &endpoint).run(),
                    fargate::Fargate::new(client.clone(), &endpoint).run()
                );
            }
            None => std::future::pending().await,
        }
    };
    tokio::join!(
        ingress::run(client.clone()),
        service::run(client.clone()),
        join_nodes
    );
    Ok(())
}

/// Configuration for a client of the double.
pub(crate) fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "localenv");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}
