//! Two custom resources that ask for one name do not share what is called so.
//!
//! Proves for a CatalogService and an OrderService that are applied together under one name that one of them becomes Ready, and that
//! the other says whose the name is, and has neither an object nor anything in AWS; that pods run as the ServiceAccount to which
//! Pod Identity gives the role of their own custom resource; that the other takes the name up once it is free, and keeps it over a
//! restart that writes nothing. For a frontend that is added to an older Storefront under the name of a service, that the
//! service keeps its name, and that the Storefront's other frontend is left as it is.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, read_example, says, text};

const KINDS: [&str; 2] = ["CatalogService", "OrderService"];
const OBJECTS: [&str; 9] = [
    "Deployment",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "Ingress",
    "Service",
    "ServiceAccount",
    "ConfigMap",
    "Secret",
];

#[tokio::test]
async fn names_are_not_shared() -> Result<()> {
    let mut shop = Shop::open("names").await?;
    for namespace in ["kinds", "fronts", "circle"] {
        shop.namespace(namespace).await?;
    }
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.until_ready(&Subject::new("Platform", "", "octank"))
        .await?;
    // One after the other: what a pass writes is seen for the whole cluster.
    two_kinds(&shop).await?;
    a_frontend_that_comes_later(&shop).await?;
    a_circle(&shop).await?;
    a_start_writes_nothing(&mut shop).await?;
    shop.close().await
}

fn dup(kind: &'static str) -> Subject {
    Subject::new(kind, "kinds", "dup")
}

async fn two_kinds(shop: &Shop) -> Result<()> {
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: dup, namespace: kinds}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {instanceTypes: [m7g.large], min: 1, max: 3}}
  products: {keys: {partition: {name: id, type: String}}}
  cache: {engine: Valkey, nodeType: cache.t4g.small, users: [{name: app, authentication: Password}]}
  bindings:
    - {resource: products, env: [{name: PRODUCTS_TABLE, template: '{{tableName}}'}]}
    - {resource: cache, env: [{name: CACHE_URL, template: '{{uri}}'}]}
  policy: {deletion: Delete}
---
apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: dup, namespace: kinds}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {instanceTypes: [m7g.large], min: 1, max: 3}}
  identity: {type: PodIdentity, statements: [{actions: ['ses:SendEmail'], resources: ['*']}]}
  policy: {deletion: Delete}
",
    )
    .await?;
    // Both may be created in the same second: which of them comes first, their uids say.
    let winner = shop
        .until("one of the two is Ready", PATIENCE, async || {
            for kind in KINDS {
                if is_ready(shop, &dup(kind)).await? {
                    return Ok(kind);
                }
            }
            bail!("none is")
        })
        .await?;
    let loser = KINDS[usize::from(winner == KINDS[0])];
    let (winner, loser) = (dup(winner), dup(loser));
    is_told_and_has_nothing(shop, &loser, &winner).await?;
    has_it_all(shop, &winner).await?;
    // It is looked at again, and still nothing is made.
    shop.second_pass_is_silent(&loser).await?;
    is_told_and_has_nothing(shop, &loser, &winner).await?;
    shop.second_pass_is_silent(&winner).await?;
    // Nobody is led to the pods of the one by the name of the other.
    let asker = Subject::new("OrderService", "kinds", "asker");
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: asker, namespace: kinds}}
spec:
  workload: {{image: registry.example/asker:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  callers: [{{service: {{kind: {0}, name: dup}}}}]
  endpoints:
    - service: {{kind: {0}, name: dup}}
      env: [{{name: DUP, template: '{{{{url}}}}'}}]
",
        loser.kind
    ))
    .await?;
    let message = shop
        .until_condition(&asker, "Ready", "False", "DependencyNotReady")
        .await?;
    says(
        &message,
        &["spec.callers[dup]", loser.kind, &winner.path(), "To do:"],
    )?;

    // Nothing but the end of the other one tells it that the name is free.
    shop.delete(&winner).await?;
    shop.until_gone(&winner).await?;
    shop.until_ready(&loser).await?;
    has_it_all(shop, &loser).await?;
    shop.until_ready(&asker).await?;
    shop.delete(&asker).await?;
    shop.until_gone(&asker).await?;
    equals(
        "what the first has left in AWS",
        shop.owned_in_aws(&winner).await?,
        Vec::<String>::new(),
    )
}

