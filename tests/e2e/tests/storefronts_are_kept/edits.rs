//! Edits, and the whole list of what can be edited.

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{
    Definition, Elsewhere, Shop, Subject, View, equals, includes, not_shown_by, set,
};

use super::{CLUSTER, KINDS, NAMESPACE, object, specification};

/// An edit, where it shows, and as what.
struct Edit {
    /// The field as it is named in the definition, with all that is below it. What a frontend has in common with every service is one
    /// field here: the services show its members.
    field: &'static str,
    /// Its place in the specification, as a JSON pointer; `-` is the end of a list.
    at: &'static str,
    /// Its new value; null takes it out.
    value: Value,
    view: View,
    expected: Value,
}

/// Fields that are the same for every kind, and shown there, and those that have a part of the scenario of their own.
const SHOWN_ELSEWHERE: [Elsewhere; 4] = [
    ("gateway", "tests/e2e/tests/storefronts_are_kept/gateway.rs"),
    (
        "loadBalancerGroups",
        "tests/e2e/tests/storefronts_are_kept/groups.rs",
    ),
    ("platformRef", "operator/api/tests/cases/mod.rs"),
    ("policy", "tests/e2e/tests/storefronts_are_kept/deletion.rs"),
];

pub async fn of_a_storefront(shop: &Shop) -> Result<()> {
    let subject = Subject::new("Storefront", NAMESPACE, "edited");
    let mut now = specification("edited");
    shop.apply_specification(&subject, &now).await?;
    shop.until_ready(&subject).await?;
    let group = shop
        .made(&subject, "NodeGroup", "frontends.web.nodes")
        .await?;
    let edits: Vec<Edit> = of_routes()
        .into_iter()
        .chain(of_tls())
        .chain(of_load_balancers())
        .chain(of_frontends(group))
        .collect();
    every_field_is_edited(shop, &edits).await?;
    for edit in &edits {
        make(shop, &subject, &mut now, edit)
            .await
            .with_context(|| format!("the edit of {} at {}", edit.field, edit.at))?;
    }
    the_identity_may_what_is_declared(shop, &subject).await?;
    a_frontend_is_taken_out(shop, &subject, &mut now).await
}

