//! What the fields of a workload come to: in the pods, in the plan, and for what the API server makes of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, OrderService, Storefront};
use shopkeeper_plan::{
    kubernetes::KubernetesKind,
    plan::{Action, Blocker, Effect, Plan, Step},
    resolve::{References, Resolve},
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{Wanted, facts, read, references, typed, want, wanted},
    world::{World, gravest},
};

/// A catalog without data, on nodes of the cluster, with these members of its workload.
pub fn catalog(workload: Value) -> Value {
    let mut object = read("minimal", "catalog");
    object["spec"] = json!({
        "workload": {"image": "registry.example/catalog:1", "ports": [{"name": "http", "containerPort": 8080}]},
        "nodes": {"type": "None"},
    });
    let members = object["spec"]["workload"].as_object_mut().unwrap();
    members.extend(workload.as_object().unwrap().clone());
    object
}

fn world(workload: Value) -> World {
    World::settled(want("minimal", &catalog(workload)))
}

fn key(world: &World, kind: KubernetesKind) -> ResourceKey {
    let mut keys = world.kubernetes.keys();
    keys.find(|key| key.kind == ResourceKind::Kubernetes(kind))
        .expect("it is there")
        .clone()
}

fn deployment(world: &World) -> Value {
    world.kubernetes[&key(world, KubernetesKind::Deployment)]
        .body
        .clone()
}

pub fn pod(workload: Value) -> Value {
    deployment(&world(workload))["spec"]["template"].clone()
}

/// The plan for a catalog as it was, once its workload has these members.
pub fn after(before: Value, now: Value) -> (World, Plan) {
    let mut world = world(before);
    world.wanted = want("minimal", &catalog(now));
    let plan = world.plan();
    (world, plan)
}

fn only(plan: &Plan) -> &Step {
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    step
}

fn environment(pod: &Value) -> BTreeMap<String, Value> {
    let variables = pod["spec"]["containers"][0]["env"].as_array();
    let of = |variable: &Value| {
        (
            variable["name"].as_str().unwrap().to_owned(),
            variable["value"].clone(),
        )
    };
    variables.into_iter().flatten().map(of).collect()
}

/// Every kind of volume, as it is declared and as it is in the pod.
fn volumes() -> (Value, Value) {
    let declared = json!([
        {"name": "config", "configMap": {"name": "config", "defaultMode": 288, "items": [{"key": "a", "path": "etc/a", "mode": 256}]}},
        {"name": "keys", "secret": {"name": "keys", "optional": true, "defaultMode": 256}},
        {"name": "all", "projected": {"defaultMode": 288, "sources": [
            {"configMap": {"name": "config", "items": [{"key": "a", "path": "a"}]}},
            {"secret": {"name": "keys", "optional": true}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}, "mode": 256}]}},
            {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 7200}},
        ]}},
        {"name": "me", "downwardAPI": {"defaultMode": 288, "items": [
            {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
            {"path": "memory", "resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
            {"path": "cpu", "resourceFieldRef": {"resource": "requests.cpu", "containerName": "init"}},
        ]}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {
            "metadata": {"labels": {"kind": "scratch"}},
            "spec": {"storageClassName": "gp3", "resources": {"requests": {"storage": "1024Mi"}}},
        }}},
        {"name": "vault", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": true, "fsType": "ext4",
            "volumeAttributes": {"secretProviderClass": "catalog"}, "nodePublishSecretRef": {"name": "vault"}}},
        {"name": "files", "nfs": {"server": "files.example", "path": "/shop", "readOnly": true}},
        {"name": "shared", "persistentVolumeClaim": {"claimName": "shared", "readOnly": true}},
    ]);
    let made = json!([
        {"name": "config", "configMap": {"name": "config", "defaultMode": 288, "items": [{"key": "a", "path": "etc/a", "mode": 256}]}},
        {"name": "keys", "secret": {"secretName": "keys", "optional": true, "defaultMode": 256}},
        {"name": "all", "projected": {"defaultMode": 288, "sources": [
            {"configMap": {"name": "config", "items": [{"key": "a", "path": "a"}]}},
            {"secret": {"name": "keys", "optional": true}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}, "mode": 256}]}},
            {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 7200}},
        ]}},
        {"name": "me", "downwardAPI": {"defaultMode": 288, "items": [
            {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
            {"path": "memory", "resourceFieldRef": {"containerName": "catalog", "resource": "limits.memory", "divisor": "1Mi"}},
            {"path": "cpu", "resourceFieldRef": {"containerName": "init", "resource": "requests.cpu"}},
        ]}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {
            "metadata": {"labels": {"kind": "scratch"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "resources": {"requests": {"storage": "1024Mi"}}},
        }}},
        {"name": "vault", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": true, "fsType": "ext4",
            "volumeAttributes": {"secretProviderClass": "catalog"}, "nodePublishSecretRef": {"name": "vault"}}},
        {"name": "files", "nfs": {"server": "files.example", "path": "/shop", "readOnly": true}},
        {"name": "shared", "persistentVolumeClaim": {"claimName": "shared", "readOnly": true}},
    ]);
    (declared, made)
}

