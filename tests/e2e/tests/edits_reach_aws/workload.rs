//! What a workload can say of its pods: volumes, rollout, tracing, patches, and the tag of the whole shop.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, View, includes};

use super::{Edit, NAMESPACE, disruptive, edit, make};

/// Name of the custom resource, and of what is made for it.
const NAME: &str = "workload";
/// Volumes that wait for the claims of pods: each new pod has a new claim, and nobody provisions here.
const SCRATCH_VOLUMES: usize = 32;

/// The workload of this scenario.
pub fn subject() -> Subject {
    Subject::new("CatalogService", NAMESPACE, NAME)
}

pub async fn of_pods(shop: &Shop) -> Result<()> {
    let subject = subject();
    scratch_volumes(shop).await?;
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: {NAME}, namespace: {NAMESPACE}}}
spec:
  workload:
    image: registry.example/catalog:1
    ports: [{{name: http, containerPort: 8080}}]
    env: [{{name: EMPTY, value: ''}}]
    podTemplatePatch: {{spec: {{topologySpreadConstraints: null}}}}
  nodes: {{type: None}}
  scaling: {{type: Fixed, fixed: {{replicas: 1}}}}
"
    ))
    .await?;
    shop.until_ready(&subject).await?;
    includes(
        "a default that null takes away",
        &shop.look(&deployment()).await?,
        &pod(json!({"topologySpreadConstraints": null})),
    )?;
    let edits = of_rollouts()
        .into_iter()
        .chain(of_volumes())
        .chain(of_tracing())
        .chain(of_patches())
        .collect();
    make(shop, &subject, edits).await?;
    a_patch_that_reaches_too_far_is_refused(shop, &subject).await?;
    the_tag_of_the_shop_arrives(shop, &subject).await?;
    everything_at_once(shop, &subject).await
}

/// Volumes that a claim of the class `scratch` is bound to.
async fn scratch_volumes(shop: &Shop) -> Result<()> {
    let mut all = String::from(
        "apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: scratch}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: Immediate
",
    );
    for index in 0..SCRATCH_VOLUMES {
        all.push_str(&format!(
            "---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: scratch-{index}}}
spec: {{storageClassName: scratch, accessModes: [ReadWriteOnce], capacity: {{storage: 4Gi}}, hostPath: {{path: /scratch/{index}}}}}
"
        ));
    }
    shop.apply(&all).await
}

fn deployment() -> View {
    View::Object(Subject::new("Deployment", NAMESPACE, NAME))
}

fn pod(specification: Value) -> Value {
    json!({"spec": {"template": {"spec": specification}}})
}

fn container(members: Value) -> Value {
    pod(json!({"containers": [members]}))
}

fn of_rollouts() -> Vec<Edit> {
    let view = deployment();
    vec![
        edit(
            "workload.rollout.type",
            json!({"workload": {"rollout": {"type": "Recreate"}}}),
            &view,
            json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}),
        ),
        disruptive(
            "workload.image, all pods at once",
            json!({"workload": {"image": "registry.example/catalog:2"}}),
            &view,
            container(json!({"image": "registry.example/catalog:2"})),
        ),
        edit(
            "workload.rollout.type",
            json!({"workload": {"rollout": {"type": "RollingUpdate", "maxUnavailable": 1}}}),
            &view,
            json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}}}),
        ),
        edit(
            "workload.probes.liveness.terminationGracePeriodSeconds",
            json!({"workload": {"probes": {"liveness": {"tcpSocket": {}, "terminationGracePeriodSeconds": 5}}}}),
            &view,
            container(json!({"livenessProbe": {"terminationGracePeriodSeconds": 5}})),
        ),
    ]
}

fn projected() -> Value {
    json!({"projected": {"sources": [
        {"configMap": {"name": "settings", "items": [{"key": "a", "path": "etc/a", "mode": 256}], "optional": true}},
        {"secret": {"name": "keys", "optional": true}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"serviceAccountToken": {"path": "token", "audience": "vault"}},
    ]}})
}

fn downward() -> Value {
    json!({"downwardAPI": {"items": [
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "memory", "resourceFieldRef": {"resource": "limits.memory"}},
    ]}})
}

fn ephemeral(size: &str) -> Value {
    json!({"ephemeral": {"volumeClaimTemplate": {
        "metadata": {"labels": {"kind": "scratch"}},
        "spec": {"storageClassName": "scratch", "resources": {"requests": {"storage": size}}},
    }}})
}

fn csi(class: &str) -> Value {
    json!({"csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": true, "volumeAttributes": {"secretProviderClass": class}}})
}

fn nfs() -> Value {
    json!({"nfs": {"server": "files.example", "path": "/shop", "readOnly": false}})
}

fn volume(name: &str, mut source: Value) -> Value {
    source["name"] = json!(name);
    source
}

