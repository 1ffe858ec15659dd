//! The retailer's whole shop, `examples/octank`, from `kubectl apply` to Ready.
//!
//! Proves that one apply is enough, that `kubectl wait --for=condition=Ready` is right the first time, that what stands then
//! has the right fields in AWS and in Kubernetes, that the database's password is in its Secret and nowhere else, and that a
//! second pass over the unchanged shop writes nothing.
//!
//! Rows R3, R4, R6, R7, R8, R10, R11, R12, R13, R18, R19, R20, R21, R22, R29, R31 of the requirements.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Ledger, Shop, Subject, equals, includes, text};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "shop";
/// As long as `kubectl wait` may take; the rest is bounded by the fixture.
const WAIT: &str = "--timeout=240s";

fn platform() -> Subject {
    Subject::new("Platform", "", "octank")
}
fn storefront() -> Subject {
    Subject::new("Storefront", NAMESPACE, "octank")
}
fn catalog() -> Subject {
    Subject::new("CatalogService", NAMESPACE, "catalog")
}
fn orders() -> Subject {
    Subject::new("OrderService", NAMESPACE, "orders")
}

#[tokio::test]
async fn octank_becomes_ready() -> Result<()> {
    let shop = Shop::open("octank").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply_example("octank").await?;
    kubectl_waits_for_all(&shop).await?;

    the_key_is_right(&shop).await?;
    the_catalog_has_its_data(&shop).await?;
    the_orders_have_their_data(&shop).await?;
    every_workload_has_nodes_of_its_own(&shop).await?;
    every_service_has_the_least_rights(&shop).await?;
    the_workloads_are_right(&shop).await?;
    the_applications_hear_of_their_data(&shop).await?;
    the_back_office_is_internal(&shop).await?;
    only_callers_may_call(&shop).await?;
    the_password_is_nowhere_else(&shop).await?;
    kubectl_shows_the_shop(&shop).await?;
    the_second_pass_is_silent(&shop).await?;
    shop.close().await
}

/// What a pipeline does right after the apply. When it returns, everything has to be there already: the checks that follow do
/// not wait for anything.
async fn kubectl_waits_for_all(shop: &Shop) -> Result<()> {
    let waited = shop.environment.kubectl(&["wait", "--for=condition=Ready", WAIT, "platform/octank"]).await;
    let waited = match waited {
        Ok(_) => {
            let names = ["storefront/octank", "catalogservice/catalog", "orderservice/orders"];
            shop.environment.kubectl(&[&["wait", "--for=condition=Ready", WAIT, "-n", NAMESPACE], &names[..]].concat()).await
        }
        refused => refused,
    };
    match waited {
        Ok(_) => Ok(()),
        Err(problem) => bail!("{problem:#}\n{}", shop.state_of_everything().await),
    }
}

async fn platform_key(shop: &Shop) -> Result<String> {
    let platform = shop.get("Platform", "", "octank").await?;
    Ok(text(&platform, "/status/encryption/keyArn")?.to_owned())
}

fn seeded(shop: &Shop, name: &str) -> Result<Value> {
    let mut value = shop.environment.aws_seed()?[name].clone();
    if let Some(list) = value.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
    Ok(value)
}

/// The tags of everything in AWS that belongs to this custom resource.
async fn tags(shop: &Shop, owner: &Subject) -> Result<Value> {
    let object = shop.get(owner.kind, &owner.namespace, &owner.name).await?;
    Ok(json!({
        "shopkeeper.dev/owner": owner.path(),
        "shopkeeper.dev/owner-uid": object["metadata"]["uid"],
        "shopkeeper.dev/cluster": CLUSTER,
        "cost-center": "shop",
    }))
}

