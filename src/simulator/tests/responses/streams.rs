//! The ordinary stream over the Responses API, field by field.

use super::*;

#[tokio::test]
async fn a_stream_has_azures_events_in_azures_order() {
    let simulator = instant().await;
    let mut body = streaming("poet");
    body["instructions"] = json!("Answer in rhyme.");
    let response = post(&simulator, V1, &body).await;
    assert!(response.head.contains("Content-Type: text/event-stream"));
    let period = "x-ratelimit-renewalperiod-tokens: 60\r\n";
    assert!(response.head.contains(period));
    let types = response.types();
    let deltas = types.len() - 8;
    let expected: Vec<_> = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    .into_iter()
    .chain(std::iter::repeat_n("response.output_text.delta", deltas))
    .chain([
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ])
    .collect();
    assert_eq!(types, expected);
    let events = response.chunks();
    let verse = verse::compose(PROMPT, 2);
    assert_eq!(response.joined("response.output_text.delta"), verse);
    let end = &events[events.len() - 4..];
    assert_eq!(end[0]["text"], verse.as_str());
    assert_eq!(end[1]["part"]["text"], verse.as_str());
    assert_eq!(end[2]["item"]["content"][0]["text"], verse.as_str());
    let last = &end[3]["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], verse.as_str());
    for event in [&events[0], &events[1], &end[3]] {
        assert_eq!(event["response"]["instructions"], "Answer in rhyme.");
        assert_eq!(event["response"]["store"], false);
    }
    assert_eq!(events[0]["response"]["usage"], Value::Null);
    assert_eq!(events[0]["response"]["content_filters"], Value::Null);
    let usage = &last["usage"];
    assert_eq!(usage["output_tokens"], deltas);
    let sum = usage["input_tokens"].as_u64().unwrap() + deltas as u64;
    assert_eq!(usage["total_tokens"], sum);
    let sources = [0, 1].map(|index| last["content_filters"][index]["source_type"].clone());
    assert_eq!(sources, ["prompt", "completion"]);
    assert!(response.complete && !response.body.ends_with(b"[DONE]\n\n"));
}

#[tokio::test]
async fn fields_stand_in_azures_order() {
    let frames = play("crlf").await.frames();
    let id = |kind: &str| {
        let start = frames[2].find(kind).or_else(|| frames[0].find(kind));
        let frame = if kind == "resp_" {
            &frames[0]
        } else {
            &frames[2]
        };
        let start = frame.find(kind).or(start).unwrap();
        frame[start..].split('"').next().unwrap().to_owned()
    };
    let (response, message) = (id("resp_"), id("msg_"));
    for (id, kind) in [(&response, "resp_"), (&message, "msg_")] {
        let digits = id.strip_prefix(kind).unwrap();
        assert_eq!(digits.len(), 50);
        assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert_eq!(response[5..21], message[4..20]);
    let created = format!(
        "{{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{{\"id\":\"{response}\",\
         \"object\":\"response\",\"created_at\":"
    );
    assert!(frames[0].starts_with(&created), "{}", frames[0]);
    let mut rest = frames[0].as_str();
    for name in [
        "status",
        "background",
        "completed_at",
        "content_filters",
        "error",
        "incomplete_details",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "model",
        "output",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "usage",
        "user",
        "metadata",
    ] {
        let start = rest.find(&format!("\"{name}\":"));
        rest = &rest[start.unwrap_or_else(|| panic!("{name} does not come next in {rest}"))..];
    }
    let item = format!(
        "{{\"type\":\"response.output_item.added\",\"sequence_number\":2,\"output_index\":0,\
         \"item\":{{\"id\":\"{message}\",\"type\":\"message\",\"status\":\"in_progress\",\
         \"content\":[],\"role\":\"assistant\"}}}}"
    );
    assert_eq!(frames[2], item);
    let part = format!(
        "{{\"type\":\"response.content_part.added\",\"sequence_number\":3,\"item_id\":\"{message}\",\
         \"output_index\":0,\"content_index\":0,\"part\":{{\"type\":\"output_text\",\
         \"annotations\":[],\"logprobs\":[],\"text\":\"\"}}}}"
    );
    assert_eq!(frames[3], part);
    let delta = format!(
        "{{\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"{message}\",\
         \"output_index\":0,\"content_index\":0,\"delta\":"
    );
    assert!(frames[4].starts_with(&delta), "{}", frames[4]);
    assert!(frames[4].contains(",\"logprobs\":[],\"obfuscation\":\""));
}

#[tokio::test]
async fn a_delta_and_its_obfuscation_are_a_multiple_of_16_characters() {
    let simulator = instant().await;
    let response = post(&simulator, V1, &streaming("sim-multibyte")).await;
    let deltas = response.of_type("response.output_text.delta");
    assert!(deltas.len() > 40);
    for delta in deltas {
        let length = |name: &str| delta[name].as_str().unwrap().chars().count();
        assert!(length("obfuscation") < 16);
        assert_eq!((length("delta") + length("obfuscation")) % 16, 0);
    }
    let mut body = streaming("poet");
    body["stream_options"] = json!({"include_obfuscation": false});
    let response = post(&simulator, V1, &body).await;
    let deltas = response.of_type("response.output_text.delta");
    assert!(
        deltas
            .iter()
            .all(|delta| delta.get("obfuscation").is_none())
    );
}

#[tokio::test]
async fn each_event_is_a_chunk_of_its_own() {
    let response = play("keepalive").await;
    let frames = response.frames().len();
    let raw = String::from_utf8(response.raw).unwrap();
    let body = raw.split_once("\r\n\r\n").unwrap().1;
    let chunks: Vec<_> = body.split("\r\n").collect();
    // The size and the bytes of each, then the end of the body.
    assert_eq!(chunks.len(), frames * 2 + 3);
    for chunk in chunks.chunks(2).take(frames) {
        assert!(chunk[1].starts_with("event: ") && chunk[1].ends_with("}\n\n"));
    }
}

#[tokio::test]
async fn both_apis_give_the_same_verse_to_the_same_conversation() {
    let simulator = instant().await;
    let chat = json!({"model": "poet", "messages": [
        {"role": "system", "content": "Answer in rhyme."}, {"role": "user", "content": PROMPT},
    ]});
    let chat = post(&simulator, "/v1/chat/completions", &chat).await.json();
    let mut body = body("poet");
    body["instructions"] = json!("Answer in rhyme.");
    let response = post(&simulator, "/v1/responses", &body).await.json();
    let text = chat["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(output_text(&response), text);
    assert_eq!(response["status"], "completed");
    let tokens = &chat["usage"]["prompt_tokens"];
    assert_eq!(&response["usage"]["input_tokens"], tokens);
}

#[tokio::test]
async fn a_token_limit_ends_the_reply() {
    let simulator = instant().await;
    for stream in [false, true] {
        let mut body = streaming("poet");
        body["stream"] = json!(stream);
        body["max_output_tokens"] = json!(16);
        let response = post(&simulator, V1, &body).await;
        let last = match stream {
            true => response.chunks().pop().unwrap()["response"].take(),
            false => response.json(),
        };
        assert_eq!(last["incomplete_details"]["reason"], "max_output_tokens");
        assert_eq!(last["usage"]["output_tokens"], 16);
        assert_eq!(last["max_output_tokens"], 16);
    }
}
