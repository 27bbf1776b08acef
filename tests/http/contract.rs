//! The HTTP interface as `README.md` describes it: statuses, headers, bodies, problems.

use serde_json::{Value, json};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    app::{Setup, chunked, requests, spawn_app, spawn_app_with, spawn_canned, spawn_stepped},
    client::{self, Response, blocks, proven, soon, text_of},
    http,
};

async fn problem(response: Response) -> (u16, String, Value) {
    let status = response.status;
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let body = response.json().await;
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], "about:blank");
    for field in ["title", "detail"] {
        assert!(
            body[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field} in {body}"
        );
    }
    (status, body["code"].as_str().unwrap().to_owned(), body)
}

#[actix_web::test]
async fn a_post_starts_a_reply_and_says_where_it_is() {
    let app = spawn_app().await;
    let response = app
        .post(&json!({"prompt": "Tell me of the river"}), &[])
        .await;
    assert_eq!(response.status, 201);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let location = response.header("location").unwrap().to_owned();
    let body = response.json().await;
    let id = body["id"].as_str().unwrap();
    assert_eq!(location, format!("/v1/replies/{id}"));
    assert_eq!(body["self"], location);
    assert_eq!(body["events"], format!("{location}/events"));
    assert!(["running", "completed"].contains(&body["status"].as_str().unwrap()));
    let created = body["created"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.len() == 24, "{created}");
    assert_eq!(body.as_object().unwrap().len(), 5);
}

#[actix_web::test]
async fn the_events_of_a_reply_come_with_headers_that_nothing_buffers() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let mut response = app.events(&path, 0).await;
    assert_eq!(
        response.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(
        response.header("cache-control"),
        Some("no-store, no-transform")
    );
    assert_eq!(response.header("x-accel-buffering"), Some("no"));
    assert_eq!(response.header("content-encoding"), None);
    let events = response.rest().await;
    let end = proven(&events);
    assert_eq!(end["status"], "completed");
    assert_eq!(end["finish_reason"], "stop");
    assert!(end["model"].as_str().unwrap().starts_with("sim-"));
    assert!(end["usage"]["total_tokens"].as_u64().unwrap() > 0);
    assert!(end["ms"]["first"].as_u64() <= end["ms"]["total"].as_u64());
    assert_eq!(end.get("error"), None);
    assert_eq!(end.get("reason"), None);
    assert_eq!(events[0].data["reply"], path.rsplit('/').next().unwrap());
    assert!(text_of(&events).contains("river"));
}

#[actix_web::test]
async fn a_connections_first_event_carries_a_random_retry_and_no_other_does() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let mut retries = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let events = app.events(&path, 0).await.rest().await;
        assert!((1000..=4000).contains(&events[0].retry.unwrap()));
        assert!(events[1..].iter().all(|event| event.retry.is_none()));
        retries.insert(events[0].retry);
    }
    assert!(retries.len() > 3, "{retries:?}");
}

#[actix_web::test]
async fn the_answer_to_a_post_can_be_the_very_same_events() {
    let app = spawn_app().await;
    let mut direct = app.stream("river").await;
    let path = direct.header("location").unwrap().to_owned();
    assert_eq!(
        direct.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let events = direct.rest().await;
    proven(&events);
    assert_eq!(
        blocks(&events),
        blocks(&app.events(&path, 0).await.rest().await)
    );
}

#[actix_web::test]
async fn events_stream_in_the_answer_only_to_who_prefers_them() {
    let app = spawn_app().await;
    for (accept, status) in [
        ("text/event-stream", 200),
        ("application/json, text/event-stream", 200),
        ("text/event-stream;q=0.5, application/json", 201),
        ("text/event-stream;q=0", 201),
        ("*/*", 201),
        ("nonsense", 201),
    ] {
        let response = app
            .post(&json!({"prompt": "river"}), &[("Accept", accept)])
            .await;
        assert_eq!(response.status, status, "for {accept}");
    }
}

#[actix_web::test]
async fn a_snapshot_shows_the_text_so_far_and_then_the_end() {
    let app = spawn_stepped(&[]).await;
    let path = app.start("river").await;
    let running = app.snapshot(&path).await;
    assert_eq!(running["status"], "running");
    assert_eq!(running["text"], "");
    assert_eq!(running["last_event_id"], 1);
    assert_eq!(running.get("usage"), None);

    app.steps.release(10_000);
    let events = app.events(&path, 0).await.rest().await;
    let end = proven(&events);
    let ended = app.snapshot(&path).await;
    assert_eq!(ended["text"], text_of(&events));
    assert_eq!(ended["last_event_id"], events.len());
    assert_eq!(ended["created"], events[0].data["created"]);
    for field in [
        "status",
        "finish_reason",
        "model",
        "usage",
        "bytes",
        "sha256",
        "ms",
    ] {
        assert_eq!(ended[field], end[field], "{field}");
    }
}

#[actix_web::test]
async fn messages_reach_upstream_behind_our_system_prompt() {
    let app = spawn_app().await;
    let messages = json!([
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "A poet."},
        {"role": "user", "content": "Sing"},
    ]);
    app.post(
        &json!({"messages": messages}),
        &[("Accept", "text/event-stream")],
    )
    .await
    .rest()
    .await;
    let sent = &requests(&app.simulator.journal().records())[0];
    let sent_messages = sent["messages"].as_array().unwrap();
    assert_eq!(sent_messages[0]["role"], "system");
    assert!(
        sent_messages[0]["content"]
            .as_str()
            .unwrap()
            .contains("Rastafari")
    );
    assert_eq!(sent_messages[1..], *messages.as_array().unwrap());
    assert_eq!(sent["stream"], true);
    assert_eq!(sent["stream_options"]["include_usage"], true);
}

