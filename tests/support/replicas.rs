//! Several servers of this process over one Redis, and what tests ask of them.

use rasta_stream::guard::Clock;

use super::{
    app::{Setup, TestApp, spawn_app_with},
    client::{Response, soon},
    redis::Redis,
};

/// Replicas over one store. Each has a simulator of its own, whose frames wait for their release.
pub async fn replicas<const N: usize>(url: &str, flags: &[&str]) -> [TestApp; N] {
    replicas_at(url, flags, &Clock::default()).await
}

/// The same, with a clock that the test moves.
pub async fn replicas_at<const N: usize>(url: &str, flags: &[&str], clock: &Clock) -> [TestApp; N] {
    let url = format!("--redis-url={url}");
    let mut apps = Vec::new();
    for _ in 0..N {
        let flags: Vec<&str> = flags.iter().copied().chain([url.as_str()]).collect();
        let setup = Setup {
            pace: None,
            flags: &flags,
            clock: clock.clone(),
            ..Setup::default()
        };
        apps.push(spawn_app_with(setup).await);
    }
    apps.try_into().ok().unwrap()
}

pub async fn pair(redis: &Redis) -> [TestApp; 2] {
    replicas(&redis.url(), &[]).await
}

pub fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

pub fn events_key(path: &str) -> String {
    format!("rasta:{{{}}}:events", id(path))
}

/// Waits until a replica says this of its store.
pub async fn store_is(app: &TestApp, state: &str) {
    let said = async {
        while app.get("/readyz").await.json().await["store"] != state {
            tokio::task::yield_now().await;
        }
    };
    soon("the store's state to be told", said).await;
}

/// Reads until an event has been seen.
pub async fn read_to(viewer: &mut Response, last: u64) {
    while viewer.next_stored().await.unwrap().id < last {}
}
