//! The cases: patches on the example of each kind.
//!
//! In rules about changes the old and new members of a list stand at the same index: the API server pairs them by name, the
//! evaluator of these tests by position.

/// A rule broken, and the same wish written so that it holds.
pub struct Case {
    /// Kind whose example is patched.
    pub kind: &'static str,
    /// Block that the rule sits on.
    pub block: &'static str,
    /// How the rule's message begins.
    pub message: &'static str,
    /// Patch of the old object, for rules about changes.
    pub old: Option<&'static str>,
    /// Patch that breaks the rule.
    pub red: &'static str,
    /// Patch that keeps it.
    pub green: &'static str,
}

const fn create(
    kind: &'static str,
    block: &'static str,
    message: &'static str,
    red: &'static str,
    green: &'static str,
) -> Case {
    Case {
        kind,
        block,
        message,
        old: None,
        red,
        green,
    }
}

const fn update(
    kind: &'static str,
    block: &'static str,
    message: &'static str,
    old: &'static str,
    red: &'static str,
    green: &'static str,
) -> Case {
    Case {
        kind,
        block,
        message,
        old: Some(old),
        red,
        green,
    }
}

const KEY: &str =
    "encryption: {type: Existing, existing: {keyArn: 'arn:aws:kms:eu-west-1:123456789012:key/1'}}";

/// Eight topics of 32 subscribers each, and the beginning of a ninth.
macro_rules! topics {
    () => {
        concat!(
            "notifications: {queues: [], topics: [{name: a, subscribers: &all [",
            subscribers!(), subscribers!(), subscribers!(), subscribers!(),
            subscribers!(), subscribers!(), subscribers!(), subscribers!(),
            "]}, {name: b, subscribers: *all }, {name: c, subscribers: *all }, {name: d, subscribers: *all }, ",
            "{name: e, subscribers: *all }, {name: f, subscribers: *all }, {name: g, subscribers: *all }, ",
            "{name: h, subscribers: *all }, {name: i, subscribers: "
        )
    };
}

/// Four subscribers.
macro_rules! subscribers {
    () => {
        "{type: SMS, sms: '+15550100'}, {type: SMS, sms: '+15550101'}, {type: SMS, sms: '+15550102'}, {type: SMS, sms: '+15550103'}, "
    };
}