/// R20, R21, R22.
async fn the_key_is_right(shop: &Shop) -> Result<()> {
    let key = shop.aws.key("alias/shopkeeper-octank").await?;
    let expected = json!({"arn": platform_key(shop).await?, "state": "Enabled", "rotation": true, "rotationDays": 365, "tags": tags(shop, &platform()).await?});
    includes("the key", &key, &expected)?;
    let services: Vec<&Value> = key["policy"]["Statement"].as_array().into_iter().flatten().map(|statement| &statement["Principal"]["Service"]).collect();
    ensure!(services.contains(&&json!("sns.amazonaws.com")), "SNS may not use the key, and could not send into encrypted queues: {services:?}");
    let platform = shop.get("Platform", "", "octank").await?;
    includes("the platform's status", &platform["status"]["network"], &json!({"vpcId": seeded(shop, "vpc")?, "cidr": "10.0.0.0/16"}))?;
    let expected = json!({"arn": seeded(shop, "cluster_arn")?, "version": seeded(shop, "cluster_version")?, "podIdentityAgent": "ACTIVE"});
    includes("the platform's cluster", &platform["status"]["cluster"], &expected)
}

/// R3, R4, R11, R12.
async fn the_catalog_has_its_data(shop: &Shop) -> Result<()> {
    let (key, tags) = (platform_key(shop).await?, tags(shop, &catalog()).await?);
    let table = shop.made(&catalog(), "DynamoDbTable", "products").await?;
    equals("the table's name", table.as_str(), "octank-shop-catalog-products")?;
    let expected = json!({
        "status": "ACTIVE",
        "keys": ["id"],
        "attributes": {"id": "S", "category": "S", "price": "N"},
        "indexes": {"by-category": {"status": "ACTIVE", "keys": ["category", "price"], "projection": "ALL"}},
        "billing": "PAY_PER_REQUEST",
        "class": "STANDARD",
        "encryption": "KMS",
        "key": key,
        "deletionProtection": true,
        "recovery": "ENABLED",
        "recoveryDays": 35,
        "tags": tags,
    });
    includes("the table", &shop.aws.table(&table).await?, &expected)?;

    let cache = shop.made(&catalog(), "CacheReplicationGroup", "cache").await?;
    let expected = json!({
        "status": "available",
        "engine": "valkey",
        "nodeType": "cache.r7g.large",
        "members": 3,
        "multiAZ": "enabled",
        "failover": "enabled",
        "transitEncryption": true,
        "transitEncryptionMode": "required",
        "atRestEncryption": true,
        "key": key,
        "subnetGroup": cache,
        "snapshotRetention": 1,
        "tags": tags,
    });
    includes("the cache", &shop.aws.cache(&cache).await?, &expected)?;
    equals("the subnets of the cache", json!(shop.aws.cache_subnets(&cache).await?), seeded(shop, "private_subnets")?)?;

    let bucket = shop.made(&catalog(), "S3Bucket", "media").await?;
    let view = shop.aws.bucket(&bucket).await?;
    let expected = json!({
        "versioning": "Enabled",
        "encryption": "aws:kms",
        "key": key,
        "publicAccessBlocked": true,
        "ownership": "BucketOwnerEnforced",
        // Archived by days without access, to which everything has to be in Intelligent-Tiering from its first day.
        "transitions": [{"days": 0, "class": "INTELLIGENT_TIERING"}],
        "tierings": [{"id": "shopkeeper-archive", "status": "Enabled", "days": 180, "tier": "ARCHIVE_ACCESS"}],
        "tags": tags,
    });
    includes("the bucket", &view, &expected)?;
    let expected = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
    includes("the bucket's policy", &view["policy"]["Statement"][0], &expected)
}

