//! The program as people run it: start-up errors, subcommands, signals, and what it logs.

mod signals;

use rasta_stream::simulator::{Options, Pace, Simulator};
use serde_json::json;

use crate::support::{
    client::{self, proven, soon},
    program::{Empty, Serving, program, refusal, run},
};

#[test]
fn a_start_up_error_is_one_line_with_its_remedy() {
    let endpoint = ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com");
    for (env, words) in [
        (
            &[endpoint][..],
            "AZURE_OPENAI_DEPLOYMENT is missing: set it",
        ),
        (
            &[
                endpoint,
                ("AZURE_OPENAI_DEPLOYMENT", "d"),
                ("AZURE_OPENAI_AUTH", "key"),
            ],
            "AZURE_OPENAI_API_KEY is missing: set it",
        ),
        (
            &[("AZURE_OPENAI_API_KEY", "k")],
            "AZURE_OPENAI_ENDPOINT is missing: set it",
        ),
        (
            &[
                ("AZURE_OPENAI_ENDPOINT", "http://r.openai.azure.com"),
                ("AZURE_OPENAI_DEPLOYMENT", "d"),
                ("AZURE_OPENAI_API_KEY", "k"),
            ],
            "AZURE_OPENAI_ENDPOINT begins with http://, and r.openai.azure.com is another machine",
        ),
        (
            &[
                endpoint,
                ("AZURE_OPENAI_DEPLOYMENT", "d"),
                ("all_proxy", "socks5://127.0.0.1:1080"),
            ],
            "HTTPS_PROXY must be an HTTP proxy, http://HOST:PORT: SOCKS is not supported",
        ),
        (
            &[("PORT", "no")],
            "PORT must be a number from 0 to 65535, not \"no\"",
        ),
        (
            &[("STATIC_DIR", "nowhere")],
            "there is no index.html in nowhere: set STATIC_DIR",
        ),
    ] {
        let error = refusal(&run("startup", &[], env));
        assert!(
            error.starts_with(&format!("rasta-stream: {words}")),
            "{error}"
        );
    }
}

#[test]
fn a_port_in_use_is_said_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = refusal(&run("taken", &[], &[("PORT", &port)]));
    assert!(error.contains("cannot listen on 127.0.0.1:"), "{error}");
    assert!(error.contains("set HOST and PORT"), "{error}");
}

#[test]
fn a_broken_dot_env_is_told_by_its_line() {
    let directory = Empty::new("dotenv");
    std::fs::write(
        directory.0.join(".env"),
        "PORT=0\nSYSTEM_PROMPT=two words\n",
    )
    .unwrap();
    let error = refusal(&program(&directory, &[], &[]).output().unwrap());
    assert!(
        error.contains(".env has a syntax error at line 2"),
        "{error}"
    );
    assert!(!error.contains("two words"));
}

#[test]
fn a_dot_env_that_windows_wrote_is_read_or_its_encoding_is_named() {
    let directory = Empty::new("dotenv-encoding");
    let error_of = |content: &[u8]| {
        std::fs::write(directory.0.join(".env"), content).unwrap();
        refusal(&program(&directory, &[], &[]).output().unwrap())
    };
    // The value is read, so the byte order mark is not part of the name.
    let marked = error_of(b"\xEF\xBB\xBFPORT=no\r\n");
    assert!(marked.contains("PORT must be a number"), "{marked}");
    assert!(marked.contains("(set in .env)"), "{marked}");
    let mark = |text: &str| format!("\u{feff}{text}");
    for text in [mark("PORT=0\r\n"), "PORT=0\r\n".to_owned()] {
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let content: Vec<u8> = text.encode_utf16().flat_map(bytes).collect();
            let error = error_of(&content);
            assert!(error.contains(".env is UTF-16 text"), "{error}");
            assert!(error.contains("Set-Content -Encoding utf8"), "{error}");
        }
    }
    let latin = error_of(b"PORT=0\n# caf\xE9\n");
    assert!(
        latin.contains(".env is not UTF-8 text at line 2"),
        "{latin}"
    );
}

#[test]
fn help_and_the_simulator_do_not_need_a_dot_env_that_is_right() {
    let directory = Empty::new("dotenv-unused");
    std::fs::write(directory.0.join(".env"), "two words").unwrap();
    for args in [
        &["--help"][..],
        &["--version"],
        &["check", "--help"],
        &["simulate", "--list"],
    ] {
        let output = program(&directory, args, &[]).output().unwrap();
        assert!(output.status.success(), "{args:?}");
    }
    for args in [&["check"][..], &["healthcheck"], &["serve"]] {
        let error = refusal(&program(&directory, args, &[]).output().unwrap());
        assert!(
            error.contains(".env has a syntax error at line 1"),
            "{error}"
        );
    }
}

