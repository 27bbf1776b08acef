//! Three replicas that share a Redis, behind nginx: whichever answers, it is one reply. The Redis has the user
//! that is shipped and no other, so that its list of commands is proven to be long enough.

use awc::Client;
use rasta_stream::simulator::Simulator;

use super::{
    Nginx, OPENING, PROMPT, REST, STREAM, replica, shipped, source::Source, start, stepped,
};
use crate::support::{
    client::{self, blocks, proven, soon},
    redis::{self, Redis},
    replica::{Ended, Replica, Scratch},
};

struct Deployment {
    nginx: Nginx,
    replicas: [Replica; 3],
    _redis: Redis,
    _users: Scratch,
}

impl Deployment {
    async fn start(simulator: &Simulator) -> Self {
        let users = Scratch::new("users");
        let file = users.path().join("users.acl");
        std::fs::write(&file, shipped("users.acl").replace("PASSWORD", "secret")).unwrap();
        let redis = Redis::start_with(redis::Setup {
            more: &["--aclfile", file.to_str().unwrap()],
            ..redis::Setup::default()
        })
        .await;
        let url = format!("redis://rasta:secret@{}", redis.addr());
        let settings = [("REDIS_URL", url.as_str())];
        let replicas = [
            replica(simulator, &settings).await,
            replica(simulator, &settings).await,
            replica(simulator, &settings).await,
        ];
        Self {
            nginx: Nginx::start(replicas.each_ref().map(Replica::addr)),
            replicas,
            _redis: redis,
            _users: users,
        }
    }

    /// Three viewers of a reply, each at another replica: nginx gives them out in turn.
    async fn viewers(&self, path: &str) -> Viewers {
        let url = format!("http://{}{path}/events", self.nginx.http);
        let mut viewers = Viewers([(), (), ()].map(|()| {
            // Each has connections of its own.
            Source::new(Client::builder().disable_timeout().finish(), url.clone())
        }));
        viewers.each_gets(1).await;
        viewers
    }
}

struct Viewers([Source; 3]);

impl Viewers {
    async fn each_gets(&mut self, events: usize) {
        for viewer in &mut self.0 {
            for _ in 0..events {
                assert!(viewer.next().await, "{:?}", viewer.events);
            }
        }
    }

    fn connections(&self) -> usize {
        self.0.iter().map(|viewer| viewer.connections).sum()
    }

    /// Waits for the end; all must have got the same bytes, without a gap.
    async fn all_have_the_whole(mut self) -> serde_json::Value {
        for viewer in &mut self.0 {
            viewer.rest().await;
        }
        let [first, second, third] = &self.0;
        assert_eq!(blocks(&first.events), blocks(&second.events));
        assert_eq!(blocks(&first.events), blocks(&third.events));
        proven(&first.events).clone()
    }
}

#[actix_web::test]
async fn a_viewer_of_a_dead_replica_goes_on_at_another_and_misses_nothing() {
    let (simulator, steps) = stepped().await;
    let deployment = Deployment::start(&simulator).await;
    let [leader, second, third] = &deployment.replicas;
    let path = start(leader.addr()).await;
    let mut viewers = deployment.viewers(&path).await;
    steps.release(OPENING + 10);
    viewers.each_gets(10).await;

    second.kill();
    second.ended().await;
    steps.release(10);
    viewers.each_gets(10).await;
    assert_eq!(viewers.connections(), 4, "one of three was there");

    third.kill();
    third.ended().await;
    steps.release(REST);
    let end = viewers.all_have_the_whole().await;
    assert_eq!(end["status"], "completed");
}

#[actix_web::test]
async fn a_roll_out_under_a_running_reply_tears_nothing() {
    let (simulator, steps) = stepped().await;
    let deployment = Deployment::start(&simulator).await;
    let [leader, second, _] = &deployment.replicas;
    let path = start(leader.addr()).await;
    let mut viewers = deployment.viewers(&path).await;
    steps.release(OPENING + 10);
    viewers.each_gets(10).await;

    second.terminate();
    assert_eq!(second.ended().await, Ended::Code(0));
    leader.terminate();
    let refuses = async {
        while client::send(leader.addr(), "GET", "/readyz", &[], None)
            .await
            .status
            == 200
        {}
    };
    soon("the leader to drain", refuses).await;
    // It still has its own reply and accepts no new one; clients reach the third replica.
    for _ in 0..6 {
        start(deployment.nginx.http).await;
    }
    steps.release(REST);
    let end = viewers.all_have_the_whole().await;
    assert_eq!(end["status"], "completed");
    assert_eq!(leader.ended().await, Ended::Code(0));
}

#[actix_web::test]
async fn after_the_death_of_the_leader_all_viewers_get_the_same_end() {
    let (simulator, steps) = stepped().await;
    let deployment = Deployment::start(&simulator).await;
    let leader = &deployment.replicas[0];
    let path = start(leader.addr()).await;
    let mut viewers = deployment.viewers(&path).await;
    steps.release(OPENING + 10);
    viewers.each_gets(10).await;
    leader.kill();
    let end = viewers.all_have_the_whole().await;
    assert_eq!(end["error"]["code"], "producer_lost");
}

#[actix_web::test]
async fn post_snapshot_and_stop_may_each_meet_another_replica() {
    let (simulator, steps) = stepped().await;
    let deployment = Deployment::start(&simulator).await;
    let addr = deployment.nginx.http;
    let once = [STREAM[0], ("Idempotency-Key", "once-and-only-once")];
    let mut ids = Vec::new();
    for _ in 0..3 {
        let post = client::send(addr, "POST", "/v1/replies", &once, Some(PROMPT)).await;
        ids.push(post.json().await["id"].clone());
    }
    assert_eq!(ids, vec![ids[0].clone(); 3]);
    let path = format!("/v1/replies/{}", ids[0].as_str().unwrap());
    let mut viewers = deployment.viewers(&path).await;
    steps.release(OPENING + 10);
    viewers.each_gets(10).await;
    for _ in 0..3 {
        let snapshot = client::send(addr, "GET", &path, &[], None).await;
        assert_eq!(snapshot.json().await["last_event_id"], 11);
    }
    let stop = client::send(addr, "DELETE", &path, &[], None).await;
    assert_eq!(stop.status, 202);
    let end = viewers.all_have_the_whole().await;
    assert_eq!(
        (&end["status"], &end["reason"]),
        (&"stopped".into(), &"viewer".into())
    );
}
