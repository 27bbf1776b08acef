//! Each scenario does over the Responses API what its name says.

use super::{
    expected::{Expected, expected},
    *,
};

#[tokio::test]
async fn every_scenario_does_what_its_name_says() {
    for scenario in Scenario::ALL {
        let simulator = instant().await;
        let body = streaming(&format!("sim-{scenario}"));
        match expected(*scenario) {
            Expected::Refused(status, text) => {
                let response = post(&simulator, V1, &body).await;
                assert_eq!(response.status, status, "{scenario}");
                let raw = String::from_utf8_lossy(&response.raw);
                assert!(raw.contains(text), "{scenario}: {raw}");
                assert!(response.complete, "{scenario}");
            }
            Expected::CompleteVerse => {
                let response = post(&simulator, V1, &body).await;
                assert_complete_verse(*scenario, &response);
            }
            Expected::Ended(last, complete) => {
                let response = post(&simulator, V1, &body).await;
                assert_eq!(response.status, 200, "{scenario}");
                assert_eq!(response.chunks().pop().unwrap()["type"], last, "{scenario}");
                assert_eq!(response.complete, complete, "{scenario}");
                assert_eq!(response.reset, *scenario == Scenario::Reset, "{scenario}");
            }
            Expected::Hangs(text) => {
                let mut call = Call::post(&simulator, V1, &body).await;
                call.until(text).await;
                in_time(simulator.journal().wait_for(|records| !records.is_empty())).await;
                assert_eq!(simulator.journal().open(), 1, "{scenario}");
                drop(call);
                let gone = |records: &[Record]| {
                    let mut events = records.iter().map(|record| &record.event);
                    events.any(|event| *event == JournalEvent::ClientGone)
                };
                in_time(simulator.journal().wait_for(gone)).await;
            }
            Expected::Special => {}
        }
    }
}

fn assert_complete_verse(scenario: Scenario, response: &Response) {
    assert_eq!(response.status, 200, "{scenario}");
    let mut verse = verse::compose(PROMPT, 1);
    if scenario == Scenario::OneByte {
        verse.truncate(verse.find("\n\n").unwrap());
    }
    let text = response.joined("response.output_text.delta");
    assert_eq!(text, verse, "{scenario}");
    let last = response.chunks().pop().unwrap();
    assert_eq!(last["type"], "response.completed", "{scenario}");
    assert_eq!(output_text(&last["response"]), verse, "{scenario}");
    assert!(response.complete, "{scenario}");
    assert_numbered(scenario.name(), response);
}

pub(super) fn assert_numbered(scenario: &str, response: &Response) {
    for (index, event) in response.chunks().iter().enumerate() {
        assert_eq!(event["sequence_number"], index, "{scenario}");
    }
}

#[tokio::test]
async fn a_refusal_has_events_of_its_own() {
    let response = play("refusal").await;
    let text = "I'm sorry, but I cannot help with that.";
    assert_eq!(response.joined("response.refusal.delta"), text);
    assert!(response.of_type("response.output_text.delta").is_empty());
    let done = &response.of_type("response.refusal.done")[0];
    assert_eq!(done["refusal"], text);
    let last = response.chunks().pop().unwrap()["response"].take();
    assert_eq!(last["status"], "completed");
    let part = json!({"type": "refusal", "refusal": text});
    assert_eq!(last["output"][0]["content"], json!([part]));
}

#[tokio::test]
async fn reasoning_comes_before_the_message_and_its_summary_only_if_asked_for() {
    let simulator = instant().await;
    let mut body = streaming("sim-reasoning-summary");
    let silent = post(&simulator, V1, &body).await;
    body["reasoning"] = json!({"summary": "auto"});
    let told = post(&simulator, V1, &body).await;
    for response in [&silent, &told] {
        let added = response.of_type("response.output_item.added");
        assert_eq!(added[0]["item"]["type"], "reasoning");
        assert_eq!(
            (&added[1]["output_index"], &added[1]["item"]["type"]),
            (&json!(1), &json!("message"))
        );
        let delta = &response.of_type("response.output_text.delta")[0];
        assert_eq!(delta["output_index"], 1);
        let output = &response.chunks().pop().unwrap()["response"]["output"];
        assert_eq!(output[0]["type"], "reasoning");
    }
    let summary = told.joined("response.reasoning_summary_text.delta");
    assert!(summary.starts_with("**Finding the rhyme**"));
    assert_eq!(
        told.types()[2..5],
        [
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
        ]
    );
    let done = &told.of_type("response.reasoning_summary_text.done")[0];
    assert_eq!(done["text"], summary.as_str());
    let part = json!([{"type": "summary_text", "text": summary}]);
    let output = &told.chunks().pop().unwrap()["response"]["output"];
    assert_eq!(output[0]["summary"], part);
    assert!(
        silent
            .of_type("response.reasoning_summary_text.delta")
            .is_empty()
    );
    for delta in told.of_type("response.reasoning_summary_text.delta") {
        let length = |name: &str| delta[name].as_str().unwrap().chars().count();
        assert_eq!((length("delta") + length("obfuscation")) % 16, 0);
    }
}

