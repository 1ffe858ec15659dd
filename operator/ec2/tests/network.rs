//! The network of a seeded account, against the double.

#![allow(clippy::unwrap_used)]

#[path = "../../aws/tests/double/mod.rs"]
mod double;

use double::Double;
use shopkeeper_ec2::{Network, Selector};
use shopkeeper_plan::failure::Class;

fn ids(ids: &[&str]) -> Selector {
    Selector::Ids(ids.iter().map(|id| (*id).to_owned()).collect())
}

fn tags(tags: &[(&str, &str)]) -> Selector {
    Selector::Tags(
        tags.iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    )
}

#[tokio::test]
async fn a_vpc_is_found_by_id_and_by_tags() {
    let (double, seed) = Double::start_seeded();
    let network = Network::new(&double.account());
    let by_id = network.find_vpcs(&ids(&[seed.vpc()])).await.unwrap();
    assert_eq!(by_id.len(), 1);
    assert_eq!(
        (by_id[0].id.as_str(), by_id[0].cidr.as_str()),
        (seed.vpc(), "10.0.0.0/16")
    );
    assert_eq!(
        network
            .find_vpcs(&tags(&[("Name", "octank")]))
            .await
            .unwrap(),
        by_id
    );
    assert_eq!(
        network.find_vpcs(&tags(&[("Name", "oct*")])).await.unwrap(),
        []
    );
    assert_eq!(
        network
            .find_vpcs(&ids(&["vpc-0123456789abcdef0"]))
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn subnets_are_found_by_id_and_by_tags_in_the_order_of_their_zones() {
    let (double, seed) = Double::start_seeded();
    let network = Network::new(&double.account());
    let private = network
        .find_subnets(seed.vpc(), &tags(&[("tier", "private")]))
        .await
        .unwrap();
    let found: Vec<_> = private.iter().map(|subnet| subnet.id.clone()).collect();
    assert_eq!(found, seed.private_subnets());
    let zones: Vec<_> = private.iter().map(|subnet| subnet.zone.as_str()).collect();
    assert_eq!(zones, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]);

    let public = seed.public_subnets();
    let by_id = network
        .find_subnets(seed.vpc(), &ids(&[&public[1], &public[0]]))
        .await
        .unwrap();
    assert_eq!(
        by_id
            .iter()
            .map(|subnet| subnet.id.clone())
            .collect::<Vec<_>>(),
        public[..2]
    );
    let both = network
        .find_subnets(
            seed.vpc(),
            &tags(&[("tier", "private"), ("Name", "octank-private-eu-west-1b")]),
        )
        .await
        .unwrap();
    assert_eq!(both, private[1..2]);
}

#[tokio::test]
async fn an_id_that_is_no_subnet_of_the_vpc_is_named() {
    let (double, seed) = Double::start_seeded();
    let network = Network::new(&double.account());
    let missing = "subnet-0123456789abcdef0";
    let failure = network
        .find_subnets(seed.vpc(), &ids(&[&seed.public_subnets()[0], missing]))
        .await
        .unwrap_err();
    assert_eq!(failure.class, Class::Invalid);
    assert!(failure.message.contains(missing), "{failure}");
}
