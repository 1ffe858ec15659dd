//! What the applications may do, what they are told, and what is kept secret.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, equals, includes, text};

use super::{CLUSTER, CLUSTER_ARN, NAMESPACE, catalog, orders, platform_key};

/// R8, R29: what a service declares and nothing else, for its own pods and nobody else's.
pub async fn every_service_has_the_least_rights(shop: &Shop) -> Result<()> {
    let key = platform_key(shop).await?;
    let bucket = format!(
        "arn:aws:s3:::{}",
        shop.made(&catalog(), "S3Bucket", "media").await?
    );
    let table =
        "arn:aws:dynamodb:eu-west-1:123456789012:table/octank-shop-catalog-products".to_owned();
    let queue = "arn:aws:sqs:eu-west-1:123456789012:octank-shop-orders-fulfilment".to_owned();
    let topic =
        |name: &str| format!("arn:aws:sns:eu-west-1:123456789012:octank-shop-orders-{name}");
    let mut of_catalog = vec![
        table.clone(),
        format!("{table}/index/*"),
        bucket.clone(),
        format!("{bucket}/*"),
        key.clone(),
    ];
    let mut of_orders = vec![topic("buy"), topic("sell"), topic("ship"), queue, key];
    for (owner, resources) in [(catalog(), &mut of_catalog), (orders(), &mut of_orders)] {
        let name = shop.made(&owner, "IamRole", "identity.role").await?;
        let role = shop.aws.role(&name).await?;
        let expected = json!({"StringEquals": {
            "aws:RequestTag/kubernetes-namespace": NAMESPACE,
            "aws:RequestTag/kubernetes-service-account": owner.name,
            "aws:RequestTag/eks-cluster-arn": CLUSTER_ARN,
        }});
        includes(
            &name,
            &role["trust"]["Statement"][0]["Condition"],
            &expected,
        )?;
        equals(
            &format!("the managed policies of {name}"),
            role["managed"].clone(),
            json!([]),
        )?;
        let policies = role["inline"]
            .as_object()
            .context("the role has no policy")?;
        let statements: Vec<&Value> = policies
            .values()
            .filter_map(|policy| policy["Statement"].as_array())
            .flatten()
            .collect();
        let mut named: Vec<String> = Vec::new();
        for statement in statements {
            let list = |value: &Value| match value {
                Value::Array(list) => list
                    .iter()
                    .filter_map(|text| text.as_str().map(str::to_owned))
                    .collect(),
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
        let associations = shop
            .aws
            .pod_identity_associations(CLUSTER, NAMESPACE, &owner.name)
            .await?;
        equals(
            &format!("the associations of {}", owner.name),
            associations.len(),
            1,
        )?;
        equals(
            "the association's role",
            &associations[0]["role"],
            &role["arn"],
        )?;
    }
    Ok(())
}

/// The variables of a Deployment's pods.
async fn variables(shop: &Shop, deployment: &str) -> Result<serde_json::Map<String, Value>> {
    let deployment = shop.get("Deployment", NAMESPACE, deployment).await?;
    let pod = &deployment["spec"]["template"]["spec"];
    shop.variables(NAMESPACE, &pod["containers"][0]).await
}

pub async fn the_applications_hear_of_their_data(shop: &Shop) -> Result<()> {
    let of_catalog = Value::Object(variables(shop, "catalog").await?);
    let bucket = shop.made(&catalog(), "S3Bucket", "media").await?;
    includes(
        "the catalog's variables",
        &of_catalog,
        &json!({"PRODUCTS_TABLE": "octank-shop-catalog-products", "MEDIA_BUCKET": bucket}),
    )?;
    let url = text(&of_catalog, "/CACHE_URL")?;
    ensure!(
        url.starts_with("rediss://octank-shop-catalog-app:") && url.ends_with(":6379"),
        "CACHE_URL does not begin and end as it should"
    );

    let of_orders = Value::Object(variables(shop, "orders").await?);
    let database = shop.aws.database("octank-shop-orders").await?;
    let url = text(&of_orders, "/DATABASE_URL")?;
    ensure!(
        url.starts_with("postgresql://shopkeeper:"),
        "DATABASE_URL does not begin as it should"
    );
    ensure!(
        url.contains(&format!("@{}:5432/orders", text(&database, "/host")?)),
        "DATABASE_URL does not name the database"
    );
    includes(
        "the orders' variables",
        &of_orders,
        &json!({"BUY_TOPIC": "arn:aws:sns:eu-west-1:123456789012:octank-shop-orders-buy"}),
    )?;

    let of_web = Value::Object(variables(shop, "octank-web").await?);
    includes(
        "the web's variables",
        &of_web,
        &json!({"ORDERS_URL": "http://orders.shop.svc"}),
    )?;
    // By the Service Binding specification a Secret says what it is for.
    let secret = shop.get("Secret", NAMESPACE, "orders-database").await?;
    equals(
        "the type of the Secret",
        text(&secret, "/type")?,
        "servicebinding.io/postgresql",
    )?;
    for entry in [
        "type", "provider", "host", "port", "username", "password", "database", "uri",
    ] {
        ensure!(
            secret["data"][entry].is_string(),
            "the Secret has no {entry}"
        );
    }
    Ok(())
}

/// R29: passwords are in Secrets Manager and in the Secrets of the bindings, and nothing tells them.
pub async fn the_passwords_are_nowhere_else(shop: &Shop) -> Result<()> {
    let of_database = shop.aws.master_password("octank-shop-orders").await?;
    reaches(shop, &of_database, "orders", "DATABASE_URL").await?;
    let of_cache = shop.aws.cache_password("octank-shop-catalog-app").await?;
    reaches(shop, &of_cache, "catalog", "CACHE_URL").await?;
    shop.no_secret_is_told(&shop.secrets().await?).await
}

async fn reaches(shop: &Shop, password: &str, deployment: &str, variable: &str) -> Result<()> {
    let variables = variables(shop, deployment).await?;
    let url = variables[variable].as_str().unwrap_or_default();
    let decoded = percent_encoding::percent_decode_str(url).decode_utf8()?;
    ensure!(
        decoded.contains(password),
        "{variable} does not hold the password"
    );
    Ok(())
}