async fn is_ready(shop: &Shop, subject: &Subject) -> Result<bool> {
    let object = shop
        .get(subject.kind, &subject.namespace, &subject.name)
        .await?;
    let conditions = object["status"]["conditions"].as_array();
    Ok(conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True"))
}

/// Says whose the name is and what to do, and has made nothing.
async fn is_told_and_has_nothing(shop: &Shop, loser: &Subject, winner: &Subject) -> Result<()> {
    let message = shop
        .until_condition(loser, "Stalled", "True", "NameTaken")
        .await?;
    says(
        &message,
        &["metadata.name", "dup", &winner.path(), "To do:"],
    )?;
    let ready = shop
        .until_condition(loser, "Ready", "False", "NameTaken")
        .await?;
    equals("the message of Ready", ready, message)?;
    equals(
        "what the loser has in AWS",
        shop.owned_in_aws(loser).await?,
        Vec::<String>::new(),
    )?;
    let object = shop.get(loser.kind, &loser.namespace, &loser.name).await?;
    equals(
        "its inventory",
        &object["status"]["inventory"],
        &Value::Null,
    )?;
    equals(
        "its finalizers",
        &object["metadata"]["finalizers"],
        &Value::Null,
    )?;
    for kind in OBJECTS {
        let theirs = owned(shop, kind, &loser.namespace, &object).await?;
        equals(
            &format!("the {kind} of the loser"),
            theirs,
            Vec::<String>::new(),
        )?;
    }
    Ok(())
}

/// The names of the objects of a kind that belong to a custom resource.
async fn owned(shop: &Shop, kind: &str, namespace: &str, owner: &Value) -> Result<Vec<String>> {
    let uid = text(owner, "/metadata/uid")?;
    let objects = shop.list(kind, namespace, "").await?;
    Ok(objects
        .iter()
        .filter(|object| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.into_iter().flatten().any(|it| it["uid"] == uid)
        })
        .map(|object| object["metadata"]["name"].to_string())
        .collect())
}

/// Everything that goes by the name is of one custom resource, the role of its pods included.
async fn has_it_all(shop: &Shop, subject: &Subject) -> Result<()> {
    let object = shop
        .get(subject.kind, &subject.namespace, &subject.name)
        .await?;
    for kind in ["Deployment", "Service", "ServiceAccount", "NetworkPolicy"] {
        equals(
            &format!("the {kind} of {subject}"),
            owned(shop, kind, &subject.namespace, &object).await?,
            vec!["\"dup\"".to_owned()],
        )?;
    }
    let associations = shop
        .aws
        .pod_identity_associations("octank-prod", &subject.namespace, "dup")
        .await?;
    let [association] = associations.as_slice() else {
        bail!("associations of the ServiceAccount of {subject}: {associations:?}");
    };
    let role = shop.made(subject, "IamRole", "identity.role").await?;
    let arn = text(association, "/role")?;
    ensure!(arn.ends_with(&format!("/{role}")), "{arn} is not {role}");
    let owner = shop.aws.role(&role).await?["tags"]["shopkeeper.dev/owner"].clone();
    equals("whose role it is", owner, json!(subject.path()))
}

async fn a_frontend_that_comes_later(shop: &Shop) -> Result<()> {
    let front = Subject::new("Storefront", "fronts", "front");
    let desk = Subject::new("OrderService", "fronts", "front-desk");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: Storefront
metadata: {name: front, namespace: fronts}
spec:
  frontends:
    - name: web
      workload: {image: registry.example/web:1, ports: [{name: http, containerPort: 8080}]}
      nodes: {type: None}
",
    )
    .await?;
    shop.until_ready(&front).await?;
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: front-desk, namespace: fronts}
spec:
  workload: {image: registry.example/desk:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
",
    )
    .await?;
    shop.until_ready(&desk).await?;
    let frontend = |name: &str, image: &str| json!({"name": name, "workload": {"image": image, "ports": [{"name": "http", "containerPort": 8080}]}, "nodes": {"type": "None"}});
    let deployment = async |name: &str| shop.get("Deployment", "fronts", name).await;
    let (web, theirs) = (
        deployment("front-web").await?,
        deployment("front-desk").await?,
    );

    let both = json!({"spec": {"frontends": [
        frontend("web", "registry.example/web:2"), frontend("desk", "registry.example/other-desk:1"),
    ]}});
    shop.merge(&front, both.clone()).await?;
    let message = shop
        .until_condition(&front, "Stalled", "True", "NameTaken")
        .await?;
    says(
        &message,
        &["spec.frontends[desk].name", "front-desk", &desk.path()],
    )?;
    shop.request_pass(&front, "2026-11-24T09:00:00Z").await?;
    shop.second_pass_is_silent(&desk).await?;
    shop.until_ready(&desk).await?;
    equals(
        "the Deployment of the other frontend",
        &deployment("front-web").await?["spec"],
        &web["spec"],
    )?;
    equals(
        "the Deployment of the service",
        &deployment("front-desk").await?["spec"],
        &theirs["spec"],
    )?;

    // Without the frontend it goes on at once.
    let alone = json!({"spec": {"frontends": [frontend("web", "registry.example/web:2")]}});
    shop.merge(&front, alone).await?;
    shop.until_ready(&front).await?;
    equals(
        "the image of the other frontend",
        &deployment("front-web").await?["spec"]["template"]["spec"]["containers"][0]["image"],
        &json!("registry.example/web:2"),
    )?;

    // The service gives way to the frontend when it goes, and a service that comes then is the one that loses.
    shop.merge(&front, both).await?;
    shop.until_condition(&front, "Stalled", "True", "NameTaken")
        .await?;
    shop.delete(&desk).await?;
    shop.until_gone(&desk).await?;
    shop.until_ready(&front).await?;
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: front-desk, namespace: fronts}
spec:
  workload: {image: registry.example/desk:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
",
    )
    .await?;
    let late = Subject::new("CatalogService", "fronts", "front-desk");
    shop.until_condition(&late, "Stalled", "True", "NameTaken")
        .await?;
    let object = shop.get(late.kind, &late.namespace, &late.name).await?;
    for kind in OBJECTS {
        let theirs = owned(shop, kind, "fronts", &object).await?;
        equals(
            &format!("the {kind} of {late}"),
            theirs,
            Vec::<String>::new(),
        )?;
    }
    // It goes without having had anything, and takes nothing along.
    let before = deployment("front-desk").await?;
    shop.delete(&late).await?;
    shop.until_gone(&late).await?;
    shop.second_pass_is_silent(&front).await?;
    equals(
        "the uid of the Deployment",
        &deployment("front-desk").await?["metadata"]["uid"],
        &before["metadata"]["uid"],
    )
}

