//! Which requests for responses are accepted: paths, versions, bodies.

use super::*;

#[tokio::test]
async fn every_url_answers() {
    let simulator = instant().await;
    for path in [
        V1,
        "/openai/v1/responses?api-version=v1",
        "/openai/v1/responses?api-version=preview",
        "/openai/v1/responses?api-version=latest",
        CLASSIC,
        "/openai/responses?api-version=2025-04-01-preview",
        "/v1/responses",
    ] {
        let response = post(&simulator, path, &body("poet")).await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.json()["object"], "response", "{path}");
    }
}

#[tokio::test]
async fn other_urls_and_versions_are_refused() {
    let simulator = instant().await;
    for (path, status, code) in [
        ("/openai/responses", 404, "404"),
        ("/openai/responses?api-version=preview", 404, "404"),
        (
            "/openai/deployments/poet/responses?api-version=2025-03-01-preview",
            404,
            "404",
        ),
        ("/openai/v1/responses/", 404, "404"),
        ("/openai/v1/responsesx", 404, "404"),
        ("/openai/v1/responses/a/b", 404, "404"),
        (
            "/openai/responses?api-version=2024-10-21",
            400,
            "BadRequest",
        ),
        (
            "/openai/v1/responses?api-version=2025-03-01-preview",
            400,
            "BadRequest",
        ),
    ] {
        let response = post(&simulator, path, &body("poet")).await;
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.json()["error"]["code"], code, "{path}");
    }
    let old = post(
        &simulator,
        "/openai/responses?api-version=2024-10-21",
        &body("poet"),
    )
    .await;
    let text = "Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and \
                later";
    assert_eq!(old.json()["error"]["message"], text);
    assert_eq!(call(&simulator, "PUT", V1).await.status, 404);
    let bytes = super::super::client::request(V1, "", &body("poet").to_string());
    let response = Call::send(&simulator, &bytes).await.finish().await;
    assert_eq!(response.status, 401);
}

#[tokio::test]
async fn the_body_names_a_deployment_that_exists() {
    let simulator = start(Options {
        deployments: vec!["poet".to_owned()],
        pace: Pace::Instant,
        ..Options::default()
    })
    .await;
    for (deployment, status) in [("poet", 200), ("other", 404), ("sim-crlf", 200)] {
        let response = post(&simulator, CLASSIC, &body(deployment)).await;
        assert_eq!(response.status, status, "{deployment}");
    }
    let nameless = json!({"input": "x"});
    let error = post(&simulator, V1, &nameless).await.json()["error"].take();
    assert_eq!(error["code"], "missing_required_parameter");
    assert_eq!(error["param"], "model");
}

