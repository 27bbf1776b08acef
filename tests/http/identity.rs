//! The id and the trace of a request, through all that it causes.

use crate::support::{
    app::{Setup, spawn_app, spawn_app_with},
    client,
    program::Serving,
};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[actix_web::test]
async fn every_response_has_the_id_of_its_request() {
    let app = spawn_app().await;
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/livez", 200),
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/replies", 405),
        ("POST", "/v1/replies", 415),
    ] {
        let headers = [("X-Request-Id", "my-own.id_7")];
        let response = client::send(app.addr, method, path, &headers, None).await;
        assert_eq!(response.status, status, "{path}");
        assert_eq!(
            response.header("x-request-id"),
            Some("my-own.id_7"),
            "{path}"
        );
        if status >= 400 {
            assert_eq!(response.json().await["request_id"], "my-own.id_7");
        }
        // One that is not well-formed is replaced.
        let headers = [("X-Request-Id", "not one")];
        let response = client::send(app.addr, method, path, &headers, None).await;
        let made = response.header("x-request-id").unwrap().to_owned();
        assert_eq!(made.len(), 32, "{path}");
        if status >= 400 {
            assert_eq!(response.json().await["request_id"], made);
        }
    }
}

#[actix_web::test]
async fn a_trace_is_passed_on_to_upstream_and_a_malformed_one_is_not() {
    for (sent, passed) in [(TRACE, Some(TRACE)), ("00-7-7-01", None)] {
        let app = spawn_app().await;
        let headers = [("traceparent", sent), ("Accept", "text/event-stream")];
        let body = serde_json::json!({"prompt": "river"});
        app.post(&body, &headers).await.rest().await;
        let (_, _, headers) = app.first_request();
        let header = headers.iter().find(|(name, _)| name == "traceparent");
        assert_eq!(header.map(|(_, value)| value.as_str()), passed);
    }
}

#[actix_web::test]
async fn every_log_line_of_a_reply_has_the_id_of_its_request() {
    let upstream = spawn_app_with(Setup::default()).await.simulator;
    for format in ["text", "json"] {
        let serving = Serving::start(
            &format!("request-id-{format}"),
            &[
                ("AZURE_OPENAI_ENDPOINT", &upstream.url()),
                ("AZURE_OPENAI_DEPLOYMENT", "sim-busy"),
                ("AZURE_OPENAI_API_KEY", "k"),
                ("LOG_FORMAT", format),
            ],
        );
        let headers = [
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream"),
            ("X-Request-Id", "find-me-again"),
        ];
        let body = Some(r#"{"prompt":"river"}"#);
        let post = client::send(serving.addr, "POST", "/v1/replies", &headers, body);
        post.await.rest().await;
        serving.signal("-TERM");
        let (code, log) = serving.finish();
        assert_eq!(code, Some(0));
        for message in ["reply started", "circuit opened", "reply ended"] {
            let lines: Vec<&str> = log.lines().filter(|line| line.contains(message)).collect();
            let [line] = lines[..] else {
                panic!("one line {message:?} in\n{log}")
            };
            let id = match format {
                "json" => r#""request":"find-me-again""#,
                _ => " request=find-me-again",
            };
            assert!(line.contains(id), "{line}");
        }
        let others = log.lines().filter(|line| line.contains("draining"));
        assert!(others.clone().count() > 0, "{log}");
        for line in others {
            assert!(!line.contains("find-me-again"), "{line}");
        }
    }
}
