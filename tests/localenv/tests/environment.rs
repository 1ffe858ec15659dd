//! The environment itself: that it comes up, does what EKS does, and leaves nothing behind.

// clippy.toml allows these in test functions, and the helpers here are outside of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_eks::types::{
    NodegroupScalingConfig, NodegroupStatus, Taint, TaintEffect, UpdateLabelsPayload,
};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use shopkeeper_localenv::{ApiProxy, AwsFault, FaultKind, LocalEnvironment, Refusal};

/// Bounds a wait that would otherwise never end; a slow machine needs a fraction of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until the closure returns true.
async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn start(name: &str) -> LocalEnvironment {
    let environment = LocalEnvironment::builder(name)
        .transition_seconds(0.5)
        .progress(|line| println!("{line}"))
        .start()
        .await
        .unwrap();
    println!(
        "{name} was up after {:.1} s",
        environment.startup().as_secs_f64()
    );
    println!("logs are in {}", environment.logs_directory().display());
    environment
}

/// Whether the process runs; a zombie does not.
fn is_running(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The program's name is in parentheses and may hold anything.
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.starts_with('Z'))
}

async fn nodes_of(client: &Client, group: &str) -> Vec<Node> {
    let nodes: Api<Node> = Api::all(client.clone());
    nodes
        .list(&ListParams::default().labels(&format!("eks.amazonaws.com/nodegroup={group}")))
        .await
        .unwrap()
        .items
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn scaling(desired: i32) -> NodegroupScalingConfig {
    NodegroupScalingConfig::builder()
        .min_size(0)
        .max_size(6)
        .desired_size(desired)
        .build()
}

async fn running_pods(client: &Client) -> Vec<Pod> {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let mut pods = pods
        .list(&ListParams::default().labels("app=orders"))
        .await
        .unwrap()
        .items;
    pods.retain(|pod| {
        pod.status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
            == Some("Running")
    });
    pods
}

fn deployment() -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "orders"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "orders"}},
            "template": {
                "metadata": {"labels": {"app": "orders"}},
                "spec": {
                    "nodeSelector": {"octank.example/tier": "orders"},
                    // On more than one node, so that a node that goes has a pod which the budget keeps.
                    "topologySpreadConstraints": [{
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "DoNotSchedule",
                        "nodeTaintsPolicy": "Honor",
                        "labelSelector": {"matchLabels": {"app": "orders"}},
                    }],
                    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                    "containers": [{"name": "orders", "image": "orders"}],
                },
            },
        },
    }))
    .unwrap()
}

/// EKS takes one change at a time.
async fn until_active(eks: &aws_sdk_eks::Client, cluster: &str) {
    eventually("an active node group", || async {
        let request = eks
            .describe_nodegroup()
            .cluster_name(cluster)
            .nodegroup_name("orders");
        let group = request.send().await.unwrap().nodegroup.unwrap();
        group.status == Some(NodegroupStatus::Active)
    })
    .await;
}

