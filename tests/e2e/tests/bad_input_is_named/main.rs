//! A specification that cannot be right is refused by the API server with the field's name, and what only AWS can refuse
//! becomes Stalled with AWS's code, while everything else goes on.

mod admission;

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes, read_example, run_together, says};
use shopkeeper_localenv::{AwsFault, FaultKind};

const NAMESPACE: &str = "bad";

#[tokio::test]
async fn bad_input_is_named() -> Result<()> {
    let shop = Shop::open("bad-input").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.until_ready(&Subject::new("Platform", "", "octank"))
        .await?;
    run_together(vec![
        (
            "what the API server refuses",
            admission::refused_at_admission(&shop).boxed_local(),
        ),
        ("what AWS refuses", refused_by_aws(&shop).boxed_local()),
        (
            "what AWS refuses of others",
            refused_by_other_services(&shop).boxed_local(),
        ),
        (
            "what is hardly meant",
            what_is_hardly_meant_is_told(&shop).boxed_local(),
        ),
        ("what AWS forbids", forbidden_by_aws(&shop).boxed_local()),
        (
            "two variables of one name",
            two_variables_of_one_name(&shop).boxed_local(),
        ),
        (
            "a role that the Platform does not allow",
            a_role_that_is_not_allowed(&shop).boxed_local(),
        ),
        (
            "a route to nowhere",
            a_route_to_nowhere(&shop).boxed_local(),
        ),
    ])
    .await?;
    what_cannot_be_read_is_told_and_goes(&shop).await?;
    // Last: beside a second Platform every service has to say which one it runs on.
    a_platform_without_a_network(&shop).await?;
    shop.close().await
}

const WORKLOAD: &str =
    "workload: {image: registry.example/any:1, ports: [{name: http, containerPort: 8080}]}";

fn orders(name: &str, class: &str) -> String {
    format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  {WORKLOAD}
  nodes: {{type: None}}
  database:
    type: RDS
    rds: {{engine: PostgreSQL, version: '17', instanceClass: {class}, storage: 20Gi}}
  notifications: {{topics: [{{name: buy}}]}}
"
    )
}

/// A class that AWS does not sell: only AWS knows.
async fn refused_by_aws(shop: &Shop) -> Result<()> {
    let subject = Subject::new("OrderService", NAMESPACE, "unsold");
    shop.apply(&orders("unsold", "db.z9z.colossal")).await?;
    let message = shop
        .until_condition(&subject, "Stalled", "True", "Failed")
        .await?;
    ensure!(
        message.contains("RDS instance octank-bad-unsold"),
        "the resource is not named: {message}"
    );
    ensure!(
        message.contains("CreateDBInstance") && message.contains("InvalidParameter"),
        "AWS's code is not named: {message}"
    );
    says(
        &message,
        &[
            "Invalid DB Instance class: db.z9z.colossal",
            "To do: correct spec.database.rds.instanceClass",
            "describe-orderable-db-instance-options",
        ],
    )?;
    // The rest is made all the same.
    shop.until("the topic is made", PATIENCE, async || {
        let key = shop
            .aws
            .topic("arn:aws:sns:eu-west-1:123456789012:octank-bad-unsold-buy")
            .await?["key"]
            .clone();
        ensure!(key.is_string(), "it has no key");
        Ok(())
    })
    .await?;
    // Another service is not held up, and a corrected one goes on.
    let other = Subject::new("OrderService", NAMESPACE, "sold");
    shop.apply(&orders("sold", "db.t4g.medium")).await?;
    shop.until_ready(&other).await?;
    shop.merge(
        &subject,
        json!({"spec": {"database": {"rds": {"instanceClass": "db.t4g.medium"}}}}),
    )
    .await?;
    let ready = shop.until_ready(&subject).await?;
    let stalled = ready["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Stalled");
    ensure!(!stalled, "it is Ready and Stalled");
    Ok(())
}