#[test]
fn volumes_are_those_that_are_declared_and_tmp() {
    let (declared, made) = volumes();
    let pod = pod(json!({"volumes": declared}));
    let (tmp, rest) = pod["spec"]["volumes"]
        .as_array()
        .unwrap()
        .split_first()
        .unwrap();
    assert_eq!(tmp["name"], "shopkeeper-tmp");
    assert_eq!(&json!(rest), &made);
}

#[test]
fn a_failed_probe_has_its_own_grace() {
    let pod = pod(json!({"probes": {
        "liveness": {"tcpSocket": {}, "terminationGracePeriodSeconds": 5},
        "readiness": {"tcpSocket": {}},
    }}));
    let container = &pod["spec"]["containers"][0];
    assert_eq!(
        container["livenessProbe"]["terminationGracePeriodSeconds"],
        5
    );
    assert_eq!(
        container["readinessProbe"]["terminationGracePeriodSeconds"],
        Value::Null
    );
}

#[test]
fn pods_that_are_all_ended_first_are_a_downtime_that_waits() {
    let recreate = |image: &str| json!({"image": image, "rollout": {"type": "Recreate"}});
    // Another strategy changes no pod.
    let (mut world, plan) = after(
        json!({"image": "catalog:1"}),
        json!({"image": "catalog:1", "rollout": {"type": "Recreate"}}),
    );
    assert_eq!(
        (only(&plan).action, gravest(&plan)),
        (Action::Update, Effect::None)
    );
    assert!(world.run().is_empty());
    assert_eq!(deployment(&world)["spec"]["strategy"]["type"], "Recreate");

    let (mut world, plan) = after(recreate("catalog:1"), recreate("catalog:2"));
    let step = only(&plan);
    assert_eq!(
        (step.effect, step.blocked_by.as_slice()),
        (Effect::Downtime, [Blocker::Approval].as_slice())
    );
    let of_image = step.changes.last().unwrap();
    assert!(
        of_image.field.ends_with(".image") && of_image.effect == Effect::Downtime,
        "{step:#?}"
    );
    world.approved = plan.approval_hash();
    assert!(world.run().is_empty());

    // What is asked for counts: that, and not what runs, is how the pods are exchanged.
    let (_, plan) = after(recreate("catalog:1"), json!({"image": "catalog:2"}));
    assert_eq!(gravest(&plan), Effect::Rolling);
}

#[test]
fn what_is_taken_out_of_the_pods_exchanges_them_as_well() {
    let recreate = |class: Option<&str>| json!({"rollout": {"type": "Recreate"}, "probes": {"readiness": {"tcpSocket": {}}}, "priorityClassName": class});
    // It is no part of what is desired any more: only the hash of the pods tells.
    let (mut world, plan) = after(recreate(Some("high")), recreate(None));
    let step = only(&plan);
    assert_eq!(
        (step.effect, step.blocked_by.as_slice()),
        (Effect::Downtime, [Blocker::Approval].as_slice())
    );
    // What is taken out of another part of the Deployment exchanges none.
    let waiting = json!({"rollout": {"type": "Recreate", "minReadySeconds": 5}});
    let (_, plan) = after(waiting, json!({"rollout": {"type": "Recreate"}}));
    assert_eq!(only(&plan).effect, Effect::None);
    // Nor does a hash that somebody took away.
    world.wanted = want("minimal", &catalog(recreate(Some("high"))));
    let deployment = key(&world, KubernetesKind::Deployment);
    let body = &mut world.kubernetes.get_mut(&deployment).unwrap().body;
    body["metadata"]["annotations"].take();
    assert_eq!(only(&world.plan()).effect, Effect::None);
}

