use serde_json::json;

use super::*;

fn parsed(body: &Value) -> Result<CompletionRequest, ChatError> {
    CompletionRequest::from_json(body.to_string().as_bytes())
}

fn asked(more: &Value) -> Value {
    let mut body = json!({"model": "any", "messages": [{"role": "user", "content": "river"}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[test]
fn a_conversation_with_parts_and_unknown_fields_is_read() {
    let request = parsed(&json!({
        "model": "gpt-4o",
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "one"},
                {"type": "text", "text": "two", "cache_control": null},
            ], "name": "ann"},
            {"role": "assistant", "content": "three", "refusal": null, "tool_calls": null},
            {"role": "assistant", "content": null},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "user", "content": "four"},
        ],
        "a_field_of_next_year": {"deep": true},
    }))
    .unwrap();
    let messages = request.chat.messages();
    let texts: Vec<_> = messages.iter().map(|message| &*message.content).collect();
    assert_eq!(texts, ["one\ntwo", "three", "no", "four"]);
    assert_eq!(request.delivery, Delivery::Whole);
    assert!(request.left_out.is_empty());
}

#[test]
fn what_has_no_effect_is_left_out_and_told() {
    let request = parsed(&json!({
        "messages": [
            {"role": "system", "content": "Be a pirate."},
            {"role": "developer", "content": [{"type": "text", "text": "Be a pirate."}]},
            {"role": "user", "content": "river"},
        ],
        "temperature": 0, "max_tokens": 5, "stop": ["x"], "seed": null, "logprobs": false,
        "logit_bias": {}, "tools": [], "n": 1, "response_format": {"type": "text"},
    }))
    .unwrap();
    assert_eq!(
        request.left_out,
        ["max_tokens", "stop", "system", "temperature"]
    );
    assert_eq!(request.chat.messages().len(), 1);
}

#[test]
fn the_delivery_is_whole_or_in_chunks_with_or_without_usage() {
    for (more, delivery) in [
        (json!({}), Delivery::Whole),
        (json!({"stream": null}), Delivery::Whole),
        (json!({"stream": false}), Delivery::Whole),
        (json!({"stream": true}), Delivery::Chunks),
        (
            json!({"stream": true, "stream_options": {}}),
            Delivery::Chunks,
        ),
        (
            json!({"stream": true, "stream_options": {"include_usage": true}}),
            Delivery::ChunksAndUsage,
        ),
    ] {
        assert_eq!(parsed(&asked(&more)).unwrap().delivery, delivery, "{more}");
    }
}

#[test]
fn what_cannot_be_honored_is_refused_by_name() {
    for (more, param) in [
        (json!({"tools": [{"type": "function"}]}), "tools"),
        (json!({"functions": [{"name": "f"}]}), "functions"),
        (json!({"n": 2}), "n"),
        (json!({"audio": {"voice": "ash"}}), "audio"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (
            json!({"response_format": {"type": "json_object"}}),
            "response_format",
        ),
        (json!({"stream": "yes"}), "stream"),
        (json!({"messages": "river"}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [1]}), "messages[0]"),
        (
            json!({"messages": [{"role": "system", "content": "alone"}]}),
            "messages",
        ),
        (
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
            "messages",
        ),
        (
            json!({"messages": [{"role": "robot", "content": "a"}]}),
            "messages[0].role",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "a"}]}),
            "messages[0]",
        ),
        (
            json!({"messages": [{"role": "user", "content": " "}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "messages[0].content",
        ),
    ] {
        let error = parsed(&asked(&more)).unwrap_err();
        assert_eq!(error.param().as_deref(), Some(param), "{more}: {error}");
    }
    let many = vec![json!({"role": "user", "content": "a"}); MESSAGE_LIMIT + 1];
    let error = parsed(&json!({"messages": many})).unwrap_err();
    assert_eq!(error, ChatError::TooManyMessages(MESSAGE_LIMIT + 1));
    assert!(matches!(
        CompletionRequest::from_json(b"{"),
        Err(ChatError::NotJson { .. })
    ));
}
