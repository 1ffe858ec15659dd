//! Reads what the operator says of itself.

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The text at /metrics of a port on this machine. Fails while nobody answers there.
pub async fn read(port: u16) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "no metrics: {answer}");
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer without an end of its headers")?;
    Ok(body.to_owned())
}

/// The samples of a metric that have a label, added up.
pub fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    metrics
        .lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
                && line.contains(label)
        })
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_samples_of_that_name_and_label_are_added_up() {
        let text = "# TYPE passes counter\npasses_total{kind=\"a\",result=\"ok\"} 3\npasses_total{kind=\"a\",result=\"error\"} 2\n\
            passes_total{kind=\"b\",result=\"ok\"} 5\npasses_total_other{kind=\"a\"} 7\n# EOF\n";
        assert_eq!(sum(text, "passes_total", "kind=\"a\""), 5.0);
        assert_eq!(sum(text, "absent_total", "kind=\"a\""), 0.0);
    }
}