async fn make(shop: &Shop, subject: &Subject, now: &mut Value, edit: &Edit) -> Result<()> {
    let began = Instant::now();
    let before = shop.look(&edit.view).await.unwrap_or_default();
    ensure!(
        includes("", &before, &edit.expected).is_err(),
        "it is as expected before the edit"
    );
    set(now, edit.at, edit.value.clone())?;
    shop.apply_specification(subject, now).await?;
    shop.until_ready(subject).await?;
    includes(edit.field, &shop.look(&edit.view).await?, &edit.expected)?;
    println!(
        "  edited {} in {:.1} s",
        edit.field,
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Fails when the definition has a field that no edit is of.
async fn every_field_is_edited(shop: &Shop, edits: &[Edit]) -> Result<()> {
    let definition = Definition::of(shop, "storefronts").await?;
    let here = "tests/e2e/tests/storefronts_are_kept/edits.rs";
    let shown: BTreeSet<Elsewhere> = edits
        .iter()
        .map(|edit| (edit.field, here))
        .chain(SHOWN_ELSEWHERE)
        .collect();
    let missing = not_shown_by(&definition, &shown.into_iter().collect::<Vec<_>>())?;
    ensure!(
        missing.is_empty(),
        "no edit is of these fields: {missing:#?}"
    );
    Ok(())
}

fn ingress(name: &str) -> View {
    View::Object(object("Ingress", name))
}

/// An annotation for the AWS Load Balancer Controller.
fn annotation(name: &str, value: Value) -> Value {
    json!({"metadata": {"annotations": {format!("alb.ingress.kubernetes.io/{name}"): value}}})
}

/// The rules of a load balancer that has one host.
fn paths(paths: Value) -> Value {
    json!({"spec": {"rules": [{"http": {"paths": paths}}]}})
}

fn of_routes() -> Vec<Edit> {
    let edit = |field, at, value, expected| Edit {
        field,
        at,
        value,
        view: ingress("edited"),
        expected,
    };
    let leads_to = |name: &str, port: i32| json!({"backend": {"service": {"name": name, "port": {"number": port}}}});
    vec![
        edit(
            "routes[].path",
            "/routes/-",
            json!({"path": "/offers", "service": {"kind": "CatalogService", "name": "catalog"}}),
            paths(
                json!([{"path": "/items"}, {"path": "/"}, {"path": "/offers", "pathType": "Prefix"}]),
            ),
        ),
        edit(
            "routes[].pathType",
            "/routes/0/pathType",
            json!("Exact"),
            paths(json!([{"path": "/items", "pathType": "Exact"}, {}, {}])),
        ),
        edit(
            "routes[].service",
            "/routes/2/service/name",
            json!("offers"),
            paths(json!([
                leads_to("catalog", 80),
                leads_to("edited-web", 80),
                leads_to("offers", 80)
            ])),
        ),
        edit(
            "routes[].port",
            "/routes/2/port",
            json!("admin"),
            paths(json!([
                leads_to("catalog", 80),
                leads_to("edited-web", 80),
                leads_to("offers", 9090)
            ])),
        ),
        Edit {
            field: "frontends[].name",
            at: "/frontends/-",
            value: json!({
                "name": "beta",
                "workload": {"image": "registry.example/beta:1", "ports": [{"name": "http", "containerPort": 8080}]},
                "nodes": {"type": "None"},
            }),
            view: View::Object(object("Deployment", "edited-beta")),
            expected: json!({"spec": {"replicas": 2}, "status": {"availableReplicas": 2}}),
        },
        edit(
            "routes[].frontend",
            "/routes/1/frontend",
            json!("beta"),
            paths(json!([{}, leads_to("edited-beta", 80), {}])),
        ),
        edit(
            "routes[].frontend",
            "/routes/1/frontend",
            json!("web"),
            paths(json!([{}, leads_to("edited-web", 80), {}])),
        ),
        edit(
            "hosts",
            "/hosts",
            json!(["shop.edited.example", "www.edited.example"]),
            json!({"spec": {
                "rules": [{"host": "shop.edited.example"}, {"host": "www.edited.example"}],
                "tls": [{"hosts": ["shop.edited.example", "www.edited.example"]}],
            }}),
        ),
    ]
}

fn of_tls() -> Vec<Edit> {
    let certificate =
        "arn:aws:acm:eu-west-1:123456789012:certificate/6f1f8a0e-0000-4000-8000-000000000001";
    let edit = |field, at, value, expected| Edit {
        field,
        at,
        value,
        view: ingress("edited"),
        expected,
    };
    let mut plain = annotation("listen-ports", json!(r#"[{"HTTP":80}]"#));
    plain["metadata"]["annotations"]["alb.ingress.kubernetes.io/ssl-redirect"] = Value::Null;
    plain["spec"] = json!({"tls": null});
    vec![
        edit("tls.type", "/tls", json!({"type": "None"}), plain),
        edit(
            "tls.existing",
            "/tls",
            json!({"type": "Existing", "existing": {"certificateArns": [certificate]}}),
            annotation("certificate-arn", json!(certificate)),
        ),
        edit(
            "tls.policy",
            "/tls/policy",
            json!("ELBSecurityPolicy-TLS13-1-3-2021-06"),
            annotation("ssl-policy", json!("ELBSecurityPolicy-TLS13-1-3-2021-06")),
        ),
        edit(
            "tls.type",
            "/tls",
            Value::Null,
            json!({
                "metadata": {"annotations": {
                    "alb.ingress.kubernetes.io/certificate-arn": null,
                    "alb.ingress.kubernetes.io/ssl-redirect": "443",
                }},
                "spec": {"tls": [{"hosts": ["shop.edited.example", "www.edited.example"]}]},
            }),
        ),
    ]
}

fn of_load_balancers() -> Vec<Edit> {
    let acl = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/a1b2c3d4";
    // They are those of every load balancer of the Storefront: both are looked at in turn.
    let edit = |field, name: &str, at, value, expected| Edit {
        field,
        at,
        value,
        view: ingress(name),
        expected,
    };
    let attributes = |protected: bool, idle: i32, more: &str| {
        annotation(
            "load-balancer-attributes",
            json!(format!(
                "deletion_protection.enabled={protected},idle_timeout.timeout_seconds={idle},routing.http.drop_invalid_header_fields.enabled=true{more}"
            )),
        )
    };
    vec![
        edit(
            "loadBalancer.idleTimeoutSeconds",
            "edited",
            "/loadBalancer",
            json!({"idleTimeoutSeconds": 120}),
            attributes(false, 120, ""),
        ),
        edit(
            "loadBalancer.deletionProtection",
            "edited-office",
            "/loadBalancer/deletionProtection",
            json!("Enabled"),
            attributes(true, 120, ""),
        ),
        edit(
            "loadBalancer.attributes",
            "edited",
            "/loadBalancer/attributes",
            json!({"routing.http2.enabled": "false"}),
            attributes(true, 120, ",routing.http2.enabled=false"),
        ),
        edit(
            "loadBalancer.deregistrationDelaySeconds",
            "edited-office",
            "/loadBalancer/deregistrationDelaySeconds",
            json!(5),
            annotation(
                "target-group-attributes",
                json!("deregistration_delay.timeout_seconds=5"),
            ),
        ),
        edit(
            "loadBalancer.wafAclArn",
            "edited",
            "/loadBalancer/wafAclArn",
            json!(acl),
            annotation("wafv2-acl-arn", json!(acl)),
        ),
        edit(
            "loadBalancer.wafAclArn",
            "edited",
            "/loadBalancer",
            Value::Null,
            json!({"metadata": {"annotations": {
                "alb.ingress.kubernetes.io/wafv2-acl-arn": "none",
                "alb.ingress.kubernetes.io/target-group-attributes": "deregistration_delay.timeout_seconds=30",
            }}}),
        ),
    ]
}

fn of_frontends(group: String) -> Vec<Edit> {
    let edit = |field, at, value, kind: &'static str, name: &str, expected| Edit {
        field,
        at,
        value,
        view: View::Object(object(kind, name)),
        expected,
    };
    let container = |value: Value| json!({"spec": {"template": {"spec": {"containers": [value]}}}});
    vec![
        edit(
            "frontends[].exposure",
            "/frontends/2/exposure",
            json!("Internal"),
            "Ingress",
            "edited-beta",
            annotation("scheme", json!("internal")),
        ),
        edit(
            "frontends[].hosts",
            "/frontends/1/hosts",
            json!(["office.edited.example"]),
            "Ingress",
            "edited-office",
            json!({"spec": {"rules": [{"host": "office.edited.example"}], "tls": [{"hosts": ["office.edited.example"]}]}}),
        ),
        edit(
            "frontends[].healthPath",
            "/frontends/0/healthPath",
            json!("/healthz"),
            "Service",
            "edited-web",
            annotation("healthcheck-path", json!("/healthz")),
        ),
        edit(
            "frontends[].workload",
            "/frontends/0/workload/image",
            json!("registry.example/web:2"),
            "Deployment",
            "edited-web",
            container(json!({"image": "registry.example/web:2"})),
        ),
        edit(
            "frontends[].workload",
            "/frontends/0/workload/ports/0/servicePort",
            json!(8000),
            "Ingress",
            "edited",
            json!({"spec": {"rules": [
                {"http": {"paths": [{}, {"backend": {"service": {"name": "edited-web", "port": {"number": 8000}}}}, {}]}},
                {},
            ]}}),
        ),
        edit(
            "frontends[].scaling",
            "/frontends/0/scaling",
            json!({"type": "Fixed", "fixed": {"replicas": 3}}),
            "Deployment",
            "edited-web",
            json!({"spec": {"replicas": 3}, "status": {"availableReplicas": 3}}),
        ),
        edit(
            "frontends[].scaling",
            "/frontends/0/scaling",
            json!({"type": "Autoscale", "autoscale": {"min": 2, "max": 8, "cpu": 50}}),
            "HorizontalPodAutoscaler",
            "edited-web",
            json!({"spec": {"minReplicas": 2, "maxReplicas": 8}}),
        ),
        edit(
            "frontends[].disruption",
            "/frontends/0/disruption",
            json!({"minAvailable": 1}),
            "PodDisruptionBudget",
            "edited-web",
            json!({"spec": {"minAvailable": 1, "maxUnavailable": null}}),
        ),
        edit(
            "frontends[].callers",
            "/frontends/1/callers",
            json!([{"cidr": "10.9.0.0/16"}]),
            "NetworkPolicy",
            "edited-office",
            json!({"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]}, {}]}}),
        ),
        edit(
            "frontends[].endpoints",
            "/frontends/0/endpoints",
            json!([{"service": {"kind": "CatalogService", "name": "catalog"}, "env": [{"name": "CATALOG_URL", "template": "{{url}}"}]}]),
            "Deployment",
            "edited-web",
            container(
                json!({"env": [{"name": "CATALOG_URL", "value": "http://catalog.front.svc"}]}),
            ),
        ),
        edit(
            "frontends[].network",
            "/frontends/0/network",
            json!({"service": {"type": "NodePort", "annotations": {"example.com/team": "web"}}}),
            "Service",
            "edited-web",
            json!({"metadata": {"annotations": {"example.com/team": "web"}}, "spec": {"type": "NodePort"}}),
        ),
        edit(
            "frontends[].network",
            "/frontends/0/network",
            Value::Null,
            "Service",
            "edited-web",
            json!({"metadata": {"annotations": {"example.com/team": null}}, "spec": {"type": "ClusterIP"}}),
        ),
        edit(
            "frontends[].bindings",
            "/frontends/1/bindings",
            json!([{"resource": "external.audit", "env": [{"name": "KAFKA", "template": "{{endpoint}}"}]}]),
            "ConfigMap",
            "edited-office-bindings",
            json!({"data": {"KAFKA": "kafka.example:9092"}}),
        ),
        edit(
            "frontends[].external",
            "/frontends/1/external/0/host",
            json!("kafka.elsewhere.example"),
            "ConfigMap",
            "edited-office-bindings",
            json!({"data": {"KAFKA": "kafka.elsewhere.example:9092"}}),
        ),
        Edit {
            field: "frontends[].nodes",
            at: "/frontends/0/nodes/nodeGroup/max",
            value: json!(5),
            view: View::NodeGroup(CLUSTER.to_owned(), group),
            expected: json!({"status": "ACTIVE", "min": 1, "max": 5}),
        },
        Edit {
            field: "frontends[].identity",
            at: "/frontends/1/identity",
            value: json!({"type": "PodIdentity", "statements": [{"actions": ["bedrock:InvokeModel"], "resources": ["*"]}]}),
            view: View::Role("octank-eu-west-1-front-edited-office".to_owned()),
            expected: json!({"tags": {"shopkeeper.dev/owner": "Storefront/front/edited"}}),
        },
    ]
}

/// The role of a frontend that asks for more than nothing, and the association by which its pods have it.
async fn the_identity_may_what_is_declared(shop: &Shop, subject: &Subject) -> Result<()> {
    let role = shop
        .made(subject, "IamRole", "frontends.office.identity.role")
        .await?;
    let view = shop.aws.role(&role).await?;
    ensure!(
        view["inline"].to_string().contains("bedrock:InvokeModel"),
        "the role allows {}",
        view["inline"]
    );
    let associations = shop
        .aws
        .pod_identity_associations(CLUSTER, NAMESPACE, "edited-office")
        .await?;
    equals("the number of associations", associations.len(), 1)?;
    equals(
        "the role of the pods",
        &associations[0]["role"],
        &view["arn"],
    )
}

/// What was made for it goes, and nothing of the others.
async fn a_frontend_is_taken_out(shop: &Shop, subject: &Subject, now: &mut Value) -> Result<()> {
    let frontends = now["frontends"]
        .as_array_mut()
        .context("there are no frontends")?;
    frontends.retain(|frontend| frontend["name"] != "beta");
    shop.apply_specification(subject, now).await?;
    shop.until_ready(subject).await?;
    for kind in KINDS {
        let left = shop.find(&object(kind, "edited-beta")).await?;
        ensure!(left.is_none(), "the {kind} outlived its frontend");
    }
    for kind in ["Ingress", "Deployment", "Service"] {
        shop.get(kind, NAMESPACE, "edited-office").await?;
    }
    Ok(())
}