/// R13, R18.
async fn the_orders_have_their_data(shop: &Shop) -> Result<()> {
    let (key, tags) = (platform_key(shop).await?, tags(shop, &orders()).await?);
    let database = shop.made(&orders(), "RdsInstance", "database").await?;
    equals("the database's name", database.as_str(), "octank-shop-orders")?;
    let expected = json!({
        "status": "available",
        "engine": "postgres",
        "class": "db.r7g.large",
        "storage": 200,
        "storageType": "gp3",
        "encrypted": true,
        "key": key,
        "multiAZ": true,
        "public": false,
        "database": "orders",
        "username": "shopkeeper",
        "managedPassword": true,
        "passwordKey": key,
        "subnetGroup": "octank-shop-orders",
        "subnets": seeded(shop, "private_subnets")?,
        "parameterGroup": "octank-shop-orders-postgres17",
        "securityGroups": [seeded(shop, "cluster_security_group")?],
        "backupRetention": 14,
        "deletionProtection": true,
        "performanceInsights": true,
        "copyTagsToSnapshot": true,
        "port": 5432,
        "tags": tags,
    });
    let view = shop.aws.database(&database).await?;
    includes("the database", &view, &expected)?;
    ensure!(view["version"].as_str().is_some_and(|version| version.starts_with("17.")), "the version is {}", view["version"]);

    let queue = shop.aws.queue(&shop.made(&orders(), "SqsQueue", "queues.fulfilment").await?).await?;
    let dead = shop.aws.queue(&shop.made(&orders(), "SqsQueue", "queues.fulfilment.dead").await?).await?;
    let topic_arn = |name: &str| format!("arn:aws:sns:eu-west-1:123456789012:octank-shop-orders-{name}");
    let expected = json!({
        "key": key,
        "redrive": {"deadLetterTargetArn": dead["arn"], "maxReceiveCount": 5},
        "policy": {"Statement": [{
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue["arn"],
            "Condition": {"ArnEquals": {"aws:SourceArn": [topic_arn("buy")]}},
        }]},
        "tags": tags,
    });
    includes("the queue", &queue, &expected)?;
    includes("the dead letters", &dead, &json!({"key": key, "redrive": null, "retention": "1209600", "tags": tags}))?;

    let buy = shop.aws.topic(&topic_arn("buy")).await?;
    includes("the topic buy", &buy, &json!({"key": key, "tags": tags}))?;
    let subscriptions = buy["subscriptions"].as_object().context("the topic has no subscriptions")?;
    equals("the subscriptions of buy", subscriptions.len(), 2)?;
    let to_queue = format!("sqs {}", queue["arn"].as_str().unwrap_or_default());
    let dead_letters = buy["subscriptions"][&to_queue]["deadLetters"].clone();
    equals("the dead letters of the subscription", dead_letters, dead["arn"].clone())?;
    ensure!(subscriptions.contains_key("email sales@octank.example"), "nobody in sales hears of sales: {subscriptions:?}");
    let sell = shop.aws.topic(&topic_arn("sell")).await?;
    includes("the topic sell", &sell, &json!({"key": key, "subscriptions": {}}))?;
    let ship = shop.aws.topic(&topic_arn("ship")).await?;
    ensure!(ship["subscriptions"]["sms +15550100"].is_object(), "no SMS when something ships: {ship}");
    Ok(())
}

