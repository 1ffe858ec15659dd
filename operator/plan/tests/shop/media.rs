//! Who may read the media beside the application: distributions of CloudFront, by the policies of the bucket and of the key.

use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, Platform};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    build,
    facts::{KeyFacts, PlatformFacts},
    failure::{Class, Failure},
    plan::Effect,
    resolve::{Resolve, Resolved, platform},
    resource::ResourceKey,
};

use crate::{
    fixture::{facts, lookups, read, references, typed, wanted},
    world::World,
};

const BUCKET: &str = "123456789012-eu-west-1-octank-shop-catalog-media";

fn distribution(account: &str, id: &str) -> String {
    format!("arn:aws:cloudfront::{account}:distribution/{id}")
}

fn read_by(platform: &PlatformFacts, distributions: &[String]) -> Result<Resolved, Failure> {
    let mut object = read("octank", "catalog");
    object["spec"]["media"] = json!({"cloudFrontDistributionArns": distributions});
    typed::<CatalogService>(&object).resolve(platform, &references("octank"))
}

fn policy_of(resolved: &Resolved) -> Value {
    let mut buckets = resolved
        .data
        .iter()
        .filter_map(|data| match &data.resource {
            AwsResource::S3Bucket(bucket) => bucket.policy.clone(),
            _ => None,
        });
    buckets.next().unwrap()
}

#[test]
fn the_distributions_that_are_named_may_read_and_nobody_else() {
    let platform = facts("octank");
    let named = [
        distribution("123456789012", "E2"),
        distribution("123456789012", "E1"),
    ];
    let tls_only = json!({
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    });
    assert_eq!(
        policy_of(&read_by(&platform, &named).unwrap()),
        json!({"Version": "2012-10-17", "Statement": [tls_only, {
            "Sid": "CloudFront",
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
            "Condition": {"StringEquals": {"AWS:SourceArn": [named[1], named[0]]}},
        }]})
    );
    assert_eq!(
        policy_of(&read_by(&platform, &[]).unwrap()),
        json!({"Version": "2012-10-17", "Statement": [tls_only]})
    );
}

/// The key would keep it out, and nobody would know why each request is refused.
#[test]
fn a_distribution_of_another_account_is_refused() {
    let failure = read_by(&facts("octank"), &[distribution("210987654321", "E1")]).unwrap_err();
    assert_eq!(failure.class, Class::Invalid);
    assert_eq!(
        failure.describe(),
        "spec.media.cloudFrontDistributionArns[arn:aws:cloudfront::210987654321:distribution/E1]: is not of account 123456789012 (aws), \
         which Platform octank is in, and whose key decrypts for its own distributions alone. To do: name a distribution of that account, \
         or take it out"
    );
    let china = PlatformFacts {
        region: "cn-north-1".into(),
        ..facts("octank")
    };
    let other = read_by(&china, &[distribution("123456789012", "E1")]).unwrap_err();
    assert!(other.message.contains("(aws-cn)"), "{other}");
    let own = "arn:aws-cn:cloudfront::123456789012:distribution/E1".to_owned();
    read_by(&china, &[own]).unwrap();
}

/// AWS stores it in a spelling of its own; whatever somebody makes of it is set back.
#[test]
fn who_else_is_let_in_is_set_back() {
    let resolved = read_by(&facts("octank"), &[distribution("123456789012", "E1")]).unwrap();
    let mut world = World::settled(wanted(resolved));
    let key = ResourceKey::aws(AwsKind::S3Bucket, BUCKET);
    let change = |world: &mut World, sources: Value| {
        let bucket = world.aws.get_mut(&key).unwrap();
        let AwsResource::S3Bucket(bucket) = &mut bucket.present.resource else {
            unreachable!()
        };
        let statement = &mut bucket.policy.as_mut().unwrap()["Statement"][1];
        statement["Condition"]["StringEquals"]["AWS:SourceArn"] = sources;
    };
    change(&mut world, json!(distribution("123456789012", "E1")));
    assert!(
        world.plan().steps.is_empty(),
        "another spelling is no drift"
    );
    change(
        &mut world,
        json!([
            distribution("123456789012", "E1"),
            distribution("123456789012", "E9")
        ]),
    );
    let plan = world.plan();
    let step = &plan.steps[0];
    assert_eq!(
        (&step.key, step.effect, step.is_repair),
        (&key, Effect::None, true)
    );
    assert_eq!(step.changes[0].field, "policy");
}

