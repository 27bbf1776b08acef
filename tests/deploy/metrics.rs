//! `GET /metrics`, and the alerts and the dashboard that are made of it.

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Output, Stdio},
};

use rasta_stream::{
    metrics,
    simulator::{Options, Pace, Simulator},
};

use crate::support::{
    app::{Setup, spawn_app_with},
    client::{self, proven, soon},
    program::Serving,
};

const RULES: &str = "deploy/prometheus/rules.yaml";
const DASHBOARD: &str = "deploy/prometheus/grafana.json";

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn promtool(args: &[&str], input: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

async fn scrape(addr: SocketAddr) -> String {
    let response = client::send(addr, "GET", "/metrics", &[], None).await;
    assert_eq!(response.status, 200);
    let kind = response.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    response.text().await
}

#[actix_web::test]
async fn the_figures_count_replies_tokens_requests_and_refusals() {
    let simulator = Simulator::start(Options {
        pace: Pace::Instant,
        ..Options::default()
    })
    .await
    .unwrap();
    // A process of its own, because the figures are the process's.
    let serving = Serving::start(
        "metrics",
        &[
            ("AZURE_OPENAI_ENDPOINT", &simulator.url()),
            ("AZURE_OPENAI_DEPLOYMENT", "poet"),
            ("AZURE_OPENAI_API_KEY", "k"),
        ],
    );
    let before = scrape(serving.addr).await;
    assert!(before.contains("rasta_stream_viewers 0\n"), "{before}");

    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
    ];
    let body = Some(r#"{"prompt":"river"}"#);
    let post = client::send(serving.addr, "POST", "/v1/replies", &headers, body);
    let events = post.await.rest().await;
    let end = proven(&events);
    let nothing = client::send(serving.addr, "GET", "/v1/nothing", &[], None).await;
    assert_eq!(nothing.status, 404);

    let (input, output) = (
        &end["usage"]["prompt_tokens"],
        &end["usage"]["completion_tokens"],
    );
    let gaps = events.iter().filter(|event| event.name == "delta").count() - 1;
    let expected = [
        format!(
            "rasta_stream_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        ),
        r#"rasta_stream_replies_ended_total{code="",status="completed"} 1"#.to_owned(),
        r#"rasta_stream_upstream_attempts_total{deployment="poet",outcome="answered"} 1"#
            .to_owned(),
        r#"rasta_stream_upstream_circuit_open{deployment="poet"} 0"#.to_owned(),
        r#"rasta_stream_requests_refused_total{code="not_found"} 1"#.to_owned(),
        format!("gen_ai_client_token_usage_sum{{gen_ai_token_type=\"input\"}} {input}"),
        format!("gen_ai_client_token_usage_sum{{gen_ai_token_type=\"output\"}} {output}"),
        "gen_ai_client_operation_time_to_first_chunk_seconds_count 1".to_owned(),
        format!("gen_ai_client_operation_time_per_output_chunk_seconds_count {gaps}"),
        "rasta_stream_store_up 1".to_owned(),
        "rasta_stream_replies_running 0".to_owned(),
    ];
    let figures = soon("the reply to be counted", async {
        loop {
            let figures = scrape(serving.addr).await;
            if figures.contains("rasta_stream_replies_running 0") {
                return figures;
            }
        }
    })
    .await;
    for line in expected {
        assert!(
            figures.lines().any(|written| written == line),
            "{line}\n{figures}"
        );
    }
    for name in metrics::names() {
        assert!(figures.contains(&format!("# TYPE {name} ")), "{name}");
    }
    let checked = promtool(&["check", "metrics"], &figures);
    assert!(checked.status.success(), "{}", told(&checked));
}

#[actix_web::test]
async fn figures_ask_for_a_token_except_on_an_address_of_their_own() {
    const TOKEN: &str = "0123456789abcdef0123456789";
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let app = spawn_app_with(Setup {
        flags: &[
            &format!("--access-tokens=ann:{TOKEN}"),
            &format!("--metrics-addr={addr}"),
        ],
        ..Setup::default()
    })
    .await;
    assert_eq!(app.get("/metrics").await.status, 401);
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    let response = client::send(app.addr, "GET", "/metrics", &headers, None).await;
    assert_eq!(response.status, 200);
    scrape(addr).await;
    let other = client::send(addr, "GET", "/v1/replies/x", &[], None).await;
    assert_eq!(other.status, 404);
}

/// Everything in a text that has the form of one of our figures' names.
fn figures_in(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("rasta_stream_") || word.starts_with("gen_ai_client_"))
        .collect()
}

#[test]
fn alerts_and_dashboard_are_made_of_figures_that_exist() {
    let names = metrics::names();
    for file in [RULES, DASHBOARD] {
        let text = fs::read_to_string(path(file)).unwrap();
        let used = figures_in(&text);
        assert!(used.len() > 5, "{file}: {used:?}");
        for figure in used {
            let parts = ["", "_bucket", "_sum", "_count"];
            let exists = parts
                .iter()
                .filter_map(|part| figure.strip_suffix(part))
                .any(|name| names.iter().any(|declared| declared == name));
            assert!(exists, "{file}: there is no {figure}");
        }
    }
    let dashboard = fs::read_to_string(path(DASHBOARD)).unwrap();
    for name in names {
        assert!(dashboard.contains(&name), "{name} is not on the dashboard");
    }
}

#[test]
fn promtool_accepts_the_alerts_and_every_query_of_the_dashboard() {
    let rules = promtool(&["check", "rules", path(RULES).to_str().unwrap()], "");
    assert!(rules.status.success(), "{}", told(&rules));
    let text = fs::read_to_string(path(DASHBOARD)).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut queries = String::from("groups: [{name: dashboard, rules: [\n");
    for (number, target) in targets.enumerate() {
        let query = target["expr"].as_str().unwrap();
        let query = query.replace("$__rate_interval", "5m");
        let query = serde_json::json!(query);
        queries += &format!("{{record: \"query:{number}\", expr: {query}}},\n");
    }
    queries += "]}]\n";
    let file = std::env::temp_dir().join(format!("dashboard-{}.yaml", std::process::id()));
    fs::write(&file, &queries).unwrap();
    let checked = promtool(&["check", "rules", file.to_str().unwrap()], "");
    fs::remove_file(&file).unwrap();
    assert!(checked.status.success(), "{}\n{queries}", told(&checked));
}