/// R6, R7, R10: a group for each workload, over the three zones, which only its own pods may use.
async fn every_workload_has_nodes_of_its_own(shop: &Shop) -> Result<()> {
    let subnets = seeded(shop, "private_subnets")?;
    equals("the number of private subnets", subnets.as_array().map(Vec::len), Some(3))?;
    let workloads = [
        (catalog(), "nodes", "catalog", 3, 12),
        (orders(), "nodes", "orders", 3, 9),
        (storefront(), "frontends.web.nodes", "octank-web", 3, 9),
        (storefront(), "frontends.back-office.nodes", "octank-back-office", 3, 9),
    ];
    for (owner, role, deployment, min, max) in workloads {
        let name = shop.made(&owner, "NodeGroup", role).await?;
        let label = format!("{NAMESPACE}.{deployment}");
        let group = shop.aws.node_group(CLUSTER, &name).await?;
        let expected = json!({
            "status": "ACTIVE",
            "instanceTypes": ["m7g.large"],
            "amiType": "AL2023_ARM_64_STANDARD",
            "capacityType": "ON_DEMAND",
            "diskSize": 20,
            "subnets": subnets,
            "labels": {"shopkeeper.dev/nodes": label},
            "taints": [format!("shopkeeper.dev/dedicated={label}:NO_SCHEDULE")],
            "min": min,
            "max": max,
            "maxUnavailable": 1,
            "tags": tags(shop, &owner).await?,
        });
        includes(&name, &group, &expected)?;
        let role_name = text(&group, "/role")?.rsplit('/').next().unwrap_or_default().to_owned();
        let role = shop.aws.role(&role_name).await?;
        let trust = json!({"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"});
        includes(&role_name, &role["trust"]["Statement"][0], &trust)?;
        equals(&role_name, role["managed"].as_array().map(Vec::len), Some(3))?;

        let nodes = shop.list("Node", "", &format!("eks.amazonaws.com/nodegroup={name}")).await?;
        let zones: std::collections::BTreeSet<&str> =
            nodes.iter().filter_map(|node| node["metadata"]["labels"]["topology.kubernetes.io/zone"].as_str()).collect();
        equals(&format!("the zones of {name}"), zones.len(), 3)?;
        let names: Vec<&Value> = nodes.iter().map(|node| &node["metadata"]["name"]).collect();
        let pods = shop.list("Pod", NAMESPACE, &format!("app.kubernetes.io/name={deployment}")).await?;
        ensure!(!pods.is_empty(), "{deployment} has no pods");
        for pod in &pods {
            ensure!(names.contains(&&pod["spec"]["nodeName"]), "a pod of {deployment} runs on {}", pod["spec"]["nodeName"]);
        }
    }
    Ok(())
}

/// R8, R29: what a service declares and nothing else, for its own pods and nobody else's.
async fn every_service_has_the_least_rights(shop: &Shop) -> Result<()> {
    let key = platform_key(shop).await?;
    let bucket = format!("arn:aws:s3:::{}", shop.made(&catalog(), "S3Bucket", "media").await?);
    let table = "arn:aws:dynamodb:eu-west-1:123456789012:table/octank-shop-catalog-products".to_owned();
    let queue = "arn:aws:sqs:eu-west-1:123456789012:octank-shop-orders-fulfilment".to_owned();
    let topic = |name: &str| format!("arn:aws:sns:eu-west-1:123456789012:octank-shop-orders-{name}");
    let mut of_catalog = vec![table.clone(), format!("{table}/index/*"), bucket.clone(), format!("{bucket}/*"), key.clone()];
    let mut of_orders = vec![topic("buy"), topic("sell"), topic("ship"), queue, key];
    for (owner, resources) in [(catalog(), &mut of_catalog), (orders(), &mut of_orders)] {
        let name = shop.made(&owner, "IamRole", "identity.role").await?;
        let role = shop.aws.role(&name).await?;
        let expected = json!({"StringEquals": {
            "aws:RequestTag/kubernetes-namespace": NAMESPACE,
            "aws:RequestTag/kubernetes-service-account": owner.name,
            "aws:RequestTag/eks-cluster-name": CLUSTER,
        }});
        includes(&name, &role["trust"]["Statement"][0]["Condition"], &expected)?;
        equals(&format!("the managed policies of {name}"), role["managed"].clone(), json!([]))?;
        let policies = role["inline"].as_object().context("the role has no policy")?;
        let statements: Vec<&Value> = policies.values().filter_map(|policy| policy["Statement"].as_array()).flatten().collect();
        let mut named: Vec<String> = Vec::new();
        for statement in statements {
            let list = |value: &Value| match value {
                Value::Array(list) => list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
                other => vec![other.as_str().unwrap_or_default().to_owned()],
            };
            for action in list(&statement["Action"]) {
                ensure!(!action.contains('*'), "{name} may {action}");
            }
            named.extend(list(&statement["Resource"]));
        }
        named.sort();
        resources.sort();
        equals(&format!("what {name} may touch"), &named, &*resources)?;
        let associations = shop.aws.pod_identity_associations(CLUSTER, NAMESPACE, &owner.name).await?;
        equals(&format!("the associations of {}", owner.name), associations.len(), 1)?;
        equals("the association's role", &associations[0]["role"], &role["arn"])?;
    }
    Ok(())
}