#[tokio::test]
async fn nodes_follow_their_node_group() {
    let environment = start("node-groups").await;
    let client = environment.client().unwrap();
    let eks = aws_sdk_eks::Client::new(&environment.aws_config().unwrap());
    let seed = environment.aws_seed().unwrap();
    let cluster = seed["cluster"].as_str().unwrap();
    let subnets = seed["private_subnets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subnet| subnet.as_str().unwrap().to_owned());

    let iam = aws_sdk_iam::Client::new(&environment.aws_config().unwrap());
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    });
    let role = iam
        .create_role()
        .role_name("octank-nodes")
        .assume_role_policy_document(trust.to_string());
    let role = role.send().await.unwrap().role.unwrap();

    let create = eks
        .create_nodegroup()
        .cluster_name(cluster)
        .nodegroup_name("orders")
        .version("1.35")
        .set_subnets(Some(subnets.collect()))
        .instance_types("m7g.xlarge")
        .node_role(role.arn())
        .scaling_config(scaling(3))
        .labels("octank.example/tier", "orders")
        .taints(
            Taint::builder()
                .key("dedicated")
                .value("orders")
                .effect(TaintEffect::NoSchedule)
                .build(),
        );
    create.send().await.unwrap();
    eventually("three ready nodes", || async {
        let nodes = nodes_of(&client, "orders").await;
        nodes.len() == 3 && nodes.iter().all(is_ready)
    })
    .await;
    let nodes = nodes_of(&client, "orders").await;
    let zones: BTreeSet<&str> = nodes
        .iter()
        .map(|node| node.labels()["topology.kubernetes.io/zone"].as_str())
        .collect();
    assert_eq!(
        zones,
        BTreeSet::from(["eu-west-1a", "eu-west-1b", "eu-west-1c"])
    );
    for node in &nodes {
        assert_eq!(node.labels()["kubernetes.io/arch"], "arm64");
        assert_eq!(node.labels()["octank.example/tier"], "orders");
        let taints = node
            .spec
            .as_ref()
            .and_then(|spec| spec.taints.as_ref())
            .unwrap();
        assert!(
            taints
                .iter()
                .any(|taint| taint.key == "dedicated" && taint.effect == "NoSchedule")
        );
    }

    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments
        .create(&PostParams::default(), &deployment())
        .await
        .unwrap();
    eventually("four running pods", || async {
        running_pods(&client).await.len() == 4
    })
    .await;

    // Fewer nodes: drained within the disruption budget, which lets no pod go until it is removed.
    let budgets: Api<PodDisruptionBudget> = Api::default_namespaced(client.clone());
    let budget = json!({
        "metadata": {"name": "orders"},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "orders"}}},
    });
    budgets
        .create(
            &PostParams::default(),
            &serde_json::from_value(budget).unwrap(),
        )
        .await
        .unwrap();
    let update = || {
        eks.update_nodegroup_config()
            .cluster_name(cluster)
            .nodegroup_name("orders")
    };
    update().scaling_config(scaling(1)).send().await.unwrap();
    // The scheduler may have left one of the three without a pod: that one is gone at once, whatever the budget.
    eventually(
        "one node left that takes pods, beside one that is kept",
        || async {
            let nodes = nodes_of(&client, "orders").await;
            let cordoned = nodes
                .iter()
                .filter(|node| node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true))
                .count();
            cordoned >= 1 && nodes.len() - cordoned == 1
        },
    )
    .await;
    assert_eq!(
        running_pods(&client).await.len(),
        4,
        "the budget allows no eviction"
    );
    budgets
        .delete("orders", &DeleteParams::default())
        .await
        .unwrap();
    eventually("one node with all pods", || async {
        let (nodes, pods) = (
            nodes_of(&client, "orders").await,
            running_pods(&client).await,
        );
        nodes.len() == 1
            && pods.len() == 4
            && pods.iter().all(|pod| {
                pod.spec.as_ref().unwrap().node_name.as_deref() == Some(&nodes[0].name_any())
            })
    })
    .await;

    // A changed label reaches the node that is there.
    let node = nodes_of(&client, "orders").await[0].name_any();
    until_active(&eks, cluster).await;
    let labels = UpdateLabelsPayload::builder()
        .add_or_update_labels("octank.example/season", "sale")
        .build();
    update().labels(labels).send().await.unwrap();
    eventually("the new label", || async {
        nodes_of(&client, "orders").await.iter().any(|found| {
            found.name_any() == node
                && found
                    .labels()
                    .get("octank.example/season")
                    .is_some_and(|value| value == "sale")
        })
    })
    .await;

    // A new version replaces the node, and only once the new one is ready.
    until_active(&eks, cluster).await;
    let upgrade = eks
        .update_nodegroup_version()
        .cluster_name(cluster)
        .nodegroup_name("orders");
    upgrade.version("1.36").send().await.unwrap();
    // EKS is not done before the old node is gone.
    until_active(&eks, cluster).await;
    let nodes = nodes_of(&client, "orders").await;
    assert_eq!(nodes.len(), 1, "an active group has its own nodes only");
    assert_ne!(nodes[0].name_any(), node, "an active group has new nodes");
    eventually("all pods on a node of the new version", || async {
        let nodes = nodes_of(&client, "orders").await;
        assert!(
            nodes.iter().any(is_ready),
            "the group is never without a ready node"
        );
        let version = |node: &Node| {
            node.status
                .clone()?
                .node_info
                .map(|info| info.kubelet_version)
        };
        nodes.len() == 1
            && nodes[0].name_any() != node
            && version(&nodes[0]).is_some_and(|version| version.starts_with("v1.36"))
            && running_pods(&client).await.len() == 4
    })
    .await;

    until_active(&eks, cluster).await;
    eks.delete_nodegroup()
        .cluster_name(cluster)
        .nodegroup_name("orders")
        .send()
        .await
        .unwrap();
    eventually("no nodes", || async {
        nodes_of(&client, "orders").await.is_empty()
    })
    .await;

    environment.ensure_running().unwrap();
    let (pids, kubeconfig) = (environment.pids(), environment.kubeconfig_path().to_owned());
    assert_eq!(
        pids.len(),
        6,
        "etcd, API server, controller manager, scheduler, KWOK and the AWS double"
    );
    environment.stop().await.unwrap();
    assert_eq!(pids.into_iter().filter(|pid| is_running(*pid)).count(), 0);
    assert!(!kubeconfig.exists());
}

