//! etcd, the API server and the controllers of Kubernetes, as processes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::Client;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::certificates::CertificateAuthority;
use crate::ports::ReservedPort;
use crate::processes::{ChildProcess, ProcessSpecification};
use crate::tools::Tools;

/// The address range of Services that EKS gives a cluster whose VPC is not in 10.0.0.0/8.
const SERVICE_RANGE: &str = "10.100.0.0/16";

/// The address range KWOK gives pods from.
const POD_RANGE: &str = "10.200.0.0/16";

/// Marks the nodes that KWOK plays kubelet for.
pub(crate) const SIMULATED_NODE: (&str, &str) = ("kwok.x-k8s.io/node", "fake");

/// How long anything here may take to start. It is a bound against waiting for ever, not an expectation.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(180);

/// How often a condition that has no event to wait for is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// Environment of Go's programs: a heap may grow to four times what is alive in it, and not to twice, before it is searched for garbage.
/// The API server spends less of a core on that, which several environments side by side are short of, and takes 0.3 GB more.
fn rarer_garbage_collection() -> Vec<(String, String)> {
    vec![("GOGC".into(), "300".into())]
}

/// Where the parts of one control plane keep what they need.
pub(crate) struct Folders<'a> {
    pub(crate) state: &'a Path,
    pub(crate) logs: &'a Path,
}

/// A running control plane. Dropping it kills the API server before etcd: without etcd it holds on to its port.
pub(crate) struct ControlPlane {
    /// In the order in which they are to end.
    controllers: Vec<ChildProcess>,
    api_server: Mutex<ChildProcess>,
    etcd: ChildProcess,
    etcd_address: String,
    authority: CertificateAuthority,
    server: String,
    admin_kubeconfig: PathBuf,
    config: kube::Config,
    service_account_key: PathBuf,
    _ports: [ReservedPort; 3],
}

impl ControlPlane {
    /// Starts etcd and the API server, without waiting for either: the API server waits for etcd by itself.
    pub(crate) async fn start(tools: &Tools, folders: &Folders<'_>) -> Result<Self> {
        let ports = [
            ReservedPort::reserve()?,
            ReservedPort::reserve()?,
            ReservedPort::reserve()?,
        ];
        let [etcd_port, etcd_peer_port, api_port] = ports.each_ref().map(ReservedPort::number);
        let authority = CertificateAuthority::create(&folders.state.join("certificates"))?;
        let serving = authority.server()?;
        let (service_account_key, service_account_public_key) = authority.service_account_key()?;
        let server = format!("https://127.0.0.1:{api_port}");
        let admin_kubeconfig = folders.state.join("admin.kubeconfig");
        authority.kubeconfig(
            &admin_kubeconfig,
            &server,
            "kubernetes-admin",
            Some("system:masters"),
        )?;

        let etcd_address = format!("http://127.0.0.1:{etcd_port}");
        let etcd_peer_address = format!("http://127.0.0.1:{etcd_peer_port}");
        let etcd = ChildProcess::start(ProcessSpecification {
            name: "etcd".into(),
            program: tools.path("etcd")?.into(),
            arguments: vec![
                "--name=localenv".into(),
                flag("data-dir", folders.state.join("etcd").display()),
                flag("listen-client-urls", &etcd_address),
                flag("advertise-client-urls", &etcd_address),
                flag("listen-peer-urls", &etcd_peer_address),
                flag("initial-advertise-peer-urls", &etcd_peer_address),
                flag(
                    "initial-cluster",
                    format_args!("localenv={etcd_peer_address}"),
                ),
                // Nothing of this outlives the machine, so nothing has to survive its crash.
                "--unsafe-no-fsync".into(),
                "--log-level=warn".into(),
            ],
            environment: rarer_garbage_collection(),
            log: folders.logs.join("etcd.log"),
        })?;
        let api_server = ChildProcess::start(ProcessSpecification {
            name: "kube-apiserver".into(),
            program: tools.path("kube-apiserver")?.into(),
            arguments: vec![
                flag("etcd-servers", &etcd_address),
                "--bind-address=127.0.0.1".into(),
                "--advertise-address=127.0.0.1".into(),
                flag("secure-port", api_port),
                // A loopback address is refused as an endpoint of the Service `kubernetes`.
                "--endpoint-reconciler-type=none".into(),
                flag("tls-cert-file", serving.certificate.display()),
                flag("tls-private-key-file", serving.key.display()),
                flag("client-ca-file", authority.certificate().display()),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                flag(
                    "service-account-signing-key-file",
                    service_account_key.display(),
                ),
                flag(
                    "service-account-key-file",
                    service_account_public_key.display(),
                ),
                flag("service-cluster-ip-range", SERVICE_RANGE),
                "--authorization-mode=Node,RBAC".into(),
                "--enable-admission-plugins=NodeRestriction".into(),
                "--allow-privileged=true".into(),
                flag(
                    "audit-policy-file",
                    configuration("audit-policy.yaml").display(),
                ),
                flag("audit-log-path", folders.logs.join("audit.log").display()),
                // In megabytes; by default the log starts anew at 100, and who counts would count too few.
                "--audit-log-maxsize=1000000".into(),
            ],
            environment: rarer_garbage_collection(),
            log: folders.logs.join("kube-apiserver.log"),
        })?;
        let config = client_config(&admin_kubeconfig).await?;
        Ok(Self {
            controllers: Vec::new(),
            api_server: Mutex::new(api_server),
            etcd,
            etcd_address,
            authority,
            server,
            admin_kubeconfig,
            config,
            service_account_key,
            _ports: ports,
        })
    }