/// R8: probes, resources, autoscaler, disruption budget, service account.
async fn the_workloads_are_right(shop: &Shop) -> Result<()> {
    for (name, image, replicas) in [
        ("catalog", "registry.example/octank/catalog:1.9.0", 3),
        ("orders", "registry.example/octank/orders:3.0.2", 3),
        ("octank-web", "registry.example/octank/web:2.4.1", 3),
        ("octank-back-office", "registry.example/octank/back-office:2.4.1", 2),
    ] {
        let deployment = shop.get("Deployment", NAMESPACE, name).await?;
        let pod = &deployment["spec"]["template"]["spec"];
        equals(&format!("the available replicas of {name}"), deployment["status"]["availableReplicas"].as_i64(), Some(replicas))?;
        equals(&format!("the image of {name}"), &pod["containers"][0]["image"], &json!(image))?;
        equals(&format!("the service account of {name}"), &pod["serviceAccountName"], &json!(name))?;
        includes(&format!("the security of {name}"), &pod["securityContext"], &json!({"runAsNonRoot": true}))?;
        let expected = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true});
        includes(&format!("the security of {name}"), &pod["containers"][0]["securityContext"], &expected)?;
        let budget = shop.get("PodDisruptionBudget", NAMESPACE, name).await?;
        includes(&format!("the budget of {name}"), &budget["spec"], &json!({"maxUnavailable": 1}))?;
        let service = shop.get("Service", NAMESPACE, name).await?;
        includes(&format!("the Service {name}"), &service["spec"]["ports"][0], &json!({"name": "http", "port": 80, "targetPort": "http"}))?;
    }
    let autoscalers = [("catalog", 3, 40), ("orders", 3, 30), ("octank-web", 3, 60)];
    for (name, min, max) in autoscalers {
        let autoscaler = shop.get("HorizontalPodAutoscaler", NAMESPACE, name).await?;
        let cpu = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]);
        let expected = json!({"minReplicas": min, "maxReplicas": max, "scaleTargetRef": {"kind": "Deployment", "name": name}, "metrics": cpu});
        includes(&format!("the autoscaler of {name}"), &autoscaler["spec"], &expected)?;
    }
    equals("the number of autoscalers", shop.list("HorizontalPodAutoscaler", NAMESPACE, "").await?.len(), autoscalers.len())?;
    let catalog = shop.get("Deployment", NAMESPACE, "catalog").await?;
    let expected = json!({
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
    });
    includes("the catalog's container", &catalog["spec"]["template"]["spec"]["containers"][0], &expected)
}

