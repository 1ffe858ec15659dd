//! References that lead nowhere: what needs them waits or stays as it is, and everything else goes on.

use serde_json::{Value, json};
use shopkeeper_api::{OrderService, Storefront, reference::ServiceKind};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    facts::{OidcProvider, PlatformFacts},
    kubernetes::KubernetesKind,
    outputs::Outputs,
    plan::Blocker,
    planner::DriftPolicy,
    report,
    resolve::{References, Resolve},
    resource::ResourceKey,
    sensitive::Sensitive,
};

use crate::{
    fixture::{Wanted, facts, read, references, resolve, typed, want, wanted},
    world::World,
};

const NO_CATALOG: &str = "spec.routes[/get_item] names CatalogService shop/catalog, which does not exist. To do: create it, or correct \
                          the name";

/// What there is to refer to, without the services of one kind.
fn without(kind: ServiceKind) -> References {
    let mut references = references("octank");
    references.services.retain(|key, _| key.kind != kind);
    references
}

fn wanted_of<K: Resolve>(
    object: &Value,
    platform: &PlatformFacts,
    references: &References,
) -> Wanted {
    wanted(
        typed::<K>(object)
            .resolve(platform, references)
            .expect("a part that waits refuses nothing"),
    )
}

fn storefront(object: &Value, references: &References) -> Wanted {
    wanted_of::<Storefront>(object, &facts("octank"), references)
}

fn orders(object: &Value, references: &References) -> Wanted {
    wanted_of::<OrderService>(object, &facts("octank"), references)
}

/// Orders that call the catalog.
fn calling() -> Value {
    let mut object = read("octank", "orders");
    object["spec"]["endpoints"] = json!([{
        "service": {"kind": "CatalogService", "name": "catalog"},
        "env": [{"name": "CATALOG_URL", "template": "{{url}}"}, {"name": "CATALOG_HOST", "template": "{{host}}"}],
    }]);
    object
}

fn with_image(mut object: Value, pointer: &str, image: &str) -> Value {
    *object.pointer_mut(pointer).expect("it has an image") = json!(image);
    object
}

fn body<'a>(world: &'a World, kind: KubernetesKind, name: &str) -> &'a Value {
    &world.kubernetes[&ResourceKey::kubernetes(kind, name)].body
}

fn container<'a>(world: &'a World, deployment: &str) -> &'a Value {
    &body(world, KubernetesKind::Deployment, deployment)["spec"]["template"]["spec"]["containers"]
        [0]
}