#[tokio::test]
async fn what_happens_in_it_can_be_seen_and_disturbed() {
    let environment = start("controls").await;
    let client = environment.client().unwrap();

    let ingresses: Api<Ingress> = Api::default_namespaced(client.clone());
    let ingress = json!({
        "metadata": {"name": "shop"},
        "spec": {
            "ingressClassName": "alb",
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
        },
    });
    ingresses
        .create(
            &PostParams::default(),
            &serde_json::from_value(ingress).unwrap(),
        )
        .await
        .unwrap();
    eventually("a load balancer", || async {
        let status = ingresses.get("shop").await.unwrap().status;
        let balancers = status
            .and_then(|status| status.load_balancer)
            .and_then(|status| status.ingress);
        balancers.into_iter().flatten().any(|entry| {
            entry.hostname.is_some_and(|name| {
                name.starts_with("k8s-default-shop-")
                    && name.ends_with(".eu-west-1.elb.amazonaws.com")
            })
        })
    })
    .await;

    // The record of AWS calls leaves the simulation's out; a fault hits as often as it was told to.
    let control = environment.aws_control().unwrap();
    let position = control.position().await.unwrap();
    let config = environment.aws_config().unwrap();
    let without_retries = aws_sdk_eks::config::Builder::from(&config)
        .retry_config(aws_sdk_eks::config::retry::RetryConfig::disabled())
        .build();
    let eks = aws_sdk_eks::Client::from_conf(without_retries);
    control
        .add_fault(&AwsFault::new(FaultKind::AccessDenied, "eks", "DescribeAddonVersions").times(1))
        .await
        .unwrap();
    assert!(eks.describe_addon_versions().send().await.is_err());
    let calls = control.calls_since(position).await.unwrap();
    let operations: Vec<_> = calls
        .iter()
        .map(|call| (call.operation.as_deref(), call.fault.as_deref()))
        .collect();
    assert_eq!(
        operations,
        [(Some("DescribeAddonVersions"), Some("access_denied"))]
    );

    // The audit log tells the operator's writes from those of others, also across a restart of the API server.
    environment.restart_api_server().await.unwrap();
    let position = environment.audit().position().unwrap();
    let kubeconfig = environment
        .environment_for_operator()
        .into_iter()
        .find(|(name, _)| name == "KUBECONFIG")
        .unwrap()
        .1;
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let operator = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default())
        .await
        .unwrap();
    let operator: Api<ConfigMap> = Api::default_namespaced(Client::try_from(operator).unwrap());
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "written"}});
    operator
        .patch(
            "written",
            &PatchParams::apply("shopkeeper"),
            &Patch::Apply(map),
        )
        .await
        .unwrap();
    operator.get("written").await.unwrap();
    eventually("the write in the audit log", || async {
        let writes = environment
            .audit()
            .writes_by(LocalEnvironment::OPERATOR_USER, position)
            .unwrap();
        let seen: Vec<_> = writes
            .iter()
            .map(|event| {
                (
                    event.verb.as_str(),
                    event.object_ref.as_ref().unwrap().name.as_str(),
                    event.code(),
                )
            })
            .collect();
        seen == [("patch", "written", Some(201))]
    })
    .await;
    let names = environment
        .kubectl(&["get", "configmap", "written", "--output", "name"])
        .await
        .unwrap();
    assert_eq!(names.trim(), "configmap/written");
    let refused = environment
        .kubectl(&["get", "configmap", "absent"])
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("not found"), "{refused}");
}

async fn client_of(proxy: &ApiProxy) -> Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(proxy.kubeconfig()).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default())
        .await
        .unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"word": "legible"}}))
        .unwrap()
}

