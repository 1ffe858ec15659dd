//! What is declared as hardly anybody means it: told, and stopping nothing.

use serde_json::{Value, json};
use shopkeeper_api::{OrderService, reference::FrontendReference, status::condition};
use shopkeeper_plan::{
    build,
    kubernetes::KubernetesKind,
    observed::Observed,
    report,
    resolve::{References, Resolve},
    resource::ResourceKey,
};

use crate::{
    fixture::{facts, read, references, typed, wanted},
    world::World,
};

fn world_of(object: &Value, references: &References) -> World {
    let orders: OrderService = typed(object);
    World::settled(wanted(
        orders.resolve(&facts("octank"), references).unwrap(),
    ))
}

pub fn report_of(world: &World) -> report::Report {
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let plan = world.plan_for(&observed, &blueprint);
    report::of_plan(&plan, &blueprint, &observed, false)
}

pub fn message(report: &report::Report, r#type: &str) -> String {
    let mut conditions = report.conditions.iter();
    conditions
        .find(|condition| condition.r#type == r#type)
        .map(|condition| format!("{} {}", condition.status, condition.message))
        .unwrap_or_default()
}

#[test]
fn what_is_hardly_meant_is_told_and_stops_nothing() {
    let mut object = read("octank", "orders");
    let before = message(
        &report_of(&world_of(&object, &references("octank"))),
        "WorkloadReady",
    );
    assert!(before.ends_with("resources are ready"), "{before}");
    object["spec"]["workload"]["image"] = json!("registry.example:5000/octank/orders");
    object["spec"]["callers"] = json!([
        {"service": {"kind": "CatalogService", "name": "nobody"}},
        {"service": {"kind": "CatalogService", "name": "catalog"}},
        {"service": {"kind": "OrderService", "name": "orders"}},
        {"frontend": {"storefront": "octank", "name": "wbe"}},
        {"frontend": {"storefront": "octank", "name": "web"}},
        {"namespace": "staff"},
        {"namespace": "monitoring"},
    ]);
    let mut references = references("octank");
    references.absent.namespaces.insert("staff".into());
    references.absent.frontends.insert(FrontendReference {
        storefront: "octank".into(),
        name: "wbe".into(),
        namespace: Some("shop".into()),
    });
    let world = world_of(&object, &references);
    let report = report_of(&world);
    assert!(report.ready);
    assert_eq!(
        message(&report, "WorkloadReady"),
        format!(
            "{before}; spec.workload.image names neither tag nor digest, so that any start of a pod may bring another version: name one, or \
             set spec.defaults.imageTag of Platform octank; spec.callers[nobody] names CatalogService shop/nobody, which does not exist and \
             is let in once it does: correct it if it is not to come; spec.callers[octank-wbe] names frontend wbe of Storefront shop/octank, \
             which does not exist and is let in once it does: correct it if it is not to come; and 1 more"
        )
    );
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let reasons = |before: &[_]| -> Vec<_> {
        report::new_remarks(before, &blueprint)
            .map(|remark| remark.reason)
            .collect()
    };
    let said = |ready: &str| {
        let workload = message(&report, "WorkloadReady");
        [
            (condition::READY, ready, ""),
            ("WorkloadReady", "True", workload.as_str()),
        ]
        .map(|(r#type, status, message)| {
            serde_json::from_value(json!({
                "type": r#type, "status": status, "message": message, "reason": "Any",
                "lastTransitionTime": "2026-11-24T10:00:00Z",
            }))
            .unwrap()
        })
    };
    let all = ["ImageNotPinned", "CallerNotFound", "CallerNotFound"];
    assert_eq!(reasons(&[]), all);
    assert_eq!(reasons(&said("False")), all, "it has just become Ready");
    assert!(reasons(&said("True")).is_empty(), "it is told once");
}

#[test]
fn without_ports_nobody_is_let_in() {
    let mut object = read("octank", "orders");
    object["spec"]["workload"]["ports"] = json!([]);
    let orders: OrderService = typed(&object);
    let resolved = orders
        .resolve(&facts("octank"), &references("octank"))
        .unwrap();
    let blueprint = build::blueprint(&resolved, &Observed::default());
    let key = ResourceKey::kubernetes(KubernetesKind::NetworkPolicy, "orders");
    let shopkeeper_plan::blueprint::Wanted::Kubernetes(policy) =
        &blueprint.get(&key).unwrap().wanted
    else {
        unreachable!()
    };
    // A rule without ports would open all of them, to callers and to the subnets of load balancers.
    assert_eq!(policy.comparable()["spec"]["ingress"], json!([]));
}

#[test]
fn a_cluster_without_service_monitors_is_told_and_holds_nothing_up() {
    let mut object = read("octank", "orders");
    object["spec"]["workload"]["metrics"] = json!({"style": "ServiceMonitor"});
    let without = References {
        service_monitors: false,
        ..references("octank")
    };
    let orders: OrderService = typed(&object);
    let resolved = orders.resolve(&facts("octank"), &without).unwrap();
    let mut world = World::new(wanted(resolved));
    world.run();
    let deployment = ResourceKey::kubernetes(KubernetesKind::Deployment, "orders");
    assert!(world.kubernetes.contains_key(&deployment));
    let report = report_of(&world);
    assert!(!report.ready);
    assert_eq!(
        message(&report, "WorkloadReady"),
        "False ServiceMonitor orders: spec.workload.metrics.style: the cluster has no kind ServiceMonitor (monitoring.coreos.com/v1). To do: \
         install the Prometheus Operator, whose definition that is, or set style to Annotations"
    );
}

#[test]
fn dead_letters_that_are_gone_when_they_arrive_are_told() {
    let told = |members: Value| {
        let mut object = read("octank", "orders");
        let queue = object["spec"]["notifications"]["queues"][0]
            .as_object_mut()
            .unwrap();
        queue.extend(members.as_object().unwrap().clone());
        let report = report_of(&world_of(&object, &references("octank")));
        assert!(report.ready);
        message(&report, "DataReady")
    };
    let early = told(json!({"deadLetterRetentionSeconds": 3600}));
    let name = read("octank", "orders")["spec"]["notifications"]["queues"][0]["name"].take();
    let field = format!(
        "spec.notifications.queues[{}].deadLetterRetentionSeconds",
        name.as_str().unwrap()
    );
    for part in [
        field.as_str(),
        "is 3600 and retentionSeconds 345600",
        "set it to 345600 or more",
    ] {
        assert!(early.contains(part), "{early}");
    }
    let default = told(json!({}));
    assert!(
        default.starts_with("True ") && !default.contains("deadLetterRetentionSeconds"),
        "{default}"
    );
    for kept in [
        json!({"retentionSeconds": 1_209_600}),
        json!({"retentionSeconds": 600, "deadLetterRetentionSeconds": 600}),
        json!({"type": "FIFO", "deadLetterRetentionSeconds": 60}),
    ] {
        assert_eq!(told(kept.clone()), default, "{kept}");
    }
}
