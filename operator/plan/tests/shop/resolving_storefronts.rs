//! Storefronts that cannot work are refused with the field and what to do about it.

use serde_json::{Value, json};
use shopkeeper_api::{OrderService, Storefront};
use shopkeeper_plan::{failure::Class, resolve::Resolve};

use crate::{
    fixture::{facts, read, references, resolve, typed},
    resolving::{changed, refused, says, waits},
};

#[test]
fn of_a_storefront() {
    let storefront = |pointer, value| refused::<Storefront>("storefront", pointer, value);
    let waiting = |pointer, value| waits::<Storefront>("storefront", pointer, value);
    let nobody = waiting("/spec/routes/0/service/name", json!("other"));
    says(
        &nobody,
        Class::NotReady,
        "spec.routes[/get_item]",
        "CatalogService shop/other, which does not exist",
        "correct the name",
    );
    let port = waiting("/spec/routes/0/port", json!("grpc"));
    says(
        &port,
        Class::Invalid,
        "spec.routes[/get_item].port",
        "no port grpc",
        "workload.ports",
    );
    let elsewhere = storefront("/spec/routes/0/service/namespace", json!("other"));
    says(
        &elsewhere,
        Class::Invalid,
        "spec.routes[/get_item].service.namespace",
        "own namespace",
        "namespace of its services",
    );
    let frontend = storefront("/spec/routes/2/frontend", json!("other"));
    says(
        &frontend,
        Class::Invalid,
        "spec.routes[/].frontend",
        "names no frontend",
        "spec.frontends",
    );
    let both = storefront(
        "/spec/routes/2/service",
        json!({"kind": "CatalogService", "name": "catalog"}),
    );
    says(
        &both,
        Class::Invalid,
        "spec.routes[/]",
        "one service or one frontend",
        "either",
    );
    let template = storefront(
        "/spec/frontends/0/endpoints/0/env/0/template",
        json!("{{password}}"),
    );
    says(
        &template,
        Class::Invalid,
        "spec.frontends[web].endpoints[orders].env[ORDERS_URL].template",
        "no endpoint has password",
        "url",
    );
    let caller = waiting("/spec/frontends/0/endpoints/0/service/name", json!("other"));
    says(
        &caller,
        Class::NotReady,
        "spec.frontends[web].endpoints[other]",
        "does not exist",
        "create it",
    );
    let account = storefront(
        "/spec/frontends/1/workload/serviceAccountName",
        json!("octank-web"),
    );
    says(
        &account,
        Class::Invalid,
        "spec.frontends.back-office.workload.serviceAccountName",
        "octank-web",
        "leave it out",
    );
    let portless = storefront("/spec/frontends/1/workload/ports", json!([]));
    says(
        &portless,
        Class::Invalid,
        "spec.frontends[back-office]",
        "without that port",
        "workload.ports",
    );

    let mut platform = facts("octank");
    platform.public_subnets.clear();
    let object: Storefront = typed(&read("octank", "storefront"));
    let subnets = object
        .resolve(&platform, &references("octank"))
        .map(|_| ())
        .unwrap_err();
    says(
        &subnets,
        Class::Invalid,
        "spec.routes",
        "no public subnets",
        "publicSubnets",
    );
}

#[test]
fn of_more_routes_than_a_load_balancer_takes() {
    let routes: Vec<Value> = (0..51)
        .map(|number| json!({"path": format!("/{number}"), "frontend": "web"}))
        .collect();
    let mut object = changed("storefront", "/spec/routes", json!(routes));
    object["spec"]["hosts"] = json!(["a.example", "b.example"]);
    let many = resolve::<Storefront>("octank", &object).expect_err("102 rules");
    says(
        &many,
        Class::Invalid,
        "spec.routes",
        "51 routes for 2 hosts are 102 rules",
        "another Storefront",
    );
    object["spec"]["hosts"] = json!(["*.example"]);
    resolve::<Storefront>("octank", &object).expect("51 rules");
}

#[test]
fn of_two_routes_for_the_same_requests() {
    let route = |path: &str, kind: &str| json!({"path": path, "pathType": kind, "frontend": "web"});
    let with = |first: Value, second: Value| {
        resolve::<Storefront>(
            "octank",
            &changed("storefront", "/spec/routes", json!([first, second])),
        )
    };
    let same = with(route("/get", "Prefix"), route("/get/", "Prefix")).expect_err("the same");
    says(
        &same,
        Class::Invalid,
        "spec.routes[/get/]",
        "the same requests as spec.routes[/get]",
        "take one of them out",
    );
    for (first, second) in [
        (route("/get", "Exact"), route("/get/", "Exact")),
        (route("/get", "Exact"), route("/get/", "Prefix")),
        (route("/get", "Prefix"), route("/getter", "Prefix")),
    ] {
        with(first, second).expect("two rules");
    }
}

#[test]
fn of_certificates_and_web_acls_of_another_place() {
    const HERE: &str = "arn:aws:acm:eu-west-1:123456789012:certificate/1";
    const ACL: &str = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/a1";
    let with = |certificate: &str, acl: &str| {
        json!({
            "tls": {"type": "Existing", "existing": {"certificateArns": [HERE, certificate]}}, "loadBalancer": {"wafAclArn": acl},
        })
    };
    let of = |settings: &Value, gateway: bool| {
        let mut object = read("octank", "storefront");
        for name in ["tls", "loadBalancer"] {
            object["spec"][name] = settings[name].clone();
        }
        if gateway {
            object["spec"]["gateway"] = json!({"parentRefs": [{"name": "shared"}]});
            object["spec"]["frontends"].as_array_mut().unwrap().pop();
        }
        let storefront = resolve::<Storefront>("octank", &object).map(drop).err();
        let mut orders = read("octank", "orders");
        let mut ingress = settings.clone();
        ingress["hosts"] = json!(["orders.example"]);
        orders["spec"]["network"] =
            json!({"exposures": [{"name": "web", "type": "Ingress", "ingress": ingress}]});
        let orders = resolve::<OrderService>("octank", &orders).map(drop).err();
        (storefront, orders)
    };
    assert_eq!(of(&with(HERE, ACL), false), (None, None));
    let elsewhere = ACL.replace("eu-west-1", "us-east-1");
    for (settings, field, problem, remedy) in [
        (
            with("arn:aws:acm:us-east-1:123456789012:certificate/1", ACL),
            "tls.existing.certificateArns",
            "certificate/1 is of account 123456789012 in us-east-1",
            "set tls.type to Discovered",
        ),
        (
            with("arn:aws:acm:eu-west-1:999999999999:certificate/1", ACL),
            "tls.existing.certificateArns",
            "is of account 999999999999 in eu-west-1",
            "name a certificate",
        ),
        (
            with(HERE, &elsewhere),
            "loadBalancer.wafAclArn",
            "is of us-east-1",
            "name a web ACL of that region",
        ),
    ] {
        let (storefront, orders) = of(&settings, false);
        let class = Class::Invalid;
        says(
            &storefront.unwrap(),
            class,
            &format!("spec.{field}"),
            problem,
            remedy,
        );
        let of_exposure = format!("spec.network.exposures[web].ingress.{field}");
        says(&orders.unwrap(), class, &of_exposure, problem, remedy);
        // Where there is no load balancer they are of no use, and in nobody's way.
        assert_eq!(of(&settings, true).0, None);
    }
}
