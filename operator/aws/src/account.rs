//! One AWS account and region, and the clients for it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use shopkeeper_plan::{aws::Tags, facts::ClusterArn};

use crate::{
    budget::Budgets,
    calls::{CallObserver, CallRecorder},
    cloudtrail::ChangeLog,
    eks::BegunUpdates,
    listing::Listing,
    made::MadeLately,
    secretsmanager::Passwords,
    servicequotas::KnownQuotas,
    sns::TopicSubscriptions,
    sqs::Emptied,
    tenure::{Tenure, Unlimited},
};

/// What an observation needs to know beside a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The account, 12 digits.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// The EKS cluster whose node groups and associations are meant.
    pub cluster: String,
    /// The tags by which a resource of the custom resource is known, for kinds that AWS does not find by name.
    pub owner_tags: Tags,
}

impl Scope {
    /// The ARN of the EKS cluster.
    #[must_use]
    pub fn cluster_arn(&self) -> ClusterArn {
        ClusterArn::new(&self.account_id, &self.region, &self.cluster)
    }
}

/// For how long what AWS tells may not be true yet.
#[derive(Clone, Copy, Debug)]
pub struct Lags {
    /// SQS's counts of messages: [`COUNTS_LAG`](crate::sqs::COUNTS_LAG).
    pub queue_counts: Duration,
    /// CloudTrail's events: [`LAG`](crate::cloudtrail::LAG). Zero where it is not to be asked.
    pub cloudtrail: Duration,
}

/// The clients for one account and region. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Account {
    pub(crate) applicationautoscaling: aws_sdk_applicationautoscaling::Client,
    pub(crate) cloudtrail: aws_sdk_cloudtrail::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) eks: aws_sdk_eks::Client,
    pub(crate) elasticache: aws_sdk_elasticache::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) kms: aws_sdk_kms::Client,
    pub(crate) rds: aws_sdk_rds::Client,
    pub(crate) resourcegroupstagging: aws_sdk_resourcegroupstagging::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) secretsmanager: aws_sdk_secretsmanager::Client,
    pub(crate) servicequotas: aws_sdk_servicequotas::Client,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    /// Shared by all clones: a pass makes a clone, and the passwords are to outlive it.
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) cache_tags: Arc<crate::elasticache::KnownTags>,
    pub(crate) rds_changes: Arc<crate::rds::ChangesUnderWay>,
    pub(crate) quotas: Arc<KnownQuotas>,
    pub(crate) listings: Arc<Listings>,
    pub(crate) topic_subscriptions: Arc<TopicSubscriptions>,
    pub(crate) made: Arc<MadeLately>,
    pub(crate) emptied: Arc<Emptied>,
    pub(crate) change_log: Arc<ChangeLog>,
    /// Updates of node groups that this process began.
    pub(crate) begun_updates: Arc<BegunUpdates>,
    recorder: CallRecorder,
    configuration: SdkConfig,
}

/// Descriptions of all resources of a kind, for kinds that AWS describes so.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    /// Ids of Pod Identity associations, by [`PodIdentityAssociation`](shopkeeper_plan::aws::PodIdentityAssociation)'s names.
    pub(crate) associations: Listing<String>,
    /// Roles that somebody's tags call ours.
    pub(crate) roles: Listing<crate::iam::ListedRole>,
    /// Tags of resources, by their ARNs.
    pub(crate) tags: Listing<shopkeeper_plan::aws::Tags>,
    pub(crate) rds_instances: Listing<aws_sdk_rds::types::DbInstance>,
    pub(crate) rds_subnet_groups: Listing<aws_sdk_rds::types::DbSubnetGroup>,
    pub(crate) rds_parameter_groups: Listing<aws_sdk_rds::types::DbParameterGroup>,
    pub(crate) replication_groups: Listing<aws_sdk_elasticache::types::ReplicationGroup>,
    pub(crate) cache_clusters: Listing<aws_sdk_elasticache::types::CacheCluster>,
    pub(crate) cache_subnet_groups: Listing<aws_sdk_elasticache::types::CacheSubnetGroup>,
    pub(crate) cache_parameter_groups: Listing<aws_sdk_elasticache::types::CacheParameterGroup>,
    pub(crate) cache_users: Listing<aws_sdk_elasticache::types::User>,
    pub(crate) cache_user_groups: Listing<aws_sdk_elasticache::types::UserGroup>,
}

