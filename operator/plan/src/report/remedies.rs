//! What to do about what AWS refuses: the field of the custom resource that it speaks of, and a remedy. Pure.
//!
//! AWS names its own parameters (`DBInstanceClass`), and some of its messages no parameter at all. The table below leads from its
//! words to the field as it is written in the specification; where they lead nowhere, to the part that the resource comes from.

use std::borrow::Cow;

use crate::{
    aws::AwsKind,
    blueprint::Blueprint,
    failure::{Class, Failure, is_quota},
    plan::{Blocker, Operation, Plan, Step},
    resource::{ResourceKey, ResourceKind},
};

/// The part of a specification that a resource comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Database,
    DatabaseParameters,
    Cache,
    CacheParameters,
    CacheUser,
    /// The user group, and the user for whom nobody authenticates.
    CacheUsers,
    /// Subnet groups are made of the subnets of the Platform.
    Subnets,
    Table,
    Capacity,
    Media,
    Topic,
    Subscriber,
    Queue,
    NodeGroup,
    Fargate,
    NodeRole,
    Identity,
    Encryption,
}

/// Where the field is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Under the part.
    Here(&'static str),
    /// Of the Platform.
    Platform(&'static str),
}

use Place::{Here, Platform};

/// What AWS's words mean: a part, words of which its code or message has one (in small letters), the field, and what to do. What is
/// more particular comes first. What the schema bounds is not in here: AWS never sees it.
struct Row(Part, &'static [&'static str], Place, &'static str);

const SUBNETS: Place = Platform("spec.network.existing.privateSubnets");
const KEY: Place = Platform("spec.encryption");
const GROUPS: Place = Platform("spec.network.existing.dataSecurityGroupIds");
const IN_TWO_ZONES: &str = "name subnets of the VPC in two zones or more";
const A_USABLE_KEY: &str =
    "see that the key is there and enabled, and that its policy lets the services use it";
const OF_THE_VPC: &str = "name security groups of the VPC";
const A_WINDOW: &str =
    "choose a window of half an hour or more that does not overlap the other one";
const RDS_VERSION: &str = "choose a version that RDS has for this engine, and that the present one can be upgraded to (aws rds \
                           describe-db-engine-versions lists both)";
const CACHE_VERSION: &str = "choose a version that ElastiCache has for this engine, and none below the present one (aws elasticache \
                             describe-cache-engine-versions lists them)";
const RESERVED: &str = "choose a name that the engine does not keep for itself";
// The API server would refuse a correction.
const RESERVED_ANEW: &str = "it cannot be changed, and nothing was made yet: take spec.database and its binding out, apply, and write them again \
                             with a name that the engine does not keep for itself";
const BUCKET_ANEW: &str = "it cannot be changed, and nothing was made yet: take spec.media and its binding out, apply, and write them again with \
                           another bucketName, since names of buckets are one in the world";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // RDS
    Row(Part::Database, &["performance insights"], Here("performanceInsights"),
        "set it to Disabled, or choose an instanceClass that has it"),
    Row(Part::Database, &["instance class", "dbinstanceclass", "insufficientdbinstancecapacity"], Here("instanceClass"),
        "choose a class that RDS has here for this engine and version (aws rds describe-orderable-db-instance-options lists them)"),
    Row(Part::Database, &["cannot find version", "cannot upgrade", "engineversion", "engine version"], Here("version"), RDS_VERSION),
    Row(Part::Database, &["max storage", "maxallocatedstorage"], Here("maxStorage"), "choose a size a tenth greater than storage, or more"),
    Row(Part::Database, &["iops"], Here("iops"), "choose what RDS takes for this storage and storageType, or leave it out"),
    Row(Part::Database, &["storage size", "allocatedstorage"], Here("storage"), "choose a size that RDS takes for this engine and storageType"),
    Row(Part::Database, &["storage type", "storagetype"], Here("storageType"), "choose a type that RDS has here for this instanceClass"),
    Row(Part::Database, &["masterusername", "master user"], Here("username"), RESERVED_ANEW),
    Row(Part::Database, &["dbname", "database name"], Here("databaseName"), RESERVED_ANEW),
    Row(Part::Database, &["log type", "cloudwatchlogs"], Here("logExports"), "name logs that this engine and version write"),
    Row(Part::Database, &["certificate"], Here("caCertificate"), "choose an authority that RDS has here (aws rds describe-certificates lists them)"),
    Row(Part::Database, &["backup window", "backupwindow"], Here("backupWindow"), A_WINDOW),
    Row(Part::Database, &["maintenance window", "maintenancewindow"], Here("maintenanceWindow"), A_WINDOW),
    Row(Part::Database, &["kms"], KEY, A_USABLE_KEY),
    Row(Part::Database, &["security group", "securitygroup"], GROUPS, OF_THE_VPC),
    Row(Part::Database, &["subnet"], SUBNETS, IN_TWO_ZONES),
    Row(Part::DatabaseParameters, &["family"], Here("version"), RDS_VERSION),
    Row(Part::DatabaseParameters, &["parameter"], Here("parameters"),
        "correct the parameter that RDS names, or take it out (aws rds describe-engine-default-parameters lists what there is)"),
    // ElastiCache
    Row(Part::Cache, &["cannot find version", "engineversion", "engine version", "downgrade"], Here("version"), CACHE_VERSION),
    Row(Part::Cache, &["multi-az", "multiaz", "automatic failover"], Here("multiAz"), "give it a replica (replicas), or set it to Disabled"),
    Row(Part::Cache, &["node type", "nodetype", "insufficientcacheclustercapacity"], Here("nodeType"),
        "choose a node type that ElastiCache has here and that takes what else is declared"),
    Row(Part::Cache, &["transit encryption", "transitencryption", "in-transit"], Here("transitEncryption"),
        "go one step at a time: Preferred lies between Disabled and Required"),
    Row(Part::Cache, &["snapshot window", "snapshotwindow"], Here("snapshotWindow"), A_WINDOW),
    Row(Part::Cache, &["maintenance window", "maintenancewindow"], Here("maintenanceWindow"), A_WINDOW),
    Row(Part::Cache, &["user group", "usergroup"], Here("users"), "see that the version takes users: Valkey 7.2 or Redis 6.0, or newer"),
    Row(Part::Cache, &["kms"], KEY, A_USABLE_KEY),
    Row(Part::Cache, &["security group", "securitygroup"], GROUPS, OF_THE_VPC),
    Row(Part::Cache, &["subnet"], SUBNETS, IN_TWO_ZONES),
    Row(Part::CacheParameters, &["family"], Here("version"), CACHE_VERSION),
    Row(Part::CacheParameters, &["parameter"], Here("parameters"),
        "correct the parameter that ElastiCache names, or take it out (aws elasticache describe-engine-default-parameters lists what there is)"),
    Row(Part::CacheUser, &["access string", "accessstring"], Here("accessString"), "write it as ACL SETUSER takes it, without passwords"),
    Row(Part::CacheUser, &["username", "user name"], Here("name"), RESERVED),
    Row(Part::CacheUser, &["kms"], KEY, A_USABLE_KEY),
    Row(Part::Subnets, &[""], SUBNETS, IN_TWO_ZONES),
    // DynamoDB
    Row(Part::Table, &["timetolive", "time to live"], Here("timeToLive"), "name one attribute; DynamoDB lets it be changed once in an hour"),
    Row(Part::Table, &["warmthroughput", "warm throughput"], Here("warmThroughput"), "choose no less than the table has, and no more than the account may have"),
    Row(Part::Table, &["tableclass", "table class"], Here("tableClass"), "wait: DynamoDB lets it be changed twice in 30 days"),
    Row(Part::Table, &["local secondary", "localsecondary"], Here("localIndexes"), "correct the index that DynamoDB names"),
    Row(Part::Table, &["secondary index", "secondaryindex", "nonkeyattributes", "projection"], Here("indexes"), "correct the index that DynamoDB names"),
    Row(Part::Table, &["capacity unit", "provisionedthroughput", "provisioned throughput", "ondemandthroughput"], Here("capacity"),
        "choose what the account may have"),
    Row(Part::Table, &["keyschema", "key schema", "attributedefinition", "attribute definition"], Here("keys"),
        "give each key attribute one type everywhere, indexes included"),
    Row(Part::Table, &["kms", "ssespecification"], KEY, A_USABLE_KEY),
    // S3
    Row(Part::Media, &["bucketalreadyexists", "invalidbucketname"], Here("bucketName"), BUCKET_ANEW),
    Row(Part::Media, &["cors", "allowedmethod", "allowedorigin"], Here("cors"), "correct the rule that S3 names"),
    Row(Part::Media, &["kms"], KEY, A_USABLE_KEY),
    // SNS and SQS
    Row(Part::Topic, &["kms"], KEY, A_USABLE_KEY),
    Row(Part::Subscriber, &["filterpolicy", "filter policy"], Here("filterPolicy"), 
        "write at most five attributes, and so few values that their numbers, multiplied, are at most 150"),
    Row(Part::Subscriber, &["email"], Here("email"), "write an address that exists"),
    Row(Part::Subscriber, &["sms", "phone number"], Here("sms"), "write a number that SNS reaches, in E.164 form: +353861234567"),
    Row(Part::Subscriber, &["platformapplication", "application endpoint", "platform endpoint"], Here("push"),
        "name an endpoint that SNS has in this account and region"),
    Row(Part::Subscriber, &["unreachable"], Here("https"), "name an address that SNS reaches and that confirms the subscription"),
    Row(Part::Queue, &["kms"], KEY, A_USABLE_KEY),
    // EKS
    Row(Part::NodeGroup, &["instance type", "instancetype"], Here("instanceTypes"),
        "name types that EC2 has here, of the architecture of amiType (aws ec2 describe-instance-type-offerings lists them)"),
    Row(Part::NodeGroup, &["release version", "releaseversion"], Here("releaseVersion"), "choose a release of EKS's image for this version, or leave it out"),
    Row(Part::NodeGroup, &["kubernetes version", "nodegroup version", "parameter version"], Here("version"),
        "choose the cluster's version (aws eks describe-cluster tells it); only a group that is made anew may have one of the three before it"),
    Row(Part::NodeGroup, &["amitype", "ami type"], Here("amiType"), "choose one that EKS has for this version and these instanceTypes"),
    Row(Part::NodeGroup, &["disksize", "disk size"], Here("diskSize"), "choose more GiB than the image has"),
    Row(Part::NodeGroup, &["taint"], Here("taints"), "correct the taint that EKS names"),
    Row(Part::NodeGroup, &["label"], Here("labels"), "correct the label that EKS names: some beginnings are kept for Kubernetes and EKS"),
    Row(Part::NodeGroup, &["subnet", "availability zone"], Here("zones"), "name zones in which the Platform has private subnets"),
    Row(Part::Fargate, &["subnet"], Here("subnets"), "name private subnets of the Platform"),
    // IAM
    Row(Part::Identity, &["role provided"], Here("existing.roleArn"), "name a role that exists, and that trusts pods.eks.amazonaws.com"),
    Row(Part::Identity, &["maximum policy size", "policysize"], Here("statements"), "write fewer or shorter ones, or bring a role along (type Existing)"),
    Row(Part::Identity, &["policydocument"], Here("statements"), "correct the statement that IAM tells of: actions as service:Action, resources as ARNs"),
];

