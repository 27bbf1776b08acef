//! Shapes of a stream that are not Azure's, and refusals in the shape of a stream: what becomes of the
//! reply. The golden transcripts have each shape; here are those that need a socket.

use serde_json::{Value, json};

use super::retries::notices;
use crate::support::{
    app::{requests, spawn_scenario},
    client::{Event, proven, text_of},
};

async fn played(scenario: &str, flags: &[&str]) -> (Vec<Event>, usize) {
    let app = spawn_scenario(scenario, flags).await;
    let events = app.stream("Tell me of the river").await.rest().await;
    let asked = requests(&app.simulator.journal().records()).len();
    (events, asked)
}

#[actix_web::test]
async fn text_of_another_shape_is_the_same_text() {
    let (usual, _) = played("bom", &[]).await;
    for scenario in ["message-for-delta", "content-parts", "finish-unknown"] {
        let (events, _) = played(scenario, &[]).await;
        assert_eq!(text_of(&events), text_of(&usual), "{scenario}");
        let deltas = |events: &[Event]| events.iter().filter(|event| event.name == "delta").count();
        assert_eq!(deltas(&events), deltas(&usual), "{scenario}");
        assert_eq!(
            proven(&events)["usage"],
            proven(&usual)["usage"],
            "{scenario}"
        );
    }
}

#[actix_web::test]
async fn parts_of_thinking_are_reasoning() {
    let (events, _) = played("content-parts", &["--reasoning-summary=auto"]).await;
    let reasoning = events
        .iter()
        .find(|event| event.name == "reasoning")
        .unwrap();
    assert_eq!(reasoning.data["text"], "A rhyme on that.");
}

#[actix_web::test]
async fn an_answer_without_text_says_so() {
    for (scenario, finish_reason) in [("empty", "stop"), ("length-empty", "length")] {
        let (events, _) = played(scenario, &[]).await;
        let notices = notices(&events);
        assert_eq!(notices.len(), 1, "{scenario}");
        assert_eq!(notices[0]["code"], "empty_reply", "{scenario}");
        let end = proven(&events);
        assert_eq!(end["status"], "completed", "{scenario}");
        assert_eq!(end["finish_reason"], finish_reason, "{scenario}");
    }
    let (events, _) = played("length", &[]).await;
    assert_eq!(notices(&events), Vec::<&Value>::new(), "there is some text");
}

#[actix_web::test]
async fn a_refusal_inside_a_200_is_the_same_over_both_apis() {
    for (scenario, error, wait, asked) in [
        ("busy-in-200", Value::Null, Value::Null, 2),
        ("filter-in-200", json!("prompt_filtered"), Value::Null, 1),
        (
            "deployment-missing-in-200",
            json!("deployment_not_found"),
            Value::Null,
            1,
        ),
        (
            "context-too-long-in-200",
            json!("context_too_long"),
            Value::Null,
            1,
        ),
        (
            "rate-limit-in-stream",
            json!("rate_limited"),
            json!(4000),
            1,
        ),
        (
            "overloaded-in-stream",
            json!("upstream_unavailable"),
            Value::Null,
            1,
        ),
        ("filter-in-stream", json!("reply_filtered"), Value::Null, 1),
    ] {
        for api in ["chat", "responses"] {
            let flag = format!("--azure-openai-api={api}");
            let (events, requests) = played(scenario, &[&flag]).await;
            let end = proven(&events);
            assert_eq!(end["error"]["code"], error, "{scenario} over {api}: {end}");
            assert_eq!(
                end["error"]["retry_after_ms"], wait,
                "{scenario} over {api}"
            );
            assert_eq!(requests, asked, "{scenario} over {api}");
        }
    }
}
