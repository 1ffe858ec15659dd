//! What the operator serves over HTTP.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// An answer from this machine takes a thousandth of it.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// Asks for a path and gives the status and the body.
pub async fn get(address: &str, path: &str) -> Result<(u16, String)> {
    let answer = timeout(LONGEST_ANSWER, exchange(address, path))
        .await
        .with_context(|| format!("{address} does not answer"))??;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer has no end of its headers")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .context("the answer has no status")?;
    Ok((status, body.to_owned()))
}

/// HTTP/1.0 has neither chunks nor a connection to keep: the answer ends with the connection.
async fn exchange(address: &str, path: &str) -> Result<String> {
    let mut connection = TcpStream::connect(address)
        .await
        .with_context(|| format!("connecting to {address}"))?;
    connection
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}
