//! OpenAI's Chat Completions API on the wire. `tests/sdk` has OpenAI's own clients.

use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, requests, spawn_app, spawn_scenario, spawn_stepped},
    client::{self, Response, proven, text_of},
};

async fn complete(app: &TestApp, body: &Value) -> Response {
    let headers = [("Content-Type", "application/json")];
    let body = body.to_string();
    client::send(
        app.addr,
        "POST",
        "/v1/chat/completions",
        &headers,
        Some(&body),
    )
    .await
}

fn asked(more: &Value) -> Value {
    let mut body = json!({"model": "gpt-5", "messages": [{"role": "user", "content": "river"}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The `data` of all frames, and whether `[DONE]` came last.
fn frames(body: &str) -> (Vec<Value>, bool) {
    let mut data: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    let done = data.last() == Some(&"[DONE]");
    data.truncate(data.len() - usize::from(done));
    let data = data.iter().map(|data| serde_json::from_str(data).unwrap());
    (data.collect(), done)
}

fn content(frames: &[Value]) -> String {
    let texts = frames
        .iter()
        .filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str());
    texts.collect()
}

#[actix_web::test]
async fn a_streamed_completion_has_the_text_of_the_reply_and_says_where_it_is() {
    let app = spawn_app().await;
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let response = complete(&app, &asked(&options)).await;
    assert_eq!(response.status, 200);
    let path = response.header("location").unwrap().to_owned();
    let (frames, done) = frames(&response.text().await);
    assert!(done);
    let events = app.events(&path, 0).await.rest().await;
    let end = proven(&events);
    assert_eq!(content(&frames), text_of(&events));
    let [.., finish, usage] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage["usage"]["total_tokens"], end["usage"]["total_tokens"]);
}

#[actix_web::test]
async fn each_chunk_is_out_before_the_next_one_is_in() {
    let app = spawn_stepped(&[]).await;
    let mut response = complete(&app, &asked(&json!({"stream": true}))).await;
    let role = response.next_block().await;
    assert!(role.contains("\"role\":\"assistant\""), "{role}");
    app.steps.release(2);
    for _ in 0..5 {
        app.steps.release(1);
        let chunk = response.next_block().await;
        assert!(chunk.contains("\"content\":\""), "{chunk}");
    }
    app.steps.release(10_000);
    let rest = response.text().await;
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
}

#[actix_web::test]
async fn a_completion_that_is_not_streamed_is_one_object() {
    let app = spawn_app().await;
    let response = complete(&app, &asked(&json!({}))).await;
    assert_eq!(response.status, 200);
    let path = response.header("location").unwrap().to_owned();
    let completion = response.json().await;
    let snapshot = app.snapshot(&path).await;
    let choice = &completion["choices"][0];
    assert_eq!(completion["object"], "chat.completion");
    assert_eq!(choice["message"]["content"], snapshot["text"]);
    assert_eq!(choice["message"]["role"], "assistant");
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(
        completion["usage"]["total_tokens"],
        snapshot["usage"]["total_tokens"]
    );
}

#[actix_web::test]
async fn the_persona_stays_ours_and_the_caller_is_told() {
    let app = spawn_app().await;
    let messages = json!([
        {"role": "system", "content": "Be a pirate."},
        {"role": "user", "content": "river"},
    ]);
    let body = asked(&json!({"messages": messages, "temperature": 0.1}));
    let response = complete(&app, &body).await;
    assert_eq!(response.header("x-left-out"), Some("system, temperature"));
    let sent = requests(&app.simulator.journal().records()).remove(0);
    assert!(!sent.to_string().contains("pirate"), "{sent}");
    assert_eq!(
        sent["messages"].as_array().unwrap().len(),
        2,
        "ours and the user's"
    );
}

#[actix_web::test]
async fn what_is_refused_is_refused_in_the_form_of_this_api() {
    let app = spawn_app().await;
    for (more, status, kind, param) in [
        (
            json!({"tools": [{"type": "function"}]}),
            400,
            "invalid_request_error",
            json!("tools"),
        ),
        (json!({"n": 2}), 400, "invalid_request_error", json!("n")),
        (
            json!({"messages": []}),
            400,
            "invalid_request_error",
            json!("messages"),
        ),
        (
            json!({"messages": vec![json!({"role": "user", "content": "a"}); 65]}),
            413,
            "invalid_request_error",
            json!("messages"),
        ),
    ] {
        let response = complete(&app, &asked(&more)).await;
        assert_eq!(response.status, status, "{more}");
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("x-should-retry"), Some("false"));
        let error = response.json().await;
        assert_eq!(error["error"]["type"], kind, "{error}");
        assert_eq!(error["error"]["param"], param, "{error}");
        assert!(error["error"]["message"].is_string(), "{error}");
    }
    for (method, path, status) in [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/v1/models/gpt-4", 404),
        ("GET", "/v1/chat/completions/stored", 404),
    ] {
        let response = client::send(app.addr, method, path, &[], None).await;
        assert_eq!(response.status, status, "{method} {path}");
        assert!(
            response.json().await["error"]["code"].is_string(),
            "{method} {path}"
        );
    }
    // The server's own contract keeps its form.
    assert!(app.get("/v1/nothing").await.json().await["detail"].is_string());
}

#[actix_web::test]
async fn a_failure_is_an_error_in_the_stream_or_a_status_where_nothing_is_streamed() {
    for (scenario, status, kind, code) in [
        (
            "prompt-filtered",
            400,
            "invalid_request_error",
            "prompt_filtered",
        ),
        (
            "context-too-long",
            400,
            "invalid_request_error",
            "context_too_long",
        ),
        ("unauthorized", 502, "server_error", "upstream_failed"),
        ("truncated", 502, "server_error", "upstream_failed"),
    ] {
        let app = spawn_scenario(scenario, &[]).await;
        let response = complete(&app, &asked(&json!({}))).await;
        assert_eq!(response.status, status, "{scenario}");
        let error = response.json().await;
        assert_eq!(error["error"]["type"], kind, "{error}");
        assert_eq!(error["error"]["code"], code, "{error}");

        let response = complete(&app, &asked(&json!({"stream": true}))).await;
        assert_eq!(response.status, 200, "{scenario}");
        let (frames, done) = frames(&response.text().await);
        assert!(!done, "{scenario}");
        let error = frames.last().unwrap();
        assert_eq!(error["error"]["type"], kind, "{error}");
    }
}

#[actix_web::test]
async fn a_limit_upstream_is_429_with_the_wait_in_milliseconds() {
    let app = spawn_scenario("rate-limited-day", &[]).await;
    let response = complete(&app, &asked(&json!({}))).await;
    assert_eq!(response.status, 429);
    assert_eq!(response.header("x-should-retry"), Some("true"));
    let wait: u64 = response.header("retry-after-ms").unwrap().parse().unwrap();
    let seconds: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(wait, seconds * 1000);
}

#[actix_web::test]
async fn a_completion_that_is_stopped_is_no_completion() {
    let app = spawn_stepped(&[]).await;
    app.steps.release(6);
    let response = complete(&app, &asked(&json!({"stream": true}))).await;
    let path = response.header("location").unwrap().to_owned();
    assert_eq!(app.delete(&path).await.status, 202);
    let (frames, done) = frames(&response.text().await);
    assert!(!done);
    assert_eq!(frames.last().unwrap()["error"]["code"], "stopped");
}

#[actix_web::test]
async fn text_that_the_filter_takes_back_is_an_error_and_no_more_follows() {
    let app = spawn_scenario("async-filtered-late", &[]).await;
    let response = complete(&app, &asked(&json!({"stream": true}))).await;
    let (frames, done) = frames(&response.text().await);
    assert!(!done);
    assert_eq!(frames.last().unwrap()["error"]["code"], "replaced");
}

#[actix_web::test]
async fn one_idempotency_key_is_one_reply() {
    let app = spawn_app().await;
    let body = asked(&json!({})).to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "a-key-of-a-patient-client"),
    ];
    let mut answers = Vec::new();
    for _ in 0..2 {
        let path = "/v1/chat/completions";
        let response = client::send(app.addr, "POST", path, &headers, Some(&body)).await;
        answers.push(response.json().await);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(requests(&app.simulator.journal().records()).len(), 1);
}

#[actix_web::test]
async fn there_is_one_model() {
    let app = spawn_app().await;
    let list = app.get("/v1/models").await.json().await;
    let [model] = &list["data"].as_array().unwrap()[..] else {
        panic!("{list}")
    };
    assert_eq!(model["id"], "rasta-stream");
    let alone = app.get("/v1/models/rasta-stream").await.json().await;
    assert_eq!(alone, *model);
}