/// Three that each ask for the ServiceAccount that the next one has: all stand still, and each is told of all.
async fn a_circle(shop: &Shop) -> Result<()> {
    let subjects = ["a", "b", "c"].map(|name| Subject::new("OrderService", "circle", name));
    let account =
        |name: &str| json!({"spec": {"workload": {"serviceAccountName": format!("of-{name}")}}});
    for subject in &subjects {
        let name = &subject.name;
        shop.apply(&format!(
            "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: {name}, namespace: circle}}
spec: {{workload: {{image: registry.example/orders:1, serviceAccountName: of-{name}}}, nodes: {{type: None}}}}
"
        ))
        .await?;
    }
    for subject in &subjects {
        shop.until_ready(subject).await?;
    }
    let next = |index: usize| &subjects[(index + 1) % subjects.len()];
    for (index, subject) in subjects.iter().enumerate() {
        shop.merge(subject, account(&next(index).name)).await?;
    }
    for (index, subject) in subjects.iter().enumerate() {
        // Each was told something else while the others had not been edited.
        shop.until(
            &format!("{subject} is told of the circle"),
            PATIENCE,
            async || {
                let message = shop
                    .until_condition(subject, "Stalled", "True", "NameTaken")
                    .await?;
                let (one, other) = (next(index), next(index + 1));
                says(
                    &message,
                    &[&one.path(), &other.path(), "a circle", "To do:"],
                )?;
                Ok(())
            },
        )
        .await?;
    }
    // One that takes a third name frees the others.
    shop.merge(&subjects[0], account("free")).await?;
    for subject in &subjects {
        shop.until_ready(subject).await?;
    }
    for (subject, expected) in subjects.iter().zip(["free", "c", "a"]) {
        let deployment = shop.get("Deployment", "circle", &subject.name).await?;
        equals(
            &format!("the ServiceAccount of {subject}"),
            &deployment["spec"]["template"]["spec"]["serviceAccountName"],
            &json!(format!("of-{expected}")),
        )?;
        shop.delete(subject).await?;
    }
    for subject in &subjects {
        shop.until_gone(subject).await?;
    }
    Ok(())
}

async fn a_start_writes_nothing(shop: &mut Shop) -> Result<()> {
    shop.stop_operator().await?;
    // One that loses, beside two that have their names.
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: front-web, namespace: fronts}
spec: {workload: {image: registry.example/orders:1}, nodes: {type: None}}
",
    )
    .await?;
    let late = Subject::new("OrderService", "fronts", "front-web");
    let front = Subject::new("Storefront", "fronts", "front");
    let mut kept = vec![Subject::new("Platform", "", "octank"), front];
    for kind in KINDS {
        if shop.find(&dup(kind)).await?.is_some() {
            kept.push(dup(kind));
        }
    }
    let mark = shop.mark().await?;
    shop.operator = Some(shop.start_operator("successor").await?);
    let message = shop
        .until_condition(&late, "Stalled", "True", "NameTaken")
        .await?;
    ensure!(message.contains("Storefront/fronts/front"), "{message}");
    for subject in &kept {
        shop.request_pass(subject, "2026-11-24T11:00:00Z").await?;
        shop.until_ready(subject).await?;
    }
    let calls: Vec<String> = shop
        .aws_writes_since(mark)
        .await?
        .iter()
        .map(|call| format!("{:?} {:?}", call.operation, call.resources))
        .collect();
    equals("what the start changed in AWS", calls, Vec::<String>::new())?;
    // Answers to the requests, and what the one that loses is told.
    let mut told = 0;
    for write in shop.kubernetes_writes_since(mark)? {
        let object = write.object_ref.as_ref().context("a write of nothing")?;
        ensure!(
            object.subresource == "status" || object.resource == "events",
            "the start wrote {} {}",
            write.verb,
            write.request_uri
        );
        told += 1;
    }
    equals("what the start wrote to Kubernetes", told, kept.len() + 2)
}
