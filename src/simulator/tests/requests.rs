//! Which requests are accepted: paths, keys, deployments, bodies, and HTTP itself.

use super::{
    client::{Call, post, request},
    *,
};

async fn raw(simulator: &Simulator, bytes: &[u8]) -> client::Response {
    Call::send(simulator, bytes).await.finish().await
}

#[tokio::test]
async fn both_urls_answer() {
    let simulator = instant().await;
    let classic = post(&simulator, &path("chat"), &non_streaming()).await;
    assert_eq!(classic.status, 200);
    let mut body = non_streaming();
    body["model"] = json!("chat");
    for query in ["", "?api-version=preview", "?api-version=v1"] {
        let v1 = post(
            &simulator,
            &format!("/openai/v1/chat/completions{query}"),
            &body,
        )
        .await;
        assert_eq!(v1.status, 200);
        assert_eq!(v1.json()["object"], "chat.completion");
    }
    assert!(simulator.url().starts_with("http://127.0.0.1:"));
}

#[tokio::test]
async fn other_paths_methods_and_versions_are_not_found() {
    let simulator = instant().await;
    for path in [
        "/",
        "/openai/v1/chat/completions/",
        "/openai/deployments/chat/chat/completions",
        "/openai/deployments/chat/chat/completions?api-version=preview",
        "/openai/deployments/chat/chat/completions?api-version=2024-13-41",
        "/openai/deployments//chat/completions?api-version=2024-10-21",
        "/openai/deployments/a/b/chat/completions?api-version=2024-10-21",
    ] {
        let response = post(&simulator, path, &non_streaming()).await;
        assert_eq!(response.status, 404, "{path}");
        let body = json!({"error": {"code": "404", "message": "Resource not found"}});
        assert_eq!(response.json(), body, "{path}");
    }
    let get = format!("GET {} HTTP/1.1\r\n{KEY}\r\n", path("chat"));
    assert_eq!(raw(&simulator, get.as_bytes()).await.status, 404);
    let preview = "/openai/deployments/chat/chat/completions?api-version=2025-04-01-preview";
    assert_eq!(
        post(&simulator, preview, &non_streaming()).await.status,
        200
    );
    let dated = format!("/openai/v1/chat/completions?{QUERY}");
    assert_eq!(post(&simulator, &dated, &non_streaming()).await.status, 400);
}

