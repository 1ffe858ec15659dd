//! One whole environment, from its start to its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, Client};
use serde_json::Value;

use crate::api_proxy::ApiProxy;
use crate::audit::AuditLog;
use crate::aws_double::{AwsControl, AwsDouble};
use crate::control_plane::{self, ControlPlane, Folders, POLL, START_TIMEOUT};
use crate::etcd::{self, Stored};
use crate::operator_process::{self, OperatorProcess};
use crate::ports::ReservedPort;
use crate::python::PythonEnvironment;
use crate::simulation::{self, Simulation};
use crate::state::StateDirectory;
use crate::tools::Tools;
use crate::{Progress, REGION, cache, install_crypto_provider};

/// What an environment is to be like. Made by [`LocalEnvironment::builder`].
#[derive(Clone)]
pub struct Builder {
    name: String,
    transition: Duration,
    nodes: bool,
    nodes_in_each_zone: usize,
    aws: bool,
    logs: Option<PathBuf>,
    operator: Option<PathBuf>,
    progress: Progress,
}

impl Builder {
    /// How long the AWS double's resources stay in `creating`, `modifying` and `deleting`. One second unless set.
    pub fn transition_seconds(mut self, seconds: f64) -> Self {
        self.transition = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        self
    }

    /// Whether there are nodes: some of their own, and those of the AWS double's node groups. On unless turned off;
    /// without nodes pods stay pending.
    pub fn nodes(mut self, nodes: bool) -> Self {
        self.nodes = nodes;
        self
    }

    /// How many nodes of their own there are in each of the three zones, each for 110 pods. One unless set.
    pub fn nodes_in_each_zone(mut self, nodes: usize) -> Self {
        self.nodes_in_each_zone = nodes;
        self
    }

    /// Whether there is an AWS double. On unless turned off.
    pub fn aws(mut self, aws: bool) -> Self {
        self.aws = aws;
        self
    }

