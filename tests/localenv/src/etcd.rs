//! What etcd holds, read past the API server.

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use kube::Client;
use serde::Deserialize;
use serde_json::json;

/// Keys of one answer; a whole environment has some thousands.
const PAGE: usize = 500;

/// One key with its value.
#[derive(Clone, Debug)]
pub struct Stored {
    /// As `/registry/secrets/shop/orders-database`.
    pub key: String,
    /// Custom resources are JSON, everything else is protobuf, in which texts stand as they are.
    pub value: Vec<u8>,
}

/// An answer of etcd's JSON gateway, in which bytes are base64.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    kvs: Vec<Pair>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Pair {
    key: ByteString,
    #[serde(default = "empty")]
    value: ByteString,
}

fn empty() -> ByteString {
    ByteString(Vec::new())
}

pub(crate) async fn read_all(address: &str) -> Result<Vec<Stored>> {
    let client = Client::try_from(kube::Config::new(address.parse()?))?;
    let mut stored = Vec::new();
    let mut from = vec![0];
    loop {
        // A range end of one zero byte means: to the last key.
        let range = json!({
            "key": ByteString(from), "range_end": ByteString(vec![0]), "limit": PAGE,
        });
        let request = http::Request::post("/v3/kv/range")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(&range)?)?;
        let page: Page = client
            .request(request)
            .await
            .with_context(|| format!("reading etcd at {address}"))?;
        let next = page.kvs.last().map(|pair| {
            let mut next = pair.key.0.clone();
            next.push(0);
            next
        });
        stored.extend(page.kvs.into_iter().map(|pair| Stored {
            key: String::from_utf8_lossy(&pair.key.0).into_owned(),
            value: pair.value.0,
        }));
        match next {
            Some(next) if page.more => from = next,
            _ => return Ok(stored),
        }
    }
}