#[test]
fn help_and_version_and_the_list_of_scenarios_are_printed() {
    let help = run("help", &["--help"], &[]);
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for word in [
        "serve",
        "check",
        "simulate",
        "healthcheck",
        "[env: AZURE_OPENAI_ENDPOINT]",
    ] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    let version = String::from_utf8(run("version", &["--version"], &[]).stdout).unwrap();
    assert_eq!(
        version.trim(),
        concat!("rasta-stream ", env!("CARGO_PKG_VERSION"))
    );
    let list = String::from_utf8(run("list", &["simulate", "--list"], &[]).stdout).unwrap();
    assert!(list.lines().count() > 30);
    assert!(list.contains("truncated"));
}

#[actix_web::test]
async fn the_first_run_without_any_setting_serves_the_page_and_a_verse() {
    let serving = Serving::start("first", &[]);
    let page = client::send(serving.addr, "GET", "/", &[], None).await;
    assert!(page.text().await.contains("<title>"));
    let ready = client::send(serving.addr, "GET", "/readyz", &[], None).await;
    assert_eq!(ready.json().await["upstream"], "simulator");
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
    ];
    let body = Some(r#"{"prompt":"Tell me of the mountain"}"#);
    let mut reply = client::send(serving.addr, "POST", "/v1/replies", &headers, body).await;
    let events = reply.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
    assert!(client::text_of(&events).contains("mountain"));

    let port = serving.addr.port().to_string();
    assert!(
        run("healthy", &["healthcheck", "--port", &port], &[])
            .status
            .success()
    );
    assert!(
        run(
            "healthy-env",
            &["healthcheck"],
            &[("PORT", &port), ("HOST", "0.0.0.0")]
        )
        .status
        .success()
    );
    serving.signal("-INT");
    let (code, log) = serving.finish();
    assert_eq!(code, Some(0), "{log}");
    let error = refusal(&run("unhealthy", &["healthcheck", "--port", &port], &[]));
    assert!(error.contains("start the server"), "{error}");
}

#[actix_web::test]
async fn a_program_alone_in_an_empty_folder_serves_the_page() {
    let directory = Empty::new("alone");
    let alone = directory.0.join("rasta-stream");
    // No copy: a file that was open for writing when another test forked cannot be run.
    std::fs::hard_link(env!("CARGO_BIN_EXE_rasta-stream"), &alone).unwrap();
    let serving = Serving::start_program(&alone, directory, &[]);
    for (path, words) in [("/", "<title>"), ("/app.js", "import")] {
        let file = client::send(serving.addr, "GET", path, &[], None).await;
        assert!(file.text().await.contains(words), "{path}");
    }
}

#[test]
fn only_the_server_reads_the_folder_of_the_page() {
    let nowhere = [("STATIC_DIR", "nowhere")];
    let error = refusal(&run("check-nowhere", &["check"], &nowhere));
    assert!(error.contains("No Azure OpenAI is configured"), "{error}");
    let list = run("list-nowhere", &["simulate", "--list"], &nowhere);
    assert!(list.status.success());
    let port = [("PORT", "1"), nowhere[0]];
    let error = refusal(&run("healthcheck-nowhere", &["healthcheck"], &port));
    assert!(error.contains("start the server"), "{error}");
}

#[actix_web::test]
async fn neither_key_nor_prompt_nor_reply_nor_a_whole_id_is_ever_logged() {
    for (scenario, format) in [
        ("any", "text"),
        ("sim-unauthorized", "json"),
        ("sim-error-in-stream", "text"),
        ("sim-bad-json", "json"),
    ] {
        let options = Options {
            pace: Pace::Instant,
            ..Options::default()
        };
        let simulator = Simulator::start(options).await.unwrap();
        let serving = Serving::start(
            "secrets",
            &[
                ("AZURE_OPENAI_ENDPOINT", &simulator.url()),
                ("AZURE_OPENAI_DEPLOYMENT", scenario),
                ("AZURE_OPENAI_API_KEY", "canary-key-5f1c"),
                ("SYSTEM_PROMPT", "canary-system-77ab"),
                ("RUST_LOG", "trace"),
                ("LOG_FORMAT", format),
            ],
        );
        let headers = [
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream"),
        ];
        let body = json!({"prompt": "canary-prompt-93de"}).to_string();
        let mut reply =
            client::send(serving.addr, "POST", "/v1/replies", &headers, Some(&body)).await;
        let id = reply
            .header("location")
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let events = reply.rest().await;
        proven(&events);
        let broken = client::send(
            serving.addr,
            "POST",
            "/v1/replies",
            &headers[..1],
            Some("{\"prompt\": canary-prompt-93de"),
        )
        .await;
        assert!(!broken.text().await.contains("canary"));
        serving.signal("-TERM");
        let (_, log) = serving.finish();
        assert!(log.contains("reply ended"), "{log}");
        for secret in [
            "canary-key-5f1c",
            "canary-system-77ab",
            "canary-prompt-93de",
            &id,
        ] {
            assert!(
                !log.contains(secret),
                "{secret} is in the log of {scenario}:\n{log}"
            );
        }
        let text = client::text_of(&events);
        if let Some(line) = text.lines().find(|line| line.len() > 12) {
            assert!(!log.contains(line), "the reply is in the log:\n{log}");
        }
    }
}