/// The catalog on a Platform with this tag for the whole shop.
fn on_a_platform_with(tag: &str, object: &Value) -> Wanted {
    let mut platform = facts("minimal");
    platform.image_tag = Some(tag.to_owned());
    let service: CatalogService = typed(object);
    wanted(
        service
            .resolve(&platform, &references("minimal"))
            .expect("it resolves"),
    )
}

#[test]
fn the_tag_of_the_shop_rolls_what_follows_it() {
    let init = json!([{"name": "migrate", "image": "registry.example:5000/migrate"}, {"name": "wait", "image": "busybox:1"}]);
    let following =
        catalog(json!({"image": "registry.example:5000/catalog", "initContainers": init}));
    let mut world = World::settled(on_a_platform_with("7", &following));
    let images = |world: &World| {
        let pod = &deployment(world)["spec"]["template"]["spec"];
        let of = |list: &str, index: usize| pod[list][index]["image"].as_str().unwrap().to_owned();
        [
            of("containers", 0),
            of("initContainers", 0),
            of("initContainers", 1),
        ]
    };
    assert_eq!(
        images(&world),
        [
            "registry.example:5000/catalog:7",
            "registry.example:5000/migrate:7",
            "busybox:1"
        ]
    );
    world.wanted = on_a_platform_with("8", &following);
    let plan = world.plan();
    assert_eq!(
        (only(&plan).effect, plan.steps[0].is_free()),
        (Effect::Rolling, true)
    );
    assert!(world.run().is_empty());
    assert_eq!(images(&world)[0], "registry.example:5000/catalog:8");

    let pinned = catalog(json!({"image": "registry.example/catalog:1"}));
    let mut world = World::settled(on_a_platform_with("7", &pinned));
    world.wanted = on_a_platform_with("8", &pinned);
    assert!(world.plan().is_empty(), "it names its own tag");
}

