//! A real Kubernetes control plane, a double of AWS and what EKS does between the two, on one machine.
//!
//! etcd, kube-apiserver, kube-controller-manager and kube-scheduler are the real programs, built from their Go modules.
//! Nodes are simulated by KWOK, and AWS by moto with corrections of our own (`tests/localenv/aws`). What joins the two
//! in a real cluster is simulated here: managed node groups become Nodes, an Ingress gets a load balancer's host name.
//!
//! [`LocalEnvironment`] is the way in, for the demo, the end-to-end tests and the benchmarks alike. Many environments
//! can run side by side; each has its own ports, state and logs, and none outlives the process that started it.
//!
//! This crate may start processes, listen on the loopback interface and write below the build directory, the user's
//! cache directory and the temporary directory. It must not know the operator's own types: it stands for the world the
//! operator lives in, and that world knows nothing of the operator.

mod api_proxy;
mod audit;
mod aws_double;
mod cache;
mod certificates;
mod control_plane;
mod environment;
mod etcd;
mod operator_process;
mod ports;
mod processes;
mod python;
mod simulation;
mod state;
mod tools;

pub use api_proxy::{ApiHold, ApiProxy, ApiWrite, Refusal};
pub use audit::{AuditEvent, AuditLog, AuditUser, ObjectReference};
pub use aws_double::{
    AwsCall, AwsControl, AwsFault, CallFilter, FaultId, FaultKind, Hold, Outcome, RateLimit,
};
pub use environment::{Builder, LocalEnvironment};
pub use etcd::Stored;
pub use operator_process::OperatorProcess;
pub use python::PythonEnvironment;
pub use tools::Tools;

/// The region of everything in the AWS double.
pub const REGION: &str = "eu-west-1";

/// Receives one line of progress at a time, for a person who waits.
pub type Progress = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// Installs the TLS implementation of this process, once; later calls change nothing.
///
/// kube and the AWS SDK each bring a different default provider, and rustls refuses to choose between two.
pub fn install_crypto_provider() {
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