/// Every case.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    // Platform
    update("Platform", "accountId", "accountId is immutable", "{}", "aws: {accountId: '210987654321'}", "{}"),
    update("Platform", "region", "region is immutable", "{}", "aws: {region: eu-central-1}", "{}"),
    update("Platform", "name", "cluster.name is immutable", "{}", "cluster: {name: other}", "{}"),
    update("Platform", "spec", "the key is immutable", "{}", KEY, "encryption: {type: Managed, managed: {rotationPeriodDays: 180}}"),
    update("Platform", "spec", "the key is immutable", "encryption: null", KEY, "encryption: {type: Managed}"),
    update("Platform", "spec", "the key is immutable", KEY, "encryption: null", KEY),
    create("Platform", "spec", "encryption.existing.keyArn must be a key", "encryption: {type: Existing, existing: {keyArn: 'arn:aws:kms:eu-central-1:123456789012:key/1'}}", KEY),
    create("Platform", "budgets", "burst must be callsPerSecond or more", "aws: {budgets: [{api: EKS, callsPerSecond: 5, burst: 4}]}", "aws: {budgets: [{api: EKS, callsPerSecond: 5, burst: 5}]}"),
    create("Platform", "tags", "a tag must not begin with aws:", "defaults: {tags: {'aws:team': shop}}", "defaults: {tags: {'awsteam': shop}}"),
    create("Platform", "tags", "the key of a tag must have", "defaults: {tags: {'': shop}}", "defaults: {tags: {team: shop}}"),
    create("Platform", "network", "existing must be set", "network: {existing: null}", "{}"),
    create("Platform", "vpc", "set either id or tags", "network: {existing: {vpc: {id: vpc-0123456789abcdef0}}}", "network: {existing: {vpc: {id: vpc-0123456789abcdef0, tags: null}}}"),
    create("Platform", "subnets", "set either ids or tags", "network: {existing: {privateSubnets: {tags: null}}}", "network: {existing: {privateSubnets: {tags: null, ids: [subnet-0123456789abcdef0]}}}"),
    create("Platform", "encryption", "existing must be set", "encryption: {type: Existing}", KEY),
    create("Platform", "encryption", "managed may only be set", "encryption: {type: Existing, existing: {keyArn: 'arn:aws:kms:eu-west-1:123456789012:key/1'}, managed: {}}", KEY),
    create("Platform", "prometheus", "pods may only be set", "prometheus: {type: None, pods: {namespace: monitoring}}", "prometheus: {type: Pods, pods: {namespace: monitoring}}"),
    create("Platform", "allowedNamespaces", "names must be set", "allowedNamespaces: {type: Names}", "allowedNamespaces: {type: Names, names: [shop]}"),
    create("Platform", "allowedNamespaces", "selector must be set", "allowedNamespaces: {type: All, selector: {matchLabels: {shop: octank}}}", "allowedNamespaces: {type: Selector, selector: {matchLabels: {shop: octank}}}"),
    create("Platform", "policy", "driftInterval must be 1m or more", "policy: {driftInterval: 30s}", "policy: {driftInterval: 1m30s}"),

    create("Platform", "driftInterval", "driftInterval must be a duration", "policy: {driftInterval: soon}", "policy: {driftInterval: 10m}"),

    // Workload
    create("CatalogService", "image", "image must not hold blanks", "workload: {image: ' '}", "workload: {image: 'registry.example/catalog:1'}"),
    create("CatalogService", "image", "image must not hold blanks", "workload: {image: 'catalog 1'}", "workload: {image: 'catalog@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}"),
    create("CatalogService", "image", "image names a digest that is none", "workload: {image: 'catalog@sha256:0123'}", "workload: {image: 'catalog:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}"),
    create("CatalogService", "image", "image names a digest that is none", "workload: {initContainers: [{name: a, image: 'catalog@sha256:0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF'}]}", "workload: {initContainers: [{name: a, image: 'catalog@sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}]}"),
    create("OrderService", "spec", "callers, network.exposures and", "workload: {ports: null}", "{workload: {ports: null}, callers: null}"),
    create("OrderService", "spec", "callers, network.exposures and", "{workload: {ports: []}, callers: [], network: {service: {type: NodePort}}}", "{workload: {ports: []}, callers: [], network: {service: {type: ClusterIP}}}"),
    create("CatalogService", "spec", "callers, network.exposures and", "{workload: {ports: null, metrics: null}, callers: null, network: {exposures: [{name: a, type: Service, service: {type: LoadBalancer}}]}}", "network: {exposures: [{name: a, type: Service, service: {type: LoadBalancer}}]}"),
    create("CatalogService", "cpu", "a quantity must not be negative", "workload: {resources: {requests: {cpu: '-1'}}}", "workload: {resources: {requests: {cpu: 1}}}"),
    create("CatalogService", "sizeLimit", "a quantity must not be negative", "workload: {tmpDir: {sizeLimit: '-64Mi'}}", "workload: {tmpDir: {sizeLimit: 64Mi}}"),
    create("CatalogService", "divisor", "a quantity must not be negative", "workload: {volumes: [{name: pod, downwardAPI: {items: [{path: cpu, resourceFieldRef: {resource: limits.cpu, divisor: '-1m'}}]}}]}", "workload: {volumes: [{name: pod, downwardAPI: {items: [{path: cpu, resourceFieldRef: {resource: limits.cpu, divisor: 1m}}]}}]}"),
    create("CatalogService", "storage", "a quantity must not be negative", "workload: {volumes: [{name: data, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: '-1Gi'}}}}}}]}", "workload: {volumes: [{name: data, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}]}"),
    create("CatalogService", "maxSurge", "write a number of 0 or more", "workload: {rollout: {maxSurge: '500%'}}", "workload: {rollout: {maxSurge: 5}}"),
    create("CatalogService", "maxUnavailable", "write a number of 0 or more", "disruption: {maxUnavailable: '-500%'}", "disruption: {maxUnavailable: '100%'}"),
    create("CatalogService", "minAvailable", "write a number of 0 or more", "disruption: {minAvailable: '500%'}", "disruption: {minAvailable: '5%'}"),
    create("CatalogService", "workload", "volumeMounts must name a member of volumes", "workload: {volumeMounts: [{name: data, mountPath: /data}]}", "workload: {volumes: [{name: data, emptyDir: {}}], volumeMounts: [{name: data, mountPath: /data}]}"),
    create("CatalogService", "workload", "metrics are read from a member of ports", "workload: {metrics: {port: metrics}}", "workload: {metrics: {port: metrics}, ports: [{name: http, containerPort: 8080}, {name: metrics, containerPort: 9090}]}"),
    create("CatalogService", "workload", "podSecurityContext.runAsUser 0 is root", "workload: {podSecurityContext: {runAsUser: 0, runAsNonRoot: true}}", "workload: {podSecurityContext: {runAsUser: 0}}"),
    create("CatalogService", "workload", "securityContext.runAsUser 0 is root", "workload: {securityContext: {runAsUser: 0}}", "workload: {securityContext: {runAsUser: 0, runAsNonRoot: false}}"),
    create("CatalogService", "workload", "securityContext.runAsUser 0 is root", "workload: {securityContext: {runAsUser: 0}, podSecurityContext: {fsGroup: 2000}}", "workload: {securityContext: {runAsUser: 0}, podSecurityContext: {runAsUser: 0}}"),
    create("CatalogService", "workload", "securityContext.runAsUser 0 is root", "workload: {securityContext: {runAsUser: 0, runAsNonRoot: true}, podSecurityContext: {runAsNonRoot: false}}", "workload: {securityContext: {runAsUser: 0}, podSecurityContext: {runAsNonRoot: false}}"),
    create("CatalogService", "volumes", "set exactly one of emptyDir", "workload: {volumes: [{name: data}]}", "workload: {volumes: [{name: data, secret: {name: files}}]}"),
    create("CatalogService", "volumes", "set exactly one of emptyDir", "workload: {volumes: [{name: data, emptyDir: {}, secret: {name: files}}]}", "workload: {volumes: [{name: data, emptyDir: {}}]}"),
    create("CatalogService", "volumes", "set exactly one of emptyDir", "workload: {volumes: [{name: data, nfs: {server: files, path: /}, csi: {driver: a.b}}]}", "workload: {volumes: [{name: data, nfs: {server: files, path: /}}, {name: secrets, csi: {driver: a.b}}]}"),
    create("CatalogService", "sources", "set exactly one of configMap", "workload: {volumes: [{name: data, projected: {sources: [{secret: {name: a}, configMap: {name: b}}]}}]}", "workload: {volumes: [{name: data, projected: {sources: [{secret: {name: a}}, {configMap: {name: b}}]}}]}"),
    create("CatalogService", "sources", "set exactly one of configMap", "workload: {volumes: [{name: data, projected: {sources: [{}]}}]}", "workload: {volumes: [{name: data, projected: {sources: [{serviceAccountToken: {path: token}}]}}]}"),
    create("CatalogService", "items", "set either fieldRef", "workload: {volumes: [{name: data, downwardAPI: {items: [{path: cpu, fieldRef: {fieldPath: metadata.name}, resourceFieldRef: {resource: limits.cpu}}]}}]}", "workload: {volumes: [{name: data, downwardAPI: {items: [{path: cpu, resourceFieldRef: {resource: limits.cpu}}]}}]}"),
    create("CatalogService", "items", "set either fieldRef", "workload: {volumes: [{name: data, projected: {sources: [{downwardAPI: {items: [{path: name}]}}]}}]}", "workload: {volumes: [{name: data, projected: {sources: [{downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]}}]}"),
    create("CatalogService", "spec", "ReadWriteOncePod goes with no other", "workload: {volumes: [{name: data, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOncePod, ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}]}", "workload: {volumes: [{name: data, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 1Gi}}}}}}]}"),
    create("CatalogService", "probes", "successThreshold must be 1", "workload: {probes: {startup: {tcpSocket: {}, successThreshold: 2}}}", "workload: {probes: {readiness: {successThreshold: 2}}}"),
    create("CatalogService", "probes", "terminationGracePeriodSeconds has no meaning for readiness", "workload: {probes: {readiness: {terminationGracePeriodSeconds: 5}}}", "workload: {probes: {startup: {tcpSocket: {}, terminationGracePeriodSeconds: 5}, liveness: {tcpSocket: {}, terminationGracePeriodSeconds: 5}}}"),
    create("CatalogService", "rollout", "maxSurge and maxUnavailable have no meaning", "workload: {rollout: {type: Recreate, maxSurge: 1}}", "workload: {rollout: {type: Recreate, minReadySeconds: 5}}"),
    create("CatalogService", "rollout", "maxSurge and maxUnavailable have no meaning", "workload: {rollout: {type: Recreate, maxUnavailable: 50%}}", "workload: {rollout: {type: RollingUpdate, maxUnavailable: 50%}}"),
    create("CatalogService", "rollout", "maxSurge and maxUnavailable (0 when left out) must not both be 0", "workload: {rollout: {maxSurge: 0}}", "workload: {rollout: {maxSurge: 0, maxUnavailable: 1}}"),
    create("CatalogService", "rollout", "maxSurge and maxUnavailable (0 when left out) must not both be 0", "workload: {rollout: {maxSurge: 0%, maxUnavailable: 0}}", "workload: {rollout: {maxSurge: 0%, maxUnavailable: 10%}}"),
    create("CatalogService", "probe", "set exactly one of httpGet", "workload: {probes: {readiness: {grpc: {}}}}", "workload: {probes: {readiness: {httpGet: null, grpc: {}}}}"),
    create("CatalogService", "probe", "set exactly one of httpGet", "workload: {probes: {startup: {failureThreshold: 30}}}", "workload: {probes: {startup: {tcpSocket: {}, failureThreshold: 30}}}"),
    create("CatalogService", "tracing", "set inject, endpoint or both", "workload: {tracing: {}}", "workload: {tracing: {inject: {language: Java}}}"),
    create("CatalogService", "lifecycle", "preStopSeconds (15 when left out)", "workload: {lifecycle: {preStopSeconds: 30, terminationGracePeriodSeconds: 30}}", "workload: {lifecycle: {preStopSeconds: 30, terminationGracePeriodSeconds: 60}}"),

    create("CatalogService", "lifecycle", "preStopSeconds (15 when left out)", "workload: {lifecycle: {terminationGracePeriodSeconds: 15}}", "workload: {lifecycle: {terminationGracePeriodSeconds: 16}}"),
    create("CatalogService", "lifecycle", "preStopSeconds (15 when left out)", "workload: {lifecycle: {preStopSeconds: 45}}", "workload: {lifecycle: {preStopSeconds: 44}}"),

    // Nodes
    create("CatalogService", "nodes", "nodeGroup may only be set", "nodes: {type: None}", "nodes: {type: None, nodeGroup: null}"),
    create("CatalogService", "nodes", "shared must be set", "nodes: {type: Shared, nodeGroup: null}", "nodes: {type: Shared, nodeGroup: null, shared: {name: general}}"),
    create("CatalogService", "nodeGroup", "min (3 when left out) must not exceed max", "nodes: {nodeGroup: {min: 13}}", "nodes: {nodeGroup: {min: 12}}"),
    create("CatalogService", "nodeGroup", "min (3 when left out) must not exceed max", "nodes: {nodeGroup: {min: null, max: 2}}", "nodes: {nodeGroup: {min: null, max: 3}}"),
    create("CatalogService", "nodeGroup", "desired must lie between", "nodes: {nodeGroup: {desired: 2}}", "nodes: {nodeGroup: {desired: 3}}"),
    create("CatalogService", "nodeGroup", "desired must lie between", "nodes: {nodeGroup: {desired: 13}}", "nodes: {nodeGroup: {desired: 13, max: 15}}"),
    create("CatalogService", "nodeGroup", "desired must lie between", "nodes: {nodeGroup: {min: null, max: null, desired: 10}}", "nodes: {nodeGroup: {min: null, max: null, desired: 9}}"),
    create("CatalogService", "nodeGroup", "releaseVersion belongs to one Kubernetes version", "nodes: {nodeGroup: {releaseVersion: 1.33.1-20260801}}", "nodes: {nodeGroup: {version: '1.33', releaseVersion: 1.33.1-20260801}}"),
    create("CatalogService", "nodeGroup", "releaseVersion is one of another Kubernetes version", "nodes: {nodeGroup: {version: '1.33', releaseVersion: 1.32.1-20260801}}", "nodes: {nodeGroup: {version: '1.33', releaseVersion: 1.33.1-20260801}}"),
    update("CatalogService", "nodeGroup", "version cannot go back", "nodes: {nodeGroup: {version: '1.33'}}", "nodes: {nodeGroup: {version: '1.32'}}", "nodes: {nodeGroup: {version: '1.34'}}"),
    create("CatalogService", "update", "set either maxUnavailable or maxUnavailablePercentage", "nodes: {nodeGroup: {update: {maxUnavailable: 1, maxUnavailablePercentage: 10}}}", "nodes: {nodeGroup: {update: {maxUnavailablePercentage: 10}}}"),

    // Fargate
    create("CatalogService", "nodes", "fargate may only be set", "nodes: {fargate: {}}", "nodes: {type: Fargate, nodeGroup: null, fargate: {}}"),
    create("CatalogService", "spec", "EKS Pod Identity does not reach pods on Fargate", "nodes: {type: Fargate, nodeGroup: null}\nidentity: {type: PodIdentity}", "nodes: {type: Fargate, nodeGroup: null}\nidentity: {type: IRSA}"),
    create("CatalogService", "spec", "Fargate runs no privileged containers", "nodes: {type: Fargate, nodeGroup: null}\nworkload: {securityContext: {privileged: true, allowPrivilegeEscalation: true}}", "nodes: {type: Fargate, nodeGroup: null}\nworkload: {securityContext: {privileged: false}}"),
    create("CatalogService", "spec", "pods on Fargate have no ports at nodes", "nodes: {type: Fargate, nodeGroup: null}\nnetwork: {service: {type: NodePort}}", "nodes: {type: Fargate, nodeGroup: null}\nnetwork: {service: {type: ClusterIP}}"),
    create("CatalogService", "spec", "pods on Fargate have no ports at nodes", "nodes: {type: Fargate, nodeGroup: null}\nnetwork: {exposures: [{name: nodes, type: Service, service: {type: NodePort}}]}", "nodes: {type: Fargate, nodeGroup: null}\nnetwork: {exposures: [{name: nodes, type: Service, service: {type: ClusterIP}}, {name: web, type: Ingress, ingress: {}}]}"),
    create("CatalogService", "spec", "pods on Fargate have no ports at nodes", "nodes: {type: Fargate, nodeGroup: null}\nnetwork: {exposures: [{name: outside, type: Service, service: {type: LoadBalancer, nodePorts: {http: 30080}}}]}", "nodes: {type: Fargate, nodeGroup: null}\nnetwork: {exposures: [{name: outside, type: Service, service: {type: LoadBalancer}}]}"),
    create("Storefront", "frontends", "EKS Pod Identity does not reach pods on Fargate", "frontends: [{name: web, workload: {image: web:1}, nodes: {type: Fargate}, identity: {type: PodIdentity}}]\nroutes: null", "frontends: [{name: web, workload: {image: web:1}, nodes: {type: Fargate}, identity: {type: None}}]\nroutes: null"),
    create("Storefront", "frontends", "Fargate runs no privileged containers", "frontends: [{name: web, workload: {image: web:1, securityContext: {privileged: true, allowPrivilegeEscalation: true}}, nodes: {type: Fargate}}]\nroutes: null", "frontends: [{name: web, workload: {image: web:1}, nodes: {type: Fargate}}]\nroutes: null"),
    create("Storefront", "frontends", "pods on Fargate have no ports at nodes", "frontends: [{name: web, workload: {image: web:1}, nodes: {type: Fargate}, network: {service: {type: NodePort}}}]\nroutes: null", "frontends: [{name: web, workload: {image: web:1}, nodes: {type: Fargate}, network: {service: {type: ClusterIP}}}]\nroutes: null"),

    // Scaling and disruption
    create("CatalogService", "scaling", "fixed must be set", "scaling: {type: Fixed, autoscale: null}", "scaling: {type: Fixed, autoscale: null, fixed: {replicas: 2}}"),
    create("CatalogService", "scaling", "autoscale must be set", "scaling: {type: Fixed, fixed: {replicas: 2}}", "scaling: {type: Fixed, autoscale: null, fixed: {replicas: 2}}"),
    create("CatalogService", "autoscale", "min must not exceed max", "scaling: {autoscale: {min: 41}}", "scaling: {autoscale: {min: 40}}"),
    create("CatalogService", "disruption", "set either minAvailable or maxUnavailable", "disruption: {minAvailable: 2, maxUnavailable: 1}", "disruption: {minAvailable: 50%}"),
    create("CatalogService", "disruption", "set either minAvailable or maxUnavailable", "disruption: {}", "disruption: {maxUnavailable: 1}"),

    // Callers and identity
    create("OrderService", "callers", "set exactly one of service", "callers: [{namespace: shop, cidr: 10.0.0.0/8}]", "callers: [{namespace: shop}, {cidr: 10.0.0.0/8}]"),
    create("OrderService", "cidr", "cidr must be a network", "callers: [{cidr: 10.0.0.300/8}]", "callers: [{cidr: 10.0.0.0/8}]"),
    create("OrderService", "identity", "existing must be set", "identity: {type: Existing}", "identity: {type: Existing, existing: {roleArn: 'arn:aws:iam::123456789012:role/orders'}}"),
    create("OrderService", "identity", "the annotation eks.amazonaws.com/role-arn is not for", "identity: {type: None, serviceAccountAnnotations: {eks.amazonaws.com/role-arn: 'arn:aws:iam::123456789012:role/admin'}}", "identity: {type: None, serviceAccountAnnotations: {example.com/team: orders}}"),
    create("OrderService", "identity", "statements are added to a role", "identity: {type: None, statements: [{actions: ['ses:SendEmail'], resources: ['*']}]}", "identity: {type: IRSA, statements: [{actions: ['ses:SendEmail'], resources: ['*']}]}"),

    // Network
    create("OrderService", "service", "loadBalancer may only be set", "network: {service: {type: NodePort, loadBalancer: {}}}", "network: {service: {type: LoadBalancer, loadBalancer: {}}}"),
    create("OrderService", "service", "nodePorts may only be set", "network: {service: {type: ClusterIP, nodePorts: {http: 30080}}}", "network: {service: {type: NodePort, nodePorts: {http: 30080}}}"),
    update("OrderService", "service", "loadBalancer.class cannot be changed", "network: {service: {type: LoadBalancer}}", "network: {service: {type: LoadBalancer, loadBalancer: {class: eks.amazonaws.com/nlb}}}", "network: {service: {type: LoadBalancer, loadBalancer: {class: service.k8s.aws/nlb}}}"),
    create("OrderService", "sourceRanges", "sourceRanges must be networks", "network: {service: {type: LoadBalancer, loadBalancer: {sourceRanges: [10.0.0.300/8]}}}", "network: {service: {type: LoadBalancer, loadBalancer: {sourceRanges: [10.0.0.0/8]}}}"),

    // Exposures, and what a container may ask for
    create("OrderService", "exposures", "service must be set", "network: {exposures: [{name: a, type: Service}]}", "network: {exposures: [{name: a, type: Service, service: {type: NodePort}}]}"),
    create("OrderService", "exposures", "ingress must be set", "network: {exposures: [{name: a, type: Ingress}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {}}]}"),
    create("OrderService", "exposures", "httpRoute must be set", "network: {exposures: [{name: a, type: Service, service: {type: NodePort}, httpRoute: {parentRefs: [{name: g}]}}]}", "network: {exposures: [{name: a, type: HTTPRoute, httpRoute: {parentRefs: [{name: g}]}}]}"),
    create("OrderService", "exposures", "ports are those of a Service", "network: {exposures: [{name: a, ports: [http], type: Ingress, ingress: {}}]}", "network: {exposures: [{name: a, ports: [http], type: Service, service: {type: NodePort}}]}"),
    create("OrderService", "ingress", "exposure, tls and loadBalancer are for className alb", "network: {exposures: [{name: a, type: Ingress, ingress: {className: nginx, exposure: Internal}}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {className: nginx, trafficFrom: Callers}}]}"),
    create("OrderService", "ingress", "secretName and trafficFrom are for another className", "network: {exposures: [{name: a, type: Ingress, ingress: {trafficFrom: PublicSubnets}}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {className: nginx, trafficFrom: PublicSubnets}}]}"),
    create("OrderService", "ingress", "secretName holds the certificate of hosts", "network: {exposures: [{name: a, type: Ingress, ingress: {className: nginx, secretName: certificate}}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {className: nginx, secretName: certificate, hosts: [shop.example]}}]}"),
    create("OrderService", "ingress", "certificates are found by hosts", "network: {exposures: [{name: a, type: Ingress, ingress: {exposure: Public}}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {exposure: Public, hosts: [shop.example]}}]}"),
    create("OrderService", "ingress", "certificates are found by hosts", "network: {exposures: [{name: a, type: Ingress, ingress: {tls: {type: Discovered}}}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {exposure: Public, tls: {type: None}}}]}"),
    create("OrderService", "ingress", "paths times hosts must not exceed 100", "network: {exposures: [{name: a, type: Ingress, ingress: {hosts: [h0.example, h1.example, h2.example, h3.example, h4.example, h5.example, h6.example, h7.example, h8.example, h9.example], paths: [{path: /0}, {path: /1}, {path: /2}, {path: /3}, {path: /4}, {path: /5}, {path: /6}, {path: /7}, {path: /8}, {path: /9}, {path: /10}]}}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {hosts: [h0.example, h1.example, h2.example, h3.example, h4.example, h5.example, h6.example, h7.example, h8.example, h9.example], paths: [{path: /0}, {path: /1}, {path: /2}, {path: /3}, {path: /4}, {path: /5}, {path: /6}, {path: /7}, {path: /8}, {path: /9}]}}]}"),
    create("OrderService", "ingress", "paths times hosts must not exceed 100", "network: {exposures: [{name: a, type: Ingress, ingress: {hosts: [h0.example, h1.example, h2.example, h3.example, h4.example, h5.example, h6.example, h7.example, h8.example, h9.example], paths: [{path: /0}, {path: /1}, {path: /2}, {path: /3}, {path: /4}, {path: /5}, {path: /6}, {path: /7}, {path: /8}, {path: /9}, {path: /10}]}}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {className: nginx, hosts: [h0.example, h1.example, h2.example, h3.example, h4.example, h5.example, h6.example, h7.example, h8.example, h9.example], paths: [{path: /0}, {path: /1}, {path: /2}, {path: /3}, {path: /4}, {path: /5}, {path: /6}, {path: /7}, {path: /8}, {path: /9}, {path: /10}]}}]}"),
    create("OrderService", "paths", "a path of type Prefix may have 126", "network: {exposures: [{name: a, type: Ingress, ingress: {paths: [{path: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}]}}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {paths: [{pathType: Exact, path: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}]}}]}"),
    create("OrderService", "paths", "path must not contain //", "network: {exposures: [{name: a, type: Ingress, ingress: {paths: [{path: /a//b}]}}]}", "network: {exposures: [{name: a, type: Ingress, ingress: {paths: [{path: /a/.b}]}}]}"),
    create("OrderService", "attributes", "an attribute must not hold a comma", "network: {service: {type: LoadBalancer, loadBalancer: {attributes: {a.b: 'x,y'}}}}", "network: {service: {type: LoadBalancer, loadBalancer: {attributes: {a.b: x}}}}"),
    create("OrderService", "ports", "two ports have the same containerPort", "workload: {ports: [{name: http, containerPort: 80}, {name: b, containerPort: 80, servicePort: 81}]}", "workload: {ports: [{name: http, containerPort: 80}, {name: b, containerPort: 80, servicePort: 80, protocol: UDP}]}"),
    create("OrderService", "ports", "two ports have the same servicePort", "workload: {ports: [{name: http, containerPort: 8080}, {name: b, containerPort: 80}]}", "workload: {ports: [{name: http, containerPort: 8080, servicePort: 8080}, {name: b, containerPort: 80}]}"),
    create("OrderService", "resources", "requests.cpu is more than limits.cpu", "workload: {resources: {requests: {cpu: 2, memory: 1Mi}, limits: {cpu: 1500m, memory: 1Mi}}}", "workload: {resources: {requests: {cpu: 1500m, memory: 1Mi}, limits: {cpu: 2, memory: 1Mi}}}"),
    create("OrderService", "resources", "requests.memory is more than", "workload: {resources: {requests: {memory: 1Gi}, limits: {memory: 1000Mi}}}", "workload: {resources: {requests: {memory: 1G}, limits: {memory: 1Gi}}}"),
    create("OrderService", "resources", "requests.ephemeral-storage is more than", "workload: {resources: {requests: {ephemeral-storage: 2, memory: 1Mi}, limits: {ephemeral-storage: 1, memory: 1Mi}}}", "workload: {resources: {requests: {ephemeral-storage: 2, memory: 1Mi}, limits: {ephemeral-storage: 2, memory: 1Mi}}}"),

    // External
    create("OrderService", "external", "set host, or name the entry", "external: [{name: db, type: PostgreSQL}]", "external: [{name: db, type: PostgreSQL, host: db.example}]"),
    create("OrderService", "external", "set host, or name the entry", "external: [{name: db, type: PostgreSQL, secretRef: {name: db}, keys: {password: p}}]", "external: [{name: db, type: PostgreSQL, secretRef: {name: db}, keys: {uri: url}}]"),
    create("OrderService", "external", "keys name entries of a Secret", "external: [{name: db, type: PostgreSQL, host: db.example, keys: {password: p}}]", "external: [{name: db, type: PostgreSQL, host: db.example, secretRef: {name: db}, keys: {password: p}}]"),
    create("OrderService", "keys", "name at least one entry", "external: [{name: db, type: PostgreSQL, host: db.example, secretRef: {name: db}, keys: {}}]", "external: [{name: db, type: PostgreSQL, host: db.example, secretRef: {name: db}}]"),
    update("OrderService", "type", "type cannot be changed", "external: [{name: db, type: PostgreSQL, host: db.example}]", "external: [{name: db, type: MySQL, host: db.example}]", "external: [{name: db, type: PostgreSQL, host: other.example}]"),
    create("OrderService", "spec", "bindings[].resource must be declared here: one of database", "bindings: [{resource: external.db}]", "{bindings: [{resource: external.db}], external: [{name: db, type: PostgreSQL, host: db.example}]}"),
    create("CatalogService", "spec", "bindings[].resource must be declared here: one of products", "bindings: [{resource: external.db}]", "{bindings: [{resource: external.db}], external: [{name: db, type: PostgreSQL, host: db.example}]}"),
    create("Storefront", "frontends", "bindings[].resource of a frontend must be external", "frontends: [{name: web, workload: {image: web:1}, bindings: [{resource: external.db}]}]\nroutes: null", "frontends: [{name: web, workload: {image: web:1}, external: [{name: db, type: Redis, host: db.example}], bindings: [{resource: external.db}]}]\nroutes: null"),

    // CatalogService
    create("CatalogService", "spec", "bindings[].resource must be declared here: one of products", "media: null", "{media: null, bindings: [{resource: products}]}"),
    create("CatalogService", "spec", "bindings[].resource must be declared here: one of products", "bindings: [{resource: tables.reviews}]", "{bindings: [{resource: tables.reviews}], tables: [{name: reviews, table: {keys: {partition: {name: id, type: String}}}}]}"),
    update("CatalogService", "keys", "keys are immutable", "{}", "products: {keys: {sort: {name: shop, type: String}}}", "{}"),
    update("CatalogService", "table", "localIndexes can only be set when the table is made", "products: {keys: {sort: {name: shop, type: String}}}", "products: {keys: {sort: {name: shop, type: String}}, localIndexes: [{name: by-price, sort: {name: price, type: Number}}]}", "products: {keys: {sort: {name: shop, type: String}}}"),
    create("CatalogService", "table", "localIndexes need a table with a sort key", "products: {localIndexes: [{name: by-price, sort: {name: price, type: Number}}]}", "products: {keys: {sort: {name: shop, type: String}}, localIndexes: [{name: by-price, sort: {name: price, type: Number}}]}"),
    create("CatalogService", "table", "recoveryPeriodDays needs pointInTimeRecovery", "products: {pointInTimeRecovery: Disabled, recoveryPeriodDays: 7}", "products: {recoveryPeriodDays: 7}"),
    update("CatalogService", "table", "tableName is immutable", "products: {tableName: octank-products}", "products: {tableName: other}", "products: {tableName: octank-products}"),
    update("CatalogService", "table", "tableName is immutable", "{}", "products: {tableName: octank-products}", "{}"),
    create("CatalogService", "table", "indexes[].provisioned needs a table of provisioned capacity", "products: {indexes: [{name: by-shop, partition: {name: shop, type: String}, provisioned: {read: 5, write: 5}}]}", "products: {capacity: {type: Provisioned, provisioned: {read: 5, write: 5}}, indexes: [{name: by-shop, partition: {name: shop, type: String}, provisioned: {read: 5, write: 5}}]}"),
    update("CatalogService", "indexes", "keys and projection of an index are immutable", "{}", "products: {indexes: [{name: by-category, partition: {name: kind, type: String}}]}", "products: {indexes: [{name: by-category, partition: {name: category, type: String}, sort: {name: price, type: Number}}, {name: by-kind, partition: {name: kind, type: String}}]}"),
    create("CatalogService", "projection", "attributes must be set", "products: {indexes: [{name: by-shop, partition: {name: shop, type: String}, projection: {type: Include}}]}", "products: {indexes: [{name: by-shop, partition: {name: shop, type: String}, projection: {type: Include, attributes: [price]}}]}"),
    create("CatalogService", "capacity", "provisioned must be set", "products: {capacity: {type: Provisioned}}", "products: {capacity: {type: Provisioned, provisioned: {read: 5, write: 5}}}"),
    create("CatalogService", "provisioned", "reads need either", "products: {capacity: {type: Provisioned, provisioned: {write: 5}}}", "products: {capacity: {type: Provisioned, provisioned: {write: 5, autoscale: {read: {min: 5, max: 50}}}}}"),
    create("CatalogService", "provisioned", "reads need either", "products: {capacity: {type: Provisioned, provisioned: {read: 5, write: 5, autoscale: {read: {min: 5, max: 50}}}}}", "products: {capacity: {type: Provisioned, provisioned: {read: 5, write: 5}}}"),
    create("CatalogService", "provisioned", "writes need either", "products: {capacity: {type: Provisioned, provisioned: {read: 5, autoscale: {}}}}", "products: {capacity: {type: Provisioned, provisioned: {read: 5, autoscale: {write: {min: 5, max: 50}}}}}"),
    create("CatalogService", "provisioned", "writes need either", "products: {capacity: {type: Provisioned, provisioned: {write: 5, autoscale: {read: {min: 5, max: 50}, write: {min: 5, max: 50}}}}}", "products: {capacity: {type: Provisioned, provisioned: {autoscale: {read: {min: 5, max: 50}, write: {min: 5, max: 50}}}}}"),
    create("CatalogService", "read", "min must not exceed max", "products: {capacity: {type: Provisioned, provisioned: {write: 5, autoscale: {read: {min: 51, max: 50}}}}}", "products: {capacity: {type: Provisioned, provisioned: {write: 5, autoscale: {read: {min: 50, max: 50}}}}}"),
    create("CatalogService", "write", "min must not exceed max", "products: {capacity: {type: Provisioned, provisioned: {read: 5, autoscale: {write: {min: 51, max: 50}}}}}", "products: {capacity: {type: Provisioned, provisioned: {read: 5, autoscale: {write: {min: 50, max: 50}}}}}"),
    create("CatalogService", "capacity", "onDemand may only be set", "products: {capacity: {type: Provisioned, provisioned: {read: 5, write: 5}, onDemand: {maxRead: 10}}}", "products: {capacity: {onDemand: {maxRead: 10}}}"),
    update("CatalogService", "warmThroughput", "warmThroughput can only grow", "products: {warmThroughput: {read: 20000, write: 5000}}", "products: {warmThroughput: {read: 12000, write: 5000}}", "products: {warmThroughput: {read: 30000, write: 5000}}"),
    create("CatalogService", "cache", "multiAZ Enabled needs a replica", "cache: {multiAZ: Enabled, replicas: 0}", "cache: {multiAZ: Enabled, replicas: 1}"),
    update("CatalogService", "cache", "engine can only change from Redis to Valkey", "{}", "cache: {engine: Redis}", "{}"),
    create("CatalogService", "cache", "snapshotWindow needs snapshotRetentionDays", "cache: {snapshotWindow: '02:00-03:00', snapshotRetentionDays: 0}", "cache: {snapshotWindow: '02:00-03:00', snapshotRetentionDays: 1}"),
    create("CatalogService", "cache", "users need transitEncryption Required", "cache: {users: [{name: app}], transitEncryption: Preferred}", "cache: {users: [{name: app}], transitEncryption: Required}"),
    create("CatalogService", "cache", "users need Redis 6.0 or later", "cache: {engine: Redis, version: '5.0.6', users: [{name: app, authentication: Password}]}", "cache: {engine: Redis, version: '6.2', users: [{name: app, authentication: Password}]}"),
    create("CatalogService", "cache", "users[].authentication IAM needs Redis 7.0 or later", "cache: {engine: Redis, version: '6.2', users: [{name: app}]}", "cache: {engine: Redis, version: '7.1', users: [{name: app}]}"),
    create("CatalogService", "cache", "users[].name cannot be default", "cache: {users: [{name: default}]}", "cache: {users: [{name: app}]}"),
    create("CatalogService", "cache", "applicationUser must name a member of users", "cache: {users: [{name: app}], applicationUser: other}", "cache: {users: [{name: app}], applicationUser: app}"),
    create("CatalogService", "cache", "applicationUser must be set where there are several users", "cache: {users: [{name: app}, {name: reports}]}", "cache: {users: [{name: app}, {name: reports}], applicationUser: app}"),
    create("CatalogService", "spec", "identity.type None cannot sign tokens for a cache", "{identity: {type: None}, cache: {users: [{name: app}]}}", "{identity: {type: None}, cache: {users: [{name: app, authentication: Password}, {name: reports}], applicationUser: app}}"),
    create("CatalogService", "media", "deepArchiveAfterInactiveDays must be more", "media: {deepArchiveAfterInactiveDays: 180}", "media: {deepArchiveAfterInactiveDays: 365}"),
    create("CatalogService", "media", "bucketName must not have two dots in a row", "media: {bucketName: octank..media}", "media: {bucketName: octank.media}"),
    create("CatalogService", "media", "bucketName must not have two dots in a row", "media: {bucketName: 192.168.5.4}", "media: {bucketName: 192.168.5.4.media}"),
    create("CatalogService", "media", "bucketName must not begin", "media: {bucketName: xn--octank-media}", "media: {bucketName: octank-media}"),
    create("CatalogService", "media", "bucketName must not begin", "media: {bucketName: sthree-octank-media}", "media: {bucketName: octank-sthree-media}"),
    create("CatalogService", "media", "bucketName must not begin", "media: {bucketName: amzn-s3-demo-octank}", "media: {bucketName: octank-amzn-s3-demo}"),
    create("CatalogService", "media", "bucketName must not begin", "media: {bucketName: octank-media-s3alias}", "media: {bucketName: octank-s3alias-media}"),
    create("CatalogService", "media", "bucketName must not begin", "media: {bucketName: octank-media--ol-s3}", "media: {bucketName: octank-media-ol-s3}"),
    create("CatalogService", "media", "bucketName must not begin", "media: {bucketName: octank-media.mrap}", "media: {bucketName: octank-media-mrap}"),
    create("CatalogService", "media", "bucketName must not begin", "media: {bucketName: octank-media--x-s3}", "media: {bucketName: octank-media-x-s3}"),
    create("CatalogService", "media", "bucketName must not begin", "media: {bucketName: octank-media--table-s3}", "media: {bucketName: octank-media-table-s3}"),
    update("CatalogService", "media", "bucketName is immutable", "media: {bucketName: octank-media}", "media: {bucketName: other-media}", "media: {bucketName: octank-media}"),

    // OrderService
    create("OrderService", "spec", "bindings[].resource must be declared here: one of database", "notifications: null", "{notifications: null, bindings: [{resource: database}]}"),
    create("OrderService", "database", "rds must be set", "database: {rds: null}", "{}"),
    update("OrderService", "rds", "storage can only grow", "{}", "database: {rds: {storage: 199Gi}}", "database: {rds: {storage: 1Ti}}"),
    create("OrderService", "rds", "maxStorage must be more than storage", "database: {rds: {maxStorage: 200Gi}}", "database: {rds: {maxStorage: 1Ti}}"),
    create("OrderService", "rds", "storageType io2 needs iops", "database: {rds: {storageType: io2}}", "database: {rds: {storageType: io2, iops: 4000}}"),
    create("OrderService", "rds", "storage must be 20Gi or more", "database: {rds: {storage: 19Gi}}", "database: {rds: {storage: 20Gi}}"),
    create("OrderService", "rds", "iops of a gp3 volume below 400Gi are fixed", "database: {rds: {iops: 12000}}", "database: {rds: {iops: 12000, storage: 400Gi}}"),
    create("OrderService", "rds", "version needs two numbers", "database: {rds: {engine: MySQL, version: '8'}}", "database: {rds: {engine: MySQL, version: '8.4'}}"),
    update("OrderService", "engine", "engine is immutable", "{}", "database: {rds: {engine: MySQL}}", "{}"),
    update("OrderService", "rds", "databaseName is immutable", "{}", "database: {rds: {databaseName: shop}}", "{}"),
    update("OrderService", "rds", "username is immutable", "database: {rds: {username: shop}}", "database: {rds: {username: other}}", "database: {rds: {username: shop}}"),
    update("OrderService", "rds", "identifier is immutable", "database: {rds: {identifier: shop}}", "{}", "database: {rds: {identifier: shop}}"),
    create("OrderService", "notifications", "all topics together may have 256 subscribers", concat!(topics!(), "[{type: SMS, sms: '+15550100'}]}]}"), concat!(topics!(), "[]}]}")),
    create("OrderService", "notifications", "subscribers[].queue must name a member of queues", "notifications: {queues: null}", "{}"),
    create("OrderService", "notifications", "a FIFO queue can only hear a FIFO topic", "notifications: {queues: [{name: fulfilment, type: FIFO}]}", "notifications: {topics: [{name: buy, type: FIFO, subscribers: [{type: Queue, queue: fulfilment}]}], queues: [{name: fulfilment, type: FIFO}]}"),
    update("OrderService", "topics", "type is immutable", "notifications: {topics: [{name: sell}]}", "notifications: {topics: [{name: sell, type: FIFO}]}", "notifications: {topics: [{name: sell, type: Standard}, {name: sell-fifo, type: FIFO}]}"),
    create("OrderService", "topics", "a FIFO topic delivers to queues only", "notifications: {topics: [{name: sell, type: FIFO, subscribers: [{type: SMS, sms: '+15550100'}]}]}", "notifications: {topics: [{name: sell, type: FIFO, subscribers: [{type: Queue, queue: fulfilment}]}]}"),
    create("OrderService", "topics", "deadLetterRetentionSeconds is for a topic that has dead letters", "notifications: {topics: [{name: sell, deadLetters: Disabled, deadLetterRetentionSeconds: 600}]}", "notifications: {topics: [{name: sell, deadLetters: Enabled, deadLetterRetentionSeconds: 600}, {name: ship, deadLetters: Disabled}, {name: pay, deadLetterRetentionSeconds: 600}]}"),
    update("OrderService", "queues", "type is immutable", "{}", "notifications: {queues: [{name: fulfilment, type: FIFO}], topics: null}", "notifications: {queues: [{name: fulfilment, type: Standard}]}"),
    create("OrderService", "subscribers", "queue must be set", "notifications: {topics: [{name: sell, subscribers: [{type: Queue}]}]}", "notifications: {topics: [{name: sell, subscribers: [{type: Queue, queue: fulfilment}]}]}"),
    create("OrderService", "subscribers", "email must be set", "notifications: {topics: [{name: sell, subscribers: [{type: Email}]}]}", "notifications: {topics: [{name: sell, subscribers: [{type: Email, email: a@octank.example}]}]}"),
    create("OrderService", "subscribers", "sms must be set", "notifications: {topics: [{name: sell, subscribers: [{type: SMS}]}]}", "notifications: {topics: [{name: sell, subscribers: [{type: SMS, sms: '+15550100'}]}]}"),
    create("OrderService", "subscribers", "https must be set", "notifications: {topics: [{name: sell, subscribers: [{type: HTTPS}]}]}", "notifications: {topics: [{name: sell, subscribers: [{type: HTTPS, https: 'https://hook.octank.example/sell', raw: Enabled}]}]}"),
    create("OrderService", "subscribers", "push must be set", "notifications: {topics: [{name: sell, subscribers: [{type: Push}]}]}", "notifications: {topics: [{name: sell, subscribers: [{type: Push, push: 'arn:aws:sns:eu-west-1:123456789012:endpoint/GCM/app/1'}]}]}"),
    create("OrderService", "subscribers", "raw is only known", "notifications: {topics: [{name: sell, subscribers: [{type: SMS, sms: '+15550100', raw: Enabled}]}]}", "notifications: {topics: [{name: sell, subscribers: [{type: Queue, queue: fulfilment, raw: Enabled}]}]}"),

    // Storefront
    create("Storefront", "spec", "routes[].frontend must name a member of frontends", "routes: [{path: /, frontend: shop}]", "routes: [{path: /, frontend: web}]"),
    create("Storefront", "spec", "routes[].frontend must not be Internal", "routes: [{path: /, frontend: back-office}]", "routes: [{path: /, frontend: web}]"),
    create("Storefront", "spec", "routes need hosts", "hosts: null", "{hosts: null, tls: {type: None}}"),
    create("Storefront", "spec", "routes need hosts", "hosts: null", "{hosts: null, gateway: {parentRefs: [{name: shared}]}}"),
    create("Storefront", "spec", "gateway serves the routes", "{routes: null, gateway: {parentRefs: [{name: shared}]}}", "gateway: {parentRefs: [{name: shared}]}"),
    create("Storefront", "spec", "loadBalancerGroups.public shares", "{loadBalancerGroups: {public: shop}, gateway: {parentRefs: [{name: shared}]}}", "loadBalancerGroups: {public: shop}"),
    create("Storefront", "spec", "loadBalancerGroups.public shares", "{loadBalancerGroups: {public: shop}, routes: null}", "{loadBalancerGroups: {internal: staff}, routes: null}"),
    create("Storefront", "spec", "loadBalancerGroups.internal shares", "{loadBalancerGroups: {internal: staff}, frontends: [{name: web, workload: {image: web:1}}]}", "loadBalancerGroups: {internal: staff, order: 10}"),
    create("Storefront", "loadBalancerGroups", "loadBalancerGroups needs a name", "loadBalancerGroups: {order: 10}", "loadBalancerGroups: {public: shop, order: 10}"),
    create("Storefront", "loadBalancerGroups", "public and internal must be two names", "loadBalancerGroups: {public: shop, internal: shop}", "loadBalancerGroups: {public: shop, internal: shop-internal}"),
    create("Storefront", "spec", "routes times hosts must not exceed 100", "{hosts: [a.io, b.io, c.io, d.io, e.io, f.io, g.io, h.io, i.io, j.io, k.io, l.io, m.io], routes: [{path: /a, frontend: web}, {path: /b, frontend: web}, {path: /c, frontend: web}, {path: /d, frontend: web}, {path: /e, frontend: web}, {path: /f, frontend: web}, {path: /g, frontend: web}, {path: /h, frontend: web}]}", "{hosts: [a.io, b.io, c.io, d.io, e.io, f.io, g.io, h.io, i.io, j.io, k.io, l.io], routes: [{path: /a, frontend: web}, {path: /b, frontend: web}, {path: /c, frontend: web}, {path: /d, frontend: web}, {path: /e, frontend: web}, {path: /f, frontend: web}, {path: /g, frontend: web}, {path: /h, frontend: web}]}"),
    create("Storefront", "spec", "routes times hosts must not exceed 100", "{hosts: [a.io, b.io, c.io, d.io, e.io, f.io, g.io, h.io, i.io, j.io, k.io, l.io, m.io], routes: [{path: /a, frontend: web}, {path: /b, frontend: web}, {path: /c, frontend: web}, {path: /d, frontend: web}, {path: /e, frontend: web}, {path: /f, frontend: web}, {path: /g, frontend: web}, {path: /h, frontend: web}]}", "{gateway: {parentRefs: [{name: shared}]}, hosts: [a.io, b.io, c.io, d.io, e.io, f.io, g.io, h.io, i.io, j.io, k.io, l.io, m.io], routes: [{path: /a, frontend: web}, {path: /b, frontend: web}, {path: /c, frontend: web}, {path: /d, frontend: web}, {path: /e, frontend: web}, {path: /f, frontend: web}, {path: /g, frontend: web}, {path: /h, frontend: web}]}"),
    create("Storefront", "routes", "a path of type Prefix may have 126 characters", "routes: [{path: /0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456, frontend: web}]", "routes: [{path: /0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456, pathType: Exact, frontend: web}]"),
    create("Storefront", "routes", "path must not contain //", "routes: [{path: /orders//new, frontend: web}]", "routes: [{path: /orders/new, frontend: web}]"),
    create("Storefront", "routes", "path must not contain //", "routes: [{path: /orders/.., frontend: web}]", "routes: [{path: /orders/..new, frontend: web}]"),
    create("Storefront", "routes", "set either service or frontend", "routes: [{path: /, frontend: web, service: {kind: OrderService, name: orders}}]", "routes: [{path: /, frontend: web}, {path: /orders, service: {kind: OrderService, name: orders}}]"),
    create("Storefront", "frontends", "hosts of a frontend are those of its internal load balancer", "frontends: [{name: web, hosts: [www.octank.example], workload: {image: web:1}}]", "frontends: [{name: web, exposure: Internal, hosts: [staff.octank.example], workload: {image: web:1, ports: [{name: http, containerPort: 8080}]}}]\nroutes: null"),
    create("Storefront", "frontends", "an Internal frontend must not be reached from the internet", "{routes: null, gateway: null, frontends: [{name: office, exposure: Internal, workload: {image: registry.example/any:1, ports: [{name: http, containerPort: 8080}]}, network: {service: {type: LoadBalancer, loadBalancer: {exposure: Public}}}}]}", "{routes: null, gateway: null, frontends: [{name: office, exposure: Internal, workload: {image: registry.example/any:1, ports: [{name: http, containerPort: 8080}]}, network: {service: {type: LoadBalancer, loadBalancer: {exposure: Internal}}}}]}"),
    create("Storefront", "frontends", "an Internal frontend must not be reached from the internet", "{routes: null, gateway: null, frontends: [{name: office, exposure: Internal, workload: {image: registry.example/any:1, ports: [{name: http, containerPort: 8080}]}, network: {exposures: [{name: a, type: Service, service: {type: LoadBalancer, loadBalancer: {exposure: Public}}}]}}]}", "{routes: null, gateway: null, frontends: [{name: office, exposure: Internal, workload: {image: registry.example/any:1, ports: [{name: http, containerPort: 8080}]}, network: {exposures: [{name: a, type: Service, service: {type: LoadBalancer}}]}}]}"),
    create("Storefront", "frontends", "an Internal frontend must not be reached from the internet", "{routes: null, gateway: null, frontends: [{name: office, exposure: Internal, workload: {image: registry.example/any:1, ports: [{name: http, containerPort: 8080}]}, network: {exposures: [{name: a, type: Ingress, ingress: {exposure: Public, hosts: [a.io]}}]}}]}", "{routes: null, gateway: null, frontends: [{name: office, exposure: Internal, workload: {image: registry.example/any:1, ports: [{name: http, containerPort: 8080}]}, network: {exposures: [{name: a, type: Ingress, ingress: {hosts: [a.io]}}]}}]}"),
    create("Storefront", "frontends", "an Internal frontend must not be reached from the internet", "{routes: null, gateway: null, frontends: [{name: office, exposure: Internal, workload: {image: registry.example/any:1, ports: [{name: http, containerPort: 8080}]}, network: {exposures: [{name: a, type: HTTPRoute, httpRoute: {parentRefs: [{name: b}]}}]}}]}", "{routes: null, gateway: null, frontends: [{name: office, exposure: Internal, workload: {image: registry.example/any:1, ports: [{name: http, containerPort: 8080}]}, network: {exposures: [{name: a, type: HTTPRoute, httpRoute: {parentRefs: [{name: b}], trafficFrom: PrivateSubnets}}]}}]}"),
    create("Storefront", "frontends", "the load balancer of an Internal frontend leads to", "frontends: [{name: web, exposure: Internal, workload: {image: web:1}}]\nroutes: null", "frontends: [{name: web, exposure: Public, workload: {image: web:1}}]\nroutes: null"),
    create("Storefront", "frontends", "callers, network.exposures and", "frontends: [{name: web, callers: [{namespace: staff}], workload: {image: web:1}}]", "frontends: [{name: web, callers: [{namespace: staff}], workload: {image: web:1, ports: [{name: http, containerPort: 8080}]}}]"),
    create("Storefront", "tls", "existing must be set", "tls: {type: Existing}", "tls: {type: Existing, existing: {certificateArns: ['arn:aws:acm:eu-west-1:123456789012:certificate/1']}}"),
    create("Storefront", "tls", "policy has no meaning", "tls: {type: None, policy: ELBSecurityPolicy-TLS13-1-2-2021-06}", "tls: {type: Discovered, policy: ELBSecurityPolicy-TLS13-1-2-2021-06}"),
];
