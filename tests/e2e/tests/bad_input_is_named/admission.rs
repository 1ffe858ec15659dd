//! What the API server refuses by the rules of the definitions.

use anyhow::{Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{Shop, Subject};

use super::{NAMESPACE, WORKLOAD};

/// Kind, what is wrong, and the words that the refusal has to contain: the field, and what to do.
const REFUSED: &[(&str, &str, &[&str])] = &[
    (
        "CatalogService",
        "scaling: {type: Fixed, fixed: {replicas: 2}, autoscale: {min: 1, max: 2}}",
        &["spec.scaling"],
    ),
    (
        "CatalogService",
        "scaling: {type: Autoscale, autoscale: {min: 5, max: 2}}",
        &["spec.scaling.autoscale", "min"],
    ),
    (
        "CatalogService",
        "nodes: {type: NodeGroup, nodeGroup: {min: 5, max: 2}}",
        &["spec.nodes.nodeGroup", "must not exceed max"],
    ),
    (
        "CatalogService",
        "nodes: {type: Shared}",
        &["spec.nodes", "shared must be set"],
    ),
    (
        "CatalogService",
        "disruption: {minAvailable: 1, maxUnavailable: 1}",
        &["spec.disruption", "not both"],
    ),
    (
        "CatalogService",
        "media: {archiveAfterInactiveDays: 30}",
        &["spec.media.archiveAfterInactiveDays"],
    ),
    (
        "CatalogService",
        "media: {deepArchiveAfterInactiveDays: 180}",
        &["spec.media"],
    ),
    (
        "CatalogService",
        "products: {keys: {partition: {name: id, type: Text}}}",
        &["spec.products.keys.partition.type", "String"],
    ),
    (
        "CatalogService",
        "cache: {engine: Valkey, nodeType: large}",
        &["spec.cache.nodeType"],
    ),
    (
        "CatalogService",
        "bindings: [{resource: cache, env: [{name: A, template: '{{host}}'}]}]",
        &["bindings[].resource must be declared here"],
    ),
    (
        "OrderService",
        "database: {type: RDS, rds: {engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 10Gi}}",
        &["spec.database.rds", "20Gi or more"],
    ),
    (
        "OrderService",
        "database: {type: RDS}",
        &["spec.database", "rds must be set"],
    ),
    (
        "OrderService",
        "notifications: {topics: [{name: buy, subscribers: [{type: Queue, queue: none}]}]}",
        &["spec.notifications", "queue"],
    ),
    (
        "OrderService",
        "policy: {deletion: Maybe}",
        &["spec.policy.deletion", "Retain"],
    ),
    (
        "CatalogService",
        "media: {cloudFrontDistributionArns: ['arn:aws:cloudfront::123456789012:distribution/*']}",
        &["spec.media.cloudFrontDistributionArns[0]"],
    ),
    ("OrderService", "nonsense: true", &["nonsense"]),
    (
        "OrderService",
        "disruption: {maxUnavailable: 99999999999999}",
        &["spec.disruption.maxUnavailable", "2147483647"],
    ),
    (
        "OrderService",
        "disruption: {maxUnavailable: '-500%'}",
        &["spec.disruption.maxUnavailable", "from 0% to 100%"],
    ),
    (
        "OrderService",
        "disruption: {minAvailable: '500%'}",
        &["spec.disruption.minAvailable", "from 0% to 100%"],
    ),
    (
        "OrderService",
        "policy: {driftInterval: soon}",
        &["spec.policy.driftInterval", "such as 10m"],
    ),
];

/// Storefronts that cannot be right, or that an Application Load Balancer would refuse, and the words of the refusal.
const REFUSED_STOREFRONTS: &[(&str, &[&str])] = &[
    (
        "{hosts: [a.io], loadBalancerGroups: {public: Shop}, routes: [{path: /, service: {kind: CatalogService, name: a}}]}",
        &["spec.loadBalancerGroups.public"],
    ),
    (
        "{hosts: [a.io], loadBalancerGroups: {public: shop, order: 1001}, routes: [{path: /, service: {kind: CatalogService, name: a}}]}",
        &["spec.loadBalancerGroups.order", "1000"],
    ),
    (
        "{loadBalancerGroups: {public: shop}, gateway: {parentRefs: [{name: shared}]}, routes: [{path: /, service: {kind: CatalogService, name: a}}]}",
        &["loadBalancerGroups.public", "leave it out"],
    ),
    (
        "{hosts: [a.io, b.io, c.io, d.io, e.io, f.io, g.io, h.io, i.io, j.io, k.io, l.io, m.io, n.io, o.io, p.io], routes: [{path: /a, service: {kind: CatalogService, name: a}}, {path: /b, service: {kind: CatalogService, name: a}}, {path: /c, service: {kind: CatalogService, name: a}}, {path: /d, service: {kind: CatalogService, name: a}}, {path: /e, service: {kind: CatalogService, name: a}}, {path: /f, service: {kind: CatalogService, name: a}}, {path: /g, service: {kind: CatalogService, name: a}}]}",
        &["routes times hosts must not exceed 100"],
    ),
    (
        "{hosts: [a.io], routes: [{path: '/cart(1)', service: {kind: CatalogService, name: a}}]}",
        &["spec.routes[0].path"],
    ),
    (
        "{hosts: [a.io], routes: [{path: /cart/../admin, service: {kind: CatalogService, name: a}}]}",
        &["spec.routes[0]", "path must not contain //"],
    ),
    (
        "{routes: [{path: /a, service: {kind: CatalogService, name: a}}]}",
        &["routes need hosts", "tls.type"],
    ),
    (
        "{hosts: [a.io], routes: [{path: /, frontend: web}]}",
        &["routes[].frontend must name a member of frontends"],
    ),
    (
        "{hosts: [a.io], frontends: [{name: office, exposure: Internal, workload: {image: registry.example/any:1}}], routes: [{path: /, frontend: office}]}",
        &["routes[].frontend must not be Internal"],
    ),
    (
        "{hosts: [a.io], frontends: [{name: web, hosts: [b.io], workload: {image: registry.example/any:1}}]}",
        &["spec.frontends[0]", "set exposure to Internal"],
    ),
    (
        "{hosts: [a.io], frontends: [{name: web, healthPath: healthz, workload: {image: registry.example/any:1}}]}",
        &["spec.frontends[0].healthPath"],
    ),
    (
        "{hosts: [a.io], frontends: [{name: web, exposure: Secret, workload: {image: registry.example/any:1}}]}",
        &["spec.frontends[0].exposure", "Internal"],
    ),
    (
        "{hosts: [a.io], routes: [{path: /, frontend: web, service: {kind: CatalogService, name: a}}], frontends: [{name: web, workload: {image: registry.example/any:1}}]}",
        &["spec.routes[0]", "set either service or frontend"],
    ),
    ("{hosts: ['https://a.io']}", &["spec.hosts[0]"]),
    (
        "{hosts: [a.io], tls: {type: Existing}}",
        &["spec.tls", "existing must be set"],
    ),
    (
        "{hosts: [a.io], tls: {type: None, policy: ELBSecurityPolicy-TLS13-1-2-2021-06}}",
        &["spec.tls", "policy has no meaning"],
    ),
    (
        "{hosts: [a.io], tls: {type: Existing, existing: {certificateArns: ['arn:aws:iam::123456789012:role/web']}}}",
        &["spec.tls.existing.certificateArns[0]"],
    ),
    (
        "{hosts: [a.io], loadBalancer: {idleTimeoutSeconds: 4001}}",
        &["spec.loadBalancer.idleTimeoutSeconds"],
    ),
    (
        "{hosts: [a.io], loadBalancer: {attributes: {access_logs.s3.prefix: 'a,b'}}}",
        &["spec.loadBalancer.attributes", "must not hold a comma"],
    ),
    (
        "{hosts: [a.io], loadBalancer: {wafAclArn: 'arn:aws:wafv2:us-east-1:123456789012:global/webacl/shop/a1'}}",
        &["spec.loadBalancer.wafAclArn"],
    ),
];

/// Workloads that the API server would refuse only when they are applied, and the words of the refusal.
const REFUSED_WORKLOADS: &[(&str, &[&str])] = &[
    ("{image: ' '}", &["spec.workload.image", "registry.example"]),
    (
        "{image: 'registry.example/any 1'}",
        &["spec.workload.image", "must not hold blanks"],
    ),
    (
        "{image: any, resources: {requests: {cpu: '-1'}}}",
        &[
            "spec.workload.resources.requests",
            "must not be negative",
            "250m",
        ],
    ),
    (
        "{image: any, resources: {limits: {memory: -1}}}",
        &["spec.workload.resources.limits"],
    ),
    (
        "{image: any, resources: {requests: {cpu: 2}, limits: {cpu: 1500m}}}",
        &[
            "spec.workload.resources",
            "requests.cpu is more than limits.cpu",
        ],
    ),
    (
        "{image: any, ports: [{name: a, containerPort: 80}, {name: b, containerPort: 80, servicePort: 81}]}",
        &[
            "spec.workload.ports",
            "two ports have the same containerPort",
        ],
    ),
    (
        "{image: any, ports: [{name: http, containerPort: 8080}, {name: b, containerPort: 80}]}",
        &["spec.workload.ports", "two ports have the same servicePort"],
    ),
    (
        "{image: any, tmpDir: {sizeLimit: -64Mi}}",
        &["spec.workload.tmpDir.sizeLimit", "must not be negative"],
    ),
    (
        "{image: any, tolerations: [{key: a, operator: Exists}], topologySpreadConstraints: [{maxSkew: 99999999999, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}",
        &[
            "spec.workload.topologySpreadConstraints[0].maxSkew",
            "2147483647",
        ],
    ),
    (
        "{image: 'registry.example/any@sha256:0123'}",
        &["spec.workload.image", "64 hexadecimal digits"],
    ),
    (
        "{image: any, initContainers: [{name: a, image: 'any:1@latest'}]}",
        &[
            "spec.workload.initContainers[0].image",
            "64 hexadecimal digits",
        ],
    ),
];

pub async fn refused_at_admission(shop: &Shop) -> Result<()> {
    for (workload, words) in REFUSED_WORKLOADS {
        refused(
            shop,
            &format!(
                "apiVersion: shopkeeper.dev/v1alpha1\nkind: OrderService\nmetadata: {{name: refused, namespace: {NAMESPACE}}}\nspec:\n  workload: {workload}\n"
            ),
            words,
        )
        .await?;
    }
    refused(
        shop,
        &format!(
            "apiVersion: shopkeeper.dev/v1alpha1\nkind: OrderService\nmetadata: {{name: refused, namespace: {NAMESPACE}}}\nspec: {{workload: {{image: 'any:1'}}, callers: [{{namespace: staff}}]}}\n"
        ),
        &["spec: ", "callers", "add one to workload.ports"],
    )
    .await?;
    let long = "n".repeat(41);
    refused(
        shop,
        &format!(
            "apiVersion: shopkeeper.dev/v1alpha1\nkind: OrderService\nmetadata: {{name: {long}, namespace: {NAMESPACE}}}\nspec:\n  {WORKLOAD}\n"
        ),
        &["metadata.name may have 40 characters", "choose a shorter one"],
    )
    .await?;
    let twenty = "f".repeat(20);
    refused(
        shop,
        &format!(
            "apiVersion: shopkeeper.dev/v1alpha1\nkind: Storefront\nmetadata: {{name: {twenty}ss, namespace: {NAMESPACE}}}\nspec:\n  frontends: [{{name: {twenty}, {WORKLOAD}, network: {{exposures: [{{name: {twenty}, type: Ingress, ingress: {{}}}}]}}}}]\n"
        ),
        &["may have 61 characters together", "choose a shorter one"],
    )
    .await?;
    for (kind, part, words) in REFUSED {
        let yaml = format!(
            "apiVersion: shopkeeper.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: refused, namespace: {NAMESPACE}}}\nspec:\n  {WORKLOAD}\n  {part}\n"
        );
        let Err(refusal) = shop.apply(&yaml).await else {
            anyhow::bail!("{kind} with {part} was accepted")
        };
        let refusal = format!("{refusal:#}");
        for word in *words {
            ensure!(
                refusal.contains(word),
                "the refusal of {part} does not say {word:?}: {refusal}"
            );
        }
    }
    for (part, words) in REFUSED_STOREFRONTS {
        let yaml = format!(
            "apiVersion: shopkeeper.dev/v1alpha1\nkind: Storefront\nmetadata: {{name: refused, namespace: {NAMESPACE}}}\nspec:\n  {part}\n"
        );
        let Err(refusal) = shop.apply(&yaml).await else {
            anyhow::bail!("a Storefront with {part} was accepted")
        };
        let refusal = format!("{refusal:#}");
        for word in *words {
            ensure!(
                refusal.contains(word),
                "the refusal of {part} does not say {word:?}: {refusal}"
            );
        }
    }
    immutable_fields_are_refused(shop).await
}

async fn refused(shop: &Shop, yaml: &str, words: &[&str]) -> Result<()> {
    let Err(refusal) = shop.apply(yaml).await else {
        anyhow::bail!("it was accepted: {yaml}")
    };
    let refusal = format!("{refusal:#}");
    for word in words {
        ensure!(
            refusal.contains(word),
            "the refusal of {yaml} does not say {word:?}: {refusal}"
        );
    }
    Ok(())
}

async fn immutable_fields_are_refused(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "fixed");
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1\nkind: CatalogService\nmetadata: {{name: fixed, namespace: {NAMESPACE}}}\nspec:\n  {WORKLOAD}\n  nodes: {{type: None}}\n  products: {{keys: {{partition: {{name: id, type: String}}}}}}\n"
    ))
    .await?;
    let patch = json!({"spec": {"products": {"keys": {"partition": {"name": "sku"}}}}});
    let Err(refusal) = shop.merge(&subject, patch).await else {
        anyhow::bail!("the key of a table was changed")
    };
    let refusal = format!("{refusal:#}");
    ensure!(
        refusal.contains("spec.products.keys") && refusal.contains("keys are immutable"),
        "{refusal}"
    );
    Ok(())
}