/// One volume under one name, whose source changes.
fn of_volumes() -> Vec<Edit> {
    let of = |field, source: Value, made: Value| {
        edit(
            field,
            json!({"workload": {
                "volumes": [volume("files", source)],
                "volumeMounts": [{"name": "files", "mountPath": "/files", "readOnly": false}],
            }}),
            &deployment(),
            pod(json!({"volumes": [{"name": "shopkeeper-tmp"}, made]})),
        )
    };
    let claim = |size: &str| {
        json!({"downwardAPI": null, "ephemeral": {"volumeClaimTemplate": {
            "metadata": {"labels": {"kind": "scratch"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem", "resources": {"requests": {"storage": size}}},
        }}})
    };
    let mut fewer = projected();
    if let Some(sources) = fewer["projected"]["sources"].as_array_mut() {
        sources.pop();
    }
    fewer["projected"]["defaultMode"] = json!(288);
    vec![
        of(
            "workload.volumes[].projected",
            projected(),
            json!({"projected": {"defaultMode": 420, "sources": [
                {"configMap": {"name": "settings", "items": [{"key": "a", "path": "etc/a", "mode": 256}]}},
                {"secret": {"name": "keys", "optional": true}},
                {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}}]}},
                {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 3600}},
            ]}}),
        ),
        of(
            "workload.volumes[].projected.sources",
            fewer,
            json!({"projected": {"defaultMode": 288, "sources": [{}, {}, {}]}}),
        ),
        of(
            "workload.volumes[].downwardAPI",
            downward(),
            json!({"projected": null, "downwardAPI": {"items": [
                {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
                {"path": "memory", "resourceFieldRef": {"containerName": NAME, "resource": "limits.memory"}},
            ]}}),
        ),
        of(
            "workload.volumes[].ephemeral",
            ephemeral("1024Mi"),
            claim("1Gi"),
        ),
        of(
            "workload.volumes[].ephemeral, its size",
            ephemeral("2Gi"),
            claim("2Gi"),
        ),
        of(
            "workload.volumes[].csi",
            csi("catalog"),
            json!({"ephemeral": null, "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": true,
                "volumeAttributes": {"secretProviderClass": "catalog"}}}),
        ),
        of(
            "workload.volumes[].csi.volumeAttributes",
            csi("orders"),
            json!({"csi": {"volumeAttributes": {"secretProviderClass": "orders"}}}),
        ),
        of(
            "workload.volumes[].nfs",
            nfs(),
            json!({"csi": null, "nfs": {"server": "files.example", "path": "/shop", "readOnly": null}}),
        ),
    ]
}

fn of_tracing() -> Vec<Edit> {
    let view = deployment();
    let annotation = |language: &str, value: Value| {
        let name = format!("instrumentation.opentelemetry.io/inject-{language}");
        json!({"spec": {"template": {"metadata": {"annotations": {name: value}}}}})
    };
    let variables = |endpoint: &str| {
        container(json!({"env": [
            {"name": "OTEL_SERVICE_NAME", "value": NAME},
            {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": endpoint},
            {"name": "EMPTY", "value": null},
        ]}))
    };
    vec![
        edit(
            "workload.tracing.inject",
            json!({"workload": {"tracing": {"inject": {"language": "SDK"}}}}),
            &view,
            annotation("sdk", json!("true")),
        ),
        edit(
            "workload.tracing.inject.instrumentation",
            json!({"workload": {"tracing": {"inject": {"instrumentation": {"name": "shop", "namespace": "observability"}}}}}),
            &view,
            annotation("sdk", json!("observability/shop")),
        ),
        edit(
            "workload.tracing.inject.language",
            json!({"workload": {"tracing": {"inject": {"language": "Java"}}}}),
            &view,
            annotation("java", json!("observability/shop")),
        ),
        edit(
            "workload.tracing.endpoint",
            json!({"workload": {"tracing": {"endpoint": "http://collector:4317"}}}),
            &view,
            variables("http://collector:4317"),
        ),
        edit(
            "workload.tracing.endpoint",
            json!({"workload": {"tracing": {"endpoint": "http://collector.observability:4318"}}}),
            &view,
            variables("http://collector.observability:4318"),
        ),
        edit(
            "identity.serviceAccountAnnotations",
            json!({"identity": {"type": "PodIdentity", "serviceAccountAnnotations": {"team": "catalog"}}}),
            &View::Object(Subject::new("ServiceAccount", NAMESPACE, NAME)),
            json!({"metadata": {"annotations": {"team": "catalog"}}}),
        ),
    ]
}

/// A patch whose values the API server stores in another form, or leaves out.
fn patch(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"team": "catalog"}},
        "spec": {
            "hostNetwork": false,
            "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["legacy.example"]}],
            "containers": [
                {"name": NAME, "workingDir": "/srv"},
                {"name": "proxy", "image": image, "tty": false, "env": [{"name": "EMPTY", "value": ""}],
                    "ports": [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}],
                    "resources": {"requests": {"cpu": 1, "memory": "1024Mi"}, "limits": {"memory": "1Gi"}}},
            ],
        },
    })
}