#[actix_web::test]
async fn json_logs_are_one_object_a_line() {
    let serving = Serving::start("json-logs", &[("LOG_FORMAT", "json")]);
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
    ];
    let body = Some(r#"{"prompt":"river"}"#);
    client::send(serving.addr, "POST", "/v1/replies", &headers, body)
        .await
        .rest()
        .await;
    serving.signal("-TERM");
    let (_, log) = serving.finish();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ended = lines
        .iter()
        .find(|line| line["message"] == "reply ended")
        .unwrap();
    assert_eq!(ended["status"], "completed");
    assert!(ended["bytes"].as_u64().unwrap() > 0);
    assert!(ended["time"].as_str().unwrap().ends_with('Z'));
}

#[actix_web::test]
async fn check_says_in_one_sentence_what_is_wrong() {
    let options = Options {
        pace: Pace::Instant,
        ..Options::default()
    };
    let simulator = Simulator::start(options).await.unwrap();
    let url = simulator.url();
    let check_over = async |api: &str, deployment: &str, endpoint: &str| {
        let env: Vec<(String, String)> = [
            ("AZURE_OPENAI_ENDPOINT", endpoint),
            ("AZURE_OPENAI_DEPLOYMENT", deployment),
            ("AZURE_OPENAI_API_KEY", "canary-key-5f1c"),
            ("AZURE_OPENAI_API", api),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let run = tokio::task::spawn_blocking(move || {
            let env: Vec<(&str, &str)> = env
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            run("check", &["check"], &env)
        });
        soon("the check", run).await.unwrap()
    };
    let check =
        async |deployment: &str, endpoint: &str| check_over("auto", deployment, endpoint).await;
    let well = check("mine", &url).await;
    assert!(well.status.success());
    let sentence = String::from_utf8(well.stdout).unwrap();
    assert!(
        sentence.starts_with("OK: \"mine\" at http://127.0.0.1:"),
        "{sentence}"
    );
    assert!(sentence.contains("(model sim-"), "{sentence}");
    assert!(
        sentence.contains(") responded over the Chat Completions API in "),
        "{sentence}"
    );
    for (api, deployment) in [("auto", "sim-responses-only"), ("responses", "mine")] {
        let well = check_over(api, deployment, &url).await;
        let sentence = String::from_utf8(well.stdout).unwrap();
        assert!(
            sentence.contains(") responded over the Responses API in "),
            "{sentence}"
        );
    }
    for (api, deployment) in [
        ("chat", "sim-responses-only"),
        ("responses", "sim-chat-only"),
    ] {
        let error = refusal(&check_over(api, deployment, &url).await);
        let words = "does not have the API that AZURE_OPENAI_API names: unset it";
        assert!(error.contains(words), "{error}");
    }
    for (deployment, words) in [
        (
            "sim-unauthorized",
            "check that AZURE_OPENAI_API_KEY is a key of this resource",
        ),
        (
            "sim-forbidden",
            "allow its address under Networking in the portal",
        ),
        (
            "sim-permission-denied",
            "assign it Cognitive Services OpenAI User",
        ),
        (
            "sim-deployment-not-found",
            "check AZURE_OPENAI_DEPLOYMENT against the names",
        ),
        (
            "sim-not-found",
            "the path or the API version does not exist",
        ),
        ("sim-rate-limited", "wait, or raise the deployment's quota"),
        (
            "sim-429-in-200-error-first",
            "wait, or raise the deployment's quota",
        ),
        (
            "sim-deployment-missing-in-200",
            "check AZURE_OPENAI_DEPLOYMENT against the names",
        ),
        (
            "sim-filter-in-200",
            "check SYSTEM_PROMPT, which the content filter checks too",
        ),
        (
            "sim-error-first",
            "the model's service fails by itself: try again later",
        ),
        (
            "sim-prompt-filtered",
            "check SYSTEM_PROMPT, which the content filter checks too",
        ),
        (
            "sim-unavailable",
            "check AZURE_OPENAI_ENDPOINT and the network",
        ),
        (
            "sim-html-200",
            "check that AZURE_OPENAI_ENDPOINT is the address of an API",
        ),
    ] {
        let error = refusal(&check(deployment, &url).await);
        assert!(error.contains(words), "{deployment}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = plain.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            use tokio::io::AsyncWriteExt as _;
            // What a server without TLS says to a greeting that it does not understand.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    for (endpoint, words) in [
        ("http://127.0.0.1:1", "no server accepts connections there"),
        (
            "https://no-such-host.invalid",
            "the host name has no address",
        ),
        (
            &format!("https://127.0.0.1:{port}"),
            "the server does not speak TLS",
        ),
    ] {
        let error = refusal(&check("d", endpoint).await);
        assert!(error.contains(words), "{endpoint}: {error}");
    }
    let error = refusal(&check("d", "http://127.0.0.1:1").await);
    assert!(
        error.contains("check AZURE_OPENAI_ENDPOINT and the network"),
        "{error}"
    );
    let error = refusal(&run("check-none", &["check"], &[]));
    assert!(error.contains("No Azure OpenAI is configured"), "{error}");
}