/// Names, what only AWS knows to be wrong, and what is said of it: AWS's words, the field and the remedy.
const REFUSED_BY_AWS: &[(&str, &str, &[&str])] = &[
    (
        "version",
        "kind: OrderService\nspec: {database: {type: RDS, rds: {engine: PostgreSQL, version: '17.99', instanceClass: db.t4g.medium, storage: 20Gi}}",
        &[
            "Cannot find version 17.99 for postgres",
            "correct spec.database.rds.version",
        ],
    ),
    (
        "parameter",
        "kind: OrderService\nspec: {database: {type: RDS, rds: {engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi, parameters: [{name: max_conections, value: '9'}]}}",
        &["max_conections", "correct spec.database.rds.parameters"],
    ),
    (
        "nodetype",
        "kind: CatalogService\nspec: {cache: {engine: Valkey, nodeType: cache.z9z.colossal}",
        &[
            "Invalid Cache Node Type: cache.z9z.colossal",
            "correct spec.cache.nodeType",
        ],
    ),
    (
        "engine",
        "kind: CatalogService\nspec: {cache: {engine: Valkey, version: '8.9', nodeType: cache.t4g.small}",
        &[
            "Cannot find version 8.9 for valkey",
            "correct spec.cache.version",
        ],
    ),
    (
        "statement",
        "kind: CatalogService\nspec: {identity: {type: PodIdentity, statements: [{actions: ['s3:GetObject'], resources: ['arn:amazon:s3:::elsewhere/*']}]}",
        &[
            "MalformedPolicyDocument",
            "correct spec.identity.statements",
        ],
    ),
];

async fn refused_by_other_services(shop: &Shop) -> Result<()> {
    for (name, start, _) in REFUSED_BY_AWS {
        let yaml = format!(
            "apiVersion: shopkeeper.dev/v1alpha1\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\n{start}, nodes: {{type: None}}, {WORKLOAD}}}\n"
        );
        shop.apply(&yaml).await?;
    }
    for (name, start, words) in REFUSED_BY_AWS {
        let kind = if start.contains("OrderService") {
            "OrderService"
        } else {
            "CatalogService"
        };
        let message = shop
            .until_condition(
                &Subject::new(kind, NAMESPACE, name),
                "Stalled",
                "True",
                "Failed",
            )
            .await?;
        for words in *words {
            ensure!(message.contains(words), "{words} is not said: {message}");
        }
    }
    Ok(())
}

/// An image whose version is left to chance, and callers that do not exist: a word of warning, and the service runs.
async fn what_is_hardly_meant_is_told(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "loose");
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: loose, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/any, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  callers:
    - {{service: {{kind: CatalogService, name: ghost}}}}
    - {{namespace: ghosts}}
"
    ))
    .await?;
    shop.until_ready(&subject).await?;
    let message = async || {
        shop.until_condition(&subject, "WorkloadReady", "True", "Succeeded")
            .await
    };
    let told = message().await?;
    says(
        &told,
        &[
            "spec.workload.image names neither tag nor digest",
            "set spec.defaults.imageTag of Platform octank",
            "spec.callers[ghost] names CatalogService bad/ghost, which does not exist",
            "spec.callers[ghosts] names namespace ghosts, which does not exist",
        ],
    )?;
    shop.until("events tell of it", PATIENCE, async || {
        let events = shop.list("Event", NAMESPACE, "").await?;
        for reason in ["ImageNotPinned", "CallerNotFound"] {
            let told = events.iter().any(|event| {
                event["reason"] == reason
                    && event["type"] == "Warning"
                    && event["regarding"]["name"] == "loose"
            });
            ensure!(told, "no event {reason}");
        }
        Ok(())
    })
    .await?;
    // They come, and nobody has to say so.
    shop.namespace("ghosts").await?;
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1\nkind: CatalogService\nmetadata: {{name: ghost, namespace: {NAMESPACE}}}\nspec:\n  {WORKLOAD}\n  nodes: {{type: None}}\n"
    ))
    .await?;
    shop.until("the callers are missed no longer", PATIENCE, async || {
        let told = message().await?;
        ensure!(!told.contains("callers"), "{told}");
        Ok(())
    })
    .await
}