fn of_patches() -> Vec<Edit> {
    let view = deployment();
    let of = |field, patch: Value, expected: Value| {
        edit(
            field,
            json!({"workload": {"podTemplatePatch": patch}}),
            &view,
            expected,
        )
    };
    vec![
        of(
            "workload.podTemplatePatch",
            patch("proxy:1"),
            pod(json!({
                "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["legacy.example"]}],
                "containers": [{"workingDir": "/srv"}, {"name": "proxy", "image": "proxy:1"}],
            })),
        ),
        of(
            "workload.podTemplatePatch.spec.containers",
            patch("proxy:2"),
            pod(json!({"containers": [{}, {"name": "proxy", "image": "proxy:2"}]})),
        ),
        of(
            "workload.podTemplatePatch, taking away",
            json!({"spec": {"hostAliases": null, "volumes": [{"name": "shopkeeper-tmp", "$patch": "delete"}],
                "containers": [{"name": NAME, "volumeMounts": [{"mountPath": "/tmp", "$patch": "delete"}]}]}}),
            pod(
                json!({"hostAliases": null, "volumes": [{"name": "files"}], "containers": [{"volumeMounts": [{"name": "files"}]}]}),
            ),
        ),
        of(
            "workload.podTemplatePatch, taken out",
            Value::Null,
            pod(
                json!({"volumes": [{"name": "shopkeeper-tmp"}, {"name": "files"}], "containers": [{"workingDir": null}]}),
            ),
        ),
    ]
}

async fn a_patch_that_reaches_too_far_is_refused(shop: &Shop, subject: &Subject) -> Result<()> {
    let with = |patch: Value| json!({"spec": {"workload": {"podTemplatePatch": patch}}});
    for (patch, field) in [
        (
            json!({"spec": {"serviceAccountName": "admin"}}),
            "spec.serviceAccountName",
        ),
        (json!({"spec": {"contaners": []}}), "spec.contaners"),
    ] {
        shop.merge(subject, with(Value::Null)).await?;
        shop.until_ready(subject).await?;
        shop.merge(subject, with(patch)).await?;
        let message = shop
            .until_condition(subject, "Stalled", "True", "InvalidSpec")
            .await?;
        ensure!(
            message.contains(&format!("spec.workload.podTemplatePatch.{field}"))
                && message.contains("To do:"),
            "{message}"
        );
    }
    shop.merge(subject, with(Value::Null)).await?;
    shop.until_ready(subject).await.map(drop)
}

/// The edit of the Platform reaches the pods without one of the custom resource.
async fn the_tag_of_the_shop_arrives(shop: &Shop, subject: &Subject) -> Result<()> {
    let platform = Subject::new("Platform", "", "octank");
    let follow = edit(
        "workload.image, without a tag",
        json!({"workload": {"image": "registry.example/catalog"}}),
        &deployment(),
        container(json!({"image": "registry.example/catalog"})),
    );
    make(shop, subject, vec![follow]).await?;
    for tag in ["7", "8"] {
        shop.merge(&platform, json!({"spec": {"defaults": {"imageTag": tag}}}))
            .await?;
        shop.until("the pods have the tag of the shop", PATIENCE, async || {
            let expected = container(json!({"image": format!("registry.example/catalog:{tag}")}));
            includes(
                "the Deployment",
                &shop.look(&deployment()).await?,
                &expected,
            )
        })
        .await?;
    }
    shop.until_ready(subject).await.map(drop)
}

/// All of it beside each other, for the pass that finds nothing to do.
async fn everything_at_once(shop: &Shop, subject: &Subject) -> Result<()> {
    let sources = [
        ("projected", projected()),
        ("downward", downward()),
        ("ephemeral", ephemeral("1024Mi")),
        ("csi", csi("catalog")),
        ("nfs", nfs()),
    ];
    let mounts: Vec<Value> = sources
        .iter()
        .map(|(name, _)| json!({"name": name, "mountPath": format!("/{name}"), "readOnly": false}))
        .collect();
    let volumes: Vec<Value> = sources
        .into_iter()
        .map(|(name, source)| volume(name, source))
        .collect();
    let all = json!({"workload": {
        "rollout": {"type": "Recreate", "maxUnavailable": null},
        "volumes": volumes,
        "volumeMounts": mounts,
        "podTemplatePatch": patch("proxy:3"),
    }});
    let expected = json!({"spec": {
        "strategy": {"type": "Recreate", "rollingUpdate": null},
        "template": {"spec": {"containers": [{}, {"image": "proxy:3"}]}},
    }});
    make(
        shop,
        subject,
        vec![disruptive("all of it", all, &deployment(), expected)],
    )
    .await
}
