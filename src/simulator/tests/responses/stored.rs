//! Stored responses: retrieved, followed, cancelled, deleted.

use super::*;

async fn stepped() -> (Simulator, Steps) {
    let steps = Steps::new();
    let simulator = start(Options {
        pace: Pace::Stepped(steps.clone()),
        ..Options::default()
    })
    .await;
    (simulator, steps)
}

fn stored(deployment: &str) -> Value {
    let mut body = streaming(deployment);
    body["store"] = json!(true);
    body
}

fn in_background(deployment: &str) -> Value {
    let mut body = stored(deployment);
    body["background"] = json!(true);
    body
}

/// The id in the first event of a stream.
fn id(response: &Response) -> String {
    let id = response.chunks()[0]["response"]["id"].clone();
    id.as_str().unwrap().to_owned()
}

fn of(id: &str) -> String {
    format!("{V1}/{id}")
}

async fn status(simulator: &Simulator, id: &str) -> String {
    let response = call(simulator, "GET", &of(id)).await.json();
    response["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_stored_response_is_retrieved_and_replayed_after_any_number() {
    let simulator = instant().await;
    let first = post(&simulator, V1, &stored("poet")).await;
    let id = id(&first);
    let whole = call(&simulator, "GET", &of(&id)).await.json();
    let last = first.chunks().pop().unwrap();
    assert_eq!(whole, last["response"]);
    let classic = CLASSIC.replacen('?', &format!("/{id}?"), 1);
    assert_eq!(call(&simulator, "GET", &classic).await.json(), whole);
    let all = call(&simulator, "GET", &format!("{}?stream=true", of(&id))).await;
    assert_eq!(all.body, first.body);
    let total = first.frames().len();
    for after in [0, 7, total - 2, total - 1, total + 5] {
        let path = format!("{}?stream=true&starting_after={after}", of(&id));
        let rest = call(&simulator, "GET", &path).await;
        assert_eq!((rest.status, rest.complete), (200, true));
        let expected = first.frames().into_iter().skip(after + 1);
        assert_eq!(rest.frames(), expected.collect::<Vec<_>>(), "{after}");
    }
}

#[tokio::test]
async fn what_is_not_stored_or_deleted_is_not_found() {
    let simulator = instant().await;
    let first = post(&simulator, V1, &streaming("poet")).await;
    let unstored = id(&first);
    let first = post(&simulator, V1, &stored("poet")).await;
    let deleted = id(&first);
    let answer = call(&simulator, "DELETE", &of(&deleted)).await.json();
    assert_eq!(
        answer,
        json!({"id": deleted, "object": "response", "deleted": true})
    );
    for id in [unstored.as_str(), deleted.as_str(), "resp_0"] {
        for (method, path) in [
            ("GET", of(id)),
            ("GET", format!("{}?stream=true", of(id))),
            ("DELETE", of(id)),
            ("POST", format!("{}/cancel", of(id))),
        ] {
            let response = call(&simulator, method, &path).await;
            assert_eq!(response.status, 404, "{method} {path}");
            let message = response.json()["error"]["message"].take();
            assert_eq!(message, format!("Response with id '{id}' not found."));
        }
    }
}

#[tokio::test]
async fn a_response_can_continue_a_stored_one() {
    let simulator = instant().await;
    let first = post(&simulator, V1, &body("poet")).await.json();
    let mut body = body("poet");
    body["previous_response_id"] = first["id"].clone();
    let second = post(&simulator, V1, &body).await;
    assert_eq!(second.status, 200);
    assert_eq!(second.json()["previous_response_id"], first["id"]);
}

#[tokio::test]
async fn a_response_in_the_background_goes_on_without_its_client() {
    let (simulator, steps) = stepped().await;
    let mut call_ = Call::post(&simulator, V1, &in_background("poet")).await;
    steps.release(2);
    call_.until("event: response.queued").await;
    let text = String::from_utf8_lossy(&call_.seen).into_owned();
    let start = text.find("resp_").unwrap();
    let id = text[start..].split('"').next().unwrap().to_owned();
    assert_eq!(status(&simulator, &id).await, "queued");
    steps.release(4);
    call_.until("event: response.content_part.added").await;
    assert_eq!(status(&simulator, &id).await, "in_progress");
    drop(call_);
    let follow = format!("{}?stream=true&starting_after=1", of(&id));
    let head = format!("GET {follow} HTTP/1.1\r\nHost: x\r\n{KEY}\r\n");
    let mut viewer = Call::send(&simulator, head.as_bytes()).await;
    viewer.until("event: response.content_part.added").await;
    steps.release(usize::MAX);
    let rest = viewer.finish().await;
    assert_eq!(rest.chunks()[0]["sequence_number"], 2);
    assert_eq!(rest.types().pop().unwrap(), "response.completed");
    assert_eq!(
        rest.joined("response.output_text.delta"),
        verse::compose(PROMPT, 1)
    );
    let whole = call(&simulator, "GET", &of(&id)).await.json();
    assert_eq!(output_text(&whole), verse::compose(PROMPT, 1));
    assert_eq!(
        (&whole["status"], &whole["background"]),
        (&json!("completed"), &json!(true))
    );
}

#[tokio::test]
async fn a_response_in_the_background_may_be_polled_instead() {
    let (simulator, steps) = stepped().await;
    let mut body = in_background("poet");
    body["stream"] = json!(false);
    let first = post(&simulator, V1, &body).await.json();
    assert_eq!(first["status"], "queued");
    let id = first["id"].as_str().unwrap();
    assert_eq!(status(&simulator, id).await, "queued");
    steps.release(usize::MAX);
    in_time(async { while status(&simulator, id).await != "completed" {} }).await;
    let path = format!("{}?stream=true", of(id));
    let response = call(&simulator, "GET", &path).await;
    assert_eq!(response.status, 400);
    let message = response.json()["error"]["message"].take();
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("not created with stream=true")
    );
}

