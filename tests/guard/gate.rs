//! From where the server may be asked: its own names, its own pages, and the pages of listed origins.

use serde_json::Value;

use crate::support::{
    app::{Setup, TestApp, spawn_app, spawn_app_with},
    client::{Response, send, send_raw},
    http::request,
};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROMPT: &str = r#"{"prompt":"river"}"#;

async fn with(flags: &[&str]) -> TestApp {
    spawn_app_with(Setup {
        flags,
        ..Setup::default()
    })
    .await
}

/// Asks under a name.
async fn under(app: &TestApp, host: &str, path: &str) -> Response {
    let bytes = request("GET", path, host, &[], None);
    send_raw(app.addr, &bytes).await
}

/// Starts a reply as a browser does for a page.
async fn post_from(app: &TestApp, headers: &[(&str, &str)]) -> Response {
    let headers = [&[JSON], headers].concat();
    send(app.addr, "POST", "/v1/replies", &headers, Some(PROMPT)).await
}

async fn is_refused(response: Response, status: u16, code: &str) {
    assert_eq!(response.status, status);
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(response.header("access-control-allow-origin"), None);
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.json().await["code"], code);
}

#[actix_web::test]
async fn a_name_that_is_not_the_servers_is_refused_on_every_path() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    for path in ["/", "/app.js", "/nothing", &path, &format!("{path}/events")] {
        for host in ["evil.example", "169.254.169.254", "localhost.evil.example"] {
            is_refused(under(&app, host, path).await, 421, "misdirected").await;
        }
        for host in ["localhost:1", "127.0.0.1", "[::1]:8080"] {
            assert_ne!(under(&app, host, path).await.status, 421, "{host}{path}");
        }
    }
    let bytes = request("POST", "/v1/replies", "evil.example", &[JSON], Some(PROMPT));
    is_refused(send_raw(app.addr, &bytes).await, 421, "misdirected").await;
    assert_eq!(app.store.running(), 0);
}

#[actix_web::test]
async fn the_name_in_the_url_counts_as_well() {
    let app = spawn_app().await;
    for (url, status) in [("http://evil.example/", 421), ("http://localhost/", 200)] {
        let response = under(&app, "localhost", url).await;
        assert_eq!(response.status, status, "{url}");
    }
    // What a proxy forwards is the claim of any client.
    for header in [
        "X-Forwarded-Host: localhost",
        "Forwarded: host=localhost;proto=http",
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: evil.example\r\n{header}\r\n\r\n");
        assert_eq!(send_raw(app.addr, bytes.as_bytes()).await.status, 421);
    }
    let bytes = b"GET / HTTP/1.0\r\n\r\n";
    assert_eq!(send_raw(app.addr, bytes).await.status, 421);
}

#[actix_web::test]
async fn listed_names_are_accepted_besides_those_of_loopback() {
    let app = with(&["--allowed-hosts=chat.example.com, 192.0.2.9"]).await;
    for (host, status) in [
        ("chat.example.com", 200),
        ("192.0.2.9:8080", 200),
        ("localhost", 200),
        ("www.chat.example.com", 421),
    ] {
        assert_eq!(under(&app, host, "/").await.status, status, "{host}");
    }
}

/// A kubelet asks by the address of the pod.
#[actix_web::test]
async fn probes_may_ask_under_any_name() {
    let app = spawn_app().await;
    for path in ["/livez", "/readyz"] {
        let response = under(&app, "10.244.1.7:8080", path).await;
        assert_eq!(response.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn pages_of_other_sites_start_and_stop_nothing() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let evil = ("Origin", "http://evil.example");
    let cross = ("Sec-Fetch-Site", "cross-site");
    for headers in [
        &[evil][..],
        &[cross],
        &[evil, cross],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "same-site")],
        // Of two values, none counts.
        &[("Sec-Fetch-Site", "same-origin"), cross],
    ] {
        is_refused(post_from(&app, headers).await, 403, "forbidden").await;
        let stop = send(app.addr, "DELETE", &path, headers, None).await;
        is_refused(stop, 403, "forbidden").await;
    }
    let own = format!("http://{}", app.addr);
    for headers in [
        &[("Origin", own.as_str())][..],
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "none")],
        &[],
    ] {
        assert_eq!(post_from(&app, headers).await.status, 201, "{headers:?}");
    }
    // Reading changes nothing, and without CORS a page of another site cannot see it.
    let read = send(app.addr, "GET", &path, &[evil, cross], None).await;
    assert_eq!(read.status, 200);
    assert_eq!(read.header("access-control-allow-origin"), None);
}

