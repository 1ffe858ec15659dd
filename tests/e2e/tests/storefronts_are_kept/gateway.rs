//! A Storefront behind a Gateway of the Gateway API. The scenario is the controller of the Gateway: it says what such a one would.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, includes};

use super::{NAMESPACE, nothing_is_left, object, specification};

/// The definition of the Gateway API, as far as it says anything of what we write.
pub const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: httproutes.gateway.networking.k8s.io
  annotations: {api-approved.kubernetes.io: 'https://github.com/kubernetes-sigs/gateway-api/pull/3328'}
spec:
  group: gateway.networking.k8s.io
  names: {kind: HTTPRoute, listKind: HTTPRouteList, plural: httproutes, singular: httproute}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              properties:
                hostnames: {type: array, maxItems: 16, items: {type: string}}
                parentRefs:
                  type: array
                  maxItems: 32
                  items:
                    type: object
                    required: [name]
                    properties:
                      group: {type: string, default: gateway.networking.k8s.io}
                      kind: {type: string, default: Gateway}
                      name: {type: string}
                      namespace: {type: string}
                      sectionName: {type: string}
                      port: {type: integer}
                rules:
                  type: array
                  maxItems: 16
                  items:
                    type: object
                    properties:
                      matches:
                        type: array
                        maxItems: 64
                        default: [{path: {type: PathPrefix, value: /}}]
                        items:
                          type: object
                          properties:
                            path:
                              type: object
                              default: {type: PathPrefix, value: /}
                              properties:
                                type: {type: string, default: PathPrefix, enum: [Exact, PathPrefix, RegularExpression]}
                                value: {type: string, default: /}
                      backendRefs:
                        type: array
                        maxItems: 16
                        items:
                          type: object
                          required: [name]
                          properties:
                            group: {type: string, default: ''}
                            kind: {type: string, default: Service}
                            name: {type: string}
                            namespace: {type: string}
                            port: {type: integer}
                            weight: {type: integer, default: 1}
            status: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

pub async fn serves_the_routes(shop: &Shop) -> Result<()> {
    let subject = Subject::new("Storefront", NAMESPACE, "gated");
    let mut specification = specification("gated");
    specification["gateway"] =
        json!({"parentRefs": [{"name": "shared", "namespace": "edge", "sectionName": "https"}]});
    shop.apply_specification(&subject, &specification).await?;

    let route = object("HTTPRoute", "gated");
    shop.until("the Gateway is waited for", PATIENCE, async || {
        let found = shop.get(subject.kind, NAMESPACE, &subject.name).await?;
        let conditions = found["status"]["conditions"].to_string();
        ensure!(
            conditions.contains("Gateway shared has not taken it yet"),
            "{conditions}"
        );
        Ok(())
    })
    .await?;
    say(shop, &route, "False", "NotAllowedByListeners").await?;
    let message = shop
        .until_condition(&subject, "EdgeReady", "False", "Progressing")
        .await?;
    ensure!(message.contains("Gateway shared"), "{message}");
    say(shop, &route, "True", "Accepted").await?;
    shop.until_ready(&subject).await?;
    let found = shop.get("HTTPRoute", NAMESPACE, "gated").await?;
    let path = |value: &str| json!([{"path": {"type": "PathPrefix", "value": value}}]);
    includes(
        "the route",
        &found["spec"],
        &json!({
            "hostnames": ["www.gated.example"],
            "rules": [
                {"matches": path("/items"), "backendRefs": [{"name": "catalog", "port": 80}]},
                {"matches": path("/"), "backendRefs": [{"name": "gated-web", "port": 80}]},
            ],
        }),
    )?;
    let ingress = shop.find(&object("Ingress", "gated")).await?;
    ensure!(
        ingress.is_none(),
        "there is a load balancer beside the Gateway"
    );
    Ok(())
}

/// Back to a load balancer of its own, and the route goes.
pub async fn gives_them_back(shop: &Shop) -> Result<()> {
    let subject = Subject::new("Storefront", NAMESPACE, "gated");
    let route = object("HTTPRoute", "gated");
    shop.apply_specification(&subject, &specification("gated"))
        .await?;
    shop.until_ready(&subject).await?;
    shop.get("Ingress", NAMESPACE, "gated").await?;
    shop.until_gone(&route).await?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    nothing_is_left(shop, &subject).await
}

/// Says what a controller says of a route.
async fn say(shop: &Shop, route: &Subject, accepted: &str, reason: &str) -> Result<()> {
    let found = shop.get(route.kind, NAMESPACE, &route.name).await?;
    let condition = |kind: &str, status: &str, reason: &str| -> Value {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "said by the scenario",
            "observedGeneration": found["metadata"]["generation"],
            "lastTransitionTime": "2026-11-26T09:00:00Z",
        })
    };
    let status = json!({"status": {"parents": [{
        "parentRef": found["spec"]["parentRefs"][0],
        "controllerName": "example.com/scenario",
        "conditions": [condition("Accepted", accepted, reason), condition("ResolvedRefs", "True", "ResolvedRefs")],
    }]}});
    let patch = status.to_string();
    shop.environment
        .kubectl(&[
            "patch",
            "httproutes.gateway.networking.k8s.io",
            &route.name,
            "-n",
            NAMESPACE,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ])
        .await
        .map(drop)
}