/// A right that the operator lacks is named, and once it is given all goes on without anybody's help.
async fn forbidden_by_aws(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "forbidden");
    let control = shop.environment.aws_control()?;
    let mut fault = AwsFault::new(FaultKind::AccessDenied, "dynamodb", "CreateTable").times(1);
    fault.resource = Some("octank-bad-forbidden-*".to_owned());
    control.add_fault(&fault).await?;
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1\nkind: CatalogService\nmetadata: {{name: forbidden, namespace: {NAMESPACE}}}\nspec:\n  {WORKLOAD}\n  nodes: {{type: None}}\n  products: {{keys: {{partition: {{name: id, type: String}}}}}}\n"
    ))
    .await?;
    let message = shop
        .until_condition(&subject, "Stalled", "True", "AccessDenied")
        .await?;
    ensure!(
        message.contains("CreateTable") && message.contains("IAM policy"),
        "the right that is missing is not named: {message}"
    );
    shop.request_pass(&subject, "2026-11-24T10:00:00Z").await?;
    shop.until_ready(&subject).await.map(drop)
}

/// A value that an older definition let in and that does not fit: it is told with its field, nothing else stops, and its deletion is
/// carried out although nobody corrects it.
async fn what_cannot_be_read_is_told_and_goes(shop: &Shop) -> Result<()> {
    let (subject, other) = (
        Subject::new("OrderService", NAMESPACE, "unread"),
        Subject::new("OrderService", NAMESPACE, "sold"),
    );
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1\nkind: OrderService\nmetadata: {{name: unread, namespace: {NAMESPACE}}}\nspec:\n  {WORKLOAD}\n  nodes: {{type: None}}\n  notifications: {{topics: [{{name: buy}}]}}\n"
    ))
    .await?;
    shop.until_ready(&subject).await?;
    let bound = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/disruption/properties/maxUnavailable/maximum";
    let definition = async |patch: serde_json::Value| {
        let patch = patch.to_string();
        let crd = "orderservices.shopkeeper.dev";
        shop.environment
            .kubectl(&["patch", "crd", crd, "--type=json", "-p", &patch])
            .await
    };
    definition(json!([{"op": "remove", "path": bound}])).await?;
    let unfit = json!({"spec": {"disruption": {"maxUnavailable": 99_999_999_999_999_i64}}});
    shop.until("the older definition holds", PATIENCE, async || {
        shop.merge(&subject, unfit.clone()).await
    })
    .await?;
    definition(json!([{"op": "add", "path": bound, "value": i32::MAX}])).await?;
    shop.until("it is told", PATIENCE, async || {
        let events = shop.list("Event", NAMESPACE, "").await?;
        let told = events.iter().any(|event| {
            let note = event["note"].as_str().unwrap_or_default();
            event["reason"] == "Unreadable"
                && event["type"] == "Warning"
                && event["regarding"]["name"] == "unread"
                && note.contains("spec.disruption.maxUnavailable")
                && note.contains("To do:")
        });
        ensure!(told, "nobody says that it cannot be read");
        Ok(())
    })
    .await?;
    shop.request_pass(&other, "2026-11-24T12:00:00Z").await?;
    shop.until_ready(&other).await?;

    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    equals(
        "what it has left in AWS",
        shop.owned_in_aws(&subject).await?,
        Vec::<String>::new(),
    )
}

/// Of two variables of one name one would win in silence, and pods read the wrong table.
async fn two_variables_of_one_name(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "doubled");
    let key = "keys: {partition: {name: id, type: String}}";
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: doubled, namespace: {NAMESPACE}}}
spec:
  {WORKLOAD}
  nodes: {{type: None}}
  products: {{{key}}}
  tables: [{{name: stock, table: {{{key}}}}}]
  bindings:
    - {{resource: products, env: [{{name: TABLE, template: '{{{{tableName}}}}'}}]}}
    - {{resource: tables.stock, env: [{{name: TABLE, template: '{{{{tableName}}}}'}}]}}
