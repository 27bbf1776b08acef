use std::{
    collections::VecDeque,
    ffi::OsStr,
    net::SocketAddr,
    process::{Command, Output},
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use azure_identity::Executor;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{source::Http, *};
use crate::{
    event::ErrorCode,
    upstream::{IdentityOptions, IdentitySource, NetworkOptions},
};

/// A response of the fake server. The last one of a list is repeated forever.
#[derive(Clone)]
enum Scripted {
    Response(u16, String),
    Delayed(Duration, String),
    Silence,
}

/// Entra and IMDS on a loopback port. Keeps each request as text, and the URL that it was meant for.
#[derive(Clone, Debug)]
struct FakeEntra {
    addr: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    urls: Arc<Mutex<Vec<String>>>,
}

impl FakeEntra {
    async fn start(script: impl IntoIterator<Item = Scripted>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            addr: listener.local_addr().unwrap(),
            requests: Arc::default(),
            urls: Arc::default(),
        };
        let (mut script, requests) = (
            script.into_iter().collect::<VecDeque<_>>(),
            Arc::clone(&fake.requests),
        );
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                while !is_whole(&bytes) {
                    assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "cut");
                }
                let text = String::from_utf8(bytes).unwrap();
                // The probe whether there is a metadata service.
                if text.contains("/metadata/") && !text.to_lowercase().contains("metadata: true") {
                    respond(&mut stream, 400, "{}").await;
                    continue;
                }
                requests.lock().push(text);
                let next = if script.len() > 1 {
                    script.pop_front().unwrap()
                } else {
                    script[0].clone()
                };
                tokio::spawn(async move {
                    match next {
                        Scripted::Response(status, body) => {
                            respond(&mut stream, status, &body).await;
                        }
                        Scripted::Delayed(wait, body) => {
                            tokio::time::sleep(wait).await;
                            respond(&mut stream, 200, &body).await;
                        }
                        Scripted::Silence => std::future::pending().await,
                    }
                });
            }
        });
        fake
    }

    fn identity(&self, options: &IdentityOptions, times: Timing, cli: &str) -> Identity {
        let (fake, cli) = (self.clone(), Arc::new(Cli(cli.to_owned())));
        let network = Network::new(&NetworkOptions::default()).unwrap();
        Identity::start_with(options, &network, times, move |source| {
            source.http = Arc::new(Redirected(fake, Arc::clone(&source.http)));
            source.executor = Some(cli);
        })
        .unwrap()
    }

    fn count(&self) -> usize {
        self.requests.lock().len()
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    body.len() >= length
}

async fn respond(stream: &mut tokio::net::TcpStream, status: u16, body: &str) {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // The client may have closed the connection.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

/// Sends every request to the fake server instead of Azure, over this program's own client.
#[derive(Debug)]
struct Redirected(FakeEntra, Http);

#[async_trait]
impl HttpClient for Redirected {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        let url = request.url_mut();
        self.0.urls.lock().push(url.to_string());
        url.set_scheme("http").unwrap();
        url.set_ip_host(self.0.addr.ip()).unwrap();
        url.set_port(Some(self.0.addr.port())).unwrap();
        self.1.execute_request(&request).await
    }
}

/// A shell script in place of Azure CLI.
#[derive(Debug)]
struct Cli(String);

#[async_trait]
impl Executor for Cli {
    async fn run(&self, _: &OsStr, _: &[&OsStr]) -> io::Result<Output> {
        Command::new("/bin/sh").args(["-c", &self.0]).output()
    }
}

const NO_CLI: &str = "echo 'az: not found' >&2; exit 127";

fn options(source: IdentitySource) -> IdentityOptions {
    IdentityOptions {
        source,
        scope: "https://cognitiveservices.azure.com/.default".to_owned(),
        authority: "https://login.microsoftonline.com".to_owned(),
    }
}