/// The plan with a remedy beside each refusal of AWS, for the report.
pub(super) fn explained<'a>(plan: &'a Plan, blueprint: &Blueprint) -> Cow<'a, Plan> {
    let mut told = Cow::Borrowed(plan);
    for (position, step) in plan.steps.iter().enumerate() {
        let Some(node) = blueprint.get(&step.key) else {
            continue;
        };
        for (at, blocker) in step.blocked_by.iter().enumerate() {
            if let Blocker::Refused(failure) = blocker
                && let Some(failure) = with_remedy(step, &node.role, failure)
            {
                told.to_mut().steps[position].blocked_by[at] = Blocker::Refused(failure);
            }
        }
    }
    told
}

/// The failure with what to do; `None` where it says so already, or where the specification has no part in it.
fn with_remedy(step: &Step, role: &str, failure: &Failure) -> Option<Failure> {
    if let (ResourceKind::Kubernetes(kind), Operation::KubernetesApply { .. }) =
        (step.key.kind, &step.operation)
    {
        return of_objects::with_remedy(kind, role, failure);
    }
    let asked = matches!(
        step.operation,
        Operation::AwsCreate { .. } | Operation::AwsUpdate { .. } | Operation::AwsAdopt { .. }
    );
    if !asked {
        return None;
    }
    let (part, field) = part_of(role, &step.key)?;
    let code = failure.code.as_deref().unwrap_or_default();
    // Quotas are of the account and no matter of the specification, but for the size of a policy.
    if is_quota(code) && part != Part::Identity {
        return None;
    }
    let said = format!("{code}: {}", failure.message).to_lowercase();
    let row = ROWS
        .iter()
        .find(|Row(of, words, ..)| *of == part && words.iter().any(|word| said.contains(word)))
        .map(|Row(_, _, place, what)| match place {
            Here(below) => (format!("{field}.{below}"), *what),
            Platform(field) => (format!("{field} of the Platform"), *what),
        });
    let known = failure.remedy.as_str();
    let remedy = match (failure.class, row) {
        (Class::Invalid, Some((field, what))) => format!("correct {field}: {what}"),
        (Class::Invalid, None) if known.is_empty() => format!(
            "correct {field} by what AWS says here; it is tried again when it changes, and by itself within half an hour"
        ),
        // What passes by itself says nothing, but for a lack of capacity.
        (Class::NotReady, Some((field, _))) if !known.is_empty() => format!("{known} ({field})"),
        _ => return None,
    };
    Some(failure.clone().with_remedy(remedy))
}