#[tokio::test]
async fn a_response_in_the_background_is_cancelled_once_and_its_viewers_learn_of_it() {
    let (simulator, steps) = stepped().await;
    let mut viewer = Call::post(&simulator, V1, &in_background("poet")).await;
    steps.release(8);
    viewer.until("event: response.output_text.delta").await;
    let text = String::from_utf8_lossy(&viewer.seen).into_owned();
    let start = text.find("resp_").unwrap();
    let id = text[start..].split('"').next().unwrap().to_owned();
    let cancel = format!("{}/cancel", of(&id));
    for _ in 0..2 {
        let response = call(&simulator, "POST", &cancel).await;
        assert_eq!(
            (response.status, &response.json()["status"]),
            (200, &json!("cancelled"))
        );
    }
    let seen = viewer.finish().await;
    assert_eq!(seen.types().pop().unwrap(), "response.cancelled");
    let numbers = seen.chunks();
    let numbers: Vec<_> = numbers
        .iter()
        .map(|event| event["sequence_number"].clone())
        .collect();
    assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
    assert_eq!(status(&simulator, &id).await, "cancelled");
    let synchronous = post(&simulator, V1, &body("poet")).await.json()["id"].take();
    let path = format!("{}/cancel", of(synchronous.as_str().unwrap()));
    let response = call(&simulator, "POST", &path).await;
    assert_eq!(response.status, 400);
    let message = response.json()["error"]["message"].take();
    assert_eq!(message, "Cannot cancel a synchronous response.");
}

#[tokio::test]
async fn a_response_is_cancelled_when_its_client_disconnects() {
    let (simulator, steps) = stepped().await;
    let mut client = Call::post(&simulator, V1, &stored("poet")).await;
    steps.release(6);
    client.until("event: response.output_text.delta").await;
    let text = String::from_utf8_lossy(&client.seen).into_owned();
    let start = text.find("resp_").unwrap();
    let id = text[start..].split('"').next().unwrap().to_owned();
    assert_eq!(status(&simulator, &id).await, "in_progress");
    drop(client);
    in_time(async { while status(&simulator, &id).await != "cancelled" {} }).await;
}

#[tokio::test]
async fn an_old_stream_can_no_longer_be_followed() {
    let simulator = instant().await;
    let first = post(&simulator, V1, &stored("sim-resume-too-old")).await;
    let id = id(&first);
    assert_eq!(status(&simulator, &id).await, "completed");
    let path = format!("{}?stream=true&starting_after=3", of(&id));
    let response = call(&simulator, "GET", &path).await;
    assert_eq!(response.status, 400);
    let message = response.json()["error"]["message"].take();
    let text = "This response can no longer be streamed because it is more than 5 minutes old.";
    assert_eq!(message, text);
}

#[tokio::test]
async fn only_the_newest_responses_are_kept_and_none_that_are_very_long() {
    let simulator = instant().await;
    let oldest = post(&simulator, V1, &body("poet")).await.json();
    let oldest = oldest["id"].as_str().unwrap();
    for _ in 0..99 {
        post(&simulator, V1, &body("poet")).await;
    }
    assert_eq!(status(&simulator, oldest).await, "completed");
    let newest = post(&simulator, V1, &body("poet")).await.json();
    assert_eq!(call(&simulator, "GET", &of(oldest)).await.status, 404);
    assert_eq!(
        status(&simulator, newest["id"].as_str().unwrap()).await,
        "completed"
    );
    let long = post(&simulator, V1, &stored("sim-long-line")).await;
    assert_eq!(call(&simulator, "GET", &of(&id(&long))).await.status, 404);
}

#[tokio::test]
async fn a_response_without_an_end_runs_until_it_is_cancelled() {
    let simulator = instant().await;
    let mut body = in_background("sim-stall");
    body["stream"] = json!(false);
    let first = post(&simulator, V1, &body).await.json();
    let id = first["id"].as_str().unwrap();
    in_time(async { while status(&simulator, id).await != "in_progress" {} }).await;
    let response = call(&simulator, "POST", &format!("{}/cancel", of(id))).await;
    assert_eq!(response.json()["status"], "cancelled");
    assert_eq!(status(&simulator, id).await, "cancelled");
    let unended = post(&simulator, V1, &stored("sim-no-terminal")).await;
    let id = super::stored::id(&unended);
    in_time(async { while status(&simulator, &id).await != "cancelled" {} }).await;
}
