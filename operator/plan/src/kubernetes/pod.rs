//! The pod template of a Deployment.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use shopkeeper_api::{
    defaults,
    pod::{InitContainer, Probe, ProbeScheme, Resources},
    workload::{Port, Workload},
};

use super::{bindings::Bound, object::Frame, security, strategic_merge, tracing, volumes};
use crate::{
    aws::TaintEffect,
    resolve::{
        Component, Placement,
        fargate::FARGATE_LABEL,
        nodes::{EKS_NODE_GROUP_LABEL, NODES_LABEL},
    },
};

/// Annotation with a hash of all that the pods read of bindings.
pub const BINDINGS_ANNOTATION: &str = "shopkeeper.dev/bindings-hash";

/// An annotation that pods are replaced by when it changes, and its value.
pub type Mark = (&'static str, String);

/// The pod template, with the patch of the user on it.
pub fn template(frame: &Frame<'_>, component: &Component, bound: &Bound, marks: &[Mark]) -> Value {
    let mut template = unpatched(frame, component, bound, marks);
    if let Some(patch) = &component.workload.pod_template_patch {
        strategic_merge::merge(&mut template, patch);
    }
    template
}

/// The pod template without the patch of the user.
pub fn unpatched(frame: &Frame<'_>, component: &Component, bound: &Bound, marks: &[Mark]) -> Value {
    let workload = &component.workload;
    let mut labels = Map::new();
    labels.extend(
        workload
            .pod_labels
            .iter()
            .map(|(key, value)| (key.clone(), json!(value))),
    );
    // Ours last: the selector has to match.
    labels.extend(frame.labels());
    if let Placement::Fargate(fargate) = &component.placement {
        labels.insert(FARGATE_LABEL.to_owned(), json!(fargate.profile.name));
    }
    let mut metadata = json!({"labels": labels});
    let mut annotations = annotations(component, bound);
    annotations.extend(
        marks
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value))),
    );
    if !annotations.is_empty() {
        metadata["annotations"] = Value::Object(annotations);
    }
    json!({"metadata": metadata, "spec": pod_spec(frame, component, bound)})
}

fn annotations(component: &Component, bound: &Bound) -> Map<String, Value> {
    let mut annotations: Map<String, Value> = component
        .workload
        .pod_annotations
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    if let Some(hash) = bound.hash() {
        annotations.insert(BINDINGS_ANNOTATION.to_owned(), json!(hash));
    }
    if let Some(metrics) = component
        .metrics
        .as_ref()
        .filter(|metrics| metrics.annotations)
    {
        annotations.insert("prometheus.io/scrape".to_owned(), json!("true"));
        annotations.insert(
            "prometheus.io/port".to_owned(),
            json!(metrics.port.container_port.to_string()),
        );
        annotations.insert("prometheus.io/path".to_owned(), json!(metrics.path));
    }
    if let Some((name, value)) = tracing::annotation(&component.workload) {
        annotations.insert(name, value);
    }
    annotations
}

fn pod_spec(frame: &Frame<'_>, component: &Component, bound: &Bound) -> Value {
    let workload = &component.workload;
    let lifecycle = workload.lifecycle.as_ref();
    let mut spec = json!({
        "serviceAccountName": component.service_account,
        "automountServiceAccountToken": false,
        "securityContext": security::of_pod(workload.pod_security_context.as_ref()),
        "containers": [container(component, bound)],
        "terminationGracePeriodSeconds": lifecycle
            .and_then(|lifecycle| lifecycle.termination_grace_period_seconds)
            .unwrap_or(defaults::TERMINATION_GRACE_PERIOD_SECONDS),
        "topologySpreadConstraints": spread(frame, workload),
    });
    let selector = node_selector(component);
    if !selector.is_empty() {
        spec["nodeSelector"] = Value::Object(selector);
    }
    let tolerations = tolerations(component);
    if !tolerations.is_empty() {
        spec["tolerations"] = Value::Array(tolerations);
    }
    let volumes = volumes::of_pod(workload, &component.name);
    if !volumes.is_empty() {
        spec["volumes"] = Value::Array(volumes);
    }
    if !workload.init_containers.is_empty() {
        spec["initContainers"] = workload
            .init_containers
            .iter()
            .map(|container| init_container(workload, container))
            .collect();
    }
    if !workload.image_pull_secrets.is_empty() {
        spec["imagePullSecrets"] = workload
            .image_pull_secrets
            .iter()
            .map(|secret| json!({"name": secret.name}))
            .collect();
    }
    if let Some(affinity) = &workload.affinity {
        spec["affinity"] = json!(affinity);
    }
    if let Some(class) = &workload.priority_class_name {
        spec["priorityClassName"] = json!(class);
    }
    spec
}

