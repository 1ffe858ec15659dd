//! The AWS double as a process of its own, and the passes that bring a resource to what is desired.
//!
//! States that last (creating, modifying, deleting) last for a minute of the double's own clock, which [`Double::advance`]
//! moves on: no test waits for real time to pass.

// Each test binary uses a part of this module.
#![allow(dead_code, unused_imports)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod passes;

use std::{
    env,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use aws_config::{AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use serde_json::{Value, json};
use shopkeeper_aws::{Account, Lags, budget::Budgets, calls::NoObserver};
use shopkeeper_plan::aws::{AwsResource, S3Bucket};

pub use passes::{change, converge, differing, look, owner_tags, remove, scope, token};

pub const REGION: &str = "eu-west-1";
pub const ACCOUNT_ID: &str = "123456789012";
/// The cluster of a seeded double.
pub const CLUSTER: &str = "octank-prod";
const CLUSTER_ARN: &str = "arn:aws:eks:eu-west-1:123456789012:cluster/octank-prod";

/// How long a state lasts on the double's clock.
const TRANSITION_SECONDS: f64 = 60.0;
/// Longest time until the double answers: it imports moto, which is slow on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A versioned bucket with nothing special.
pub fn bucket(name: &str) -> AwsResource {
    S3Bucket {
        name: name.into(),
        region: REGION.into(),
        versioning: true,
        kms_key_arn: None,
        public_access_blocked: true,
        owner_enforced: true,
        policy: None,
        lifecycle: vec![],
        intelligent_tiering: None,
        cors: vec![],
        tags: owner_tags(),
    }
    .into()
}

/// A running double; gone with the value.
pub struct Double {
    process: Child,
    port: u16,
    _state: tempfile::TempDir,
}

impl Double {
    /// Starts an empty one.
    pub fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let port_file = state.path().join("port");
        let mut process = python("shopkeeper_double")
            .args(["--host", "127.0.0.1", "--port", "0", "--port-file"])
            .arg(&port_file)
            .args(["--transition-seconds", "0", "--parent-pid", &std::process::id().to_string()])
            .stdout(Stdio::null())
            .spawn()
            .expect("the double needs Python: set SHOPKEEPER_PYTHON to an interpreter with tests/localenv/aws/requirements.txt");
        let deadline = Instant::now() + START_TIMEOUT;
        let port = loop {
            if let Ok(text) = std::fs::read_to_string(&port_file) {
                break text.trim().parse().unwrap();
            }
            if let Some(status) = process.try_wait().unwrap() {
                panic!("the double ended with {status}");
            }
            assert!(Instant::now() < deadline, "the double does not answer");
            std::thread::sleep(Duration::from_millis(20));
        };
        let double = Self {
            process,
            port,
            _state: state,
        };
        double.control(
            "PUT",
            "config",
            &json!({ "transition_seconds": TRANSITION_SECONDS }),
        );
        double
    }

    /// Starts one whose account has what is there before Shopkeeper: a VPC with subnets, and an EKS cluster.
    pub fn start_seeded() -> (Self, Seed) {
        let double = Self::start();
        double.control("PUT", "config", &json!({ "transition_seconds": 0 }));
        let output = python("shopkeeper_double.seed")
            .args(["--endpoint", &double.endpoint(), "--region", REGION])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        double.control(
            "PUT",
            "config",
            &json!({ "transition_seconds": TRANSITION_SECONDS }),
        );
        (
            double,
            Seed(serde_json::from_slice(&output.stdout).unwrap()),
        )
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A configuration for clients of one's own.
    pub fn configuration(&self) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(self.endpoint())
            .retry_config(RetryConfig::disabled())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "test", "test", None, None, "tests",
            )))
            .build()
    }

    pub fn account(&self) -> Account {
        Account::from_configuration(self.configuration(), Arc::new(NoObserver), None)
    }

    /// An account whose calls are told from those of others, by a name in their user agent.
    pub fn account_of(&self, caller: &str) -> Account {
        self.named_account(caller, None)
    }

    /// The same, with CloudTrail asked before a setting is read again. The double tells of a call at once.
    pub fn trailing_account_of(&self, caller: &str) -> Account {
        self.account_of(caller).with_lags(Lags {
            queue_counts: Duration::ZERO,
            cloudtrail: Duration::from_nanos(1),
        })
    }

    /// As [`Self::account_of`], within budgets.
    pub fn account_within(&self, caller: &str, budgets: Budgets) -> Account {
        self.named_account(caller, Some(budgets))
    }

    fn named_account(&self, caller: &str, budgets: Option<Budgets>) -> Account {
        let name = AppName::new(caller.to_owned()).unwrap();
        let configuration = self.configuration().into_builder().app_name(name).build();
        Account::from_configuration(configuration, Arc::new(NoObserver), budgets)
    }

    /// How long a state lasts from now on.
    pub fn transition_seconds(&self, seconds: f64) {
        self.control("PUT", "config", &json!({ "transition_seconds": seconds }));
    }

    /// Moves the double's clock on.
    pub fn advance(&self, seconds: f64) {
        self.control("POST", "clock", &json!({ "advance_seconds": seconds }));
    }

    /// Moves the double's clock past the end of every state that is under way.
    pub fn settle(&self) {
        self.advance(TRANSITION_SECONDS + 1.0);
    }

    /// Makes calls fail, by the double's rules for faults; gives the id of the rule.
    pub fn fault(&self, rule: &Value) -> String {
        self.control("POST", "faults", rule)["ids"][0]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// How many calls met a fault.
    pub fn applied(&self, id: &str) -> u64 {
        let path = format!("faults/applied?id={id}&times=1&seconds=0");
        self.control("GET", &path, &Value::Null)["rule"]["applied"]
            .as_u64()
            .unwrap()
    }

    /// Ends one fault.
    pub fn remove_fault(&self, id: &str) {
        self.control("DELETE", &format!("faults?id={id}"), &Value::Null);
    }

    /// Changes what the account may have, by `<service>/<code of the quota>`.
    pub fn quotas(&self, values: &Value) {
        self.control("PUT", "config", &json!({ "quotas": values }));
    }

    /// Ends all faults.
    pub fn remove_faults(&self) {
        self.control("DELETE", "faults", &Value::Null);
    }

    /// Makes the next transition of that name (`eks.nodegroup.creating`) end in another state than it would.
    pub fn outcome(&self, transition: &str, state: &str) {
        self.outcome_telling(transition, state, &Value::Null);
    }

    /// As [`Self::outcome`], with what the service tells of it.
    pub fn outcome_telling(&self, transition: &str, state: &str, detail: &Value) {
        let mut outcome = json!({"then": state, "count": 1});
        if !detail.is_null() {
            outcome["detail"] = detail.clone();
        }
        self.control(
            "PUT",
            "config",
            &json!({ "outcomes": { transition: outcome } }),
        );
    }

    /// The operations called so far that change something, in order.
    pub fn writes(&self) -> Vec<String> {
        let calls = self.control("GET", "calls?write=true", &Value::Null);
        calls["calls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["operation"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The number of the last call, for [`Self::writes_since`].
    pub fn position(&self) -> u64 {
        self.control("GET", "health", &Value::Null)["calls"]
            .as_u64()
            .unwrap()
    }

    /// The operations that somebody called after a position and that change something, refused ones too.
    pub fn writes_since(&self, position: u64, caller: &str) -> Vec<String> {
        self.operations(&format!("calls?write=true&since={position}"), caller)
    }

    /// The operations that somebody called after a position, refused ones too.
    pub fn calls_since(&self, position: u64, caller: &str) -> Vec<String> {
        self.operations(&format!("calls?since={position}"), caller)
    }

    fn operations(&self, path: &str, caller: &str) -> Vec<String> {
        let mark = format!("app/{caller} ");
        self.control("GET", path, &Value::Null)["calls"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|call| format!("{} ", call["user_agent"].as_str().unwrap()).contains(&mark))
            .map(|call| call["operation"].as_str().unwrap().to_owned())
            .collect()
    }

    /// How often the double itself failed.
    pub fn crashes(&self) -> u64 {
        self.control("GET", "health", &Value::Null)["crashes"]
            .as_u64()
            .unwrap()
    }

    /// What exists, in the double's own terms.
    pub fn inventory(&self) -> Vec<Value> {
        self.control("GET", "inventory", &Value::Null)["resources"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// Makes a security group, by EC2's query protocol: one call is not worth another SDK.
    pub fn security_group(&self, seed: &Seed, name: &str) -> String {
        let body = format!(
            "Action=CreateSecurityGroup&Version=2016-11-15&GroupName={name}&GroupDescription={name}&VpcId={}",
            seed.vpc()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST / HTTP/1.0\r\nHost: ec2.{REGION}.amazonaws.com\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/ec2/aws4_request, SignedHeaders=host, Signature=0\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let id = answer
            .split_once("<groupId>")
            .and_then(|(_, rest)| rest.split_once("</groupId>"));
        id.unwrap_or_else(|| panic!("{answer}")).0.to_owned()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.control("DELETE", "calls", &Value::Null);
    }

    fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} /_double/{path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.split(' ').nth(1) == Some("200"), "{answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Python with the double's package on its path.
fn python(module: &str) -> Command {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/localenv/aws");
    let interpreter = env::var_os("SHOPKEEPER_PYTHON").map_or_else(
        || {
            PathBuf::from(env::var_os("HOME").unwrap_or_default())
                .join(".cache/shopkeeper/py/bin/python")
        },
        PathBuf::from,
    );
    let mut command = Command::new(interpreter);
    command
        .args(["-m", module])
        .env("PYTHONPATH", package)
        .stdin(Stdio::null());
    command
}

/// What a seeded account has.
pub struct Seed(Value);

impl Seed {
    /// Private subnets, one a zone.
    pub fn private_subnets(&self) -> Vec<String> {
        self.list("private_subnets")
    }

    /// Public subnets, one a zone.
    pub fn public_subnets(&self) -> Vec<String> {
        self.list("public_subnets")
    }

    /// The VPC.
    pub fn vpc(&self) -> &str {
        self.text("vpc")
    }

    /// Another value by its name in the seed's own answer.
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.0[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect()
    }
}
