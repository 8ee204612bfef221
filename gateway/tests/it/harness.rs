use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use http::{HeaderName, HeaderValue};
use portolan_api::{
    Error, Reason,
    identity::v1::{LoginResponse, LoginResult},
    imports::v1::{CreateImportRequest, CreateImportResponse, GetJobResponse, Job, ListJobsRequest, ListJobsResponse},
    inventory::v1::{ApiCollection, CreateCollectionRequest, CreateCollectionResponse, GetCollectionResponse},
    tokens::v1::{ApiKey, CreateApiKeyResponse},
};
use portolan_gateway::{
    Arrival, Authenticator, Backends, Begin, CallBudget, GatewayDeps, IdempotencyId, IdempotencyStore, Identified,
    Readiness, Site, StoredAnswer, router,
};
use prost::Message;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    server::{ClientStreamingService, Grpc, UnaryService},
};
use tonic_prost::ProstCodec;

/// A running gateway and what its service saw.
pub struct Harness {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
}

#[derive(Default)]
pub struct Seen {
    pub calls: AtomicUsize,
    /// Metadata of the last call.
    pub metadata: Mutex<HashMap<String, String>>,
    /// The last stream: parameters, bytes, messages, and whether it came to its end.
    pub stream: Mutex<(CreateImportRequest, usize, usize, bool)>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub fn reason(&self) -> &str {
        self.headers.get("x-portolan-error").map_or("", String::as_str)
    }
}

impl Harness {
    pub async fn start() -> Self {
        Self::with_bodies(1 << 30).await
    }

    /// With so much room for bodies under way, half of it for one account.
    pub async fn with_bodies(bytes_max: usize) -> Self {
        let seen = Arc::new(Seen::default());
        let mut backends = Backends::default();
        for service in ["identity", "tokens", "inventory", "imports", "billing"] {
            let seen = seen.clone();
            let backend = tower::service_fn(move |request| serve(seen.clone(), request));
            backends.insert(&format!("portolan.{service}.v1"), backend);
        }
        let deps = GatewayDeps {
            backends,
            site: Site::default(),
            authenticator: Arc::new(KeyEdge),
            idempotency: Arc::new(MemoryStore::default()),
            readiness: Arc::new(AlwaysReady),
            sunset: None,
            budget: CallBudget::new(bytes_max, bytes_max / 2),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router(deps).unwrap().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, seen }
    }

    /// Sends raw bytes and reads one answer until the connection ends.
    pub async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        read_answer(&mut stream).await
    }

    /// Sends a request with the good key. `headers` are whole lines.
    pub async fn send(&self, verb: &str, target: &str, headers: &[&str], body: &str) -> Answer {
        let mut head = format!("{verb} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: good\r\n");
        for header in headers {
            head += &format!("{header}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        self.raw(format!("{head}\r\n{body}").as_bytes()).await
    }

    pub async fn post(&self, target: &str, body: &str) -> Answer {
        self.send("POST", target, &["content-type: application/json"], body).await
    }

    pub fn calls(&self) -> usize {
        self.seen.calls.load(Ordering::SeqCst)
    }
}

pub async fn read_answer(stream: &mut (impl AsyncReadExt + Unpin)) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
}

/// Knows one key, `good`, and lets everybody call public routes.
struct KeyEdge;

impl Authenticator for KeyEdge {
    fn authenticate<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Result<Identified, Error>> {
        let key = arrival.headers.get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
        let identified = match key {
            _ if arrival.policy.who == portolan_api::Who::Public => Ok(Identified::default()),
            "panic" => panic!("the authenticator panics"),
            "good" | "other" => Ok(Identified {
                account_id: if key == "good" { 1 } else { 2 },
                metadata: vec![(HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer caller"))],
                caller_key: key.to_owned(),
                ..Identified::default()
            }),
            _ => Err(Reason::Unauthenticated.into()),
        };
        async move { identified }.boxed()
    }
}

struct AlwaysReady;

impl Readiness for AlwaysReady {
    fn look(&self) -> BoxFuture<'_, Vec<portolan_runtime::readiness::Part>> {
        async { Vec::new() }.boxed()
    }
}

type Held = HashMap<IdempotencyId, ([u8; 32], Option<StoredAnswer>)>;

#[derive(Default)]
struct MemoryStore(Mutex<Held>);

impl IdempotencyStore for MemoryStore {
    fn begin<'a>(&'a self, id: &'a IdempotencyId, digest: [u8; 32]) -> BoxFuture<'a, Result<Begin, Error>> {
        let mut held = self.0.lock().unwrap();
        let begin = match held.get(id) {
            None => Begin::Fresh,
            Some((other, _)) if *other != digest => Begin::Conflict,
            Some((_, Some(answer))) => Begin::Replay(answer.clone()),
            Some((_, None)) => Begin::InProgress,
        };
        if begin == Begin::Fresh {
            held.insert(id.clone(), (digest, None));
        }
        async move { Ok(begin) }.boxed()
    }

    fn finish<'a>(&'a self, id: &'a IdempotencyId, answer: StoredAnswer) -> BoxFuture<'a, Result<(), Error>> {
        self.0.lock().unwrap().get_mut(id).unwrap().1 = Some(answer);
        async { Ok(()) }.boxed()
    }

