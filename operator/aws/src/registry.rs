//! Ties the kinds of AWS resources to the code that observes and changes them. One line a kind.

use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    failure::{Class, Failure},
    observed::{Observation, Present},
    plan::DeleteMode,
};

use crate::{
    account::{Account, Scope},
    applicationautoscaling, dynamodb, eks, elasticache, iam, kms, rds,
    resource::{DeletionToken, Found, ResourceApi},
    s3, secretsmanager, sns, sqs,
};

macro_rules! registry {
    ($($kind:ident => $api:path;)+) => {
        impl Account {
            /// Looks up one resource by kind and name.
            pub async fn observe(&self, kind: AwsKind, name: &str, scope: &Scope) -> Observation {
                match kind {
                    $(AwsKind::$kind => match $api(self).observe(name, scope).await {
                        Ok(Some(found)) => Observation::Present(Box::new(found.into())),
                        Ok(None) => Observation::Absent,
                        Err(failure) => Observation::Unknown(failure),
                    },)+
                }
            }

            /// Starts making a resource.
            ///
            /// # Errors
            /// See [`ResourceApi::create`].
            pub async fn create(&self, desired: &AwsResource) -> Result<(), Failure> {
                match desired {
                    $(AwsResource::$kind(desired) => $api(self).create(desired).await,)+
                }
            }

            /// Makes one call towards what is desired.
            ///
            /// # Errors
            /// See [`ResourceApi::update`].
            pub async fn update(&self, desired: &AwsResource, present: &Present, fields: &[String]) -> Result<(), Failure> {
                match (desired, &present.resource) {
                    $((AwsResource::$kind(desired), AwsResource::$kind(resource)) => {
                        $api(self).update(desired, &found(resource.clone(), present), fields).await
                    })+
                    _ => Err(kinds_differ()),
                }
            }

            /// Makes one call towards the end of a resource.
            ///
            /// # Errors
            /// See [`ResourceApi::delete`].
            pub async fn delete(&self, present: &Present, mode: DeleteMode, token: &DeletionToken) -> Result<(), Failure> {
                match &present.resource {
                    $(AwsResource::$kind(resource) => $api(self).delete(&found(resource.clone(), present), mode, token).await,)+
                }
            }
        }
    };
}

registry! {
    KmsKey => kms::KeyApi;
    IamRole => iam::RoleApi;
    NodeGroup => eks::NodeGroupApi;
    FargateProfile => eks::FargateProfileApi;
    PodIdentityAssociation => eks::PodIdentityAssociationApi;
    DynamoDbTable => dynamodb::TableApi;
    ScalableTarget => applicationautoscaling::TargetApi;
    CacheSubnetGroup => elasticache::SubnetGroupApi;
    CacheParameterGroup => elasticache::ParameterGroupApi;
    CacheReplicationGroup => elasticache::ReplicationGroupApi;
    CacheUserGroup => elasticache::UserGroupApi;
    CacheUser => elasticache::UserApi;
    SecretsManagerSecret => secretsmanager::SecretApi;
    RdsSubnetGroup => rds::SubnetGroupApi;
    RdsParameterGroup => rds::ParameterGroupApi;
    RdsInstance => rds::InstanceApi;
    S3Bucket => s3::BucketApi;
    SnsTopic => sns::TopicApi;
    SnsSubscription => sns::SubscriptionApi;
    SqsQueue => sqs::QueueApi;
}

fn found<T>(resource: T, present: &Present) -> Found<T> {
    Found {
        resource,
        lifecycle: present.lifecycle.clone(),
        arn: present.arn.clone(),
        id: present.id.clone(),
        outputs: present.outputs.clone(),
        empty: present.empty,
        note: present.note.clone(),
    }
}

fn kinds_differ() -> Failure {
    Failure::new(
        Class::Bug,
        "the desired and the observed resource are of different kinds",
    )
}