#[actix_web::test]
async fn a_request_that_is_wrong_is_refused_in_words_and_costs_nothing() {
    let app = spawn_app().await;
    let cases = [
        ("{", "bad_request"),
        ("[]", "bad_request"),
        ("{}", "bad_request"),
        (r#"{"prompt":""}"#, "bad_request"),
        (r#"{"prompt":"  \n"}"#, "bad_request"),
        (r#"{"prompt":7}"#, "bad_request"),
        (
            r#"{"prompt":"a","messages":[{"role":"user","content":"a"}]}"#,
            "bad_request",
        ),
        (r#"{"prompt":"a","model":"gpt"}"#, "bad_request"),
        (r#"{"messages":[]}"#, "bad_request"),
        (
            r#"{"messages":[{"role":"system","content":"a"}]}"#,
            "bad_request",
        ),
        (
            r#"{"messages":[{"role":"assistant","content":"a"}]}"#,
            "bad_request",
        ),
    ];
    for (body, code) in cases {
        let headers = [("Content-Type", "application/json")];
        let response = client::send(app.addr, "POST", "/v1/replies", &headers, Some(body)).await;
        let (status, got, _) = problem(response).await;
        assert_eq!((status, got.as_str()), (400, code), "for {body}");
    }
    assert!(app.simulator.journal().records().is_empty());
    assert_eq!(app.store.running(), 0);
}

#[actix_web::test]
async fn a_body_of_another_type_is_refused() {
    let app = spawn_app().await;
    let body = Some(r#"{"prompt":"a"}"#);
    for headers in [
        &[][..],
        &[("Content-Type", "text/plain")],
        &[("Content-Type", "application/x-www-form-urlencoded")],
    ] {
        let response = client::send(app.addr, "POST", "/v1/replies", headers, body).await;
        let (status, code, _) = problem(response).await;
        assert_eq!((status, code.as_str()), (415, "unsupported_media_type"));
    }
    let headers = [("Content-Type", "Application/JSON; charset=utf-8")];
    assert_eq!(
        client::send(app.addr, "POST", "/v1/replies", &headers, body)
            .await
            .status,
        201
    );
}

#[actix_web::test]
async fn a_body_or_a_conversation_that_is_too_large_is_refused() {
    let app = spawn_app().await;
    let fitting = "x".repeat(256 * 1024 - r#"{"prompt":""}"#.len());
    assert_eq!(app.post(&json!({"prompt": fitting}), &[]).await.status, 201);
    let (status, code, _) = problem(
        app.post(&json!({"prompt": format!("{fitting}x")}), &[])
            .await,
    )
    .await;
    assert_eq!((status, code.as_str()), (413, "too_large"));

    let turns = vec![json!({"role": "user", "content": "a"}); 65];
    let (status, code, _) = problem(app.post(&json!({"messages": turns}), &[]).await).await;
    assert_eq!((status, code.as_str()), (413, "too_large"));
}

#[actix_web::test]
async fn a_body_without_a_length_is_counted_as_it_comes() {
    let app = spawn_app().await;
    let mut chunks = String::new();
    for _ in 0..5 {
        chunks.push_str(&format!("10000\r\n{}\r\n", "x".repeat(0x10000)));
    }
    let headers = [
        ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked"),
    ];
    let head: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let request =
        format!("POST /v1/replies HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{chunks}0\r\n\r\n");
    let response = client::send_raw(app.addr, request.as_bytes()).await;
    let (status, code, _) = problem(response).await;
    assert_eq!((status, code.as_str()), (413, "too_large"));
}

#[actix_web::test]
async fn what_is_not_there_is_not_found() {
    let app = spawn_app().await;
    let unknown = "/v1/replies/00000000-0000-4000-8000-000000000000";
    for (method, path, code) in [
        ("GET", unknown, "reply_not_found"),
        ("DELETE", unknown, "reply_not_found"),
        ("GET", "/v1/replies/nonsense", "reply_not_found"),
        ("GET", &format!("{unknown}/events"), "reply_not_found"),
        ("GET", "/v1/nothing", "not_found"),
        ("GET", "/nothing.html", "not_found"),
        ("GET", "/../Cargo.toml", "not_found"),
        ("GET", "/%2e%2e/Cargo.toml", "not_found"),
    ] {
        let response = client::send(app.addr, method, path, &[], None).await;
        let (status, got, _) = problem(response).await;
        assert_eq!((status, got.as_str()), (404, code), "for {method} {path}");
    }
}

#[actix_web::test]
async fn a_method_that_a_path_does_not_take_is_told_which_ones_it_does() {
    let app = spawn_app().await;
    let id = "/v1/replies/00000000-0000-4000-8000-000000000000";
    for (method, path, allow) in [
        ("GET", "/v1/replies", "POST"),
        ("PUT", id, "GET, DELETE"),
        ("POST", &format!("{id}/events"), "GET"),
        ("POST", "/livez", "GET, HEAD"),
        ("DELETE", "/readyz", "GET, HEAD"),
    ] {
        let response = client::send(app.addr, method, path, &[], None).await;
        assert_eq!(response.header("allow"), Some(allow), "for {method} {path}");
        let (status, code, _) = problem(response).await;
        assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
    }
}

#[actix_web::test]
async fn the_same_key_with_the_same_body_pays_once() {
    let app = spawn_app().await;
    let key = [("Idempotency-Key", "0123456789abcdef")];
    let body = json!({"prompt": "river"});
    let first = app.post(&body, &key).await;
    assert_eq!(first.status, 201);
    let first = first.json().await;
    let again = app.post(&body, &key).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.header("location").unwrap(), first["self"]);
    let again = again.json().await;
    assert_eq!(again["id"], first["id"]);

    let headers = [key[0], ("Accept", "text/event-stream")];
    let events = app.post(&body, &headers).await.rest().await;
    proven(&events);
    assert_eq!(events[0].data["reply"], first["id"]);
    assert_eq!(requests(&app.simulator.journal().records()).len(), 1);

    let (status, code, _) = problem(app.post(&json!({"prompt": "sea"}), &key).await).await;
    assert_eq!((status, code.as_str()), (422, "idempotency_mismatch"));
    let (status, code, _) =
        problem(app.post(&body, &[("Idempotency-Key", "too short")]).await).await;
    assert_eq!((status, code.as_str()), (400, "bad_request"));
}

#[actix_web::test]
async fn simultaneous_posts_with_one_key_start_one_reply() {
    let app = spawn_app_with(Setup {
        flags: &["--workers=2"],
        ..Setup::default()
    })
    .await;
    let body = json!({"prompt": "river"});
    let key = [("Idempotency-Key", "0123456789abcdef")];
    let posts = (0..20).map(|_| app.post(&body, &key));
    let answers = futures_util::future::join_all(posts).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        1
    );
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        19
    );
    let first = answers[0].header("location").map(str::to_owned);
    assert!(
        answers
            .iter()
            .all(|answer| answer.header("location").map(str::to_owned) == first)
    );
    app.events(&first.unwrap(), 0).await.rest().await;
    assert_eq!(requests(&app.simulator.journal().records()).len(), 1);
}

#[actix_web::test]
async fn the_page_is_served_under_a_strict_policy() {
    let app = spawn_app().await;
    let page = app.get("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"));
    let html = page.text().await;
    assert!(
        !html.contains("onclick") && !html.contains("style="),
        "nothing is inline"
    );
    for asset in ["/app.js", "/style.css", "/favicon.svg"] {
        let response = app.get(asset).await;
        assert_eq!(response.status, 200, "{asset}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    }
}

#[actix_web::test]
async fn health_is_told_with_who_answers() {
    let app = spawn_app().await;
    let live = app.get("/livez").await;
    assert_eq!(
        (live.status, live.header("cache-control")),
        (200, Some("no-store"))
    );
    assert_eq!(live.json().await, json!({"status": "alive"}));
    let ready = app.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(
        ready.json().await,
        json!({"status": "ready", "upstream": "azure", "store": "memory", "ping_seconds": 10.0})
    );
    assert_eq!(
        client::send(app.addr, "HEAD", "/readyz", &[], None)
            .await
            .status,
        200
    );
}

#[actix_web::test]
async fn history_over_the_limit_is_trimmed_with_a_notice() {
    let flags = ["--max-history-chars=10"];
    let app = spawn_app_with(Setup {
        flags: &flags,
        ..Setup::default()
    })
    .await;
    let messages = json!([
        {"role": "user", "content": "aaaaaaaa"},
        {"role": "assistant", "content": "bbbb"},
        {"role": "user", "content": "cccc"},
    ]);
    let body = json!({"messages": messages});
    let events = app
        .post(&body, &[("Accept", "text/event-stream")])
        .await
        .rest()
        .await;
    assert_eq!(events[1].name, "notice");
    assert_eq!(events[1].data["code"], "history_trimmed");
    assert!(
        events[1].data["message"]
            .as_str()
            .unwrap()
            .contains("oldest 2 messages")
    );
    assert_eq!(proven(&events)["status"], "completed");
    let sent = &requests(&app.simulator.journal().records())[0]["messages"];
    assert_eq!(
        sent.as_array().unwrap().len(),
        2,
        "the system prompt and the newest message"
    );
}

#[actix_web::test]
async fn two_replies_of_as_many_deltas_have_the_same_lengths_on_the_wire() {
    const DELTAS: usize = 1_200;
    let words = ["Zion", " responsibilities", " \"irie\"\n\n", ",", " love"];
    let varied: Vec<&str> = words.into_iter().cycle().take(DELTAS).collect();
    let short = chunk_sizes(&["a"; DELTAS]).await;
    assert_eq!(short.len(), DELTAS + 2);
    // All but the `end`, which says how long the text is.
    assert_eq!(short[..=DELTAS], chunk_sizes(&varied).await[..=DELTAS]);
}

/// The sizes of the chunks in which the events of a reply with these deltas come: one event in each.
async fn chunk_sizes(deltas: &[&str]) -> Vec<usize> {
    let frame = |choice: Value| format!("data: {}\n\n", json!({"choices": [choice]}));
    let mut body: String = deltas
        .iter()
        .map(|text| frame(json!({"delta": {"content": text}})))
        .collect();
    body += &frame(json!({"delta": {}, "finish_reason": "stop"}));
    let (upstream, _) = spawn_canned(chunked(body.as_bytes())).await;
    let app = spawn_app_with(Setup {
        endpoint: Some(format!("http://{upstream}")),
        ..Setup::default()
    })
    .await;
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
        ("Connection", "close"),
    ];
    let prompt = json!({"prompt": "river"}).to_string();
    let host = app.addr.to_string();
    let request = http::request("POST", "/v1/replies", &host, &headers, Some(&prompt));
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut response = String::new();
    soon("the whole response", stream.read_to_string(&mut response))
        .await
        .unwrap();

    let (_, mut rest) = response.split_once("\r\n\r\n").unwrap();
    let mut sizes = Vec::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        assert_eq!(after[..size].matches("\n\n").count(), 1, "one event");
        sizes.push(size);
        rest = after[size..].strip_prefix("\r\n").unwrap();
    }
    sizes
}

#[actix_web::test]
async fn padding_can_be_switched_off() {
    let padded = spawn_app().await.stream("river").await.rest().await;
    let bare = spawn_app_with(Setup {
        flags: &["--pad=false"],
        ..Setup::default()
    })
    .await;
    let bare = bare.stream("river").await.rest().await;
    for (events, has_pads) in [(&padded, true), (&bare, false)] {
        let mut deltas = events.iter().filter(|event| event.name == "delta");
        assert!(deltas.all(|event| event.data["pad"].is_string() == has_pads));
    }
    assert_eq!(text_of(&bare), text_of(&padded));
}
