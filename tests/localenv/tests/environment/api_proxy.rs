//! The proxy by which an operator sees an API server that is unkind.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use shopkeeper_localenv::{ApiProxy, LocalEnvironment, Refusal};

use crate::{PATIENCE, eventually};

async fn client_of(proxy: &ApiProxy) -> Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(proxy.kubeconfig()).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default())
        .await
        .unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"word": "legible"}}))
        .unwrap()
}

#[tokio::test]
async fn the_api_server_can_be_unkind() {
    let environment = LocalEnvironment::builder("unkind")
        .nodes(false)
        .aws(false)
        .start()
        .await
        .unwrap();
    let behind: Api<ConfigMap> = Api::default_namespaced(environment.client().unwrap());
    let proxy = environment.proxy_for_operator().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client_of(&proxy).await);
    let names = async || -> BTreeSet<String> {
        let listed = behind.list(&ListParams::default()).await.unwrap();
        listed.iter().map(ResourceExt::name_any).collect()
    };

    // Without orders everything passes, under the operator's name.
    let position = environment.audit().position().unwrap();
    maps.create(&PostParams::default(), &config_map("passed"))
        .await
        .unwrap();
    assert!(names().await.contains("passed"));
    eventually("the operator's write in the audit log", || async {
        let writes = environment
            .audit()
            .writes_by(LocalEnvironment::OPERATOR_USER, position)
            .unwrap();
        writes.len() == 1
    })
    .await;

    // Refusals are counted, and pick by method.
    proxy.refuse(
        Refusal::new("/configmaps", 429, 1)
            .unwrap()
            .of(http::Method::POST)
            .retry_after(1),
    );
    maps.get("passed").await.unwrap();
    let refused = maps
        .create(&PostParams::default(), &config_map("refused"))
        .await;
    assert!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.code == 429),
        "{refused:?}"
    );
    assert_eq!(proxy.refusals_left(), 0);

    // A watch is cut in the middle; the next one is told that history does not reach back.
    let mut watch = maps
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    assert!(matches!(watch.next().await, Some(Ok(WatchEvent::Added(_)))));
    proxy.cut_watches();
    let end = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(_)) = watch.next().await {}
    });
    end.await.expect("the watch goes on");
    proxy.refuse(Refusal::new("/configmaps", 410, 1).unwrap().of_watches());
    let mut watch = maps
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    let first = watch.next().await;
    assert!(
        matches!(&first, Some(Ok(WatchEvent::Error(status))) if status.code == 410),
        "{first:?}"
    );

    // The second write takes effect and is not answered; the third has no effect.
    let mut hold = proxy.hold_write("/configmaps", 2);
    maps.create(&PostParams::default(), &config_map("first"))
        .await
        .unwrap();
    let unanswered = tokio::spawn({
        let maps = maps.clone();
        async move {
            maps.create(&PostParams::default(), &config_map("second"))
                .await
        }
    });
    let write = hold.reached(PATIENCE).await.unwrap();
    assert!(write.starts_with("POST /api/v1/"), "{write}");
    let without_effect = tokio::spawn({
        let maps = maps.clone();
        async move {
            maps.create(&PostParams::default(), &config_map("third"))
                .await
        }
    });
    maps.get("second").await.unwrap();
    assert!(!unanswered.is_finished());
    hold.cut();
    assert!(unanswered.await.unwrap().is_err());
    assert!(without_effect.await.unwrap().is_err());
    let there = names().await;
    assert!(there.contains("first") && there.contains("second"));
    assert!(!there.contains("third"));

    // etcd that hangs keeps the API server from answering, and goes on where it was; what it holds can be read.
    let late = async {
        // etcd may be a moment away from its stop: what comes before that is answered.
        loop {
            let parameters = PatchParams::apply("test").force();
            let map = Patch::Apply(config_map("late"));
            let written = behind.patch("late", &parameters, &map);
            let answer = tokio::time::timeout(Duration::from_secs(1), written).await;
            if answer.is_err() {
                return;
            }
        }
    };
    let pause = environment.pause_etcd(Duration::from_secs(3));
    let (paused, during) = tokio::join!(pause, tokio::time::timeout(PATIENCE, late));
    paused.unwrap();
    during.expect("every write was answered while etcd did not run");
    maps.get("second").await.unwrap();
    let stored = environment.stored().await.unwrap();
    let second = stored
        .iter()
        .find(|stored| stored.key == "/registry/configmaps/default/second")
        .unwrap();
    assert!(String::from_utf8_lossy(&second.value).contains("legible"));
    environment.stop().await.unwrap();
}
