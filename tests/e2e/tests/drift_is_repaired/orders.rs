//! Orders: their database, queue and topic.

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use futures::FutureExt as _;
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, View, equals};

use super::{Drift, NAMESPACE, for_others, repaired};

pub async fn of_orders(shop: &Shop) -> Result<()> {
    let subject = Subject::new("OrderService", NAMESPACE, "orders");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: orders, namespace: drift}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  database:
    type: RDS
    rds: {engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}
  notifications:
    topics: [{name: buy, subscribers: [{type: Queue, queue: fulfilment}, {type: SMS, sms: '+15550177'}]}]
    queues: [{name: fulfilment, maxReceives: 5}, {name: alone}]
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let database = shop.made(&subject, "RdsInstance", "database").await?;
    let queue = shop.made(&subject, "SqsQueue", "queues.fulfilment").await?;
    let alone = shop.made(&subject, "SqsQueue", "queues.alone").await?;
    let topic = format!(
        "arn:aws:sns:eu-west-1:123456789012:{}",
        shop.made(&subject, "SnsTopic", "topics.buy").await?
    );
    let parameters = shop
        .made(&subject, "RdsParameterGroup", "database.parameters")
        .await?;
    let aws = &shop.aws;
    let url = aws.queue(&queue).await?["url"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let drifts = vec![
        Drift {
            what: "the database's backups",
            made: async {
                aws.rds
                    .modify_db_instance()
                    .db_instance_identifier(&database)
                    .backup_retention_period(1)
                    .apply_immediately(true)
                    .send()
                    .await?;
                until_available(shop, &database).await
            }
            .boxed_local(),
            view: View::Database(database.clone()),
        },
        Drift {
            what: "the database's protection",
            made: async {
                aws.rds
                    .modify_db_instance()
                    .db_instance_identifier(&database)
                    .deletion_protection(false)
                    .apply_immediately(true)
                    .send()
                    .await?;
                until_available(shop, &database).await
            }
            .boxed_local(),
            view: View::Database(database.clone()),
        },
        Drift {
            what: "the database's parameters",
            made: async {
                let parameter = aws_sdk_rds::types::Parameter::builder()
                    .parameter_name("log_min_duration_statement")
                    .parameter_value("1")
                    .apply_method(aws_sdk_rds::types::ApplyMethod::Immediate)
                    .build();
                aws.rds
                    .modify_db_parameter_group()
                    .db_parameter_group_name(&parameters)
                    .parameters(parameter)
                    .send()
                    .await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Parameters(parameters.clone()),
        },
        Drift {
            what: "the queue's redrive and policy",
            made: async {
                let call = aws
                    .sqs
                    .set_queue_attributes()
                    .queue_url(&url)
                    .attributes(QueueAttributeName::RedrivePolicy, "");
                call.attributes(QueueAttributeName::Policy, "")
                    .send()
                    .await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Queue(queue.clone()),
        },
        Drift {
            what: "the topic's key",
            made: async {
                aws.sns
                    .set_topic_attributes()
                    .topic_arn(&topic)
                    .attribute_name("KmsMasterKeyId")
                    .attribute_value("")
                    .send()
                    .await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Topic(topic.clone()),
        },
        Drift {
            what: "who may subscribe to the topic: another account by its policy",
            made: async {
                aws.sns
                    .set_topic_attributes()
                    .topic_arn(&topic)
                    .attribute_name("Policy")
                    .attribute_value(for_others("sns:Subscribe", &topic).to_string())
                    .send()
                    .await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Topic(topic.clone()),
        },
        Drift {
            what: "who may receive from a queue that nobody publishes to: another account by a policy",
            made: async {
                let url = aws.queue(&alone).await?["url"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let arn = format!("arn:aws:sqs:eu-west-1:123456789012:{alone}");
                let policy = for_others("sqs:ReceiveMessage", &arn).to_string();
                let call = aws.sqs.set_queue_attributes().queue_url(url);
                call.attributes(QueueAttributeName::Policy, policy)
                    .send()
                    .await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Queue(alone.clone()),
        },
        Drift {
            what: "where a subscription puts what cannot be delivered",
            made: async {
                let to = json!({"deadLetterTargetArn": format!("arn:aws:sqs:eu-west-1:123456789012:{alone}")});
                aws.sns
                    .set_subscription_attributes()
                    .subscription_arn(sms(shop, &topic).await?)
                    .attribute_name("RedrivePolicy")
                    .attribute_value(to.to_string())
                    .send()
                    .await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Topic(topic.clone()),
        },
        Drift {
            what: "a subscription, removed",
            made: async {
                let arn = sms(shop, &topic).await?;
                aws.sns.unsubscribe().subscription_arn(arn).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Topic(topic.clone()),
        },
    ];
    repaired(shop, &subject, drifts).await
}

/// The ARN of the SMS subscription of a topic.
async fn sms(shop: &Shop, topic: &str) -> Result<String> {
    let listed = shop.aws.sns.list_subscriptions_by_topic().topic_arn(topic);
    let listed = listed.send().await?;
    let mut subscriptions = listed.subscriptions().iter();
    let sms = subscriptions.find(|subscription| subscription.protocol() == Some("sms"));
    let arn = sms.and_then(|sms| sms.subscription_arn());
    arn.map(str::to_owned)
        .context("there is no SMS subscription")
}

async fn until_available(shop: &Shop, database: &str) -> Result<()> {
    shop.until("the database takes changes", PATIENCE, async || {
        equals(
            "its status",
            &shop.aws.database(database).await?["status"],
            &json!("available"),
        )
    })
    .await
}
