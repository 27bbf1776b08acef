//! What the matrix does to Redis really happens to Redis, as a client beside the replicas sees it.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{
    cluster::{Cluster, Plan},
    fault::Fault,
};
use crate::support::{
    client::soon,
    redis::{Answer, Connection},
};

/// Redis behind its proxy, without clients.
async fn redis_alone() -> Cluster {
    Cluster::start(Plan {
        replicas: 0,
        ..Plan::default()
    })
    .await
}

async fn connect(cluster: &Cluster) -> Connection {
    Connection::open(cluster.wire().addr()).await.unwrap()
}

async fn say(connection: &mut Connection, words: &[&str]) -> Answer {
    soon("an answer", connection.say(words)).await.unwrap()
}

async fn is_broken(connection: &mut Connection) {
    let answer = soon("the break", connection.say(&["PING"])).await;
    assert!(answer.is_err(), "{answer:?}");
}

#[actix_web::test]
async fn an_emptied_redis_breaks_every_connection_and_has_forgotten_all() {
    let mut cluster = redis_alone().await;
    let mut before = connect(&cluster).await;
    say(&mut before, &["SET", "key", "1"]).await;
    Fault::RedisEmptied.strike(0, &mut cluster, None).await;
    is_broken(&mut before).await;
    let mut after = connect(&cluster).await;
    assert_eq!(say(&mut after, &["GET", "key"]).await, Answer::Nothing);
}

#[actix_web::test]
async fn killed_clients_lose_their_connections_and_redis_nothing() {
    let mut cluster = redis_alone().await;
    let (mut plain, mut subscriber) = (connect(&cluster).await, connect(&cluster).await);
    say(&mut plain, &["SET", "key", "1"]).await;
    say(&mut subscriber, &["SUBSCRIBE", "channel"]).await;
    Fault::RedisClientsKilled
        .strike(0, &mut cluster, None)
        .await;
    is_broken(&mut plain).await;
    is_broken(&mut subscriber).await;
    let key = say(&mut connect(&cluster).await, &["GET", "key"]).await;
    assert_eq!(key, Answer::Text("1".to_owned()));
}

#[actix_web::test]
async fn a_paused_redis_answers_no_client_for_three_seconds() {
    let mut cluster = redis_alone().await;
    let mut connection = connect(&cluster).await;
    let begun = Instant::now();
    Fault::RedisPaused.strike(0, &mut cluster, None).await;
    say(&mut connection, &["SET", "key", "1"]).await;
    assert!(begun.elapsed() >= Duration::from_millis(2900));
}

#[actix_web::test]
async fn a_fail_over_loses_what_the_copy_did_not_have() {
    let mut cluster = redis_alone().await;
    let fault = Fault::RedisFailsOver;
    let copy = fault.prepare(0, &cluster).await.unwrap();
    let mut before = connect(&cluster).await;
    say(&mut before, &["SET", "early", "1"]).await;
    assert_eq!(
        say(&mut before, &["WAIT", "1", "5000"]).await,
        Answer::Number(1)
    );
    copy.promote().await;
    say(&mut before, &["SET", "late", "1"]).await;
    fault.strike(0, &mut cluster, Some(copy)).await;
    is_broken(&mut before).await;
    let mut after = connect(&cluster).await;
    let early = say(&mut after, &["GET", "early"]).await;
    assert_eq!(early, Answer::Text("1".to_owned()));
    assert_eq!(say(&mut after, &["GET", "late"]).await, Answer::Nothing);
}

#[actix_web::test]
async fn a_silent_subscriber_hears_nothing_while_commands_pass() {
    let mut cluster = redis_alone().await;
    let (mut plain, mut subscriber) = (connect(&cluster).await, connect(&cluster).await);
    say(&mut plain, &["PING"]).await;
    say(&mut subscriber, &["SUBSCRIBE", "channel"]).await;
    Fault::SubscriberSilent.strike(0, &mut cluster, None).await;
    let heard_by = say(&mut plain, &["PUBLISH", "channel", "word"]).await;
    assert_eq!(heard_by, Answer::Number(1), "Redis still counts on it");
    let heard = timeout(Duration::from_millis(200), subscriber.hear()).await;
    assert!(heard.is_err(), "{heard:?}");
    // A new one is well.
    let mut newcomer = connect(&cluster).await;
    say(&mut newcomer, &["SUBSCRIBE", "channel"]).await;
    say(&mut plain, &["PUBLISH", "channel", "word"]).await;
    let heard = soon("the word", newcomer.hear()).await.unwrap();
    assert!(matches!(heard, Answer::List(parts) if parts.len() == 3));
}