#[test]
fn traces_are_asked_for_by_an_annotation_and_two_variables() {
    let inject = |reference: Value| json!({"tracing": {"inject": {"language": "NodeJS", "instrumentation": reference}}});
    for (reference, value) in [
        (Value::Null, "true"),
        (json!({"name": "shop"}), "shop"),
        (
            json!({"name": "shop", "namespace": "observability"}),
            "observability/shop",
        ),
    ] {
        let pod = pod(inject(reference));
        assert_eq!(
            pod["metadata"]["annotations"],
            json!({"instrumentation.opentelemetry.io/inject-nodejs": value})
        );
        let variables = environment(&pod);
        assert_eq!(
            variables,
            [("OTEL_SERVICE_NAME".to_owned(), json!("catalog"))].into(),
            "where to is said by the Instrumentation"
        );
    }

    let endpoint = json!({"endpoint": "http://collector.observability:4317"});
    let pod_with = |env: Value| pod(json!({"tracing": endpoint, "env": env}));
    let plain = pod_with(json!([{"name": "ATTRIBUTES", "value": "service=$(OTEL_SERVICE_NAME)"}]));
    assert_eq!(plain["metadata"]["annotations"], Value::Null);
    let names: Vec<&Value> = plain["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| &variable["name"])
        .collect();
    assert_eq!(
        names,
        [
            "OTEL_SERVICE_NAME",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "ATTRIBUTES"
        ],
        "what is declared can refer to ours"
    );
    let own = pod_with(
        json!([{"name": "OTEL_SERVICE_NAME", "value": "mine"}, {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://other:4317"}]),
    );
    assert_eq!(
        own["spec"]["containers"][0]["env"],
        json!([{"name": "OTEL_SERVICE_NAME", "value": "mine"}, {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://other:4317"}])
    );
}

#[test]
fn annotations_of_the_service_account_stand_beside_that_of_the_role() {
    let mut object = catalog(json!({}));
    object["spec"]["identity"] = json!({
        "type": "IRSA",
        "statements": [{"actions": ["bedrock:InvokeModel"], "resources": ["*"]}],
        "serviceAccountAnnotations": {"team": "catalog"},
    });
    let world = World::settled(want("minimal", &object));
    let account = &world.kubernetes[&key(&world, KubernetesKind::ServiceAccount)].body;
    let annotations = account["metadata"]["annotations"].as_object().unwrap();
    assert_eq!(annotations["team"], "catalog");
    assert!(
        annotations["eks.amazonaws.com/role-arn"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:iam::"),
        "{annotations:?}"
    );
}

#[test]
fn no_annotation_gives_pods_a_role() {
    let mut object = read("octank", "catalog");
    let annotation = json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/admin"});
    object["spec"]["identity"] = json!({"type": "None", "serviceAccountAnnotations": annotation});
    let refused = typed::<CatalogService>(&object).resolve(&facts("octank"), &references("octank"));
    let failure = refused.unwrap_err();
    assert!(
        failure
            .message
            .starts_with("spec.identity.serviceAccountAnnotations: "),
        "{failure:?}"
    );
}

/// A workload with everything in it that the pods of every kind have to have.
fn full() -> Value {
    json!({
        "image": "registry.example/catalog",
        "rollout": {"type": "Recreate"},
        "probes": {"liveness": {"tcpSocket": {}, "terminationGracePeriodSeconds": 5}},
        "volumes": volumes().0,
        "volumeMounts": [{"name": "all", "mountPath": "/all", "readOnly": false}, {"name": "me", "mountPath": "/me"}],
        "env": [{"name": "EMPTY", "value": ""}],
        "tracing": {"inject": {"language": "SDK"}, "endpoint": "http://collector:4317"},
        "podTemplatePatch": {
            "metadata": {"labels": {"team": "catalog"}, "annotations": {"note": "patched"}},
            "spec": {
                "hostNetwork": false,
                "dnsPolicy": "",
                "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["legacy.example"]}],
                "containers": [{"name": "proxy", "image": "proxy:1", "tty": false,
                    "ports": [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}],
                    "resources": {"requests": {"cpu": 1, "memory": "1024Mi"}}}],
            },
        },
    })
}

#[test]
fn a_frontend_takes_what_a_service_takes() {
    let of_a_service = World::settled(on_a_platform_with("7", &catalog(full())));
    let mut storefront = read("minimal", "storefront");
    storefront["spec"] =
        json!({"frontends": [{"name": "web", "workload": full(), "nodes": {"type": "None"}}]});
    let workload = &mut storefront["spec"]["frontends"][0]["workload"];
    workload["ports"] = json!([{"name": "http", "containerPort": 8080}]);
    let mut platform = facts("minimal");
    platform.image_tag = Some("7".into());
    let name = storefront["metadata"]["name"].as_str().unwrap().to_owned();
    let resolved = typed::<Storefront>(&storefront)
        .resolve(&platform, &references("minimal"))
        .expect("it resolves");
    let of_a_frontend = World::settled(wanted(resolved));

    let mut of_a_frontend = deployment(&of_a_frontend)["spec"].clone();
    let mut of_a_service = deployment(&of_a_service)["spec"].clone();
    for spec in [&mut of_a_frontend, &mut of_a_service] {
        // What it is found by has the names of its owner.
        spec["selector"].take();
        spec["template"]["metadata"]["labels"] =
            spec["template"]["metadata"]["labels"]["team"].take();
        for constraint in spec["template"]["spec"]["topologySpreadConstraints"]
            .as_array_mut()
            .unwrap()
        {
            constraint["labelSelector"].take();
        }
    }
    let renamed = of_a_frontend
        .to_string()
        .replace(&format!("\"{name}-web\""), "\"catalog\"");
    assert_eq!(
        serde_json::from_str::<Value>(&renamed).unwrap(),
        of_a_service
    );
}

#[test]
fn what_the_api_server_makes_of_it_is_no_drift() {
    let mut world = World::settled(on_a_platform_with("7", &catalog(full())));
    let deployment = key(&world, KubernetesKind::Deployment);
    let body = &mut world.kubernetes.get_mut(&deployment).unwrap().body;
    let pod = &mut body["spec"]["template"]["spec"];
    // What is empty gets its default.
    pod["dnsPolicy"] = json!("ClusterFirst");
    // Zero values of fields that are no pointers go.
    for gone in [
        "/hostNetwork",
        "/containers/1/tty",
        "/containers/0/volumeMounts/1/readOnly",
    ] {
        let (parent, member) = gone.rsplit_once('/').unwrap();
        let removed = pod
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(member);
        assert!(removed.is_some(), "{gone} was there");
    }
    let env = pod["containers"][0]["env"].as_array_mut().unwrap();
    let empty = env
        .iter_mut()
        .find(|variable| variable["name"] == "EMPTY")
        .unwrap();
    empty.as_object_mut().unwrap().remove("value");
    // Defaults come.
    let volume = |pod: &mut Value, name: &str| -> usize {
        let volumes = pod["volumes"].as_array().unwrap();
        volumes
            .iter()
            .position(|volume| volume["name"] == name)
            .unwrap()
    };
    let (me, scratch) = (volume(pod, "me"), volume(pod, "scratch"));
    pod["volumes"][me]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] = json!("v1");
    pod["volumes"][me]["downwardAPI"]["items"][2]["resourceFieldRef"]["divisor"] = json!("0");
    let claim = &mut pod["volumes"][scratch]["ephemeral"]["volumeClaimTemplate"];
    claim["metadata"]["creationTimestamp"] = Value::Null;
    claim["spec"]["volumeMode"] = json!("Filesystem");
    claim["spec"]["resources"]["requests"]["storage"] = json!("1Gi");
    let proxy = &mut pod["containers"][1];
    proxy["ports"][0]["protocol"] = json!("TCP");
    proxy["resources"]["requests"] = json!({"cpu": "1", "memory": "1Gi"});
    let plan = world.plan();
    assert!(plan.is_empty(), "{plan:#?}");

    let pod = &mut world.kubernetes.get_mut(&deployment).unwrap().body["spec"]["template"]["spec"];
    pod["automountServiceAccountToken"].take();
    assert!(
        !world.plan().is_empty(),
        "false is a value of a field that is a pointer"
    );
}

#[test]
fn what_kinds_the_cluster_has_is_nothing_to_the_pods() {
    let made = |style: Value, service_monitors: bool| {
        let mut object = read("octank", "orders");
        object["spec"]["workload"]["metrics"] = json!({"style": style});
        if style.is_null() {
            object["spec"]["workload"]["metrics"] = json!({});
        }
        let references = References {
            service_monitors,
            ..references("octank")
        };
        let resolved = typed::<OrderService>(&object).resolve(&facts("octank"), &references);
        let world = World::settled(wanted(resolved.unwrap()));
        let monitor = ResourceKey::kubernetes(KubernetesKind::ServiceMonitor, "orders");
        let pods = deployment(&world)["spec"]["template"].clone();
        (pods, world.kubernetes.contains_key(&monitor))
    };
    let scraped = |pods: &Value| pods["metadata"]["annotations"]["prometheus.io/scrape"] == "true";
    let (without, none) = made(Value::Null, false);
    let (with, one) = made(Value::Null, true);
    assert_eq!((none, one), (false, true));
    assert_eq!(
        without, with,
        "all pods would be replaced when the kind comes"
    );
    assert!(scraped(&with));
    let (pods, one) = made(json!("ServiceMonitor"), true);
    assert!(one && !scraped(&pods));
    let (pods, one) = made(json!("Annotations"), true);
    assert!(!one && scraped(&pods));
    let (pods, one) = made(json!("None"), true);
    assert!(!one && !scraped(&pods));
}