    /// Where the logs go; `target/localenv/<name>-<time>` unless set.
    pub fn logs_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.logs = Some(directory.into());
        self
    }

    /// The operator's program; `$SHOPKEEPER_BIN`, or `target/debug/shopkeeper`, unless set.
    pub fn operator(mut self, program: impl Into<PathBuf>) -> Self {
        self.operator = Some(program.into());
        self
    }

    /// Receives progress; nothing does unless set.
    pub fn progress(mut self, progress: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Starts everything, and returns once nodes are Ready and pods can be created.
    ///
    /// Builds the tools first where they are missing. Fails with the end of the log of the process that failed; then
    /// nothing is left running.
    pub async fn start(self) -> Result<LocalEnvironment> {
        install_crypto_provider();
        let (tools, python) = self.prepare().await?;
        // Building tools happens once on a machine, and is no part of what starting an environment takes.
        let began = Instant::now();
        let state = StateDirectory::create(&self.name)?;
        let logs = match &self.logs {
            Some(directory) => directory.clone(),
            None => default_logs_directory(&self.name),
        };
        fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
        let logs = logs
            .canonicalize()
            .context("cannot name the logs directory")?;
        let folders = Folders {
            state: state.path(),
            logs: &logs,
        };

        let mut control_plane = ControlPlane::start(&tools, &folders).await?;
        let aws = match &python {
            Some(python) => Some((AwsDouble::start(python, &folders)?, python)),
            None => None,
        };
        let ready_aws = async {
            let Some((double, python)) = aws else {
                return Ok(None);
            };
            let endpoint = double.wait_until_ready().await?;
            let seed = double.seed(python, &endpoint, None).await?;
            let control = AwsControl::new(&endpoint);
            control.set_transition(self.transition).await?;
            // AWS keeps the name of a deleted queue for a minute; here everything lasts as long as the rest.
            control.set_transition_of("sqs.*", self.transition).await?;
            (self.progress)("the AWS double is up");
            anyhow::Ok(Some(Aws {
                control,
                double,
                endpoint,
                seed,
                python: python.clone(),
            }))
        };
        let ready_control_plane = async {
            control_plane.wait_until_ready().await?;
            (self.progress)("the API server is up");
            control_plane.start_controllers(&tools, &folders, self.nodes)?;
            let client = Client::try_from(control_plane.config().clone())?;
            simulation::create_ingress_class(&client).await?;
            if self.nodes {
                simulation::create_base_nodes(&client, self.nodes_in_each_zone).await?;
            }
            wait_until_usable(&control_plane, &client, self.nodes).await
        };
        let (aws, ()) = tokio::try_join!(ready_aws, ready_control_plane)?;
        let operator_kubeconfig = state.path().join("operator.kubeconfig");
        control_plane.kubeconfig(
            &operator_kubeconfig,
            LocalEnvironment::OPERATOR_USER,
            Some("system:masters"),
        )?;
        let endpoint = aws
            .as_ref()
            .filter(|_| self.nodes)
            .map(|aws| aws.endpoint.clone());
        let simulation = Simulation::start(
            control_plane
                .config_of(&folders, simulation::USER_AGENT)
                .await?,
            endpoint,
        )?;
        Ok(LocalEnvironment {
            name: self.name,
            simulation: Some(simulation),
            control_plane,
            aws,
            tools,
            operator_kubeconfig,
            audit: AuditLog::at(logs.join("audit.log")),
            operator: self.operator.unwrap_or_else(operator_process::program),
            logs,
            startup: began.elapsed(),
            ports: Mutex::new(Vec::new()),
            state,
        })
    }

    async fn prepare(&self) -> Result<(Tools, Option<PythonEnvironment>)> {
        let (progress, aws) = (Arc::clone(&self.progress), self.aws);
        tokio::task::spawn_blocking(move || {
            let tools = Tools::prepare(&progress)?;
            let python = aws
                .then(|| PythonEnvironment::prepare(&progress))
                .transpose()?;
            anyhow::Ok((tools, python))
        })
        .await
        .context("preparing the tools was interrupted")?
    }
}

/// A running environment. Dropping it kills every process of it and removes its state; the logs stay.
pub struct LocalEnvironment {
    // Fields are dropped in this order: what speaks to the control plane ends before it.
    simulation: Option<Simulation>,
    aws: Option<Aws>,
    control_plane: ControlPlane,
    name: String,
    tools: Tools,
    operator_kubeconfig: PathBuf,
    audit: AuditLog,
    operator: PathBuf,
    logs: PathBuf,
    startup: Duration,
    ports: Mutex<Vec<ReservedPort>>,
    state: StateDirectory,
}

struct Aws {
    double: AwsDouble,
    endpoint: String,
    control: AwsControl,
    seed: Value,
    python: PythonEnvironment,
}

impl LocalEnvironment {
    /// Who the operator is to the API server, in [`AuditLog::writes_by`] for one.
    pub const OPERATOR_USER: &str = "system:serviceaccount:shopkeeper-system:shopkeeper";

    /// Describes a new environment. The name goes into the names of its directories.
    pub fn builder(name: &str) -> Builder {
        Builder {
            name: name.to_owned(),
            transition: Duration::from_secs(1),
            nodes: true,
            nodes_in_each_zone: 1,
            aws: true,
            logs: None,
            operator: None,
            progress: Arc::new(|_| {}),
        }
    }

    /// The name it was built with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long it took to start, without the building of tools.
    pub fn startup(&self) -> Duration {
        self.startup
    }

    /// The directory with the log of each process, the API server's audit log and the record of AWS calls.
    pub fn logs_directory(&self) -> &Path {
        &self.logs
    }

    /// A kubeconfig with every right.
    pub fn kubeconfig_path(&self) -> &Path {
        self.control_plane.admin_kubeconfig()
    }