    fn abandon<'a>(&'a self, id: &'a IdempotencyId) -> BoxFuture<'a, Result<(), Error>> {
        self.0.lock().unwrap().remove(id);
        async { Ok(()) }.boxed()
    }
}

/// A service of every name, over tonic's own server side.
async fn serve(
    seen: Arc<Seen>,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, std::convert::Infallible> {
    seen.calls.fetch_add(1, Ordering::SeqCst);
    let text = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    *seen.metadata.lock().unwrap() = request.headers().iter().map(text).collect();
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    Ok(match method.as_str() {
        "CreateCollection" => unary(request, create_collection).await,
        "GetCollection" => unary(request, |_: Bytes| Ok(GetCollectionResponse::default())).await,
        "Login" => unary(request, |_: Bytes| Ok(login())).await,
        "CreateApiKey" => unary(request, |_: Bytes| Ok(api_key())).await,
        "GetJob" => unary(request, get_job).await,
        "ListJobs" => unary(request, list_jobs).await,
        "CreateImport" => {
            let mut grpc = Grpc::new(ProstCodec::<CreateImportResponse, CreateImportRequest>::default())
                .max_decoding_message_size(4 * 1024 * 1024);
            grpc.client_streaming(Import(seen), request).await
        }
        _ => unary(request, |_: Bytes| Err::<Job, _>(Status::unimplemented("not here"))).await,
    })
}

/// One unary call; the request is any message, given in its wire form.
async fn unary<A, F>(request: http::Request<Body>, answer: F) -> http::Response<Body>
where
    A: Message + Default + 'static,
    F: Fn(Bytes) -> Result<A, Status> + Send + Sync + 'static,
{
    struct Wire<F>(F);
    impl<A: Message + 'static, F: Fn(Bytes) -> Result<A, Status>> UnaryService<Raw> for Wire<F> {
        type Response = A;
        type Future = std::future::Ready<Result<Response<A>, Status>>;
        fn call(&mut self, request: Request<Raw>) -> Self::Future {
            std::future::ready((self.0)(request.into_inner().0).map(Response::new))
        }
    }
    Grpc::new(RawCodec::<A>(std::marker::PhantomData)).unary(Wire(answer), request).await
}

pub struct Raw(Bytes);

struct RawCodec<A>(std::marker::PhantomData<A>);

impl<A: Message + Default + 'static> tonic::codec::Codec for RawCodec<A> {
    type Encode = A;
    type Decode = Raw;
    type Encoder = <ProstCodec<A, A> as tonic::codec::Codec>::Encoder;
    type Decoder = RawDecoder;
    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<A, A>::default().encoder()
    }
    fn decoder(&mut self) -> RawDecoder {
        RawDecoder
    }
}

pub struct RawDecoder;

impl tonic::codec::Decoder for RawDecoder {
    type Item = Raw;
    type Error = Status;
    fn decode(&mut self, buffer: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Raw>, Status> {
        use bytes::Buf;
        Ok(Some(Raw(buffer.copy_to_bytes(buffer.remaining()))))
    }
}

fn create_collection(wire: Bytes) -> Result<CreateCollectionResponse, Status> {
    let name = CreateCollectionRequest::decode(wire).unwrap().collection_name;
    match name.as_deref() {
        None | Some("") => Err(Error::new(Reason::CollectionNameInvalid).into()),
        Some("down") => Err(Status::unavailable("database is down")),
        Some("panic") => panic!("a handler panics"),
        Some("denied") => Err(Error::new(Reason::RoleHasNoAccess).with("role", "GUEST").into()),
        Some(name) => {
            let collection = ApiCollection { id: 7, name: name.to_owned(), ..Default::default() };
            Ok(CreateCollectionResponse { api_collections: vec![collection] })
        }
    }
}

fn login() -> LoginResponse {
    let login_result = Some(LoginResult { redirect: None });
    LoginResponse { code: None, login_result, access_token: "jwt".into(), session: "sid".into() }
}

fn api_key() -> CreateApiKeyResponse {
    let key = ApiKey { id: 3, key: Some("very-secret".into()), ..Default::default() };
    CreateApiKeyResponse { api_token_list: vec![key] }
}

fn get_job(wire: Bytes) -> Result<GetJobResponse, Status> {
    let job_id = portolan_api::imports::v1::GetJobRequest::decode(wire).unwrap().job_id;
    match job_id.as_str() {
        "missing" => Err(Error::new(Reason::JobNotFound).into()),
        "none" => Ok(GetJobResponse { job: None }),
        _ => Ok(GetJobResponse { job: Some(Job { job_id, ..Default::default() }) }),
    }
}

fn list_jobs(wire: Bytes) -> Result<ListJobsResponse, Status> {
    let request = ListJobsRequest::decode(wire).unwrap();
    Ok(ListJobsResponse { jobs: Vec::new(), next_page_token: format!("{}{}", request.page_token, request.page_size) })
}

struct Import(Arc<Seen>);

impl ClientStreamingService<CreateImportRequest> for Import {
    type Response = CreateImportResponse;
    type Future = BoxFuture<'static, Result<Response<CreateImportResponse>, Status>>;

    fn call(&mut self, request: Request<Streaming<CreateImportRequest>>) -> Self::Future {
        let seen = self.0.clone();
        async move {
            let mut stream = request.into_inner();
            while let Some(message) = stream.next().await {
                let message = message?;
                let mut seen = seen.stream.lock().unwrap();
                seen.1 += message.content.len();
                seen.2 += 1;
                if seen.2 == 1 {
                    seen.0 = message;
                }
            }
            seen.stream.lock().unwrap().3 = true;
            Ok(Response::new(CreateImportResponse { job_id: "job".into(), upload_id: "upload".into() }))
        }
        .boxed()
    }
}
