//! Questions over HTTP/1.0, whose answers end with the connection.
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Status and body.
pub(crate) async fn get(address: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split_whitespace().nth(1).context("no status")?;
    Ok((status.parse()?, body.to_string()))
}

/// What Prometheus' API has under `data`.
pub(crate) async fn data(address: &str, path: &str) -> Result<Value> {
    let (status, body) = get(address, path).await?;
    let mut answer: Value = serde_json::from_str(&body).context("no JSON")?;
    if status != 200 || answer["status"] != "success" {
        bail!("{path}: {status} {body}");
    }
    Ok(answer["data"].take())
}

/// For a query within an address.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                escaped.push(char::from(byte));
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}
