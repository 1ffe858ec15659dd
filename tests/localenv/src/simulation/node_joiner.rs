//! Keeps the nodes of each managed node group as EKS and its Auto Scaling group do.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};

use super::node_groups::{self, NodeGroup, Phase};
use super::nodes;
use super::subnets::SubnetZones;
use crate::aws_double::AwsControl;

/// The shortest pause between two looks at the node groups.
const PAUSE: Duration = Duration::from_millis(300);

/// A look is followed by a pause this many times as long, so that the simulation takes a small part of the double's
/// time however many groups there are.
const PAUSE_FACTOR: u32 = 10;

/// Joins nodes for node groups, and drains and removes them.
pub(super) struct NodeJoiner {
    client: Client,
    control: AwsControl,
    zones: SubnetZones,
    next_address: u16,
    /// Whether the double knows that nodes are played.
    takes_part: bool,
}

impl NodeJoiner {
    pub(super) fn new(client: Client, endpoint: &str) -> Self {
        let (control, zones) = (AwsControl::new(endpoint), SubnetZones::new(endpoint));
        // Above the addresses of the base nodes.
        Self {
            client,
            control,
            zones,
            next_address: 0x0100,
            takes_part: false,
        }
    }

    /// Runs until it is dropped. What fails is tried again in the next round: the API server may be restarting.
    pub(super) async fn run(mut self) {
        loop {
            let began = Instant::now();
            if let Err(problem) = self.round().await {
                tracing::debug!(
                    problem = format!("{problem:#}"),
                    "node groups are looked at again"
                );
            }
            tokio::time::sleep((began.elapsed() * PAUSE_FACTOR).clamp(PAUSE, PAUSE * 30)).await;
        }
    }

    async fn round(&mut self) -> Result<()> {
        if !self.takes_part {
            node_groups::take_part(&self.control).await?;
            self.takes_part = true;
        }
        let groups = node_groups::list(&self.control).await?;
        let api: Api<Node> = Api::all(self.client.clone());
        let mut members: HashMap<String, Vec<Node>> = HashMap::new();
        for node in api
            .list(&ListParams::default().labels(nodes::GROUP_LABEL))
            .await?
        {
            if let Some(key) = nodes::group_key(&node) {
                members.entry(key.to_owned()).or_default().push(node);
            }
        }
        for group in &groups {
            let members = members.remove(&group.key).unwrap_or_default();
            // One that cannot be played (labels that no node may have) must not keep the nodes of the others away.
            if let Err(error) = self.keep(&api, group, members).await {
                tracing::warn!(group = %group.key, error = format!("{error:#}"), "its nodes are not played");
            }
        }
        // Whatever is left belongs to groups that are gone, and so are their instances.
        for node in members.into_values().flatten() {
            self.remove(&api, &node).await?;
        }
        Ok(())
    }

    async fn keep(&mut self, api: &Api<Node>, group: &NodeGroup, members: Vec<Node>) -> Result<()> {
        let (terminating, staying): (Vec<Node>, Vec<Node>) =
            members.into_iter().partition(nodes::is_terminating);
        for node in &terminating {
            self.drain(api, node).await?;
        }
        match group.phase {
            Phase::Creating => Ok(()),
            Phase::Deleting => self.terminate(api, &staying).await,
            Phase::Running => {
                if let Some(update) = &group.rollout
                    && terminating.is_empty()
                    && is_complete(group, &staying)
                {
                    node_groups::replaced(&self.control, group, update).await?;
                }
                self.scale(api, group, staying).await
            }
        }
    }

