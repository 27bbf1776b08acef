//! Requests that no honest client sends, and words of upstream that look like events.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    app::{Setup, TestApp, chunked, spawn_app, spawn_app_with, spawn_canned, spawn_scenario},
    client::{self, Response, blocks, proven, soon, text_of},
    http,
};

/// What comes back for bytes as they are, until the server closes the connection.
async fn answer(app: &TestApp, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    // The server may refuse before everything is sent.
    let _ = stream.write_all(request).await;
    let mut response = Vec::new();
    let _ = soon(
        "the end of the connection",
        stream.read_to_end(&mut response),
    )
    .await;
    String::from_utf8_lossy(&response).into_owned()
}

async fn post_raw(app: &TestApp, body: &[u8]) -> Response {
    let host = app.addr.to_string();
    let headers = [("Content-Type", "application/json")];
    let mut request = http::request("POST", "/v1/replies", &host, &headers, None);
    request.truncate(request.len() - 2);
    request.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
    request.extend(body);
    client::send_raw(app.addr, &request).await
}

#[actix_web::test]
async fn an_id_has_one_spelling_on_every_route() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let id = path.rsplit('/').next().unwrap();
    let compact = id.replace('-', "");
    for other in [
        id.to_uppercase(),
        compact,
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        format!("{id}%00"),
        format!("%20{id}"),
        "x".repeat(10_000),
    ] {
        for (method, rest) in [("GET", ""), ("DELETE", ""), ("GET", "/events")] {
            let path = format!("/v1/replies/{other}{rest}");
            let response = client::send(app.addr, method, &path, &[], None).await;
            assert_eq!(response.status, 404, "{method} {path}");
            assert_eq!(response.json().await["code"], "reply_not_found");
        }
    }
    assert_eq!(app.get(&path).await.status, 200);
}

#[actix_web::test]
async fn what_may_be_said_once_is_refused_twice() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let body = Some(r#"{"prompt":"river"}"#);
    let json = ("Content-Type", "application/json");
    let key = ("Idempotency-Key", "0123456789abcdef");
    for (headers, status) in [
        (vec![json, key, key], 400),
        (vec![json, json], 415),
        (
            vec![("Content-Type", "application/json; charset=utf-16")],
            415,
        ),
        (
            vec![("Content-Type", "application/json; charset=UTF-8")],
            201,
        ),
    ] {
        let response = client::send(app.addr, "POST", "/v1/replies", &headers, body).await;
        assert_eq!(response.status, status, "{headers:?}");
    }
    let cursor = ("Last-Event-ID", "1");
    let events = format!("{path}/events");
    let twice = client::send(app.addr, "GET", &events, &[cursor, cursor], None).await;
    assert_eq!(twice.json().await["code"], "bad_cursor");
    let twice = app.get(&format!("{events}?after=1&after=2")).await;
    assert_eq!(twice.json().await["code"], "bad_cursor");
}

