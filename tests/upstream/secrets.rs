//! What may never leave: the credential, the persona, the prompt and the reply's text never reach a
//! log, and upstream's words never reach a viewer.
//!
//! An upstream on loopback echoes all of them wherever a response has room for text, before the
//! stream and inside it, and the real program runs against it with every line of its log on.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::identity::platform;
use crate::support::{
    client::{self, Event, soon},
    program::{Serving, run},
};

/// Part of every secret, and of nothing else.
const CANARY: &str = "canary";
const KEY: &str = "canaryKEY7f3e9a1b5c2d8e4f6a7b";
const TOKEN: &str = "eyJcanaryTOKEN9b1d.eyJhdWQiOiJ4In0.canarySIGNATURE";
const PERSONA: &str = "canaryPERSONA sings of zion";
const PROMPT: &str = "canaryPROMPT asks for rain";
const REPLY: &str = "canaryREPLY falls softly";

/// A response that echoes: its name, and its bytes made of what is echoed.
type Case = (String, Box<dyn Fn(&str) -> Vec<u8> + Send + Sync>);

/// The same without what it closes over.
type Named<T> = (&'static str, fn(&str) -> T);

/// Headers that hold the echo, and with it nothing that a server must not send.
fn headers(echo: &str) -> String {
    let credential = echo.split(' ').nth(1).unwrap_or_default();
    format!(
        "apim-request-id: {credential}\r\nx-request-id: {echo}\r\nx-ms-region: {echo}\r\n\
         retry-after-ms: 1\r\nretry-after: {echo}\r\n"
    )
}

fn respond(status: u16, echo: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} {echo}\r\n{}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        headers(echo),
        body.len()
    )
    .into_bytes()
}

/// An error object that echoes in every field.
fn error(echo: &str) -> Value {
    json!({
        "message": echo, "type": echo, "param": echo, "code": echo, "status": 400,
        "innererror": {"code": echo, "message": echo, "content_filter_result": {"hate": echo}},
        "details": [{"code": echo, "message": echo}],
    })
}

fn delta(model: &str) -> String {
    let chunk = json!({
        "id": model, "model": model, "object": "chat.completion.chunk",
        "system_fingerprint": model, "service_tier": model,
        "choices": [{"index": 0, "delta": {"content": REPLY}, "finish_reason": null}],
    });
    format!("data: {chunk}\n\n")
}

/// The events of a response of the Responses API: some text, and then these.
fn events(echo: &str, events: &[Value]) -> String {
    let delta = json!({
        "type": "response.output_text.delta", "item_id": echo, "output_index": 0, "delta": REPLY,
    });
    [&[delta], events]
        .concat()
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect()
}

/// Every form of a refusal, under every status that means something.
fn refusals() -> Vec<Case> {
    let bodies: [fn(&str) -> String; 6] = [
        |echo| json!({"error": error(echo)}).to_string(),
        |echo| json!({"error": echo}).to_string(),
        |echo| json!({"statusCode": 400, "message": echo}).to_string(),
        |echo| json!({"detail": [{"loc": ["body", "temperature"], "msg": echo}]}).to_string(),
        |echo| format!("<html>{echo}</html>"),
        |echo| format!("{{\"error\": {echo}"),
    ];
    let statuses = [
        204, 302, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 431, 500, 502, 503, 504,
    ];
    let mut cases: Vec<Case> = Vec::new();
    for status in statuses {
        for (at, body) in bodies.into_iter().enumerate() {
            // One body is enough for the statuses whose body means nothing.
            if at == 0 || matches!(status, 400 | 401 | 404 | 429 | 500) {
                cases.push((
                    format!("status {status}, body {at}"),
                    Box::new(move |echo| respond(status, echo, "application/json", &body(echo))),
                ));
            }
        }
    }
    // Known words lead on to a diagnosis, and unknown ones stand beside them.
    for code in [
        "content_filter",
        "context_length_exceeded",
        "OperationNotSupported",
    ] {
        cases.push((
            format!("code {code}"),
            Box::new(move |echo| {
                let mut error = error(echo);
                error["code"] = json!(code);
                let body = json!({"error": error}).to_string();
                respond(400, echo, "application/json", &body)
            }),
        ));
    }
    cases
}

