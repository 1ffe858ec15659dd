//! What a test sees of the environment, and how it disturbs it.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use shopkeeper_localenv::{AwsFault, FaultKind, LocalEnvironment};

use crate::{eventually, start};

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