#[tokio::test]
async fn bad_bodies_are_refused_with_the_name_of_the_parameter() {
    let simulator = instant().await;
    let moved = "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to \
                 'input'.";
    for (change, param, code, text) in [
        (
            json!({"messages": []}),
            "messages",
            "unsupported_parameter",
            moved,
        ),
        (
            json!({"max_tokens": 20}),
            "max_tokens",
            "unsupported_parameter",
            "'max_output_tokens'",
        ),
        (
            json!({"reasoning_effort": "low"}),
            "reasoning_effort",
            "unsupported_parameter",
            "'reasoning.effort'",
        ),
        (
            json!({"max_output_tokens": 15}),
            "max_output_tokens",
            "integer_below_min_value",
            "Expected a value >= 16, but got 15 instead.",
        ),
        (
            json!({"riddim": 1}),
            "riddim",
            "unknown_parameter",
            "Unknown parameter: 'riddim'.",
        ),
        (
            json!({"n": 1}),
            "n",
            "unknown_parameter",
            "Unknown parameter: 'n'.",
        ),
        (
            json!({"stream": true, "stream_options": {"include_usage": true}}),
            "stream_options.include_usage",
            "unknown_parameter",
            "Unknown parameter",
        ),
        (
            json!({"input": null}),
            "input",
            "missing_required_parameter",
            "'input'",
        ),
        (json!({"input": []}), "input", "empty_array", "empty array"),
        (
            json!({"input": 1}),
            "input",
            "invalid_type",
            "one of an array of objects or string",
        ),
        (
            json!({"input": ["x"]}),
            "input[0]",
            "invalid_type",
            "an object",
        ),
        (
            json!({"input": [{"content": "x"}]}),
            "input[0].role",
            "missing_required_parameter",
            "role",
        ),
        (
            json!({"input": [{"role": "bot", "content": "x"}]}),
            "input[0]",
            "invalid_value",
            "'bot'",
        ),
        (
            json!({"input": [{"role": "user"}]}),
            "input[0].content",
            "missing_required_parameter",
            "content",
        ),
        (
            json!({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
            "input[0].content[0]",
            "invalid_value",
            "'input_text'",
        ),
        (
            json!({"instructions": ["x"]}),
            "instructions",
            "invalid_type",
            "a string",
        ),
        (
            json!({"reasoning": "low"}),
            "reasoning",
            "invalid_type",
            "an object",
        ),
        (
            json!({"previous_response_id": "resp_0"}),
            "previous_response_id",
            "previous_response_not_found",
            "'resp_0'",
        ),
    ] {
        let mut body = body("poet");
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let response = post(&simulator, V1, &body).await;
        assert_eq!(response.status, 400, "{change}");
        let error = response.json()["error"].take();
        assert_eq!(error["type"], "invalid_request_error", "{change}");
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!(param), &json!(code)),
            "{change}"
        );
        assert!(error["message"].as_str().unwrap().contains(text), "{error}");
    }
    let mut body = body("poet");
    body["background"] = json!(true);
    body["store"] = json!(false);
    let error = post(&simulator, V1, &body).await.json()["error"].take();
    assert_eq!(error["param"], "background");
}

#[tokio::test]
async fn a_reasoning_model_names_one_parameter_at_a_time() {
    let simulator = instant().await;
    let mut body = body("sim-reasoning-model");
    for name in ["top_p", "temperature"] {
        body[name] = json!(1);
    }
    for name in ["top_p", "temperature"] {
        let error = post(&simulator, V1, &body).await.json()["error"].take();
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!(name), &Value::Null)
        );
        body.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(post(&simulator, V1, &body).await.status, 200);
}

#[tokio::test]
async fn every_form_of_input_is_read() {
    let simulator = instant().await;
    let parts = json!([
        {"type": "reasoning", "id": "rs_0", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Irie"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "mangoes"}]},
    ]);
    for input in [
        json!("mangoes"),
        parts,
        json!([{"role": "user", "content": "mangoes"}]),
    ] {
        let mut body = body("poet");
        body["input"] = input.clone();
        let response = post(&simulator, V1, &body).await;
        assert!(output_text(&response.json()).contains("mangoes"), "{input}");
    }
}

#[tokio::test]
async fn a_response_repeats_what_the_request_sets() {
    let simulator = instant().await;
    let mut body = body("poet");
    let set = json!({
        "instructions": "Be brief.", "temperature": 0.7, "top_p": 0.5, "metadata": {"a": "b"},
        "reasoning": {"effort": "low", "summary": "auto"}, "text": {"verbosity": "low"},
        "max_output_tokens": 800, "user": "u", "parallel_tool_calls": false,
    });
    for (name, value) in set.as_object().unwrap() {
        body[name] = value.clone();
    }
    let response = post(&simulator, V1, &body).await.json();
    for (name, value) in set.as_object().unwrap() {
        if name != "text" {
            assert_eq!(&response[name], value, "{name}");
        }
    }
    let text = json!({"format": {"type": "text"}, "verbosity": "low"});
    assert_eq!(response["text"], text);
    assert_eq!(response["store"], true);
}
