//! What a server does from SIGTERM to its exit: for those who watch a reply, for those who come, and
//! for itself.

use std::time::{Duration, Instant};

use rasta_stream::{
    event::ReplyEvent,
    simulator::{Options, Pace, Simulator, Steps},
    store::{Created, Owner},
};

use crate::support::{
    app::spawn_stepped,
    client::{self, Event, Response, blocks, proven, soon},
    program::Serving,
};

/// The program as a process, before a simulator whose frames wait for the test.
struct Replica {
    serving: Serving,
    steps: Steps,
    _simulator: Simulator,
}

impl Replica {
    async fn start(name: &str, drain_seconds: &str) -> Self {
        let steps = Steps::new();
        let options = Options {
            pace: Pace::Stepped(steps.clone()),
            ..Options::default()
        };
        let simulator = Simulator::start(options).await.unwrap();
        let env = [
            ("AZURE_OPENAI_ENDPOINT", simulator.url()),
            ("AZURE_OPENAI_DEPLOYMENT", "any".to_owned()),
            ("AZURE_OPENAI_API_KEY", "k".to_owned()),
            ("DRAIN_SECONDS", drain_seconds.to_owned()),
        ];
        let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, v.as_str())).collect();
        Self {
            serving: Serving::start(name, &env),
            steps,
            _simulator: simulator,
        }
    }

    async fn get(&self, path: &str) -> Response {
        client::send(self.serving.addr, "GET", path, &[], None).await
    }

    async fn post(&self, accept: &str) -> Response {
        let headers = [("Content-Type", "application/json"), ("Accept", accept)];
        let body = Some(r#"{"prompt":"river"}"#);
        client::send(self.serving.addr, "POST", "/v1/replies", &headers, body).await
    }

    /// A reply in its middle: its path, a direct stream of it, and an `EventSource`'s, each with what
    /// it has got so far.
    async fn live_reply(&self) -> (String, [(Response, Vec<Event>); 2]) {
        let direct = self.post("text/event-stream").await;
        let path = direct.header("location").unwrap().to_owned();
        let viewer = self.get(&format!("{path}/events")).await;
        self.steps.release(6);
        let mut viewers = [(direct, Vec::new()), (viewer, Vec::new())];
        for (viewer, events) in &mut viewers {
            while events.len() < 3 {
                events.push(viewer.next_stored().await.unwrap());
            }
        }
        (path, viewers)
    }

    /// Sends SIGTERM, and waits until it has arrived.
    async fn terminate(&self) {
        self.serving.signal("-TERM");
        let draining = async {
            while self.get("/readyz").await.status == 200 {
                tokio::task::yield_now().await;
            }
        };
        soon("the drain", draining).await;
    }
}

/// What is left of a reply for a viewer.
async fn to_the_end((viewer, events): &mut (Response, Vec<Event>)) {
    events.extend(viewer.rest().await);
}

#[actix_web::test]
async fn sigterm_lets_every_viewer_have_the_whole_reply_and_the_program_exits_0() {
    let replica = Replica::start("drain-whole", "120").await;
    let (path, mut viewers) = replica.live_reply().await;
    replica.terminate().await;

    let ready = replica.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json().await["status"], "draining");
    assert_eq!(replica.get("/livez").await.status, 200);
    for accept in ["application/json", "text/event-stream"] {
        let refused = replica.post(accept).await;
        assert_eq!(refused.status, 503);
        assert_eq!(refused.header("connection"), Some("close"));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((2..=8).contains(&wait));
        assert_eq!(refused.json().await["code"], "draining");
    }
    // Without Redis the reply is nowhere else, so every client is served.
    let snapshot = replica.get(&path).await;
    assert_eq!(snapshot.status, 200);
    assert_eq!(snapshot.json().await["status"], "running");
    let mut late = (replica.get(&format!("{path}/events")).await, Vec::new());

    replica.steps.release(10_000);
    to_the_end(&mut late).await;
    assert_eq!(proven(&late.1)["status"], "completed");
    for viewer in &mut viewers {
        to_the_end(viewer).await;
        assert_eq!(blocks(&viewer.1), blocks(&late.1));
    }
    let (code, log) = replica.serving.finish();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("DRAIN_SECONDS are over"), "{log}");
}