/// Status, reason and message of a condition.
fn condition(world: &World, r#type: &str) -> (String, String, String) {
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let plan = world.plan_for(&observed, &blueprint);
    let report = report::of_plan(&plan, &blueprint, &observed, false);
    let found = report
        .conditions
        .iter()
        .find(|condition| condition.r#type == r#type)
        .unwrap_or_else(|| panic!("no {type}: {report:#?}"));
    (
        found.status.to_owned(),
        found.reason.to_owned(),
        found.message.clone(),
    )
}

fn is_at_rest(world: &mut World) {
    world.log.clear();
    world.run();
    assert_eq!(world.log, Vec::<String>::new(), "a second pass writes");
}

fn has(world: &World, line: &str) -> bool {
    world.log.iter().any(|other| other.starts_with(line))
}

#[test]
fn a_route_to_a_service_that_is_gone_stays_and_all_else_goes_on() {
    let object = read("octank", "storefront");
    let mut world = World::settled(want("octank", &object));
    let before = body(&world, KubernetesKind::Ingress, "octank")["spec"].clone();
    let image = "registry.example/octank/web:9";
    let newer = with_image(object.clone(), "/spec/frontends/0/workload/image", image);
    let lost = without(ServiceKind::CatalogService);
    world.wanted = storefront(&newer, &lost);
    world.run();
    assert_eq!(container(&world, "octank-web")["image"], image);
    assert_eq!(
        body(&world, KubernetesKind::Ingress, "octank")["spec"],
        before
    );
    let told = format!("Ingress octank: {NO_CATALOG}");
    let expected = |status: &str| {
        (
            status.to_owned(),
            "DependencyNotReady".to_owned(),
            told.clone(),
        )
    };
    assert_eq!(condition(&world, "EdgeReady"), expected("False"));
    assert_eq!(condition(&world, "Ready"), expected("False"));
    assert_eq!(condition(&world, "Reconciling"), expected("True"));
    assert_eq!(condition(&world, "WorkloadReady").0, "True");
    is_at_rest(&mut world);

    // Drift is repaired meanwhile, of the part that waits as well.
    for (kind, name, pointer) in [
        (
            KubernetesKind::Deployment,
            "octank-web",
            "/spec/template/spec/containers/0/image",
        ),
        (
            KubernetesKind::Ingress,
            "octank",
            "/spec/rules/0/http/paths/2/backend/service/name",
        ),
    ] {
        let key = ResourceKey::kubernetes(kind, name);
        let found = &mut world.kubernetes.get_mut(&key).unwrap().body;
        let right = found.pointer(pointer).unwrap().clone();
        *found.pointer_mut(pointer).unwrap() = json!("wrong");
        world.run();
        assert_eq!(*body(&world, kind, name).pointer(pointer).unwrap(), right);
    }

    // And the route comes back with the service.
    world.wanted = want("octank", &newer);
    assert!(world.run().is_empty());
}

#[test]
fn a_route_to_a_service_that_is_being_deleted_is_told_at_once() {
    let object = read("octank", "storefront");
    let mut world = World::settled(want("octank", &object));
    let mut going = references("octank");
    for (key, service) in &mut going.services {
        service.is_going = key.kind == ServiceKind::CatalogService;
    }
    world.wanted = storefront(&object, &going);
    world.run();
    let (status, reason, message) = condition(&world, "EdgeReady");
    assert_eq!((&*status, &*reason), ("False", "DependencyNotReady"));
    assert!(
        message.contains("CatalogService shop/catalog, which is being deleted"),
        "{message}"
    );
    is_at_rest(&mut world);
}

#[test]
fn what_somebody_changes_meanwhile_is_still_told_as_drift() {
    let object = read("octank", "storefront");
    let mut world = World::settled(want("octank", &object));
    world.policies.drift = DriftPolicy::Report;
    let image = "registry.example/octank/web:9";
    let newer = with_image(object, "/spec/frontends/0/workload/image", image);
    let lost = without(ServiceKind::OrderService);
    world.wanted = storefront(&newer, &lost);
    world.run();
    assert_eq!(container(&world, "octank-web")["image"], image);
    let key = ResourceKey::kubernetes(KubernetesKind::Deployment, "octank-web");
    let found = &mut world.kubernetes.get_mut(&key).unwrap().body;
    found["spec"]["template"]["spec"]["containers"][0]["image"] = json!("wrong");
    let plan = world.run();
    assert_eq!(container(&world, "octank-web")["image"], "wrong");
    assert!(plan.drifted().any(|step| step.key == key), "{plan:#?}");
}

#[test]
fn a_new_storefront_serves_what_is_there() {
    let object = read("octank", "storefront");
    let mut world = World::new(storefront(&object, &without(ServiceKind::CatalogService)));
    world.run();
    let paths = |world: &World| -> Vec<String> {
        let paths =
            &body(world, KubernetesKind::Ingress, "octank")["spec"]["rules"][0]["http"]["paths"];
        let paths = paths.as_array().unwrap().iter();
        paths
            .map(|path| path["path"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(paths(&world), ["/orders", "/"]);
    assert!(condition(&world, "EdgeReady").2.contains(NO_CATALOG));
    is_at_rest(&mut world);
    world.wanted = want("octank", &object);
    assert!(world.run().is_empty());
    assert_eq!(paths(&world), ["/get_item", "/orders", "/"]);

    // With none of its routes it would be nothing that an Ingress may be.
    let mut object = object;
    object["spec"]["routes"].as_array_mut().unwrap().truncate(1);
    let mut world = World::new(storefront(&object, &without(ServiceKind::CatalogService)));
    world.run();
    let ingress = ResourceKey::kubernetes(KubernetesKind::Ingress, "octank");
    assert!(!world.kubernetes.contains_key(&ingress));
    assert!(condition(&world, "Ready").2.contains(NO_CATALOG));
    assert!(has(&world, "apply Deployment/octank-web"));
}

#[test]
fn each_route_that_waits_is_told() {
    let mut lost = references("octank");
    lost.services.clear();
    let mut world = World::settled(want("octank", &read("octank", "storefront")));
    world.wanted = storefront(&read("octank", "storefront"), &lost);
    world.run();
    let (_, _, told) = condition(&world, "EdgeReady");
    for route in ["spec.routes[/get_item]", "spec.routes[/orders]"] {
        assert!(told.contains(route), "{told}");
    }
}

#[test]
fn of_a_gateway_too() {
    let mut object = read("octank", "storefront");
    object["spec"]["gateway"] = json!({"parentRefs": [{"name": "public", "namespace": "edge"}]});
    let mut world = World::settled(want("octank", &object));
    let before = body(&world, KubernetesKind::HTTPRoute, "octank")["spec"].clone();
    world.wanted = storefront(&object, &without(ServiceKind::CatalogService));
    world.run();
    assert_eq!(world.log, Vec::<String>::new());
    assert_eq!(
        body(&world, KubernetesKind::HTTPRoute, "octank")["spec"],
        before
    );
    assert!(condition(&world, "EdgeReady").2.contains(NO_CATALOG));
}

#[test]
fn a_port_that_is_gone_is_a_mistake_of_one_route() {
    let mut object = read("octank", "storefront");
    let mut world = World::settled(want("octank", &object));
    object["spec"]["routes"][0]["port"] = json!("grpc");
    let image = "registry.example/octank/web:9";
    object["spec"]["frontends"][0]["workload"]["image"] = json!(image);
    world.wanted = want("octank", &object);
    world.run();
    assert_eq!(container(&world, "octank-web")["image"], image);
    let (status, reason, told) = condition(&world, "Stalled");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "InvalidSpec"));
    assert!(told.contains("spec.routes[/get_item].port"), "{told}");
}

#[test]
fn a_leftover_that_a_kept_route_leads_to_stays() {
    let mut object = read("octank", "storefront");
    let mut world = World::settled(want("octank", &object));
    // The shop moves from the frontend to a service that is not there yet.
    object["spec"]["routes"][2] =
        json!({"path": "/", "service": {"kind": "CatalogService", "name": "catalog"}});
    object["spec"]["frontends"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    world.wanted = storefront(&object, &without(ServiceKind::CatalogService));
    world.run();
    let paths =
        &body(&world, KubernetesKind::Ingress, "octank")["spec"]["rules"][0]["http"]["paths"];
    assert_eq!(paths[2]["backend"]["service"]["name"], "octank-web");
    let service = ResourceKey::kubernetes(KubernetesKind::Service, "octank-web");
    assert!(world.kubernetes.contains_key(&service), "{:#?}", world.log);
    world.wanted = want("octank", &object);
    world.run_approving();
    assert!(!world.kubernetes.contains_key(&service));
}

#[test]
fn the_data_of_a_new_service_is_made_while_what_it_calls_is_not_there() {
    let lost = without(ServiceKind::CatalogService);
    let mut world = World::new(orders(&calling(), &lost));
    world.run();
    assert!(has(&world, "create RdsInstance") && has(&world, "create SqsQueue"));
    assert!(has(&world, "apply Secret/orders-database"));
    assert!(!has(&world, "apply Deployment"), "{:#?}", world.log);
    let told = "Deployment orders: spec.endpoints[catalog] names CatalogService shop/catalog, which does not exist. To do: create it, or \
                correct the name";
    for kind in ["WorkloadReady", "Ready"] {
        let expected = ("False", "DependencyNotReady", told);
        let (status, reason, message) = condition(&world, kind);
        assert_eq!(
            (status.as_str(), reason.as_str(), message.as_str()),
            expected
        );
    }
    assert_eq!(condition(&world, "DataReady").0, "True");
    is_at_rest(&mut world);
    world.wanted = want("octank", &calling());
    assert!(world.run().is_empty());
}

#[test]
fn pods_keep_the_address_of_a_service_that_is_gone_and_get_all_else() {
    let mut world = World::settled(want("octank", &calling()));
    let environment = container(&world, "orders")["env"].clone();
    assert!(environment.to_string().contains("http://catalog.shop.svc"));
    let lost = without(ServiceKind::CatalogService);
    world.wanted = orders(&calling(), &lost);
    world.run();
    assert_eq!(world.log, Vec::<String>::new(), "nothing changes by it");

    let hash = |world: &World| {
        let template = &body(world, KubernetesKind::Deployment, "orders")["spec"]["template"];
        template["metadata"]["annotations"]["shopkeeper.dev/bindings-hash"].clone()
    };
    let before = hash(&world);
    rotate(&mut world);
    world.run();
    assert_ne!(hash(&world), before, "the new password reaches the pods");
    assert!(has(&world, "apply Secret/orders-database"));
    let image = "registry.example/octank/orders:9";
    let newer = with_image(calling(), "/spec/workload/image", image);
    world.wanted = orders(&newer, &lost);
    world.run();
    assert_eq!(container(&world, "orders")["image"], image);
    assert_eq!(container(&world, "orders")["env"], environment);
    assert!(
        condition(&world, "Ready")
            .2
            .contains("spec.endpoints[catalog] names CatalogService shop/catalog")
    );
    is_at_rest(&mut world);

    // What the pods never had they are not started without.
    let mut further = newer.clone();
    further["spec"]["endpoints"][0]["env"][1]["name"] = json!("ANOTHER");
    further["spec"]["workload"]["image"] = json!("registry.example/octank/orders:10");
    world.wanted = orders(&further, &lost);
    world.run();
    assert_eq!(container(&world, "orders")["image"], image);
    world.wanted = want("octank", &further);
    assert!(world.run().is_empty());
}

/// RDS gives the database another password.
fn rotate(world: &mut World) {
    let database = world.key(AwsKind::RdsInstance, "");
    let thing = world.thing(&database);
    let outputs = std::mem::replace(&mut thing.present.outputs, Outputs::new());
    thing.present.outputs = outputs.with_secret("password", Sensitive::new("rotated"));
}

#[test]
fn a_name_that_is_anothers_holds_up_one_route_and_no_rollout() {
    let mut taken = references("octank");
    for (key, service) in &mut taken.services {
        if key.kind == ServiceKind::CatalogService {
            service.name_taken_by = Some("OrderService/shop/catalog".into());
        }
    }
    let object = read("octank", "storefront");
    let mut world = World::settled(want("octank", &object));
    let image = "registry.example/octank/web:9";
    let newer = with_image(object, "/spec/frontends/0/workload/image", image);
    world.wanted = storefront(&newer, &taken);
    world.run();
    assert_eq!(container(&world, "octank-web")["image"], image);
    let (_, reason, told) = condition(&world, "Ready");
    assert_eq!(reason, "DependencyNotReady");
    assert!(told.contains("whose name belongs to OrderService/shop/catalog"));
}

/// A Platform whose cluster's issuer IAM does not know.
fn without_provider() -> PlatformFacts {
    PlatformFacts {
        oidc_provider: Some(OidcProvider::Missing),
        ..facts("octank")
    }
}

fn by_token(object: Value) -> Value {
    let mut object = object;
    object["spec"]["identity"] = json!({"type": "IRSA"});
    object
}

#[test]
fn the_data_of_a_new_service_is_made_while_iam_does_not_know_its_issuer() {
    let object = by_token(read("octank", "orders"));
    let references = references("octank");
    let mut world = World::new(wanted_of::<OrderService>(
        &object,
        &without_provider(),
        &references,
    ));
    world.run();
    assert!(has(&world, "create RdsInstance") && has(&world, "create NodeGroup"));
    assert!(!has(&world, "apply Deployment"), "{:#?}", world.log);
    assert!(!world.aws.contains_key(&role()), "{:#?}", world.log);
    let (status, reason, told) = condition(&world, "Ready");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "DependencyNotReady")
    );
    assert!(
        told.contains("spec.identity.type: IAM has no OIDC provider")
            && told.contains("eksctl utils associate-iam-oidc-provider"),
        "{told}"
    );
    is_at_rest(&mut world);
    world.wanted = want("octank", &object);
    assert!(world.run().is_empty());
    assert!(world.aws.contains_key(&role()));
}

fn role() -> ResourceKey {
    ResourceKey::aws(AwsKind::IamRole, "octank-eu-west-1-shop-orders")
}

#[test]
fn pods_keep_their_identity_while_the_one_that_is_declared_cannot_be_had() {
    let object = read("octank", "orders");
    let mut world = World::settled(want("octank", &object));
    let role_before = world.aws[&role()].present.resource.clone();
    let image = "registry.example/octank/orders:9";
    let newer = with_image(by_token(object), "/spec/workload/image", image);
    let references = references("octank");
    world.wanted = wanted_of::<OrderService>(&newer, &without_provider(), &references);
    world.run();
    assert_eq!(container(&world, "orders")["image"], image);
    assert!(
        world.aws.values().any(|thing| matches!(
            thing.present.resource,
            AwsResource::PodIdentityAssociation(_)
        )),
        "the way to credentials that they have stays: {:#?}",
        world.log
    );
    assert_eq!(world.aws[&role()].present.resource, role_before);
    is_at_rest(&mut world);
    world.wanted = want("octank", &newer);
    assert!(world.run().is_empty());

    // A provider that somebody deletes later takes nothing away that is there.
    let newest = with_image(
        newer,
        "/spec/workload/image",
        "registry.example/octank/orders:10",
    );
    world.wanted = wanted_of::<OrderService>(&newest, &without_provider(), &references);
    world.log.clear();
    world.run();
    assert_eq!(world.log, ["apply Deployment/orders"]);
    assert!(condition(&world, "Ready").2.contains("spec.identity.type"));
}

#[test]
fn of_a_role_that_is_brought_along_too() {
    let by = |mode: &str| {
        let role = "arn:aws:iam::123456789012:role/brought-along";
        let mut object = read("octank", "orders");
        object["spec"]["identity"] =
            json!({"type": "Existing", "existing": {"roleArn": role, "mode": mode}});
        object
    };
    let mut world = World::settled(want("octank", &by("PodIdentity")));
    world.wanted =
        wanted_of::<OrderService>(&by("IRSA"), &without_provider(), &references("octank"));
    world.run();
    assert_eq!(world.log, Vec::<String>::new());
    let (_, reason, told) = condition(&world, "Ready");
    assert_eq!(reason, "DependencyNotReady");
    assert!(told.contains("spec.identity.existing.mode"), "{told}");
    world.wanted = want("octank", &by("IRSA"));
    assert!(world.run().is_empty());
}

#[test]
fn who_needs_nothing_of_aws_misses_no_provider() {
    let mut object = read("octank", "orders");
    for member in ["database", "notifications", "bindings"] {
        object["spec"].as_object_mut().unwrap().remove(member);
    }
    let world = World::settled(wanted_of::<OrderService>(
        &by_token(object),
        &without_provider(),
        &references("octank"),
    ));
    assert!(world.plan().is_empty());
}

#[test]
fn no_pod_starts_without_its_security_groups_and_the_data_is_made() {
    let mut object = read("octank", "orders");
    object["spec"]["network"] = json!({"securityGroupIds": ["sg-0a"]});
    let lacking = References {
        security_group_policies: false,
        ..references("octank")
    };
    let mut world = World::new(orders(&object, &lacking));
    let plan = world.run();
    assert!(has(&world, "create RdsInstance"));
    assert!(!has(&world, "apply Deployment") && !has(&world, "apply SecurityGroupPolicy"));
    assert!(
        plan.steps
            .iter()
            .any(|step| step.key.to_string() == "Deployment orders"
                && matches!(&step.blocked_by[..], [Blocker::Missing(failure)]
                    if failure.message.contains("spec.network.securityGroupIds")))
    );
    world.wanted = want("octank", &object);
    assert!(world.run().is_empty());
    // Those that run stay: a new version would be without.
    let newer = with_image(
        object,
        "/spec/workload/image",
        "registry.example/octank/orders:9",
    );
    world.wanted = orders(&newer, &lacking);
    world.log.clear();
    world.run();
    assert_eq!(world.log, Vec::<String>::new());
}

#[test]
fn what_cannot_work_is_still_refused_as_a_whole() {
    let mut object = read("octank", "storefront");
    object["spec"]["routes"][0]["service"]["namespace"] = json!("other");
    assert!(resolve::<Storefront>("octank", &object).is_err());
    let mut object = calling();
    object["spec"]["endpoints"][0]["env"][0]["template"] = json!("{{password}}");
    let lost = without(ServiceKind::CatalogService);
    let refused = typed::<OrderService>(&object).resolve(&facts("octank"), &lost);
    assert!(
        refused
            .unwrap_err()
            .message
            .contains("no endpoint has password")
    );
}