/// An application with a secret.
fn secret() -> IdentityOptions {
    options(IdentitySource::Secret {
        tenant: "tenant".to_owned(),
        client: "app".to_owned(),
        secret: "canary-s3cret".into(),
    })
}

/// The machine's own identity.
fn machine() -> IdentityOptions {
    options(IdentitySource::Machine { client: None })
}

fn short() -> Timing {
    Timing {
        token_timeout: Duration::from_millis(500),
        fetch_timeout: Duration::from_millis(700),
        renewal_interval: Duration::ZERO,
        refusal_interval: Duration::from_secs(60),
    }
}

/// A response of Entra's.
fn entra(token: &str, seconds: u64) -> Scripted {
    Scripted::Response(
        200,
        format!(r#"{{"token_type":"Bearer","expires_in":{seconds},"access_token":"{token}"}}"#),
    )
}

/// A response of a managed identity, which has its time as a string.
fn managed(token: &str) -> Scripted {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let end = now.as_secs() + 3600;
    Scripted::Response(
        200,
        format!(
            r#"{{"access_token":"{token}","expires_on":"{end}","resource":"r","token_type":"Bearer"}}"#
        ),
    )
}

fn value(token: &Token) -> String {
    token.header().unwrap().to_str().unwrap().to_owned()
}

fn cause(outcome: Result<Token, Fault>) -> String {
    let fault = outcome.unwrap_err();
    assert_eq!(fault.error.code, ErrorCode::UpstreamAuth);
    let cause = fault.cause.to_string();
    assert!(!cause.contains('\n'), "{cause}");
    cause
}

#[tokio::test]
async fn a_secret_gets_a_token_of_the_clouds_authority_for_the_scope() {
    let entra = FakeEntra::start([entra("t1", 3600)]).await;
    let government = IdentityOptions {
        scope: "https://cognitiveservices.azure.us/.default".to_owned(),
        authority: "https://login.microsoftonline.us".to_owned(),
        ..secret()
    };
    let identity = entra.identity(&government, Timing::default(), NO_CLI);
    let token = identity.token().await.unwrap();
    assert_eq!(value(&token), "Bearer t1");
    assert!(token.header().unwrap().is_sensitive());
    assert!(!format!("{token:?} {identity:?}").contains("t1"));
    assert_eq!(
        *entra.urls.lock(),
        ["https://login.microsoftonline.us/tenant/oauth2/v2.0/token"]
    );
    let asked = entra.requests.lock()[0].clone();
    for part in [
        "client_id=app",
        "client_secret=canary-s3cret",
        "grant_type=client_credentials",
        "scope=https%3A%2F%2Fcognitiveservices.azure.us%2F.default",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    identity.token().await.unwrap();
    assert_eq!(entra.count(), 1);
}

#[tokio::test]
async fn a_wrong_secret_is_reported_with_its_remedy_and_never_quoted() {
    let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret canary-s3cret provided.\r\nTrace ID: 1 eyJ0.e.x","error_codes":[7000215]}"#;
    let entra = FakeEntra::start([Scripted::Response(401, body.to_owned())]).await;
    let identity = entra.identity(&secret(), Timing::default(), NO_CLI);
    // A failure is shared, too.
    let all = futures_util::future::join_all((0..20).map(|_| identity.token())).await;
    assert_eq!(entra.count(), 1);
    for outcome in all {
        assert_eq!(
            cause(outcome),
            "no Entra token: the client secret (AZURE_CLIENT_SECRET) failed (HTTP 401 invalid_client \
             AADSTS7000215, the client secret is wrong): check that it is the secret's value and not \
             its id, that it has not expired, and AZURE_TENANT_ID and AZURE_CLIENT_ID"
        );
    }
}

#[tokio::test]
async fn workload_identity_sends_the_current_content_of_the_file() {
    let entra = FakeEntra::start([entra("t1", 0), entra("t2", 3600)]).await;
    let file = std::env::temp_dir().join(format!("rasta-federated-{}", std::process::id()));
    std::fs::write(&file, "assertion-1").unwrap();
    let workload = options(IdentitySource::Workload {
        tenant: "tenant".to_owned(),
        client: "app".to_owned(),
        file: file.clone(),
    });
    let identity = entra.identity(&workload, Timing::default(), NO_CLI);
    assert_eq!(value(&identity.token().await.unwrap()), "Bearer t1");
    std::fs::write(&file, "assertion-2").unwrap();
    assert_eq!(value(&identity.token().await.unwrap()), "Bearer t2");
    let asked = entra.requests.lock().clone();
    assert!(asked[0].contains("client_assertion=assertion-1"));
    assert!(asked[1].contains("client_assertion=assertion-2"));
    std::fs::remove_file(&file).unwrap();

    let identity = entra.identity(&workload, Timing::default(), NO_CLI);
    let cause = cause(identity.token().await);
    assert!(cause.contains("AZURE_FEDERATED_TOKEN_FILE"), "{cause}");
    assert!(cause.contains("failed to read"), "{cause}");
}

#[tokio::test]
async fn imds_is_asked_for_the_resource_of_the_scope() {
    let imds = FakeEntra::start([managed("m1")]).await;
    let mine = options(IdentitySource::Machine {
        client: Some("mine".to_owned()),
    });
    let identity = imds.identity(&mine, Timing::default(), NO_CLI);
    let token = identity.token().await.unwrap();
    assert_eq!(value(&token), "Bearer m1");
    // The seconds are understood although they are a string.
    let left = token.until - Instant::now();
    assert!((3500..3600).contains(&left.as_secs()), "{left:?}");
    let meant = imds.urls.lock().clone();
    let asked = meant.last().unwrap();
    assert!(
        asked.starts_with("http://169.254.169.254/metadata/identity/oauth2/token?"),
        "{asked}"
    );
    assert!(asked.contains("resource=https%3A%2F%2Fcognitiveservices.azure.com&"));
    assert!(asked.ends_with("client_id=mine"), "{asked}");
}

#[tokio::test]
async fn a_machine_without_identity_falls_back_to_azure_cli_and_reports_both() {
    let none = Scripted::Response(
        400,
        r#"{"error":"invalid_request","error_description":"Identity not found"}"#.to_owned(),
    );
    let imds = FakeEntra::start([none]).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let signed_in = format!(
        r#"echo '{{"accessToken":"c1","expires_on":{},"tokenType":"Bearer"}}'"#,
        now.as_secs() + 3600
    );
    let identity = imds.identity(&machine(), Timing::default(), &signed_in);
    assert_eq!(value(&identity.token().await.unwrap()), "Bearer c1");
    let identity = imds.identity(&machine(), Timing::default(), NO_CLI);
    let said = cause(identity.token().await);
    for part in [
        "HTTP 400 invalid_request",
        "az not found on PATH",
        "set AZURE_OPENAI_API_KEY",
        "`az login`",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let signed_out = "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1";
    let identity = imds.identity(&machine(), Timing::default(), signed_out);
    let said = cause(identity.token().await);
    assert!(
        said.contains("Azure CLI failed (no account is signed in)"),
        "{said}"
    );
}

#[tokio::test]
async fn an_imds_that_is_being_updated_is_retried() {
    let gone = Scripted::Response(410, "{}".to_owned());
    let imds = FakeEntra::start([gone, managed("m1")]).await;
    let identity = imds.identity(&machine(), Timing::default(), NO_CLI);
    assert_eq!(value(&identity.token().await.unwrap()), "Bearer m1");
    assert_eq!(imds.count(), 2);
}

#[tokio::test]
async fn a_silent_source_costs_a_bounded_time() {
    let entra = FakeEntra::start([Scripted::Silence]).await;
    let identity = entra.identity(&secret(), short(), NO_CLI);
    let begun = Instant::now();
    let said = cause(identity.token().await);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(
        said.contains("AZURE_CLIENT_SECRET") && said.contains("within 0.5 s"),
        "{said}"
    );
    // The fetch that still ran is abandoned too, and its failure is shared.
    let said = cause(identity.token().await);
    assert!(said.contains("within 0.7 s"), "{said}");
    // A silent IMDS counts as none.
    let patient = Timing {
        token_timeout: Duration::from_secs(5),
        ..Timing::default()
    };
    let begun = Instant::now();
    let deaf = FakeEntra {
        addr: TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap(),
        ..entra
    };
    let said = cause(deaf.identity(&machine(), patient, NO_CLI).token().await);
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(said.contains("no metadata service offers one"), "{said}");
}

#[tokio::test]
async fn a_hundred_queries_on_two_threads_cause_one_request() {
    let body = r#"{"token_type":"Bearer","expires_in":3600,"access_token":"t1"}"#;
    let slow = Scripted::Delayed(Duration::from_millis(200), body.to_owned());
    let entra = FakeEntra::start([slow]).await;
    let identity = entra.identity(&secret(), Timing::default(), NO_CLI);
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let identity = identity.clone();
            tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let all = (0..50).map(|_| identity.token());
                runtime.block_on(futures_util::future::join_all(all))
            })
        })
        .collect();
    for worker in workers {
        for token in worker.await.unwrap() {
            assert_eq!(value(&token.unwrap()), "Bearer t1");
        }
    }
    assert_eq!(entra.count(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_early_while_the_old_one_is_still_used() {
    let slow = r#"{"token_type":"Bearer","expires_in":3600,"access_token":"t2"}"#;
    let slow = Scripted::Delayed(Duration::from_millis(200), slow.to_owned());
    let entra = FakeEntra::start([entra("t1", 4), slow]).await;
    let identity = entra.identity(&secret(), short(), NO_CLI);
    assert_eq!(value(&identity.token().await.unwrap()), "Bearer t1");
    assert_eq!(value(&identity.token().await.unwrap()), "Bearer t1");
    assert_eq!(entra.count(), 1);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    // At once, although a fetch is running.
    assert_eq!(value(&identity.token().await.unwrap()), "Bearer t1");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(value(&identity.token().await.unwrap()), "Bearer t2");
    assert_eq!(entra.count(), 2);
}

#[tokio::test]
async fn a_failed_renewal_has_no_effect_while_the_token_is_valid() {
    let away = Scripted::Response(400, r#"{"error":"temporarily_away"}"#.to_owned());
    let entra = FakeEntra::start([entra("t1", 4), away]).await;
    let identity = entra.identity(&secret(), short(), NO_CLI);
    identity.token().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    for _ in 0..3 {
        assert_eq!(value(&identity.token().await.unwrap()), "Bearer t1");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(entra.count() > 1);
}

#[tokio::test]
async fn a_token_that_many_requests_find_refused_is_replaced_once() {
    let entra = FakeEntra::start([entra("t1", 3600), entra("t2", 3600)]).await;
    let identity = entra.identity(&secret(), Timing::default(), NO_CLI);
    let first = identity.token().await.unwrap();
    let all = (0..50).map(|_| identity.replace(&first));
    for renewed in futures_util::future::join_all(all).await {
        assert_eq!(value(&renewed.unwrap().unwrap()), "Bearer t2");
    }
    assert_eq!(entra.count(), 2);
    let second = identity.token().await.unwrap();
    assert!(identity.replace(&second).await.unwrap().is_none());
    assert_eq!(entra.count(), 2);
}

#[test]
fn tokens_are_renewed_five_minutes_before_they_expire_or_halfway() {
    let early = |seconds| {
        let token = Token::new("t".to_owned().into(), Duration::from_secs(seconds), 1);
        (token.renew_at - Instant::now()).as_secs_f64().round() as u64
    };
    assert_eq!(early(3600), 3300);
    assert_eq!(early(24 * 3600), 12 * 3600);
    assert_eq!(early(60), 30);
    assert_eq!(early(u64::MAX), 7 * 12 * 3600);
}