/// The block of the specification that a role is of, and what the role says below that.
fn block_of(role: &str) -> (String, Vec<&str>) {
    let words: Vec<&str> = role.split('.').collect();
    match words.as_slice() {
        ["frontends", name, rest @ ..] => (format!("spec.frontends[{name}]"), rest.to_vec()),
        _ => ("spec".to_owned(), words),
    }
}

/// The part that the role of a resource speaks of, and its field as it is written in the specification.
fn part_of(role: &str, key: &ResourceKey) -> Option<(Part, String)> {
    let (above, words) = block_of(role);
    let (part, field) = match words.as_slice() {
        ["database", "subnets"] | ["cache", "subnets"] => {
            (Part::Subnets, format!("{}.{}", above, words[0]))
        }
        ["database", "parameters"] => (Part::DatabaseParameters, format!("{above}.database.rds")),
        ["database"] => (Part::Database, format!("{above}.database.rds")),
        ["cache", "parameters"] => (Part::CacheParameters, format!("{above}.cache")),
        ["cache", "users"] | ["cache", "users", "default"] => {
            (Part::CacheUsers, format!("{above}.cache.users"))
        }
        ["cache", "users", name, ..] => (Part::CacheUser, format!("{above}.cache.users[{name}]")),
        ["cache"] => (Part::Cache, format!("{above}.cache")),
        ["products", rest @ ..] => of_table(format!("{above}.products"), rest)?,
        ["tables", name, rest @ ..] => of_table(format!("{above}.tables[{name}].table"), rest)?,
        ["media"] => (Part::Media, format!("{above}.media")),
        ["topics", topic, "subscribers", index] => (
            Part::Subscriber,
            format!("{above}.notifications.topics[{topic}].subscribers[{index}]"),
        ),
        ["topics", topic] => (
            Part::Topic,
            format!("{above}.notifications.topics[{topic}]"),
        ),
        ["queues", queue, ..] => (
            Part::Queue,
            format!("{above}.notifications.queues[{queue}]"),
        ),
        ["nodes"] if key.kind == ResourceKind::Aws(AwsKind::FargateProfile) => {
            (Part::Fargate, format!("{above}.nodes.fargate"))
        }
        ["nodes"] => (Part::NodeGroup, format!("{above}.nodes.nodeGroup")),
        ["nodes", ..] => (Part::NodeRole, format!("{above}.nodes")),
        ["identity", ..] => (Part::Identity, format!("{above}.identity")),
        ["encryption"] => (Part::Encryption, format!("{above}.encryption")),
        _ => return None,
    };
    Some((part, field))
}

fn of_table(field: String, below: &[&str]) -> Option<(Part, String)> {
    match below {
        [] => Some((Part::Table, field)),
        ["autoscale", units] => Some((
            Part::Capacity,
            format!("{field}.capacity.provisioned.autoscale.{units}"),
        )),
        ["indexes", index, "autoscale", units] => Some((
            Part::Capacity,
            format!("{field}.indexes[{index}].provisioned.autoscale.{units}"),
        )),
        _ => None,
    }
}

mod of_objects;
#[cfg(test)]
mod tests;