    async fn scale(
        &mut self,
        api: &Api<Node>,
        group: &NodeGroup,
        mut staying: Vec<Node>,
    ) -> Result<()> {
        for node in &staying {
            if let Some(changes) = nodes::changes_from_group(node, group) {
                api.patch(
                    &node.name_any(),
                    &PatchParams::default(),
                    &Patch::Merge(changes),
                )
                .await?;
            }
        }
        let outdated = staying
            .iter()
            .filter(|node| nodes::is_outdated(node, group))
            .count();
        // EKS starts the replacements first, as many at a time as may be unavailable.
        let wanted = group.desired + outdated.min(group.max_unavailable);
        let zones = self.zones.of(&group.subnets).await;
        while staying.len() < wanted {
            let zone = emptiest(&zones, &staying);
            let node = nodes::node_of(group, self.next_address, zone)?;
            self.next_address = self.next_address.wrapping_add(1);
            staying.push(api.create(&PostParams::default(), &node).await?);
        }
        let surplus = staying.len().saturating_sub(group.desired);
        let fresh_are_ready = staying
            .iter()
            .all(|node| nodes::is_outdated(node, group) || nodes::is_ready(node));
        if surplus == 0 || (outdated > 0 && !fresh_are_ready) {
            return Ok(());
        }
        // Auto Scaling ends instances of an old template first, then in the fullest zone, then the oldest.
        let mut leaving = Vec::new();
        for _ in 0..surplus {
            let choice = staying.iter().enumerate().max_by_key(|(_, node)| {
                let in_zone = staying
                    .iter()
                    .filter(|other| nodes::zone_of(other) == nodes::zone_of(node))
                    .count();
                (
                    nodes::is_outdated(node, group),
                    in_zone,
                    std::cmp::Reverse(node.creation_timestamp()),
                )
            });
            let Some((index, _)) = choice else { break };
            leaving.push(staying.swap_remove(index));
        }
        self.terminate(api, &leaving).await
    }

    async fn terminate(&self, api: &Api<Node>, leaving: &[Node]) -> Result<()> {
        for node in leaving {
            api.patch(
                &node.name_any(),
                &PatchParams::default(),
                &Patch::Merge(nodes::termination()),
            )
            .await?;
            self.drain(api, node).await?;
        }
        Ok(())
    }

    /// Evicts what runs on the node, as far as disruption budgets let it now; removes the node once it is empty.
    async fn drain(&self, api: &Api<Node>, node: &Node) -> Result<()> {
        let mut empty = true;
        for pod in self.pods_on(node).await? {
            let is_daemon = pod
                .owner_references()
                .iter()
                .any(|owner| owner.kind == "DaemonSet");
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            if is_daemon || matches!(phase, Some("Succeeded" | "Failed")) {
                continue;
            }
            empty = false;
            if pod.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let pods: Api<Pod> =
                Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
            match pods.evict(&pod.name_any(), &EvictParams::default()).await {
                Ok(_) => (),
                // A disruption budget holds it (429), or it went by itself.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 429) => (),
                Err(error) => return Err(error).context("cannot evict a pod"),
            }
        }
        if empty {
            self.remove(api, node).await
        } else {
            Ok(())
        }
    }

    /// Ends the instance: its pods end with it, budget or not.
    async fn remove(&self, api: &Api<Node>, node: &Node) -> Result<()> {
        for pod in self.pods_on(node).await? {
            let pods: Api<Pod> =
                Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
            unless_gone(
                pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0))
                    .await,
            )?;
        }
        unless_gone(api.delete(&node.name_any(), &DeleteParams::default()).await)
    }

    async fn pods_on(&self, node: &Node) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let on_node = ListParams::default().fields(&format!("spec.nodeName={}", node.name_any()));
        Ok(pods.list(&on_node).await?.items)
    }
}

fn unless_gone<T>(result: kube::Result<T>) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a group has all the nodes it wants, each of its template and ready.
fn is_complete(group: &NodeGroup, staying: &[Node]) -> bool {
    staying.len() == group.desired
        && staying
            .iter()
            .all(|node| !nodes::is_outdated(node, group) && nodes::is_ready(node))
}

/// The zone with the fewest of these nodes, the first of them.
fn emptiest<'a>(zones: &'a [String], nodes: &[Node]) -> &'a str {
    let count = |zone: &str| {
        nodes
            .iter()
            .filter(|node| nodes::zone_of(node) == Some(zone))
            .count()
    };
    zones
        .iter()
        .min_by_key(|zone| count(zone))
        .map_or("", String::as_str)
}