#[actix_web::test]
async fn json_that_no_parser_should_agree_on_is_refused_without_a_word_of_it() {
    let app = spawn_app().await;
    let nested = |open: &str, close: &str| {
        let depth = 10_000;
        format!(
            "{{\"prompt\":{}1{}}}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    let long_name = format!("{{\"{}\":1}}", "canary".repeat(20_000));
    for body in [
        nested("[", "]").as_bytes(),
        nested("{\"canary\":", "}").as_bytes(),
        long_name.as_bytes(),
        br#"{"prompt":"a","prompt":"canary"}"#,
        br#"{"messages":[{"role":"user","content":"a","c\u006fntent":"canary"}]}"#,
        br#"{"prompt":"canary\ud800"}"#,
        b"{\"prompt\":\"canary\x00\"}",
        b"{\"prompt\":\"canary\xff\"}",
        b"\xef\xbb\xbf{\"prompt\":\"canary\"}",
        br#"{"prompt":"canary"}{}"#,
        br#"{"prompt":NaN}"#,
        br#"{"prompt":1e999}"#,
        br#"{"__proto__":{"canary":1},"prompt":"a"}"#,
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let response = post_raw(&app, body).await;
        assert_eq!(response.status, 400, "{shown}");
        assert!(!response.text().await.contains("canary"), "{shown}");
    }
    assert_eq!(app.store.running(), 0);
}

#[actix_web::test]
async fn a_request_with_two_meanings_is_refused_and_its_connection_closed() {
    let app = spawn_app().await;
    let post = "POST /v1/replies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: 5, 5\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 0x5\r\n\r\nhello",
        "Content-Length: -1\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "X: a\r\n b\r\n\r\n",
        "X: a\x00b\r\n\r\n",
        "X: a\rb\r\n\r\n",
    ] {
        let request = format!("{post}{fields}{smuggled}");
        let response = answer(&app, request.as_bytes()).await;
        assert!(
            response.starts_with("HTTP/1.1 400"),
            "{fields:?}: {response}"
        );
        assert_eq!(
            response.matches("HTTP/1.1").count(),
            1,
            "{fields:?}: {response}"
        );
    }
}

#[actix_web::test]
async fn heads_and_lines_without_an_end_are_refused() {
    let app = spawn_app().await;
    let many = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        "A: b\r\n".repeat(200)
    );
    assert!(
        answer(&app, many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    let long_path = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a".repeat(70_000)
    );
    assert!(
        answer(&app, long_path.as_bytes())
            .await
            .starts_with("HTTP/1.1 400")
    );

    // A line of 100 MB is not taken: the connection closes long before.
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nA: ")
        .await
        .unwrap();
    let piece = vec![b'a'; 1 << 16];
    let mut sent = 0_usize;
    while sent < 100 << 20 && stream.write_all(&piece).await.is_ok() {
        sent += piece.len();
    }
    assert!(sent < 50 << 20, "{sent} bytes were taken");
}

/// Everything that could end a field, a line, an event or a JSON string.
const INJECTION: &str = "a\r\n\r\nevent: end\ndata: {\"status\":\"completed\"}\n\n\rid: 999\u{0}\
    \u{1}\u{7f}\u{85}\u{2028}\u{2029}\u{feff}\"}\\u000a</script><!--";

#[actix_web::test]
async fn text_of_the_model_cannot_be_an_event() {
    let words = INJECTION;
    let delta = json!({"model": words, "choices": [{"delta": {"content": words}}]});
    let finish = json!({"model": words, "choices": [{"delta": {}, "finish_reason": "stop"}]});
    let answer = chunked(format!("data: {delta}\n\ndata: {finish}\n\n").as_bytes());
    let (upstream, _) = spawn_canned(answer).await;
    let app = spawn_app_with(Setup {
        endpoint: Some(format!("http://{upstream}")),
        ..Setup::default()
    })
    .await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
    assert_eq!(text_of(&events), INJECTION);
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["start", "delta", "end"]);
    for block in blocks(&events) {
        assert!(block.lines().count() <= 4, "{block:?}");
    }
}

#[actix_web::test]
async fn an_error_of_upstream_cannot_be_an_event_and_is_not_passed_on() {
    let error = json!({"error": {"message": INJECTION, "code": INJECTION, "type": INJECTION}});
    for answer in [
        chunked(format!("data: {error}\n\n").as_bytes()),
        format!(
            "HTTP/1.1 400 Bad Request\r\nx-request-id: a\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{error}",
            error.to_string().len()
        )
        .into_bytes(),
    ] {
        let (upstream, _) = spawn_canned(answer).await;
        let app = spawn_app_with(Setup {
            endpoint: Some(format!("http://{upstream}")),
            ..Setup::default()
        })
        .await;
        let events = app.stream("river").await.rest().await;
        let end = proven(&events);
        assert_eq!(end["status"], "failed");
        assert!(!end.to_string().contains("script"), "{end}");
        assert_eq!(events.last().unwrap().name, "end");
    }
}

#[actix_web::test]
async fn a_prompt_of_control_characters_is_a_prompt() {
    let app = spawn_app().await;
    let mut reply = app.stream(INJECTION).await;
    let events = reply.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
    assert!(events.iter().all(|event| event.data.is_object()));
}

#[actix_web::test]
async fn a_line_of_upstream_that_is_too_long_ends_the_reply_and_nothing_else() {
    let app = spawn_scenario("long-line", &[]).await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["status"], "failed");
    assert_eq!(app.get("/livez").await.status, 200);
}
