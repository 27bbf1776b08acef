//! How a replica gets at Redis: the shipped ACL rules, TLS, and a Redis that the program refuses at its
//! start.

use serde_json::json;

use crate::support::{
    client::{proven, soon},
    program::{refusal, run},
    redis::{Answer, Redis, Setup},
    replicas::{events_key, read_to, replicas, store_is},
};

#[actix_web::test]
async fn a_user_who_may_do_no_more_than_the_shipped_rules_say_is_enough() {
    let rules = include_str!("../../deploy/users.acl");
    let rules = rules
        .lines()
        .find(|line| line.starts_with("user rasta"))
        .unwrap();
    let rules: Vec<&str> = rules
        .split(' ')
        .filter(|word| !word.starts_with('>'))
        .collect();
    let rules = rules[3..].join(" ");
    let redis = Redis::start_with(Setup {
        user: Some(("rasta", "se%cr:et", &rules)),
        ..Setup::default()
    })
    .await;
    let url = redis.url().replace("se%cr:et", "se%25cr%3Aet");
    let [here, there] = replicas(&url, &[]).await;
    let key = [("Idempotency-Key", "0123456789abcdef")];
    let path = here.post(&json!({"prompt": "river"}), &key).await;
    let path = path.header("location").unwrap().to_owned();
    let mut viewer = there.events(&path, 0).await;
    here.steps.release(6);
    read_to(&mut viewer, 5).await;
    // Everything that is ever asked of Redis: the healing, a stop, the removal.
    let unlink = ["UNLINK", &events_key(&path)];
    redis.command(&unlink).await;
    there.delete(&path).await;
    assert_eq!(
        viewer.rest().await.last().unwrap().data["status"],
        "stopped"
    );
    store_is(&here, "up").await;
    // And it is no administrator.
    let denied = redis.try_command(&["ACL", "LOG"]).await.unwrap();
    assert!(matches!(denied, Answer::Error(text) if text.starts_with("NOPERM")));
    let [third] = replicas(&url, &[]).await;
    assert_eq!(third.snapshot(&path).await["status"], "stopped");
}

#[actix_web::test]
async fn the_connection_to_redis_can_be_encrypted() {
    let redis = Redis::start_with(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let (url, ca) = redis.tls();
    let ca = format!("--redis-ca-file={}", ca.display());
    let [here, there] = replicas(&url, &[&ca]).await;
    let path = here.start("river").await;
    here.steps.release(10_000);
    let all = there.events(&path, 0).await.rest().await;
    assert_eq!(proven(&all)["status"], "completed");
    // A certificate from an unknown CA is refused.
    let refused = run_with(&url).await;
    assert!(
        refused.contains("cannot use Redis at localhost:"),
        "{refused}"
    );
}

/// What the program says that cannot start with this store.
async fn run_with(url: &str) -> String {
    let url = url.to_owned();
    let output =
        tokio::task::spawn_blocking(move || run("redis", &["--port=0"], &[("REDIS_URL", &url)]));
    refusal(&soon("the program to end", output).await.unwrap())
}

#[actix_web::test]
async fn a_redis_that_cannot_be_used_at_the_start_is_an_error_that_says_why_and_no_secret() {
    let mut redis = Redis::start_with(Setup {
        user: Some(("rasta", "right", "~* &* +@all")),
        ..Setup::default()
    })
    .await;
    let wrong = redis.url().replace("right", "secret-word");
    let refused = run_with(&wrong).await;
    assert!(refused.contains("WRONGPASS"), "{refused}");
    assert!(
        refused.contains("REDIS_URL") && !refused.contains("secret-word"),
        "{refused}"
    );
    let unknown_user = format!("redis://rasta:secret-word@{}", redis.addr());
    redis.kill();
    let refused = run_with(&unknown_user).await;
    assert!(refused.contains(&redis.addr().to_string()), "{refused}");
    assert!(!refused.contains("secret-word"), "{refused}");
    for bad in ["http://somewhere", "redis:", "somewhere:6379", "redis://"] {
        let refused = run_with(bad).await;
        assert!(
            refused.contains("REDIS_URL must be redis://"),
            "{bad}: {refused}"
        );
    }
}