#[tokio::test]
async fn commentary_is_a_message_of_its_own() {
    let response = play("commentary-then-final").await;
    let output = response.chunks().pop().unwrap()["response"]["output"].take();
    assert_eq!(output[0]["phase"], "commentary");
    assert_eq!(output[1]["phase"], "final_answer");
    assert_eq!(
        output[1]["content"][0]["text"],
        verse::compose(PROMPT, 1).as_str()
    );
    let indexes: Vec<_> = response
        .of_type("response.output_item.done")
        .iter()
        .map(|event| event["output_index"].as_u64().unwrap())
        .collect();
    assert_eq!(indexes, [0, 1]);
}

#[tokio::test]
async fn keepalives_and_unknown_events_use_up_numbers() {
    for (scenario, kinds) in [
        ("keepalive", &["keepalive"][..]),
        ("unknown-event", &["response.moonrise.delta", "moonrise"]),
    ] {
        let response = play(scenario).await;
        for kind in kinds {
            assert_eq!(response.of_type(kind).len(), 2, "{scenario}");
        }
        assert_numbered(scenario, &response);
    }
}

#[tokio::test]
async fn the_huge_first_event_repeats_the_instructions() {
    let response = play("huge-created").await;
    for event in [
        "response.created",
        "response.in_progress",
        "response.completed",
    ] {
        let event = &response.of_type(event)[0];
        let instructions = event["response"]["instructions"].as_str().unwrap();
        assert_eq!(instructions.len(), 200 * 1024);
    }
}

#[tokio::test]
async fn escaped_and_multibyte_text_is_the_same_in_deltas_and_whole() {
    let response = play("multibyte").await;
    let text = response.joined("response.output_text.delta");
    assert_eq!(text, verse::compose_multibyte(PROMPT, 1));
    let response = play("surrogates").await;
    let body = String::from_utf8(response.body.clone()).unwrap();
    for escaped in [
        r#""delta":"sun\ud83c""#,
        r#""delta":"\udf1erise ""#,
        r"half\ud83c moon",
    ] {
        assert!(body.contains(escaped), "{escaped}");
    }
    let whole = response.of_type("response.output_text.done");
    let whole = whole[0]["text"].as_str().unwrap();
    assert!(whole.contains("☀\u{fe0f} 🌱 sun🌞rise half\u{fffd} moon\n"));
}

#[tokio::test]
async fn a_tool_call_is_an_item_after_the_message() {
    let response = play("tool-calls").await;
    let arguments = response.joined("response.function_call_arguments.delta");
    assert_eq!(arguments, "{\"tempo\":72}");
    let output = response.chunks().pop().unwrap()["response"]["output"].take();
    assert_eq!(output[0]["type"], "message");
    assert_eq!(output[1]["type"], "function_call");
    assert_eq!(output[1]["arguments"], arguments.as_str());
}

#[tokio::test]
async fn a_response_may_wait_in_a_queue() {
    let response = play("background-queued").await;
    let events = response.chunks();
    let types = response.types();
    assert_eq!(
        types[..3],
        [
            "response.created",
            "response.queued",
            "response.in_progress"
        ]
    );
    let statuses = events[..3]
        .iter()
        .map(|event| event["response"]["status"].clone());
    let statuses: Vec<_> = statuses.collect();
    assert_eq!(statuses, ["queued", "queued", "in_progress"]);
}

#[tokio::test]
async fn what_is_not_a_stream_is_json_or_html() {
    let json = play("json-200").await;
    assert_eq!(json.json()["status"], "completed");
    assert!(play("html-200").await.body.starts_with(b"<!DOCTYPE"));
    let reset = play("reset-before-head").await;
    assert!(reset.reset && reset.raw.is_empty());
}

#[tokio::test]
async fn the_names_over_this_api_are_names_of_the_common_scenarios() {
    for (name, scenario) in [
        ("prompt-filtered-400", Scenario::PromptFiltered),
        ("incomplete-length", Scenario::Length),
        ("incomplete-length-no-text", Scenario::LengthEmpty),
        ("incomplete-filter", Scenario::ReplyFiltered),
        ("late-blocked", Scenario::AsyncFilteredLate),
        ("open-after-terminal", Scenario::StallAfterFinish),
    ] {
        assert_eq!(name.parse(), Ok(scenario));
    }
}