    /// Waits until the API server has started whole: its own roles are there and every check of `/readyz` passes.
    pub(crate) async fn wait_until_ready(&self) -> Result<()> {
        // The client logs each refused connection as an error, and here they are the rule.
        self.poll_readyz()
            .with_subscriber(NoSubscriber::new())
            .await
    }

    async fn poll_readyz(&self) -> Result<()> {
        let mut config = self.config.clone();
        config.default_retry = false;
        let client = Client::try_from(config)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            let problem = match client.request_text(request).await {
                Ok(_) => return Ok(()),
                Err(problem) => problem,
            };
            self.etcd.ensure_running()?;
            self.api_server
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .ensure_running()?;
            if Instant::now() > deadline {
                bail!("the API server is not ready after {START_TIMEOUT:?}: {problem}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Starts what acts on the API server's objects: the controller manager, the scheduler, and KWOK if asked to.
    pub(crate) fn start_controllers(
        &mut self,
        tools: &Tools,
        folders: &Folders<'_>,
        nodes: bool,
    ) -> Result<()> {
        let kubeconfig_of = |user: &str| -> Result<PathBuf> {
            let path = folders.state.join(format!(
                "{}.kubeconfig",
                user.rsplit(':').next().unwrap_or(user)
            ));
            self.authority.kubeconfig(&path, &self.server, user, None)?;
            Ok(path)
        };
        let controller_manager = ProcessSpecification {
            name: "kube-controller-manager".into(),
            program: tools.path("kube-controller-manager")?.into(),
            arguments: vec![
                flag(
                    "kubeconfig",
                    kubeconfig_of("system:kube-controller-manager")?.display(),
                ),
                flag(
                    "service-account-private-key-file",
                    self.service_account_key.display(),
                ),
                flag("root-ca-file", self.authority.certificate().display()),
                // Each controller under its own account, with its own rights, as on EKS; the audit log tells them apart.
                "--use-service-account-credentials=true".into(),
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
            ],
            environment: rarer_garbage_collection(),
            log: folders.logs.join("kube-controller-manager.log"),
        };
        let scheduler = ProcessSpecification {
            name: "kube-scheduler".into(),
            program: tools.path("kube-scheduler")?.into(),
            arguments: vec![
                flag(
                    "kubeconfig",
                    kubeconfig_of("system:kube-scheduler")?.display(),
                ),
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
            ],
            environment: rarer_garbage_collection(),
            log: folders.logs.join("kube-scheduler.log"),
        };
        self.controllers
            .push(ChildProcess::start(controller_manager)?);
        self.controllers.push(ChildProcess::start(scheduler)?);
        if nodes {
            let kubeconfig = folders.state.join("kwok.kubeconfig");
            self.authority
                .kubeconfig(&kubeconfig, &self.server, "kwok", Some("system:masters"))?;
            let (annotation, value) = SIMULATED_NODE;
            self.controllers
                .push(ChildProcess::start(ProcessSpecification {
                    name: "kwok".into(),
                    program: tools.path("kwok")?.into(),
                    arguments: vec![
                        flag("kubeconfig", kubeconfig.display()),
                        flag("config", configuration("kwok-stages.yaml").display()),
                        flag(
                            "manage-nodes-with-annotation-selector",
                            format_args!("{annotation}={value}"),
                        ),
                        // Leases, as kubelet keeps them: without them a heartbeat rewrites every node's status.
                        "--node-lease-duration-seconds=40".into(),
                        flag("cidr", POD_RANGE),
                    ],
                    // Where KWOK would look for settings of the user's own.
                    environment: vec![(
                        "KWOK_WORKDIR".into(),
                        folders.state.join("kwok").display().to_string(),
                    )],
                    log: folders.logs.join("kwok.log"),
                })?);
        }
        Ok(())
    }

    /// Kills the API server and starts it again on the same port, as after a crash; returns once it is ready.
    pub(crate) async fn restart_api_server(&self) -> Result<()> {
        {
            let mut api_server = self
                .api_server
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            api_server.kill();
            *api_server = ChildProcess::start(api_server.specification().clone())?;
        }
        self.wait_until_ready().await
    }

    /// Stops etcd with all its connections open, as a disk that hangs does, lets it go on after a while, and returns once the API
    /// server is ready again.
    pub(crate) async fn pause_etcd(&self, pause: Duration) -> Result<()> {
        self.etcd.pause()?;
        tokio::time::sleep(pause).await;
        self.etcd.resume()?;
        self.wait_until_ready().await
    }

    /// Where etcd answers its clients.
    pub(crate) fn etcd_address(&self) -> &str {
        &self.etcd_address
    }

    /// Fails when any of the processes has ended.
    pub(crate) fn ensure_running(&self) -> Result<()> {
        self.etcd.ensure_running()?;
        self.api_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .ensure_running()?;
        self.controllers
            .iter()
            .try_for_each(ChildProcess::ensure_running)
    }

    /// The configuration of a client with every right.
    pub(crate) fn config(&self) -> &kube::Config {
        &self.config
    }

    pub(crate) fn admin_kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// The configuration of a client that is another user, with every right.
    pub(crate) async fn config_of(
        &self,
        folders: &Folders<'_>,
        user: &str,
    ) -> Result<kube::Config> {
        let path = folders.state.join(format!("{user}.kubeconfig"));
        self.authority
            .kubeconfig(&path, &self.server, user, Some("system:masters"))?;
        client_config(&path).await
    }

    /// Writes a kubeconfig for another user.
    pub(crate) fn kubeconfig(&self, path: &Path, user: &str, group: Option<&str>) -> Result<()> {
        self.authority.kubeconfig(path, &self.server, user, group)
    }

    /// The process ids of all parts.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let api_server = self
            .api_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pid();
        self.controllers
            .iter()
            .map(ChildProcess::pid)
            .chain([api_server, self.etcd.pid()])
            .collect()
    }
}

/// Reads a kubeconfig with a client certificate.
pub(crate) async fn client_config(path: &Path) -> Result<kube::Config> {
    let kubeconfig = kube::config::Kubeconfig::read_from(path)?;
    let mut config = kube::Config::from_custom_kubeconfig(
        kubeconfig,
        &kube::config::KubeConfigOptions::default(),
    )
    .await
    .with_context(|| format!("cannot use {}", path.display()))?;
    // The proxy of a company's network does not know this machine's loopback interface.
    config.proxy_url = None;
    Ok(config)
}

fn configuration(file: &str) -> PathBuf {
    crate::cache::source_folder().join("config").join(file)
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}