/// Longest time for one call, answer included. Longer than the slowest control-plane call seen (CreateCluster answers in
/// some seconds), and far below the interval of a pass.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Account {
    /// Clients for a region with the credentials of the environment (Pod Identity, IRSA, variables or profile).
    ///
    /// The SDK's own retries are off: when to try again is decided in one place, for whole passes, by error class.
    /// Calls that change something are made while the tenure lasts.
    pub async fn connect(
        region: &str,
        observer: Arc<dyn CallObserver>,
        budgets: Budgets,
        tenure: Arc<dyn Tenure>,
        lags: Lags,
    ) -> Self {
        let configuration = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_timeout(CALL_TIMEOUT)
                    .connect_timeout(CONNECT_TIMEOUT)
                    .build(),
            )
            .load()
            .await;
        let recorder = CallRecorder::new(observer, Some(budgets), tenure);
        Self::from_recorder(configuration, recorder).with_lags(lags)
    }

    /// The same in an AWS that lags behind so far.
    #[must_use]
    pub fn with_lags(self, lags: Lags) -> Self {
        Self {
            emptied: Arc::new(Emptied::new(lags.queue_counts)),
            change_log: Arc::new(ChangeLog::new(lags.cloudtrail, SystemTime::now())),
            ..self
        }
    }

    /// Clients with a configuration of the caller's: other credentials, another endpoint. Its retries should be off, as in
    /// [`Self::connect`]. Without budgets their calls are not limited; counts of messages are taken as they are, and CloudTrail is not
    /// asked.
    #[must_use]
    pub fn from_configuration(
        configuration: SdkConfig,
        observer: Arc<dyn CallObserver>,
        budgets: Option<Budgets>,
    ) -> Self {
        let recorder = CallRecorder::new(observer, budgets, Arc::new(Unlimited));
        Self::from_recorder(configuration, recorder)
    }

    /// Clients whose calls go through this recorder, with a configuration of the caller's.
    #[must_use]
    pub fn from_recorder(configuration: SdkConfig, recorder: CallRecorder) -> Self {
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::config::Builder::from(&configuration)
                        .interceptor(recorder.clone())
                        .build(),
                )
            };
        }
        Self {
            applicationautoscaling: client!(aws_sdk_applicationautoscaling),
            cloudtrail: client!(aws_sdk_cloudtrail),
            dynamodb: client!(aws_sdk_dynamodb),
            eks: client!(aws_sdk_eks),
            elasticache: client!(aws_sdk_elasticache),
            iam: client!(aws_sdk_iam),
            kms: client!(aws_sdk_kms),
            rds: client!(aws_sdk_rds),
            resourcegroupstagging: client!(aws_sdk_resourcegroupstagging),
            // An endpoint of one's own (a double, a gateway) has no name for each bucket.
            s3: aws_sdk_s3::Client::from_conf(
                aws_sdk_s3::config::Builder::from(&configuration)
                    .force_path_style(configuration.endpoint_url().is_some())
                    .interceptor(recorder.clone())
                    .build(),
            ),
            secretsmanager: client!(aws_sdk_secretsmanager),
            servicequotas: client!(aws_sdk_servicequotas),
            sns: client!(aws_sdk_sns),
            sqs: client!(aws_sdk_sqs),
            sts: client!(aws_sdk_sts),
            passwords: Arc::default(),
            cache_tags: Arc::default(),
            rds_changes: Arc::default(),
            quotas: Arc::default(),
            listings: Arc::default(),
            topic_subscriptions: Arc::default(),
            made: Arc::default(),
            emptied: Arc::default(),
            change_log: Arc::new(ChangeLog::new(Duration::ZERO, SystemTime::now())),
            begun_updates: Arc::default(),
            recorder,
            configuration,
        }
    }

    /// The configuration, for clients that live in another crate (EC2).
    #[must_use]
    pub fn configuration(&self) -> &SdkConfig {
        &self.configuration
    }

    /// The interceptor that records calls, for clients that live in another crate.
    #[must_use]
    pub fn recorder(&self) -> CallRecorder {
        self.recorder.clone()
    }
}