/// Every form in which a response fails once it has begun, or before it has a head.
fn streams() -> Vec<Case> {
    let streams: [Named<String>; 24] = [
        ("error object", |echo| {
            format!("data: {}\n\n", json!({"error": error(echo)}))
        }),
        ("error string", |echo| {
            format!("data: {}\n\n", json!({"error": echo}))
        }),
        ("error event", |echo| {
            format!("event: error\ndata: {}\n\n", error(echo))
        }),
        ("error event, plain", |echo| {
            format!("event: error\ndata: {}\n\n", json!(echo))
        }),
        ("object error", |echo| {
            let mut error = error(echo);
            error["object"] = json!("error");
            format!("data: {error}\n\n")
        }),
        ("response failed", |echo| {
            let failed = json!({
                "type": "response.failed", "sequence_number": 1,
                "response": {"id": echo, "model": echo, "instructions": echo, "error": error(echo)},
            });
            format!("event: response.failed\ndata: {failed}\n\n")
        }),
        ("nested error of the Responses API", |echo| {
            let nested = json!({"type": "error", "error": error(echo), "sequence_number": 1});
            format!("event: error\ndata: {nested}\n\n")
        }),
        ("response failed without a reason", |echo| {
            let response = json!({"id": echo, "model": echo, "instructions": echo});
            events(
                echo,
                &[json!({"type": "response.failed", "response": response})],
            )
        }),
        ("response incomplete for an unknown reason", |echo| {
            let details = json!({"reason": echo});
            let response = json!({"model": echo, "incomplete_details": details});
            events(
                echo,
                &[json!({"type": "response.incomplete", "response": response})],
            )
        }),
        ("delta of another type", |echo| {
            let delta = json!({echo: echo});
            events(
                echo,
                &[json!({"type": "response.output_text.delta", "delta": delta})],
            )
        }),
        ("event of an unknown type", |echo| {
            events(
                echo,
                &[json!({"type": echo, "delta": echo, "response": echo})],
            )
        }),
        ("text in an unknown part", |echo| {
            let message = json!({"type": "message", "content": [{"type": echo, "value": echo}]});
            let response = json!({"output": [message], "model": echo});
            let completed = json!({"type": "response.completed", "response": response});
            format!("event: {echo}\ndata: {completed}\n\n")
        }),
        ("finish reason error", |echo| {
            let choice = json!({"delta": {"content": ""}, "finish_reason": "error", "error": echo});
            format!("data: {}\n\n", json!({"choices": [choice]}))
        }),
        ("unknown finish reason", |echo| {
            let choice = json!({"delta": {}, "finish_reason": echo});
            format!("data: {}\n\n", json!({"choices": [choice]}))
        }),
        ("unknown finish reason that is an object", |echo| {
            let choice = json!({"delta": {}, "finish_reason": {"type": echo, "reason": echo}});
            format!("data: {}\n\n", json!({"choices": [choice]}))
        }),
        ("unknown part", |echo| {
            let part = json!({"type": echo, "text": echo, echo: echo});
            let choice = json!({"delta": {"content": [part]}, "finish_reason": "stop"});
            format!("data: {}\n\n", json!({"choices": [choice]}))
        }),
        ("error without an error member", |echo| {
            let error = json!({"code": echo, "message": echo, "detail": echo});
            format!("data: {error}\n\n")
        }),
        ("error of a gateway", |echo| {
            let base = json!({"status_code": 1002, "status_msg": echo});
            format!("data: {}\n\n", json!({"base_resp": base, echo: echo}))
        }),
        ("error event that is not JSON", |echo| {
            format!("event: error\ndata: {echo}\n\n")
        }),
        ("text of another type", |echo| {
            let choice = json!({"delta": {"content": {echo: echo}}});
            format!("data: {}\n\n", json!({"choices": [choice]}))
        }),
        ("not JSON", |echo| format!("data: {{{echo}\n\n")),
        ("other fields", |echo| {
            format!(": {echo}\nid: {echo}\nevent: {echo}\n{echo}: {echo}\ndata: [{echo}]\n\n")
        }),
        ("cut inside a frame", |echo| {
            format!("data: {{\"error\": \"{echo}")
        }),
        ("end without a finish reason", |_| String::new()),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (name, stream) in streams {
        cases.push((
            name.to_owned(),
            Box::new(move |echo| {
                let body = delta(echo) + &stream(echo);
                respond(200, echo, "text/event-stream", &body)
            }),
        ));
    }
    // The last one counts as a lost connection, and opens the circuit for a while.
    let responses: [Named<Vec<u8>>; 9] = [
        ("page under 200", |echo| {
            respond(200, echo, "text/html", &format!("<html>{echo}</html>"))
        }),
        ("error object under 200", |echo| {
            let body = json!({"error": error(echo)}).to_string();
            respond(200, echo, "application/json", &body)
        }),
        ("text in an unknown place", |echo| {
            let choice = json!({"delta": {echo: REPLY}, "text": echo, "finish_reason": "stop"});
            let body = format!("data: {}\n\n", json!({"choices": [choice]}));
            respond(200, echo, "text/event-stream", &body)
        }),
        ("completed, the model echoes the credential", |echo| {
            let credential = echo.split(' ').nth(1).unwrap_or_default();
            let done = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
            let body = delta(&format!("gpt-{credential}")) + done;
            respond(200, echo, "text/event-stream", &body)
        }),
        ("cut inside the body", |echo| {
            let body = delta(echo);
            let head = format!(
                "HTTP/1.1 200 OK\r\n{}Content-Length: 9999\r\n\r\n",
                headers(echo)
            );
            (head + &body).into_bytes()
        }),
        ("invalid transfer chunk", |echo| {
            let head = format!(
                "HTTP/1.1 200 OK\r\n{}Transfer-Encoding: chunked\r\n",
                headers(echo)
            );
            format!("{head}\r\n{echo}\r\n{echo}\r\n").into_bytes()
        }),
        ("not HTTP", |echo| format!("{echo}\r\n\r\n").into_bytes()),
        ("invalid header", |echo| {
            format!("HTTP/1.1 200 OK\r\n{echo}\r\n\r\n").into_bytes()
        }),
        ("cut inside the head", |echo| {
            format!("HTTP/1.1 200 OK\r\nx-request-id: {echo}\r\n").into_bytes()
        }),
    ];
    for (name, response) in responses {
        cases.push((name.to_owned(), Box::new(response)));
    }
    cases
}

fn cases() -> Vec<Case> {
    let mut cases = refusals();
    cases.extend(streams());
    cases
}

/// Responds to each request with the case that its prompt names, or with the first.
async fn echoing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Some(request) = read(&mut stream).await else {
                    return;
                };
                let number = request.split("case-").nth(1).map_or(0, |rest| {
                    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                    digits.parse().unwrap()
                });
                let credential = request
                    .lines()
                    .find(|line| line.contains(KEY) || line.contains(TOKEN))
                    .and_then(|line| line.split(' ').next_back())
                    .expect("each request carries the credential");
                assert!(request.contains(PERSONA));
                let echo = format!("echo {credential} {PERSONA} {PROMPT} {REPLY}");
                let (_, respond) = &cases()[number];
                // The client closes the connection once it knows enough.
                let _ = stream.write_all(&respond(&echo)).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    addr
}