/// Every variable that a container is given, with its value looked up in the ConfigMap or Secret that it comes from.
async fn variables(shop: &Shop, deployment: &str) -> Result<serde_json::Map<String, Value>> {
    let deployment = shop.get("Deployment", NAMESPACE, deployment).await?;
    let mut found = serde_json::Map::new();
    for variable in deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().into_iter().flatten() {
        let name = text(variable, "/name")?;
        let value = if let Some(source) = variable.pointer("/valueFrom/configMapKeyRef") {
            let map = shop.get("ConfigMap", NAMESPACE, text(source, "/name")?).await?;
            map["data"][text(source, "/key")?].clone()
        } else if let Some(source) = variable.pointer("/valueFrom/secretKeyRef") {
            let template = format!("go-template={{{{index .data {:?} | base64decode}}}}", text(source, "/key")?);
            json!(shop.environment.kubectl(&["get", "secret", "-n", NAMESPACE, text(source, "/name")?, "-o", &template]).await?)
        } else {
            variable["value"].clone()
        };
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

async fn the_applications_hear_of_their_data(shop: &Shop) -> Result<()> {
    let of_catalog = Value::Object(variables(shop, "catalog").await?);
    let bucket = shop.made(&catalog(), "S3Bucket", "media").await?;
    includes("the catalog's variables", &of_catalog, &json!({"PRODUCTS_TABLE": "octank-shop-catalog-products", "MEDIA_BUCKET": bucket}))?;
    let url = text(&of_catalog, "/CACHE_URL")?;
    ensure!(url.starts_with("rediss://") && url.ends_with(":6379"), "CACHE_URL is {url}");

    let of_orders = Value::Object(variables(shop, "orders").await?);
    let database = shop.aws.database("octank-shop-orders").await?;
    let url = text(&of_orders, "/DATABASE_URL")?;
    ensure!(url.starts_with("postgresql://shopkeeper:"), "DATABASE_URL does not begin as it should");
    ensure!(url.contains(&format!("@{}:5432/orders", text(&database, "/host")?)), "DATABASE_URL does not name the database");
    includes("the orders' variables", &of_orders, &json!({"BUY_TOPIC": "arn:aws:sns:eu-west-1:123456789012:octank-shop-orders-buy"}))?;

    let of_web = Value::Object(variables(shop, "octank-web").await?);
    includes("the web's variables", &of_web, &json!({"ORDERS_URL": "http://orders.shop.svc"}))?;
    // By the Service Binding specification a Secret says what it is for.
    let secret = shop.get("Secret", NAMESPACE, "orders-database").await?;
    equals("the type of the Secret", text(&secret, "/type")?, "servicebinding.io/postgresql")?;
    for entry in ["type", "provider", "host", "port", "username", "password", "database", "uri"] {
        ensure!(secret["data"][entry].is_string(), "the Secret has no {entry}");
    }
    Ok(())
}

/// R6, R7, R19.
async fn the_back_office_is_internal(shop: &Shop) -> Result<()> {
    let annotation = |ingress: &Value, name: &str| ingress["metadata"]["annotations"][format!("alb.ingress.kubernetes.io/{name}")].clone();
    let subnets = |value: Value| {
        let mut ids: Vec<String> = value.as_str().unwrap_or_default().split(',').map(str::to_owned).collect();
        ids.sort();
        json!(ids)
    };
    let mut schemes = Vec::new();
    for ingress in shop.list("Ingress", NAMESPACE, "").await? {
        equals("the ingress class", &ingress["spec"]["ingressClassName"], &json!("alb"))?;
        ensure!(ingress.pointer("/status/loadBalancer/ingress/0/hostname").is_some(), "the load balancer has no address");
        let backends: Vec<(String, String)> = ingress["spec"]["rules"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|rule| rule["http"]["paths"].as_array().into_iter().flatten())
            .map(|path| {
                let get = |pointer: &str| path.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                (get("/path"), get("/backend/service/name"))
            })
            .collect();
        let scheme = annotation(&ingress, "scheme").as_str().unwrap_or_default().to_owned();
        let leads_inside = backends.iter().any(|(_, service)| service == "octank-back-office");
        match scheme.as_str() {
            "internet-facing" => {
                ensure!(!leads_inside, "the back office is on the internet");
                equals("the subnets of the public load balancer", subnets(annotation(&ingress, "subnets")), seeded(shop, "public_subnets")?)?;
                let mut paths: Vec<(&str, &str)> = backends.iter().map(|(path, service)| (path.as_str(), service.as_str())).collect();
                paths.sort_unstable();
                equals("the routes", paths, vec![("/", "octank-web"), ("/get_item", "catalog"), ("/orders", "orders")])?;
                equals("the host", &ingress["spec"]["rules"][0]["host"], &json!("www.octank.example"))?;
                equals("plain HTTP", annotation(&ingress, "ssl-redirect"), json!("443"))?;
            }
            "internal" => {
                ensure!(leads_inside, "the internal load balancer leads to {backends:?}");
                equals("the subnets of the internal load balancer", subnets(annotation(&ingress, "subnets")), seeded(shop, "private_subnets")?)?;
            }
            other => bail!("the scheme is {other}"),
        }
        equals("the targets", annotation(&ingress, "target-type"), json!("ip"))?;
        schemes.push(scheme);
    }
    schemes.sort();
    equals("the load balancers", schemes, vec!["internal", "internet-facing"])
}

async fn only_callers_may_call(shop: &Shop) -> Result<()> {
    let policy = shop.get("NetworkPolicy", NAMESPACE, "orders").await?;
    includes("the policy", &policy["spec"], &json!({"policyTypes": ["Ingress"], "podSelector": {"matchLabels": {"app.kubernetes.io/name": "orders"}}}))?;
    let text = policy["spec"]["ingress"].to_string();
    ensure!(text.contains("octank-web") || text.contains("\"web\""), "the web frontend may not call the orders: {text}");
    ensure!(!text.contains("back-office"), "the back office may call the orders: {text}");
    let back_office = shop.get("NetworkPolicy", NAMESPACE, "octank-back-office").await?;
    ensure!(!back_office["spec"]["ingress"].to_string().contains("podSelector"), "pods may call the back office: {}", back_office["spec"]["ingress"]);
    Ok(())
}

/// R29: the master password is in Secrets Manager and in the Secret of the binding.
async fn the_password_is_nowhere_else(shop: &Shop) -> Result<()> {
    let password = shop.aws.master_password("octank-shop-orders").await?;
    ensure!(password.len() >= 8, "the password is too short to be searched for");
    let variables = variables(shop, "orders").await?;
    let percent_encoded = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC).to_string();
    let url = variables["DATABASE_URL"].as_str().unwrap_or_default();
    let decoded = percent_encoding::percent_decode_str(url).decode_utf8()?;
    ensure!(decoded.contains(&password), "DATABASE_URL does not hold the password");

    let mut places = vec![("the operator's log".to_owned(), shop.operator.as_ref().context("the operator does not run")?.log()?)];
    for kind in [
        "Platform", "Storefront", "CatalogService", "OrderService", "Event", "Deployment", "ConfigMap", "Pod", "Service", "Ingress", "ServiceAccount",
    ] {
        for object in shop.list(kind, "", "").await? {
            places.push((format!("{kind} {}", object["metadata"]["name"]), object.to_string()));
        }
    }
    for file in ["audit.log", "aws-calls.log", "kube-apiserver.log"] {
        let path = shop.environment.logs_directory().join(file);
        if path.exists() {
            places.push((file.to_owned(), std::fs::read_to_string(path)?));
        }
    }
    for (place, content) in places {
        ensure!(!content.contains(&password) && !content.contains(&percent_encoded), "the master password is in {place}");
    }
    Ok(())
}

/// R31.
async fn kubectl_shows_the_shop(shop: &Shop) -> Result<()> {
    let shown = shop.environment.kubectl(&["get", "shopkeeper", "-A"]).await?;
    for kind in ["platform", "storefront", "catalogservice", "orderservice"] {
        ensure!(shown.contains(&format!("{kind}.shopkeeper.dev/")), "kubectl get shopkeeper shows no {kind}:\n{shown}");
    }
    equals("how many are shown as ready", shown.matches("True").count(), 4)
}

/// A pass over the unchanged shop writes the status once, since it echoes the annotation, and nothing else.
async fn the_second_pass_is_silent(shop: &Shop) -> Result<()> {
    for subject in [platform(), catalog(), orders(), storefront()] {
        let mark: Ledger = shop.mark().await?;
        shop.request_pass(&subject, "2026-11-24T10:00:00Z").await?;
        let calls = shop.environment.aws_control()?.calls_since(0).await?;
        ensure!(!calls.is_empty(), "the record of calls is empty");
        let aws: Vec<String> = shop.aws_writes_since(mark).await?.iter().map(|call| format!("{:?} {:?}", call.operation, call.resources)).collect();
        ensure!(aws.is_empty(), "a second pass over {subject} changed AWS: {aws:?}");
        let writes: Vec<String> = shop.kubernetes_writes_since(mark)?.iter().map(|write| format!("{} {}", write.verb, write.request_uri)).collect();
        ensure!(writes.len() == 1 && writes[0].contains("/status"), "a second pass over {subject} wrote: {writes:?}");
    }
    Ok(())
}