fn container(component: &Component, bound: &Bound) -> Value {
    let workload = &component.workload;
    let mut container = json!({
        "name": component.name,
        "image": workload.image,
        "resources": workload.resources.as_ref().map_or_else(default_resources, resources),
        "securityContext": security::of_container(workload.security_context.as_ref()),
    });
    if let Some(policy) = workload.image_pull_policy {
        container["imagePullPolicy"] = json!(policy.as_str());
    }
    if !workload.ports.is_empty() {
        container["ports"] = workload.ports.iter().map(port).collect();
    }
    set_list(&mut container, "command", &workload.command);
    set_list(&mut container, "args", &workload.args);
    let env = env(component, bound);
    if !env.is_empty() {
        container["env"] = Value::Array(env);
    }
    if !workload.env_from.is_empty() {
        container["envFrom"] = json!(workload.env_from);
    }
    let mounts = volumes::mounts(workload);
    if !mounts.is_empty() {
        container["volumeMounts"] = Value::Array(mounts);
    }
    if let Some(probes) = &workload.probes {
        let all = [
            ("readinessProbe", &probes.readiness),
            ("livenessProbe", &probes.liveness),
            ("startupProbe", &probes.startup),
        ];
        for (name, declared) in all {
            if let Some(declared) = declared {
                container[name] = probe(declared, workload.ports.first());
            }
        }
    }
    let seconds = workload
        .lifecycle
        .as_ref()
        .and_then(|lifecycle| lifecycle.pre_stop_seconds)
        .unwrap_or(defaults::PRE_STOP_SECONDS);
    if seconds > 0 {
        // Load balancers take a while to hear that a pod goes; until then it has to answer.
        container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": seconds}}});
    }
    container
}

fn set_list(target: &mut Value, member: &str, list: &[String]) {
    if !list.is_empty() {
        target[member] = json!(list);
    }
}

fn port(declared: &Port) -> Value {
    json!({
        "name": declared.name,
        "containerPort": declared.container_port,
        "protocol": declared.protocol.map_or("TCP", |protocol| protocol.as_str()),
    })
}

/// The variables that the user wrote win over those of bindings and endpoints with the same name.
fn env(component: &Component, bound: &Bound) -> Vec<Value> {
    let declared: BTreeSet<&str> = component
        .workload
        .env
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    let mut env = Vec::new();
    if let Some(map) = &bound.config_map {
        for name in bound
            .plain
            .iter()
            .filter(|name| !declared.contains(name.as_str()))
        {
            env.push(
                json!({"name": name, "valueFrom": {"configMapKeyRef": {"name": map, "key": name}}}),
            );
        }
    }
    for (name, secret) in bound
        .secret
        .iter()
        .filter(|(name, _)| !declared.contains(name.as_str()))
    {
        env.push(
            json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}),
        );
    }
    for endpoint in component
        .endpoints
        .iter()
        .filter(|endpoint| !declared.contains(endpoint.name.as_str()))
    {
        let value = endpoint.value.as_ref().ok();
        if let Some(value) = value.or_else(|| bound.kept_endpoints.get(&endpoint.name)) {
            env.push(json!({"name": endpoint.name, "value": value}));
        }
    }
    env.extend(
        component
            .workload
            .env
            .iter()
            .map(|variable| json!(variable)),
    );
    // First, so that what was declared can refer to them.
    tracing::variables(component)
        .into_iter()
        .filter(|(name, _)| !env.iter().any(|variable| variable["name"] == **name))
        .map(|(name, value)| json!({"name": name, "value": value}))
        .chain(env.iter().cloned())
        .collect()
}

fn default_resources() -> Value {
    json!({
        "requests": {"cpu": defaults::CPU_REQUEST, "memory": defaults::MEMORY_REQUEST},
        "limits": {"memory": defaults::MEMORY_REQUEST},
    })
}

fn resources(declared: &Resources) -> Value {
    let mut resources = json!({});
    if !declared.requests.is_empty() {
        resources["requests"] = json!(declared.requests);
    }
    if !declared.limits.is_empty() {
        resources["limits"] = json!(declared.limits);
    }
    resources
}

