//! A reply may be in Redis although the replica that has put it there got no answer.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use uuid::Uuid;

use super::{
    ask,
    viewer::{Habits, Viewer},
};
use crate::support::{
    client::soon,
    proxy::{Effect, Proxy, Way, Which},
    redis::{Answer, Redis},
    replica::Replica,
};

/// Redis takes the reply's beginning, and the answer does not come back. The caller tries again on
/// another replica, which finds the reply by its key: it must be whole there, and stay.
#[actix_web::test]
async fn a_reply_whose_beginning_got_no_answer_is_whole_for_whom_its_key_leads_there() {
    let redis = Redis::start().await;
    // A Redis that has held claims before, so that a new one need not wait.
    redis.command(&["SET", "rasta:settled", "1"]).await;
    let (wire, other_wire) = (
        Proxy::start(redis.addr()).await,
        Proxy::start(redis.addr()).await,
    );
    let start = async |wire: &Proxy| {
        let url = format!("redis://{}", wire.addr());
        Replica::start(&[("REDIS_URL", &url), ("PING_SECONDS", "1")]).await
    };
    let (replica, other) = (start(&wire).await, start(&other_wire).await);
    wire.set(Which::Sent("leader"), Effect::Hold(Way::Down));
    let key = Arc::new(Uuid::new_v4().to_string());
    let post = |addr| {
        let key = Arc::clone(&key);
        async move {
            let headers = [
                ("Content-Type", "application/json"),
                ("Idempotency-Key", key.as_str()),
            ];
            let body = r#"{"prompt":"river"}"#;
            ask(addr, "POST", "/v1/replies", &headers, body).await
        }
    };
    let waiting = tokio::spawn(post(replica.addr()));
    let begun = async {
        while redis.command(&["KEYS", "rasta:{*}:events"]).await == Answer::List(Vec::new()) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the beginning to be in Redis", begun).await;
    let (found, _) = post(other.addr()).await.unwrap();
    let path = found.header("location").unwrap().to_owned();
    let (first, _) = soon("the answer", waiting).await.unwrap().unwrap();
    assert_eq!(first.header("location"), Some(path.as_str()));
    wire.lift();
    for number in 0..2 {
        let viewer = Viewer::new(number, 0, &[other.addr()], &path, Habits::default());
        let sight = viewer.follow(Duration::from_secs(120)).await;
        assert!(
            sight.wrongs.is_empty(),
            "viewer {number}: {:?}",
            sight.wrongs
        );
        assert!(
            sight.ended.is_some(),
            "viewer {number} saw no end: {:?}",
            sight.seen
        );
        let end = sight.seen.last().unwrap();
        assert!(end.block.contains("\"completed\""), "{}", end.block);
    }
}