const PREFLIGHT: [(&str, &str); 2] = [
    ("Access-Control-Request-Method", "POST"),
    (
        "Access-Control-Request-Headers",
        "content-type, authorization",
    ),
];

async fn preflight(app: &TestApp, origin: &str, more: &[(&str, &str)]) -> Response {
    let headers = [&[("Origin", origin)], more].concat();
    send(app.addr, "OPTIONS", "/v1/replies", &headers, None).await
}

#[actix_web::test]
async fn without_listed_origins_there_is_no_cors() {
    let app = spawn_app().await;
    let origin = "https://app.example.com";
    is_refused(preflight(&app, origin, &PREFLIGHT).await, 403, "forbidden").await;
    let read = send(app.addr, "GET", "/readyz", &[("Origin", origin)], None).await;
    for (name, _) in read.headers {
        assert!(!name.starts_with("access-control-"), "{name}");
    }
}

#[actix_web::test]
async fn pages_of_listed_origins_may_use_the_server_with_their_credentials() {
    let app = with(&["--allowed-origins=https://app.example.com,http://localhost:5173"]).await;
    let origin = "https://app.example.com";
    let allowed = preflight(&app, origin, &PREFLIGHT).await;
    assert_eq!(allowed.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(allowed.header(name), Some(value), "{name}");
    }
    let site = [("Origin", origin), ("Sec-Fetch-Site", "cross-site")];
    let started = post_from(&app, &site).await;
    assert_eq!(started.status, 201);
    for (name, value) in [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
    ] {
        assert_eq!(started.header(name), Some(value), "{name}");
    }
    assert!(started.header("vary").unwrap().contains("Origin"));
    let exposed = started.header("access-control-expose-headers").unwrap();
    assert!(exposed.to_lowercase().contains("location"), "{exposed}");
    let path = started.header("location").unwrap();
    // An error can be read there, too.
    let missing = send(app.addr, "GET", "/v1/replies/none", &site, None).await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("access-control-allow-origin"), Some(origin));
    let stopped = send(app.addr, "DELETE", path, &site, None).await;
    assert_eq!(stopped.status, 202);
}

#[actix_web::test]
async fn other_origins_methods_and_headers_are_not_allowed() {
    let app = with(&["--allowed-origins=https://app.example.com"]).await;
    for origin in [
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://app.example.com:8443",
        "null",
    ] {
        let refused = preflight(&app, origin, &PREFLIGHT).await;
        is_refused(refused, 403, "forbidden").await;
        let read = send(app.addr, "GET", "/readyz", &[("Origin", origin)], None).await;
        assert_eq!(read.header("access-control-allow-origin"), None);
    }
    let origin = "https://app.example.com";
    let put = [("Access-Control-Request-Method", "PUT")];
    is_refused(preflight(&app, origin, &put).await, 403, "forbidden").await;
    let header = [
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-forwarded-for"),
    ];
    is_refused(preflight(&app, origin, &header).await, 403, "forbidden").await;
}

#[actix_web::test]
async fn a_refusal_does_not_repeat_what_the_request_says() {
    let app = spawn_app().await;
    let bytes = request("GET", "/canary?canary", "canary.example", &[], None);
    let refused = send_raw(app.addr, &bytes).await;
    assert_eq!(refused.status, 421);
    let body: Value = refused.json().await;
    assert!(!body.to_string().contains("canary"));
}