#[tokio::test]
async fn the_api_server_can_be_unkind() {
    let environment = LocalEnvironment::builder("unkind")
        .nodes(false)
        .aws(false)
        .start()
        .await
        .unwrap();
    let behind: Api<ConfigMap> = Api::default_namespaced(environment.client().unwrap());
    let proxy = environment.proxy_for_operator().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client_of(&proxy).await);
    let names = async || -> BTreeSet<String> {
        let listed = behind.list(&ListParams::default()).await.unwrap();
        listed.iter().map(ResourceExt::name_any).collect()
    };

    // Without orders everything passes, under the operator's name.
    let position = environment.audit().position().unwrap();
    maps.create(&PostParams::default(), &config_map("passed"))
        .await
        .unwrap();
    assert!(names().await.contains("passed"));
    eventually("the operator's write in the audit log", || async {
        let writes = environment
            .audit()
            .writes_by(LocalEnvironment::OPERATOR_USER, position)
            .unwrap();
        writes.len() == 1
    })
    .await;

    // Refusals are counted, and pick by method.
    proxy.refuse(
        Refusal::new("/configmaps", 429, 1)
            .unwrap()
            .of(http::Method::POST)
            .retry_after(1),
    );
    maps.get("passed").await.unwrap();
    let refused = maps
        .create(&PostParams::default(), &config_map("refused"))
        .await;
    assert!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.code == 429),
        "{refused:?}"
    );
    assert_eq!(proxy.refusals_left(), 0);

    // A watch is cut in the middle; the next one is told that history does not reach back.
    let mut watch = maps
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    assert!(matches!(watch.next().await, Some(Ok(WatchEvent::Added(_)))));
    proxy.cut_watches();
    let end = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(_)) = watch.next().await {}
    });
    end.await.expect("the watch goes on");
    proxy.refuse(Refusal::new("/configmaps", 410, 1).unwrap().of_watches());
    let mut watch = maps
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    let first = watch.next().await;
    assert!(
        matches!(&first, Some(Ok(WatchEvent::Error(status))) if status.code == 410),
        "{first:?}"
    );

    // The second write takes effect and is not answered; the third has no effect.
    let mut hold = proxy.hold_write("/configmaps", 2);
    maps.create(&PostParams::default(), &config_map("first"))
        .await
        .unwrap();
    let unanswered = tokio::spawn({
        let maps = maps.clone();
        async move {
            maps.create(&PostParams::default(), &config_map("second"))
                .await
        }
    });
    let write = hold.reached(PATIENCE).await.unwrap();
    assert!(write.starts_with("POST /api/v1/"), "{write}");
    let without_effect = tokio::spawn({
        let maps = maps.clone();
        async move {
            maps.create(&PostParams::default(), &config_map("third"))
                .await
        }
    });
    maps.get("second").await.unwrap();
    assert!(!unanswered.is_finished());
    hold.cut();
    assert!(unanswered.await.unwrap().is_err());
    assert!(without_effect.await.unwrap().is_err());
    let there = names().await;
    assert!(there.contains("first") && there.contains("second"));
    assert!(!there.contains("third"));

    // etcd that hangs keeps the API server from answering, and goes on where it was; what it holds can be read.
    let late = async {
        // etcd may be a moment away from its stop: what comes before that is answered.
        loop {
            let parameters = PatchParams::apply("test").force();
            let map = Patch::Apply(config_map("late"));
            let written = behind.patch("late", &parameters, &map);
            let answer = tokio::time::timeout(Duration::from_secs(1), written).await;
            if answer.is_err() {
                return;
            }
        }
    };
    let pause = environment.pause_etcd(Duration::from_secs(3));
    let (paused, during) = tokio::join!(pause, tokio::time::timeout(PATIENCE, late));
    paused.unwrap();
    during.expect("every write was answered while etcd did not run");
    maps.get("second").await.unwrap();
    let stored = environment.stored().await.unwrap();
    let second = stored
        .iter()
        .find(|stored| stored.key == "/registry/configmaps/default/second")
        .unwrap();
    assert!(String::from_utf8_lossy(&second.value).contains("legible"));
    environment.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_owner_leaves_nothing_running() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_localenv"))
        .args(["up", "--name", "killed"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(owner.stdout.take().unwrap());
    let is_up = output
        .lines()
        .map_while(Result::ok)
        .any(|line| line.starts_with("up after"));
    assert!(is_up, "localenv ended before it was up");
    let children = children_of(owner.id());
    assert!(children.len() >= 6, "{children:?}");

    // SIGKILL: the owner has no chance to tidy up.
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("no process of a killed owner", || async {
        !children.iter().any(|pid| is_running(*pid))
    })
    .await;
}

fn children_of(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name: the state, then the parent.
        stat.rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1))
            == Some(&parent.to_string())
    })
    .collect()
}