#[tokio::test]
async fn either_header_may_carry_the_key_and_a_wrong_key_is_refused() {
    let any = instant().await;
    let one = start(Options {
        key: Some("irie".to_owned()),
        pace: Pace::Instant,
        ..Options::default()
    })
    .await;
    for (headers, for_any, for_one) in [
        ("", 401, 401),
        ("api-key: \r\n", 401, 401),
        ("Authorization: Bearer \r\n", 401, 401),
        ("Authorization: Basic irie\r\n", 401, 401),
        ("api-key: other\r\n", 200, 401),
        ("api-key: irie\r\n", 200, 200),
        ("Authorization: Bearer irie\r\n", 200, 200),
    ] {
        let bytes = request(&path("chat"), headers, &non_streaming().to_string());
        assert_eq!(raw(&any, &bytes).await.status, for_any, "{headers}");
        let response = raw(&one, &bytes).await;
        assert_eq!(response.status, for_one, "{headers}");
        if for_one == 401 {
            assert_eq!(response.json()["error"]["code"], "401");
            let message = response.json()["error"]["message"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(message.starts_with("Access denied due to invalid subscription key"));
        }
    }
}

#[tokio::test]
async fn only_listed_and_scenario_deployments_exist() {
    let simulator = start(Options {
        deployments: vec!["chat".to_owned()],
        pace: Pace::Instant,
        ..Options::default()
    })
    .await;
    for (deployment, status) in [
        ("chat", 200),
        ("other", 404),
        ("sim-crlf", 200),
        ("sim-none", 404),
        ("sim-sim-crlf", 404),
    ] {
        let response = post(&simulator, &path(deployment), &non_streaming()).await;
        assert_eq!(response.status, status, "{deployment}");
        if status == 404 {
            assert_eq!(response.json()["error"]["code"], "DeploymentNotFound");
        }
        let mut body = non_streaming();
        body["model"] = json!(deployment);
        let response = post(&simulator, "/openai/v1/chat/completions", &body).await;
        assert_eq!(response.status, status, "{deployment}");
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_and_unknown_arguments_are_not() {
    let simulator = instant().await;
    let user = json!([{"role": "user", "content": "x"}]);
    for (body, param, code) in [
        (json!([]), Value::Null, Value::Null),
        (
            json!({}),
            json!("messages"),
            json!("missing_required_parameter"),
        ),
        (
            json!({"messages": []}),
            json!("messages"),
            json!("empty_array"),
        ),
        (
            json!({"messages": "x"}),
            json!("messages"),
            json!("invalid_type"),
        ),
        (
            json!({"messages": [{"content": "x"}]}),
            json!("messages[0].role"),
            json!("missing_required_parameter"),
        ),
        (
            json!({"messages": [{"role": "bot", "content": "x"}]}),
            json!("messages[0].role"),
            json!("invalid_value"),
        ),
        (
            json!({"messages": [{"role": "user"}]}),
            json!("messages[0].content"),
            json!("missing_required_parameter"),
        ),
        (
            json!({"messages": user, "n": 2}),
            json!("n"),
            json!("unsupported_value"),
        ),
        (
            json!({"messages": user, "stream": "yes"}),
            json!("stream"),
            json!("invalid_type"),
        ),
        (
            json!({"messages": user, "stream_options": {}}),
            json!("stream_options"),
            Value::Null,
        ),
        (
            json!({"messages": user, "max_tokens": 0}),
            json!("max_tokens"),
            json!("integer_below_min_value"),
        ),
    ] {
        let response = post(&simulator, &path("chat"), &body).await;
        assert_eq!(response.status, 400, "{body}");
        let error = response.json()["error"].take();
        assert_eq!((&error["param"], &error["code"]), (&param, &code), "{body}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    let bytes = request(&path("chat"), KEY, "{\"messages\": [");
    assert_eq!(raw(&simulator, &bytes).await.status, 400);
    let body = json!({"messages": user, "n": 1, "tools": [{}], "novelty": {"x": 1}});
    assert_eq!(post(&simulator, &path("chat"), &body).await.status, 200);
    let parts = json!([{"role": "user", "content": [{"type": "text", "text": "mangoes"}]}]);
    let response = post(&simulator, &path("chat"), &json!({"messages": parts})).await;
    let json = response.json();
    assert!(
        json["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .contains("mangoes")
    );
}

#[tokio::test]
async fn invalid_http_requests_are_refused() {
    let simulator = instant().await;
    let path = path("chat");
    for (bytes, status) in [
        (b"zion\r\n\r\n".to_vec(), 400),
        (format!("POST {path} HTTP/1.0\r\n\r\n").into_bytes(), 505),
        (
            format!("POST {path} HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n").into_bytes(),
            413,
        ),
        (
            format!("POST {path} HTTP/1.1\r\nContent-Length: -1\r\n\r\n").into_bytes(),
            400,
        ),
        (
            format!("POST {path} HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
                .into_bytes(),
            400,
        ),
        (
            format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n").into_bytes(),
            501,
        ),
        (
            format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n")
                .into_bytes(),
            400,
        ),
        (
            format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n200001\r\n")
                .into_bytes(),
            413,
        ),
        (
            format!("POST {path} HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200)).into_bytes(),
            431,
        ),
        (
            format!("POST {path} HTTP/1.1\r\nx: {}", "y".repeat(70_000)).into_bytes(),
            431,
        ),
    ] {
        assert_eq!(raw(&simulator, &bytes).await.status, status);
    }
}

#[tokio::test]
async fn a_chunked_request_is_read_and_100_continue_is_sent_when_expected() {
    let simulator = instant().await;
    let body = non_streaming().to_string();
    let (one, two) = body.split_at(10);
    let chunked = format!(
        "POST {} HTTP/1.1\r\n{KEY}Transfer-Encoding: chunked\r\n\r\n\
         a;note=1\r\n{one}\r\n{:X}\r\n{two}\r\n0\r\nTrailer: x\r\n\r\n",
        path("chat"),
        two.len()
    );
    assert_eq!(raw(&simulator, chunked.as_bytes()).await.status, 200);
    let head = format!(
        "POST {} HTTP/1.1\r\n{KEY}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        path("chat"),
        body.len()
    );
    let mut call = Call::send(&simulator, head.as_bytes()).await;
    call.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    tokio::io::AsyncWriteExt::write_all(&mut call.stream, body.as_bytes())
        .await
        .unwrap();
    assert_eq!(call.finish().await.status, 200);
}