"
    ))
    .await?;
    let message = shop
        .until_condition(&subject, "Stalled", "True", "InvalidSpec")
        .await?;
    says(
        &message,
        &[
            "spec.bindings[tables.stock].env[TABLE]",
            "is also set by spec.bindings[products].env[TABLE]",
            "give one of them another name",
        ],
    )?;
    equals(
        "what was made in AWS",
        shop.owned_in_aws(&subject).await?,
        Vec::<String>::new(),
    )
}

/// Who may write a service may not have any role of the account, where the Platform says so; one that it allows is given once it does.
async fn a_role_that_is_not_allowed(shop: &Shop) -> Result<()> {
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }]});
    let role = shop.aws.iam.create_role().role_name("payments");
    let role = role.assume_role_policy_document(trust.to_string());
    let role = role.send().await?.role().map(|role| role.arn().to_owned());
    let role = role.unwrap_or_default();
    let platform = Subject::new("Platform", "", "octank");
    let allow = async |roles: &[&str]| {
        let patch = json!({"spec": {"identity": {"allowedRoles": roles}}});
        shop.merge(&platform, patch).await
    };
    allow(&["arn:aws:iam::123456789012:role/shop/*"]).await?;

    let subject = Subject::new("CatalogService", NAMESPACE, "payments");
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: payments, namespace: {NAMESPACE}}}
spec:
  {WORKLOAD}
  nodes: {{type: None}}
  identity: {{type: Existing, existing: {{roleArn: '{role}'}}}}
"
    ))
    .await?;
    let message = shop
        .until_condition(&subject, "Stalled", "True", "InvalidSpec")
        .await?;
    says(
        &message,
        &[
            "spec.identity.existing.roleArn",
            role.as_str(),
            "Platform octank",
            "spec.identity.allowedRoles",
        ],
    )?;
    allow(&["arn:aws:iam::123456789012:role/shop/*", "*:role/payments"])
        .await
        .err()
        .map(|refusal| format!("{refusal:#}"))
        .filter(|refusal| refusal.contains("spec.identity.allowedRoles[1]"))
        .ok_or_else(|| anyhow::anyhow!("a pattern that is no ARN was accepted"))?;
    allow(&["arn:aws:iam::123456789012:role/pay*"]).await?;
    shop.until_ready(&subject).await.map(drop)
}

async fn a_platform_without_a_network(shop: &Shop) -> Result<()> {
    let subject = Subject::new("Platform", "", "nowhere");
    let yaml = read_example("octank/platform.yaml")?
        .replace("metadata:\n  name: octank", "metadata:\n  name: nowhere")
        .replace("Name: octank", "Name: nowhere");
    shop.apply(&yaml).await?;
    let message = shop
        .until_condition(&subject, "Stalled", "True", "InvalidSpec")
        .await?;
    ensure!(
        message.contains("spec.network.existing.vpc") && message.contains("no VPC matches"),
        "{message}"
    );
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await
}

async fn a_route_to_nowhere(shop: &Shop) -> Result<()> {
    let subject = Subject::new("Storefront", NAMESPACE, "lost");
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: Storefront
metadata: {{name: lost, namespace: {NAMESPACE}}}
spec:
  hosts: [www.lost.example]
  routes: [{{path: /, service: {{kind: CatalogService, name: nobody}}}}]
"
    ))
    .await?;
    let message = shop
        .until_condition(&subject, "Ready", "False", "DependencyNotReady")
        .await?;
    ensure!(
        message.contains("nobody") && message.contains("does not exist"),
        "{message}"
    );
    // It is no mistake: what is missing may still come.
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1\nkind: CatalogService\nmetadata: {{name: nobody, namespace: {NAMESPACE}}}\nspec:\n  {WORKLOAD}\n  nodes: {{type: None}}\n"
    ))
    .await?;
    shop.until_ready(&subject).await?;
    let ingress = shop.list("Ingress", NAMESPACE, "").await?;
    equals("the number of load balancers", ingress.len(), 1)?;
    includes(
        "the route",
        &ingress[0]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"],
        &json!({"name": "nobody"}),
    )
}