async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return None;
        }
    }
}

/// How the program is authorized.
#[derive(Clone, Copy, Debug)]
enum Authorization {
    ApiKey,
    Bearer,
    Entra,
}

async fn environment(how: Authorization) -> Vec<(String, String)> {
    let upstream = echoing().await;
    let mut env = vec![
        ("AZURE_OPENAI_DEPLOYMENT".to_owned(), "d".to_owned()),
        ("SYSTEM_PROMPT".to_owned(), PERSONA.to_owned()),
        ("TEMPERATURE".to_owned(), "0.5".to_owned()),
        ("RUST_LOG".to_owned(), "trace".to_owned()),
    ];
    let mut set = |name: &str, value: String| env.push((name.to_owned(), value));
    match how {
        Authorization::ApiKey => {
            set("AZURE_OPENAI_ENDPOINT", format!("http://{upstream}"));
            set("AZURE_OPENAI_API_KEY", KEY.to_owned());
        }
        Authorization::Bearer => {
            set("AZURE_OPENAI_ENDPOINT", format!("http://{upstream}/v1"));
            set("AZURE_OPENAI_API_KEY", KEY.to_owned());
        }
        Authorization::Entra => {
            let (platform, _) = platform(&[TOKEN]).await;
            set("AZURE_OPENAI_ENDPOINT", format!("http://{upstream}"));
            set("IDENTITY_ENDPOINT", format!("http://{platform}/msi/token"));
            set("IDENTITY_HEADER", "canary-header".to_owned());
        }
    }
    env
}