fn probe(declared: &Probe, first_port: Option<&Port>) -> Value {
    let by_name = first_port.map_or_else(|| json!(80), |port| json!(port.name));
    let by_number = first_port.map_or(80, |port| port.container_port);
    let mut probe = json!({
        "periodSeconds": declared.period_seconds.unwrap_or(defaults::PROBE_PERIOD_SECONDS),
        "timeoutSeconds": declared.timeout_seconds.unwrap_or(defaults::PROBE_TIMEOUT_SECONDS),
        "failureThreshold": declared.failure_threshold.unwrap_or(defaults::PROBE_FAILURE_THRESHOLD),
        "successThreshold": declared.success_threshold.unwrap_or(1),
    });
    if let Some(seconds) = declared
        .initial_delay_seconds
        .filter(|seconds| *seconds > 0)
    {
        probe["initialDelaySeconds"] = json!(seconds);
    }
    if let Some(seconds) = declared.termination_grace_period_seconds {
        probe["terminationGracePeriodSeconds"] = json!(seconds);
    }
    if let Some(http) = &declared.http_get {
        let mut action = json!({
            "path": http.path.clone().unwrap_or_else(|| defaults::HEALTH_PATH.to_owned()),
            "port": http.port.as_ref().map_or(by_name, |port| json!(port)),
            "scheme": match http.scheme { Some(ProbeScheme::HTTPS) => "HTTPS", Some(ProbeScheme::HTTP) | None => "HTTP" },
        });
        if !http.http_headers.is_empty() {
            action["httpHeaders"] = http
                .http_headers
                .iter()
                .map(|header| json!({"name": header.name, "value": header.value}))
                .collect();
        }
        probe["httpGet"] = action;
    } else if let Some(grpc) = &declared.grpc {
        probe["grpc"] = json!({"port": grpc.port.unwrap_or(by_number), "service": grpc.service.clone().unwrap_or_default()});
    } else if let Some(tcp) = &declared.tcp_socket {
        probe["tcpSocket"] = json!({"port": tcp.port.as_ref().map_or(by_name, |port| json!(port))});
    } else if let Some(exec) = &declared.exec {
        probe["exec"] = json!({"command": exec.command});
    }
    probe
}

fn init_container(workload: &Workload, declared: &InitContainer) -> Value {
    let declared_security = declared
        .security_context
        .as_ref()
        .or(workload.security_context.as_ref());
    let mut container = json!({
        "name": declared.name,
        "image": declared.image,
        "securityContext": security::of_container(declared_security),
        "resources": declared.resources.as_ref().map_or_else(default_resources, resources),
    });
    set_list(&mut container, "command", &declared.command);
    set_list(&mut container, "args", &declared.args);
    if !declared.env.is_empty() {
        container["env"] = json!(declared.env);
    }
    if !declared.env_from.is_empty() {
        container["envFrom"] = json!(declared.env_from);
    }
    if !declared.volume_mounts.is_empty() {
        container["volumeMounts"] = json!(declared.volume_mounts);
    }
    container
}

fn node_selector(component: &Component) -> Map<String, Value> {
    let mut selector: Map<String, Value> = component
        .workload
        .node_selector
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    match &component.placement {
        Placement::Own(own) => {
            selector.insert(NODES_LABEL.to_owned(), json!(own.label));
        }
        Placement::Shared { name, .. } => {
            selector.insert(EKS_NODE_GROUP_LABEL.to_owned(), json!(name));
        }
        Placement::Fargate(_) | Placement::Anywhere => {}
    }
    selector
}

fn tolerations(component: &Component) -> Vec<Value> {
    let mut tolerations: Vec<Value> = component
        .workload
        .tolerations
        .iter()
        .map(|toleration| json!(toleration))
        .collect();
    match &component.placement {
        Placement::Own(own) => {
            for taint in &own.group.taints {
                let effect = match taint.effect {
                    TaintEffect::NoSchedule => "NoSchedule",
                    TaintEffect::NoExecute => "NoExecute",
                    TaintEffect::PreferNoSchedule => "PreferNoSchedule",
                };
                tolerations.push(json!({"key": taint.key, "operator": "Equal", "value": taint.value, "effect": effect}));
            }
        }
        // The group's taints are not ours to know; its label keeps the pods there, so tolerating all of them adds no place.
        // Node conditions must still evict, which a toleration of everything would stop: NoExecute is left out.
        Placement::Shared {
            tolerate_taints: true,
            ..
        } => {
            tolerations.push(json!({"operator": "Exists", "effect": "NoSchedule"}));
        }
        Placement::Shared { .. } | Placement::Fargate(_) | Placement::Anywhere => {}
    }
    tolerations
}

/// Evenly over zones, and where possible over nodes. Counted for each version on its own, or a rollout would spread the new
/// pods around the old ones. Tainted nodes do not count: a drained zone must not keep pods from the others.
fn spread(frame: &Frame<'_>, workload: &Workload) -> Value {
    if !workload.topology_spread_constraints.is_empty() {
        return json!(workload.topology_spread_constraints);
    }
    let constraint = |key: &str| {
        json!({
            "topologyKey": key,
            "maxSkew": 1,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": frame.selector()},
            "matchLabelKeys": ["pod-template-hash"],
            "nodeTaintsPolicy": "Honor",
        })
    };
    json!([
        constraint("topology.kubernetes.io/zone"),
        constraint("kubernetes.io/hostname")
    ])
}