fn platform_key(region: &str, encryption: Value) -> Option<Value> {
    let mut object = read("octank", "platform");
    object["spec"]["aws"]["region"] = json!(region);
    object["spec"]["encryption"] = encryption;
    let declared: Platform = typed(&object);
    let mut lookups = lookups("octank-prod");
    lookups.existing_key = Some(KeyFacts {
        state: "Enabled".into(),
        usage: "ENCRYPT_DECRYPT".into(),
        spec: "SYMMETRIC_DEFAULT".into(),
        is_managed_by_aws: false,
    });
    let resolved = platform::resolve(&declared, &lookups).unwrap();
    let blueprint = build::platform_blueprint(&resolved);
    let mut keys = blueprint.iter().filter_map(|(_, node)| match &node.wanted {
        shopkeeper_plan::blueprint::Wanted::Aws(resource) => match &**resource {
            AwsResource::KmsKey(key) => key.policy.clone(),
            _ => None,
        },
        _ => None,
    });
    keys.next()
}

#[test]
fn the_key_decrypts_for_the_distributions_of_its_own_account() {
    let of_cloud_front = |policy: &Value| -> Vec<Value> {
        let statements = policy["Statement"].as_array().unwrap().iter();
        statements
            .filter(|statement| statement["Principal"]["Service"] == "cloudfront.amazonaws.com")
            .cloned()
            .collect()
    };
    let managed = json!({"type": "Managed"});
    for (region, partition) in [("eu-west-1", "aws"), ("cn-north-1", "aws-cn")] {
        let policy = platform_key(region, managed.clone()).unwrap();
        assert_eq!(
            of_cloud_front(&policy),
            [json!({
                "Sid": "CloudFront",
                "Effect": "Allow",
                "Principal": {"Service": "cloudfront.amazonaws.com"},
                "Action": "kms:Decrypt",
                "Resource": "*",
                "Condition": {"StringLike": {
                    "aws:SourceArn": format!("arn:{partition}:cloudfront::123456789012:distribution/*"),
                }},
            })]
        );
    }
    // There is no CloudFront, and KMS refuses a principal that it does not know: the key could not be made.
    let policy = platform_key("us-gov-west-1", managed).unwrap();
    assert_eq!(of_cloud_front(&policy), Vec::<Value>::new());
    let arn = "arn:aws:kms:eu-west-1:123456789012:key/1";
    let existing = json!({"type": "Existing", "existing": {"keyArn": arn}});
    assert_eq!(platform_key("eu-west-1", existing), None);
}

#[test]
fn whoever_brought_the_key_along_hears_what_its_policy_needs() {
    let report = |managed: bool, distributions: &[String]| {
        let platform = PlatformFacts {
            key_is_managed: managed,
            ..facts("octank")
        };
        let world = World::settled(wanted(read_by(&platform, distributions).unwrap()));
        let observed = world.observe();
        let blueprint = (world.wanted.blueprint)(&observed);
        let plan = world.plan_for(&observed, &blueprint);
        let report = shopkeeper_plan::report::of_plan(&plan, &blueprint, &observed, false);
        assert!(report.ready);
        let reasons: Vec<&str> = shopkeeper_plan::report::new_remarks(&[], &blueprint)
            .map(|remark| remark.reason)
            .collect();
        let of = |name: &str| {
            let mut conditions = report.conditions.iter();
            let condition = conditions.find(|condition| condition.r#type == name);
            condition.unwrap().message.clone()
        };
        (of("DataReady"), of("WorkloadReady"), reasons.len())
    };
    let named = [distribution("123456789012", "E1")];
    let told = "; spec.media.cloudFrontDistributionArns needs the key of Platform octank, which is brought along and is not changed: see that \
                its policy lets cloudfront.amazonaws.com use kms:Decrypt for these distributions";
    let (data, workload, remarks) = report(false, &named);
    assert!(data.ends_with(told), "{data}");
    assert!(!workload.contains("cloudFront"), "{workload}");
    assert_eq!(remarks, 1);
    for (managed, named) in [(true, &named[..]), (false, &[])] {
        let (data, _, remarks) = report(managed, named);
        assert!(data.ends_with("resources are ready"), "{data}");
        assert_eq!(remarks, 0);
    }
}