fn borrowed(env: &[(String, String)]) -> Vec<(&str, &str)> {
    env.iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// Asks for the reply of a case; gives its events and its snapshot.
async fn ask(addr: SocketAddr, case: usize) -> (Vec<Event>, Value) {
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
    ];
    let body = json!({"prompt": format!("{PROMPT} case-{case}")}).to_string();
    let mut reply = client::send(addr, "POST", "/v1/replies", &headers, Some(&body)).await;
    let path = reply.header("location").unwrap().to_owned();
    let events = reply.rest().await;
    let snapshot = client::send(addr, "GET", &path, &[], None).await;
    (events, snapshot.json().await)
}

/// Runs every case against the program, and looks at all that it lets out.
async fn nothing_leaks(how: Authorization, format: &str) {
    nothing_leaks_over("auto", how, format).await;
}

async fn nothing_leaks_over(api: &str, how: Authorization, format: &str) {
    let mut env = environment(how).await;
    env.push(("AZURE_OPENAI_API".to_owned(), api.to_owned()));
    env.push(("LOG_FORMAT".to_owned(), format.to_owned()));
    let serving = Serving::start(&format!("leaks-{api}-{how:?}-{format}"), &borrowed(&env));
    let addr = serving.addr;
    // One after the other: a failure opens the circuit for the replies that run beside it.
    for (number, (name, _)) in cases().iter().enumerate() {
        let (events, mut snapshot) = soon(name, ask(addr, number)).await;
        let end = events.last().unwrap();
        assert_eq!(end.name, "end", "{name}");
        for event in events.iter().filter(|event| event.name != "delta") {
            let block = event.block.to_lowercase();
            assert!(!block.contains(CANARY), "{name}: {block}");
        }
        snapshot["text"].take();
        let snapshot = snapshot.to_string().to_lowercase();
        assert!(!snapshot.contains(CANARY), "{name}: {snapshot}");
    }
    let headers = [("Content-Type", "application/json")];
    let broken = format!("{{\"prompt\": {PROMPT}");
    let problem = client::send(addr, "POST", "/v1/replies", &headers, Some(&broken)).await;
    assert!(!problem.text().await.contains(CANARY));

    serving.signal("-TERM");
    let (_, output) = serving.finish();
    let ended = output.matches("reply ended").count();
    assert_eq!(ended, cases().len(), "every reply is logged");
    let leak = output
        .lines()
        .find(|line| line.to_lowercase().contains(CANARY));
    assert_eq!(leak, None, "with {how:?}");
    if format == "json" {
        for line in output.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let ours = line["target"].as_str().unwrap().starts_with("rasta_stream");
            assert!(
                ours || line["level"] == "WARN" || line["level"] == "ERROR",
                "{line}"
            );
        }
    }
    // The log still tells what happened.
    for told in [
        "status=401",
        "status=400 code=content_filter",
        "error in the stream",
    ] {
        assert!(output.contains(told), "{told} is not in\n{output}");
    }
}

#[actix_web::test]
async fn an_upstream_that_echoes_a_key_puts_nothing_in_the_log() {
    nothing_leaks(Authorization::ApiKey, "text").await;
    nothing_leaks(Authorization::ApiKey, "json").await;
}

#[actix_web::test]
async fn an_upstream_that_echoes_a_bearer_key_puts_nothing_in_the_log() {
    nothing_leaks(Authorization::Bearer, "text").await;
    nothing_leaks(Authorization::Bearer, "json").await;
}

#[actix_web::test]
async fn an_upstream_that_echoes_an_entra_token_puts_nothing_in_the_log() {
    nothing_leaks(Authorization::Entra, "text").await;
    nothing_leaks(Authorization::Entra, "json").await;
}

#[actix_web::test]
async fn an_upstream_that_echoes_over_the_responses_api_puts_nothing_in_the_log() {
    nothing_leaks_over("responses", Authorization::ApiKey, "text").await;
    nothing_leaks_over("responses", Authorization::Entra, "json").await;
}

#[actix_web::test]
async fn check_tells_the_diagnosis_and_none_of_the_echo() {
    for how in [
        Authorization::ApiKey,
        Authorization::Bearer,
        Authorization::Entra,
    ] {
        let env = environment(how).await;
        let checked =
            tokio::task::spawn_blocking(move || run("leaks-check", &["check"], &borrowed(&env)));
        let output = soon("the check", checked).await.unwrap();
        assert!(!output.status.success());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap().to_lowercase();
        assert!(said.contains("[status=204"), "{said}");
        assert!(!said.contains(CANARY), "{said}");
    }
}
