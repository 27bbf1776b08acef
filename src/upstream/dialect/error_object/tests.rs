use super::*;

fn refused(status: u16, body: &str) -> Fault {
    refusal(
        &RefusalHead {
            status,
            ..RefusalHead::default()
        },
        body.as_bytes(),
    )
}

#[test]
fn every_refusal_that_is_known_of_azure_has_its_code() {
    use ErrorCode::*;
    let cases = [
        (
            400,
            r#"{"error":{"message":"m","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{}}}}"#,
            PromptFiltered,
        ),
        (
            400,
            r#"{"error":{"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            PromptFiltered,
        ),
        (
            400,
            r#"{"error":{"code":"context_length_exceeded","param":"messages"}}"#,
            ContextTooLong,
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":null}}"#,
            ContextTooLong,
        ),
        (
            400,
            r#"{"error":{"message":"Input tokens exceed the configured limit of 272000 tokens."}}"#,
            ContextTooLong,
        ),
        (
            400,
            r#"{"error":{"code":400,"type":"exceed_context_size_error"}}"#,
            ContextTooLong,
        ),
        (
            400,
            r#"{"error":{"code":"unsupported_value","param":"temperature"}}"#,
            UpstreamRejected,
        ),
        (
            400,
            r#"{"error":{"code":"BadRequest","message":"API version not supported"}}"#,
            UpstreamRejected,
        ),
        (400, r#"{"error":"plain string"}"#, UpstreamRejected),
        (400, "", UpstreamRejected),
        (
            401,
            r#"{"error":{"code":"401","message":"Access denied"}}"#,
            UpstreamAuth,
        ),
        (
            401,
            r#"{"statusCode":401,"message":"Unauthorized."}"#,
            UpstreamAuth,
        ),
        (
            401,
            r#"{"error":{"code":"PermissionDenied"}}"#,
            UpstreamAuth,
        ),
        (
            403,
            r#"{"error":{"code":"403","message":"Firewall"}}"#,
            UpstreamAuth,
        ),
        (
            404,
            r#"{"error":{"code":"DeploymentNotFound"}}"#,
            DeploymentNotFound,
        ),
        (
            404,
            r#"{"error":{"code":"404","message":"Resource not found"}}"#,
            UpstreamRejected,
        ),
        (404, r#"{"detail":"Not Found"}"#, UpstreamRejected),
        (307, "", UpstreamRejected),
        (413, "<html>", UpstreamRejected),
        (422, "{}", UpstreamRejected),
        (431, "", UpstreamRejected),
        (
            408,
            r#"{"error":{"message":"The operation was timeout."}}"#,
            UpstreamUnavailable,
        ),
        (429, r#"{"error":{"code":"429"}}"#, RateLimited),
        (
            500,
            r#"{"error":{"type":"server_error"}}"#,
            UpstreamUnavailable,
        ),
        (409, "", UpstreamUnavailable),
        (502, "<html>", UpstreamUnavailable),
        (503, "", UpstreamUnavailable),
        (504, "", UpstreamUnavailable),
        (103, "", UpstreamProtocol),
        (204, "", UpstreamProtocol),
    ];
    for (status, body, code) in cases {
        assert_eq!(
            refused(status, body).error.code,
            code,
            "for {status} {body}"
        );
    }
}

#[test]
fn the_field_that_is_refused_is_found_whatever_the_form_of_the_error() {
    let temperature = Diagnosis::Field(crate::upstream::capabilities::Field::Temperature);
    for body in [
        r#"{"error":{"code":"unsupported_value","param":"temperature","message":"m"}}"#,
        r#"{"error":{"message":"Unrecognized request argument supplied: temperature"}}"#,
        r#"{"detail":[{"loc":["body","temperature"],"msg":"extra fields not permitted"}]}"#,
    ] {
        assert_eq!(refused(400, body).diagnosis, temperature, "for {body}");
    }
    let filtered = r#"{"error":{"code":"content_filter","message":"temperature"}}"#;
    assert_eq!(refused(400, filtered).diagnosis, Diagnosis::Filter);
    assert_eq!(
        refused(500, r#"{"error":{"param":"temperature"}}"#).diagnosis,
        Diagnosis::Other
    );
}

#[test]
fn neither_clients_nor_the_log_see_upstreams_words() {
    let echo = r#"{"code":"key-1 x","type":"a prompt","param":"node-17","innererror":{"code":"me"},"message":"topology of node-17"}"#;
    for fault in [
        refused(400, &format!(r#"{{"error":{echo}}}"#)),
        in_stream(echo),
    ] {
        let told = format!("{} {fault:?}", fault.cause);
        for word in ["key-1", "prompt", "node", "me\"", "topology"] {
            assert!(!told.contains(word), "{word} in {told}");
        }
        assert!(
            fault
                .cause
                .to_string()
                .ends_with(" code=other(7) type=other(8) inner=other(2) param=other(7)")
        );
    }
}

#[test]
fn the_log_sees_the_status_and_the_known_words() {
    for (status, body, cause) in [
        (
            400,
            r#"{"error":{"code":"content_filter","type":null,"param":"prompt","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            "status=400 code=content_filter inner=ResponsibleAIPolicyViolation param=prompt",
        ),
        (
            429,
            r#"{"error":{"code":"429","message":"Please retry after 45 seconds."}}"#,
            "status=429 code=429",
        ),
        (
            400,
            r#"{"error":{"code":400,"type":"exceed_context_size_error"}}"#,
            "status=400 code=400 type=exceed_context_size_error",
        ),
        (502, "<html>", "status=502"),
    ] {
        assert_eq!(refused(status, body).cause.to_string(), cause);
    }
}

#[test]
fn an_error_in_the_stream_has_the_code_of_the_refusal_that_it_would_be() {
    use ErrorCode::*;
    let cases = [
        // As Azure sends them.
        (
            r#"{"type":"error","error":{"type":"too_many_requests","code":"rate_limit_exceeded","headers":{"x-ms-fe-error":"true"},"message":"Your requests to poet for gpt-x in westeurope have exceeded rate limit.","param":null},"sequence_number":1}"#,
            RateLimited,
        ),
        (
            r#"{"type":"error","code":"rate_limit_exceeded","message":"m","param":null,"sequence_number":1}"#,
            RateLimited,
        ),
        (
            r#"{"code":"rate_limit_exceeded","message":"m"}"#,
            RateLimited,
        ),
        (
            r#"{"message":"Your requests have exceeded token rate limit.","code":null}"#,
            RateLimited,
        ),
        (
            r#"{"error":{"type":"invalid_request_error","code":null,"message":"The system is currently experiencing high demand and cannot process your request."}}"#,
            UpstreamUnavailable,
        ),
        (
            r#"{"error":{"type":"invalid_request_error","code":null,"message":"Could not find an existing deployment to match the model in the request."}}"#,
            DeploymentNotFound,
        ),
        (
            r#"{"error":{"type":"invalid_request_error","code":"content_policy_violation","message":"m"}}"#,
            PromptFiltered,
        ),
        (
            r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy."}}"#,
            PromptFiltered,
        ),
        (
            r#"{"error":{"code":"context_length_exceeded","message":"m"}}"#,
            ContextTooLong,
        ),
        (
            r#"{"error":{"code":"server_error","message":"m"}}"#,
            UpstreamError,
        ),
        (
            r#"{"error":{"code":"bio_policy","message":"m"}}"#,
            UpstreamRejected,
        ),
        // As OpenAI and compatible servers do.
        (
            r#"{"error":{"type":"tokens","code":"rate_limit_exceeded"}}"#,
            RateLimited,
        ),
        (
            r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#,
            RateLimited,
        ),
        (
            r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            UpstreamUnavailable,
        ),
        (
            r#"{"error":{"code":502,"message":"Provider returned error"}}"#,
            UpstreamUnavailable,
        ),
        (
            r#"{"error":{"code":429,"message":"Rate limit exceeded"}}"#,
            RateLimited,
        ),
        (
            r#"[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]"#,
            UpstreamUnavailable,
        ),
        (
            r#"{"error":{"message":"m","status":"RESOURCE_EXHAUSTED"}}"#,
            RateLimited,
        ),
        (
            r#"{"error":{"message":"m","type":"BadRequestError","param":null,"code":400}}"#,
            UpstreamRejected,
        ),
        (
            r#"{"error":{"message":"m","type":"InternalServerError","code":500}}"#,
            UpstreamError,
        ),
        (
            r#"{"error":{"message":"The number of tokens to keep is greater than the context length"}}"#,
            ContextTooLong,
        ),
        (r#"{"error":{"code":"invalid_api_key"}}"#, UpstreamAuth),
        // Errors that do not tell.
        (
            r#"{"error":{"message":"Something went wrong"}}"#,
            UpstreamError,
        ),
        (
            r#"{"object":"error","message":"m","code":40001}"#,
            UpstreamError,
        ),
        (r#"{"error":"plain"}"#, UpstreamError),
        (r#"{"error":{"code":200,"message":"m"}}"#, UpstreamError),
        ("Rate limit exceeded", RateLimited),
        ("Internal Server Error", UpstreamError),
        ("", UpstreamError),
        ("[]", UpstreamError),
        ("7", UpstreamError),
    ];
    for (json, code) in cases {
        assert_eq!(in_stream(json).error.code, code, "for {json}");
    }
}

#[test]
fn only_what_is_not_due_to_the_request_is_worth_a_retry() {
    for (json, retryable) in [
        (r#"{"code":"rate_limit_exceeded"}"#, true),
        (r#"{"code":"overloaded"}"#, true),
        (r#"{"type":"server_error"}"#, true),
        (r#"{"code":500}"#, true),
        (r#"{"code":504}"#, true),
        (r#"{"message":"Something went wrong"}"#, false),
        (r#"{"code":400}"#, false),
        (r#"{"code":"content_filter"}"#, false),
        (r#"{"code":"DeploymentNotFound"}"#, false),
        (r#"{"code":"invalid_api_key"}"#, false),
    ] {
        assert_eq!(in_stream(json).is_retryable(), retryable, "for {json}");
    }
}

#[test]
fn the_wait_of_the_head_counts_before_that_of_an_error_in_the_stream() {
    let limited = r#"{"code":"rate_limit_exceeded","message":"Please retry after 45 seconds."}"#;
    let wait = |fault: Fault, head| fault.with_wait(head).error.retry_after_ms;
    assert_eq!(wait(in_stream(limited), Some(4000)), Some(4000));
    assert_eq!(wait(in_stream(limited), None), Some(45_000));
    let filtered = r#"{"code":"content_filter","message":"Please retry after 45 seconds."}"#;
    assert_eq!(wait(in_stream(filtered), Some(4000)), None);
}

#[test]
fn after_text_a_filter_objects_to_the_reply() {
    let filtered = in_stream(r#"{"code":"content_filter"}"#).after_text();
    assert_eq!(
        filtered.error,
        crate::event::ReplyError::new(ErrorCode::ReplyFiltered)
    );
    let limited = in_stream(r#"{"code":429}"#);
    assert_eq!(limited.clone().after_text(), limited);
}

#[test]
fn json_without_an_error_member_may_be_an_error_all_the_same() {
    use ErrorCode::*;
    for (json, code) in [
        (r#"{"error":{"code":"429","message":"m"}}"#, RateLimited),
        (
            r#"{"statusCode":429,"message":"Rate limit is exceeded."}"#,
            RateLimited,
        ),
        (
            r#"{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded"}"#,
            RateLimited,
        ),
        (
            r#"{"error_code":336100,"error_msg":"Service temporarily unavailable"}"#,
            UpstreamUnavailable,
        ),
        (
            r#"{"base_resp":{"status_code":1002,"status_msg":"rate limit"},"choices":null}"#,
            RateLimited,
        ),
        (
            r#"{"errors":[{"code":7505,"message":"Capacity temporarily exceeded, at capacity"}]}"#,
            UpstreamUnavailable,
        ),
        (r#"{"detail":"Internal error"}"#, UpstreamError),
        (r#"{"detail":[{"loc":["body"],"msg":"m"}]}"#, UpstreamError),
        (
            r#"{"type":"error","message":"Overloaded"}"#,
            UpstreamUnavailable,
        ),
        (r#"[{"error":{"code":429,"message":"m"}}]"#, RateLimited),
    ] {
        let fault = disguised(json).unwrap_or_else(|| panic!("no error: {json}"));
        assert_eq!(fault.error.code, code, "for {json}");
    }
    for json in [
        "",
        "nonsense",
        "[]",
        "{}",
        "7",
        r#"{"id":"x","model":"m"}"#,
        r#"{"message":{"role":"assistant","content":"Wah"},"done":true}"#,
        r#"{"code":0,"message":"ok"}"#,
        r#"{"base_resp":{"status_code":0,"status_msg":""},"choices":[]}"#,
        r#"{"error":null,"errors":[],"detail":""}"#,
        r#"{"choices":[{"message":{"content":"Wah"}}],"object":"chat.completion"}"#,
    ] {
        assert_eq!(disguised(json), None, "for {json}");
    }
}
