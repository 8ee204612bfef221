use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::harness::{Answer, Harness, read_answer};

const MIB: usize = 1 << 20;

/// A call with a body of this size, under a key.
fn request(key: &str, bytes: usize) -> String {
    let body = format!(r#"{{"collectionName":"a","noise":"{}"}}"#, "x".repeat(bytes));
    let length = body.len();
    format!(
        "POST /api/createCollection HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

async fn send(gateway: &Harness, key: &str, bytes: usize) -> Answer {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let request = request(key, bytes);
    // A refusal may come before all of it is sent.
    let (_, answer) = tokio::join!(writing.write_all(request.as_bytes()), read_answer(&mut reading));
    answer
}

/// An account whose slow bodies hold all of its share is refused further ones, with the bound and a time; its small
/// requests, health, and everybody else are answered, and so is the account when its bodies are gone.
#[tokio::test]
async fn slow_bodies_hold_up_their_account_alone() {
    let gateway = Harness::with_bodies(4 * MIB).await;
    let slow = request("good", 7 * MIB / 4);
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&slow.as_bytes()[..3 * MIB / 2]).await.unwrap();
    let refused = loop {
        let answer = send(&gateway, "good", MIB).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, refused.reason()), (429, "BODIES_SHARE_EXCEEDED"));
    assert!(refused.body.contains(&(2 * MIB).to_string()) && refused.headers.contains_key("retry-after"));
    assert_eq!(send(&gateway, "good", 1_000).await.status, 200);
    assert_eq!(send(&gateway, "other", MIB).await.status, 200);
    assert_eq!(gateway.send("GET", "/healthz", &[], "").await.status, 200);
    stream.write_all(&slow.as_bytes()[3 * MIB / 2..]).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 200);
    assert_eq!(send(&gateway, "good", MIB).await.status, 200);
}