#[actix_web::test]
async fn a_reply_that_outlives_the_drain_ends_as_shut_down_and_the_program_exits_0() {
    let replica = Replica::start("drain-over", "0.3").await;
    let (_, mut viewers) = replica.live_reply().await;
    replica.serving.signal("-TERM");
    for viewer in &mut viewers {
        to_the_end(viewer).await;
        let end = proven(&viewer.1);
        assert_eq!(end["status"], "failed");
        assert_eq!(end["error"]["code"], "server_shutdown");
        assert_eq!(end["error"]["retryable"], true);
    }
    let (code, log) = replica.serving.finish();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("DRAIN_SECONDS are over"), "{log}");
}

#[actix_web::test]
async fn a_second_signal_ends_the_program_at_once() {
    for second in ["-TERM", "-INT"] {
        let replica = Replica::start("drain-twice", "600").await;
        let (_, viewers) = replica.live_reply().await;
        replica.terminate().await;
        let signalled = Instant::now();
        replica.serving.signal(second);
        let (code, log) = replica.serving.finish();
        assert_eq!(code, Some(130), "{log}");
        assert!(!log.contains("reply ended"), "{log}");
        assert!(signalled.elapsed() < Duration::from_secs(4));
        drop(viewers);
    }
}

#[actix_web::test]
async fn with_nothing_to_wait_for_the_program_exits_at_once() {
    let replica = Replica::start("drain-nothing", "600").await;
    let signalled = Instant::now();
    replica.serving.signal("-TERM");
    let (code, log) = replica.serving.finish();
    assert_eq!(code, Some(0), "{log}");
    assert!(signalled.elapsed() < Duration::from_secs(4), "{log}");
}

#[actix_web::test]
async fn connections_that_are_open_and_idle_hold_nothing_up() {
    let replica = Replica::start("drain-idle", "600").await;
    replica.steps.release(10_000);
    let mut stream = replica.post("text/event-stream").await;
    proven(&stream.rest().await);
    let mute = tokio::net::TcpStream::connect(replica.serving.addr).await;
    let signalled = Instant::now();
    replica.serving.signal("-TERM");
    let (code, log) = replica.serving.finish();
    assert_eq!(code, Some(0), "{log}");
    assert!(signalled.elapsed() < Duration::from_secs(12), "{log}");
    drop((stream, mute));
}

#[actix_web::test]
async fn a_slow_viewer_is_not_cut_inside_an_event() {
    let app = spawn_stepped(&[]).await;
    let Ok(Created::New(mut writer)) = app.store.create(Owner::Anyone, None).await else {
        panic!("a new reply")
    };
    // More than the connection's buffers hold, so that the signal comes in the middle of one.
    let text = "x".repeat(1 << 20);
    let large = [(); 16].map(|()| ReplyEvent::Delta { text: text.clone() });
    writer.append(&large).unwrap();
    let path = format!("/v1/replies/{}", writer.log().id());
    let mut viewer = app.events(&path, 0).await;
    assert_eq!(viewer.next().await.unwrap().name, "start");
    app.drain.start(Duration::ZERO);
    let mut last = viewer.next().await.unwrap();
    let mut count = 0;
    while !last.is_ping() {
        count += 1;
        assert_eq!(last.data["text"].as_str().unwrap().len(), text.len());
        last = viewer.next().await.unwrap();
    }
    assert!(last.retry.is_some() && count < 16, "{count} came before it");
    assert_eq!((last.id, viewer.next().await), (1 + count, None));
}

#[actix_web::test]
async fn a_replica_that_sends_viewers_on_asks_its_store_for_nothing() {
    let app = spawn_stepped(&[]).await;
    app.drain.start(Duration::ZERO);
    let unknown = "/v1/replies/00000000-0000-4000-8000-000000000000";
    let mut sent_on = app.events(unknown, 7).await;
    assert_eq!(sent_on.next().await.unwrap().id, 7);
    assert_eq!(sent_on.next().await, None);
    assert_eq!(app.get(unknown).await.status, 404);
    let bad = app.get(&format!("{unknown}/events?after=x")).await;
    assert_eq!(bad.json().await["code"], "bad_cursor");
}