    /// A kubeconfig for another user, with the rights that RBAC gives the user and the group. `file` names it
    /// among the environment's; it is removed with the environment.
    pub fn kubeconfig_for(&self, file: &str, user: &str, group: Option<&str>) -> Result<PathBuf> {
        let path = self.state.path().join(format!("{file}.kubeconfig"));
        self.control_plane.kubeconfig(&path, user, group)?;
        Ok(path)
    }

    /// The configuration of a client with every right.
    pub fn client_config(&self) -> kube::Config {
        self.control_plane.config().clone()
    }

    /// A new client with every right. It belongs to the runtime it is made on, so each test makes its own.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.client_config())?)
    }

    /// The endpoint of every AWS service. Fails in an environment without AWS.
    pub fn aws_endpoint(&self) -> Result<&str> {
        Ok(&self.aws()?.endpoint)
    }

    /// Asks the AWS double about itself. Fails in an environment without AWS.
    pub fn aws_control(&self) -> Result<&AwsControl> {
        Ok(&self.aws()?.control)
    }

    /// What the account had from the beginning, as the double's seed describes it (VPC, subnets, cluster, roles).
    /// Fails in an environment without AWS.
    pub fn aws_seed(&self) -> Result<&Value> {
        Ok(&self.aws()?.seed)
    }

    /// Makes another network and EKS cluster in the account, as the ones that are there from the beginning; returns their
    /// identifiers as [`LocalEnvironment::aws_seed`] does. Fails in an environment without AWS.
    pub async fn seed_cluster(&self, network: &str, cluster: &str) -> Result<Value> {
        let aws = self.aws()?;
        aws.double
            .seed(&aws.python, &aws.endpoint, Some((network, cluster)))
            .await
    }

    /// Configuration for any AWS SDK client. Fails in an environment without AWS.
    pub fn aws_config(&self) -> Result<aws_config::SdkConfig> {
        Ok(simulation::sdk_config(self.aws_endpoint()?))
    }

    fn aws(&self) -> Result<&Aws> {
        self.aws
            .as_ref()
            .context("this environment was started without AWS")
    }

    /// What the API server was asked, and by whom.
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Runs kubectl with every right and returns its standard output. Fails with its standard error.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = self.kubectl_output(arguments).await?;
        if !output.status.success() {
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs kubectl with every right, whatever becomes of it.
    pub async fn kubectl_output(&self, arguments: &[&str]) -> Result<Output> {
        tokio::process::Command::new(self.tools.kubectl()?)
            .arg("--kubeconfig")
            .arg(self.kubeconfig_path())
            .args(arguments)
            // What kubectl has discovered is kept by address, and ports come around again in other environments.
            .env("KUBECACHEDIR", self.state.path().join("kubectl"))
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run kubectl")
    }

    /// The kubectl of the control plane's version.
    pub fn kubectl_path(&self) -> Result<&Path> {
        self.tools.kubectl()
    }

    /// The variables that make the operator, or any AWS SDK and Kubernetes client, use this environment.
    pub fn environment_for_operator(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("KUBECONFIG", self.operator_kubeconfig.display().to_string()),
            ("NO_PROXY", "127.0.0.1,localhost".into()),
            ("no_proxy", "127.0.0.1,localhost".into()),
        ];
        if let Some(aws) = &self.aws {
            variables.extend([
                ("AWS_ENDPOINT_URL", aws.endpoint.clone()),
                ("AWS_REGION", REGION.into()),
                ("AWS_DEFAULT_REGION", REGION.into()),
                ("AWS_ACCESS_KEY_ID", "test".into()),
                ("AWS_SECRET_ACCESS_KEY", "test".into()),
                ("AWS_EC2_METADATA_DISABLED", "true".into()),
                // The double counts messages as they come.
                ("SHOPKEEPER_QUEUE_COUNTS_LAG_SECONDS", "1".into()),
                // And tells of a call once it has taken effect.
                ("SHOPKEEPER_CLOUDTRAIL_LAG_SECONDS", "1".into()),
                // The user's own settings must not reach in, nor a test reach out.
                ("AWS_CONFIG_FILE", "/dev/null".into()),
                ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".into()),
            ]);
        }
        variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Starts the operator against this environment, with its log in `<name>.log` of the logs directory.
    pub fn start_operator(&self, name: &str, arguments: &[&str]) -> Result<OperatorProcess> {
        self.start_operator_with(name, arguments, &[])
    }

    /// As [`LocalEnvironment::start_operator`], with variables added (or replaced).
    pub fn start_operator_with(
        &self,
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<OperatorProcess> {
        let mut environment = self.environment_for_operator();
        environment.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        OperatorProcess::start(
            self.operator.clone(),
            arguments,
            environment,
            self.logs.join(format!("{name}.log")),
        )
    }

    /// A proxy in front of the API server that can be unkind, for a client with the operator's user. An operator uses it that is
    /// started with the variable KUBECONFIG set to [`ApiProxy::kubeconfig`].
    pub async fn proxy_for_operator(&self) -> Result<ApiProxy> {
        let config = control_plane::client_config(&self.operator_kubeconfig).await?;
        ApiProxy::start(config, self.state.path().join("proxy.kubeconfig")).await
    }

    /// A port of the loopback interface that no other environment uses as long as this one lives, for a server of the
    /// caller's such as the operator's metrics.
    pub fn reserve_port(&self) -> Result<u16> {
        let port = ReservedPort::reserve()?;
        let number = port.number();
        self.ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(port);
        Ok(number)
    }

    /// Kills the API server and starts it again on the same port, as after a crash; returns once it is ready.
    pub async fn restart_api_server(&self) -> Result<()> {
        self.control_plane.restart_api_server().await
    }

    /// Stops etcd for a while, as a disk that hangs does; returns once the API server is ready again. Meanwhile the API server takes
    /// connections and answers nothing that it has to ask etcd for.
    pub async fn pause_etcd(&self, pause: Duration) -> Result<()> {
        self.control_plane.pause_etcd(pause).await
    }

    /// Everything that etcd holds now: what the API server has stored, in the form in which it is stored.
    pub async fn stored(&self) -> Result<Vec<Stored>> {
        etcd::read_all(self.control_plane.etcd_address()).await
    }

    /// Fails, with the end of its log, when any process of the environment has ended.
    pub fn ensure_running(&self) -> Result<()> {
        self.control_plane.ensure_running()?;
        self.aws
            .as_ref()
            .map_or(Ok(()), |aws| aws.double.ensure_running())
    }

    /// The process ids of the environment, without the operator's.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = self.control_plane.pids();
        pids.extend(self.aws.as_ref().map(|aws| aws.double.pid()));
        pids
    }

    /// Ends the environment: afterwards no process of it runs and its state is gone.
    pub async fn stop(mut self) -> Result<()> {
        tokio::task::spawn_blocking(move || {
            drop(self.simulation.take());
            drop(self);
        })
        .await
        .context("stopping the environment was interrupted")
    }
}

/// Waits for what a first pod needs: its service account and, with nodes, a node that takes it.
async fn wait_until_usable(
    control_plane: &ControlPlane,
    client: &Client,
    nodes: bool,
) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let all_nodes: Api<Node> = Api::all(client.clone());
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let account = accounts.get_opt("default").await?.is_some();
        let ready = !nodes
            || all_nodes
                .list(&Default::default())
                .await?
                .iter()
                .all(simulation::is_ready);
        if account && ready {
            return Ok(());
        }
        control_plane.ensure_running()?;
        if Instant::now() > deadline {
            bail!(
                "after {START_TIMEOUT:?} the default service account exists: {account}, the nodes are ready: {ready}"
            );
        }
        tokio::time::sleep(POLL).await;
    }
}

fn default_logs_directory(name: &str) -> PathBuf {
    let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S");
    let base = cache::target_directory().join("localenv");
    // Environments of the same name may start within the same second.
    base.join(format!("{name}-{time}-{}", std::process::id()))
}
