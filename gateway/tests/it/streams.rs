use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Harness, read_answer};

/// The limit of a documented JSON route, in bytes.
const LIMIT: usize = 64 * 1024 * 1024;

#[tokio::test]
async fn an_upload_is_passed_on_in_pieces() {
    let gateway = Harness::start().await;
    let content = "x".repeat(5 * 1024 * 1024);
    let headers = ["content-encoding: gzip", "content-type: application/octet-stream"];
    let answer = gateway.send("POST", "/v1/imports?collectionName=a+b&unknown=1", &headers, &content).await;
    assert_eq!((answer.status, answer.json()["jobId"].as_str()), (200, Some("job")));
    let (first, bytes, messages, is_whole) = gateway.seen.stream.lock().unwrap().clone();
    assert_eq!((first.collection_name.as_deref(), first.content_encoding.as_str()), (Some("a b"), "gzip"));
    assert_eq!((first.content.len(), bytes, is_whole), (0, content.len(), true));
    assert!(messages > 5, "{messages}");
}

/// Only the service can tell whether the same file comes again, so it reads each; what it answers is a repetition.
#[tokio::test]
async fn a_repeated_upload_is_read_by_its_service() {
    let gateway = Harness::start().await;
    let content = "x".repeat(3 * 1024 * 1024);
    for (calls, replayed) in [(1, None), (2, Some("true"))] {
        let answer = gateway.send("POST", "/v1/imports", &["idempotency-key: k"], &content).await;
        assert_eq!((answer.status, answer.json()["jobId"].as_str()), (200, Some("job")));
        assert_eq!(answer.headers.get("idempotency-replayed").map(String::as_str), replayed);
        assert_eq!((gateway.calls(), gateway.seen.stream.lock().unwrap().1), (calls, calls * content.len()));
    }
    let other = gateway.send("POST", "/v1/imports?collectionName=b", &["idempotency-key: k"], &content).await;
    assert_eq!(other.reason(), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn a_broken_upload_is_never_taken_for_a_whole_one() {
    let gateway = Harness::start().await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = "POST /v1/imports HTTP/1.1\r\nhost: x\r\nx-api-key: good\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 1000]).await.unwrap();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if gateway.seen.stream.lock().unwrap().1 == 1000 {
            break;
        }
    }
    drop(stream);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (_, bytes, _, is_whole) = gateway.seen.stream.lock().unwrap().clone();
    assert_eq!((bytes, is_whole), (1000, false));
}

#[tokio::test]
async fn a_large_body_is_refused_at_once_and_the_client_sees_it() {
    let gateway = Harness::start().await;
    let head = |length: usize| {
        format!(
            "POST /api/createCollection HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: good\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    // The answer comes although only a little was sent.
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(head(LIMIT + 1).as_bytes()).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    let mut start = [0; 12];
    tokio::time::timeout(Duration::from_secs(2), stream.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");

    // A client that sends everything before it reads still gets the answer.
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(head(LIMIT + 1).as_bytes()).await.unwrap();
    let piece = vec![b' '; 1024 * 1024];
    for _ in 0..64 {
        stream.write_all(&piece).await.unwrap();
    }
    stream.write_all(b" ").await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert_eq!((answer.status, answer.reason()), (413, "BODY_TOO_LARGE"));
}

#[tokio::test]
async fn a_body_without_a_length_is_limited_too() {
    let gateway = Harness::start().await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = "POST /api/createCollection HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: good\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b' '; 1024 * 1024];
    for _ in 0..65 {
        stream.write_all(b"100000\r\n").await.unwrap();
        stream.write_all(&piece).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 413);
}
