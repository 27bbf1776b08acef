//! What a valid request is, and how its history is trimmed.

use super::*;

fn request(turns: &[(Role, &str)]) -> ChatRequest {
    let messages = turns
        .iter()
        .map(|(role, content)| Message {
            role: *role,
            content: (*content).to_owned(),
        })
        .collect();
    ChatRequest {
        messages,
        idle_reader: None,
    }
}

#[test]
fn a_prompt_is_a_conversation_of_one_message() {
    assert_eq!(
        ChatRequest::from_json(br#"{"prompt":"Hail"}"#),
        Ok(request(&[(Role::User, "Hail")]))
    );
}

#[test]
fn messages_keep_their_order_and_roles() {
    let body = br#"{"messages":[{"role":"user","content":"a"},
        {"role":"assistant","content":"b"},{"role":"user","content":" c "}]}"#;
    let expected = request(&[
        (Role::User, "a"),
        (Role::Assistant, "b"),
        (Role::User, " c "),
    ]);
    assert_eq!(ChatRequest::from_json(body), Ok(expected));
}

#[test]
fn errors_name_the_problem_and_repeat_nothing_of_the_body() {
    let cases: &[(&str, &str)] = &[
        (
            "{\"prompt\":",
            "The body is not valid JSON: see line 1, column 10.",
        ),
        ("", "The body is not valid JSON: see line 1, column 0."),
        (
            r#"{"prompt":"a","prompt":"b"}"#,
            "The body has a field twice: see line 1, column 27.",
        ),
        (
            r#"{"messages":[{"role":"user","r\u006fle":"user","content":"a"}]}"#,
            "The body has a field twice: see line 1, column 46.",
        ),
        ("[]", "The body must be a JSON object."),
        ("{}", "Send either \"prompt\" or \"messages\", not both."),
        (
            r#"{"prompt":"a","messages":[]}"#,
            "Send either \"prompt\" or \"messages\", not both.",
        ),
        (r#"{"prompt":7}"#, "\"prompt\" must be a string."),
        (
            r#"{"prompt":" \n\t\u00a0"}"#,
            "\"prompt\" must not be blank.",
        ),
        (
            r#"{"prompt":"a","system":"secret"}"#,
            "The body has an unknown field; only \"prompt\", \"messages\" and \"idle_reader_seconds\" are allowed.",
        ),
        (
            r#"{"prompt":"a","idle_reader_seconds":0}"#,
            "\"idle_reader_seconds\" must be a positive number of seconds.",
        ),
        (
            r#"{"prompt":"a","idle_reader_seconds":"9"}"#,
            "\"idle_reader_seconds\" must be a positive number of seconds.",
        ),
        (
            r#"{"prompt":"a","idle_reader_seconds":1e300}"#,
            "\"idle_reader_seconds\" must be a positive number of seconds.",
        ),
        (r#"{"messages":{}}"#, "\"messages\" must be an array."),
        (
            r#"{"messages":[]}"#,
            "\"messages\" must hold at least one message.",
        ),
        (
            r#"{"messages":["a"]}"#,
            "\"messages[0]\" must be an object.",
        ),
        (
            r#"{"messages":[{"role":"system","content":"secret"}]}"#,
            "\"messages[0].role\" must be \"user\" or \"assistant\".",
        ),
        (
            r#"{"messages":[{"content":"a"}]}"#,
            "\"messages[0].role\" must be \"user\" or \"assistant\".",
        ),
        (
            r#"{"messages":[{"role":"user"}]}"#,
            "\"messages[0].content\" must be a string.",
        ),
        (
            r#"{"messages":[{"role":"user","content":""}]}"#,
            "\"messages[0].content\" must not be blank.",
        ),
        (
            r#"{"messages":[{"role":"user","content":"a","name":"secret"}]}"#,
            "\"messages[0]\" has an unknown field; only \"role\" and \"content\" are allowed.",
        ),
        (
            r#"{"messages":[{"role":"assistant","content":"a"}]}"#,
            "The last message must be the user's.",
        ),
    ];
    for (body, sentence) in cases {
        let error = ChatRequest::from_json(body.as_bytes())
            .unwrap_err()
            .to_string();
        assert_eq!(&error, sentence, "for {body}");
        assert!(!error.contains("secret"));
    }
}

#[test]
fn more_messages_than_allowed_are_refused() {
    let turn = r#"{"role":"user","content":"a"}"#;
    let body = |n: usize| format!("{{\"messages\":[{}]}}", vec![turn; n].join(","));
    assert!(ChatRequest::from_json(body(MESSAGE_LIMIT).as_bytes()).is_ok());
    let error = ChatRequest::from_json(body(MESSAGE_LIMIT + 1).as_bytes());
    assert_eq!(error, Err(ChatError::TooManyMessages(MESSAGE_LIMIT + 1)));
}

#[test]
fn history_is_trimmed_oldest_first_and_never_begins_with_an_orphaned_answer() {
    use Role::{Assistant, User};
    let long = [
        (User, "aaaa"),
        (Assistant, "bbbb"),
        (User, "cccc"),
        (Assistant, "dd"),
        (User, "é"),
    ];
    for (max, kept, dropped) in [
        (15, 5, 0),
        (14, 3, 2),
        (10, 3, 2),
        (7, 3, 2),
        (6, 1, 4),
        (3, 1, 4),
        (0, 1, 4),
    ] {
        let mut trimmed = request(&long);
        assert_eq!(trimmed.trim_history(max), dropped, "at {max}");
        assert_eq!(trimmed.messages().len(), kept, "at {max}");
        assert_eq!(trimmed.messages().last().unwrap().content, "é");
    }
}

#[test]
fn a_conversation_that_fits_is_unchanged() {
    let mut opening = request(&[(Role::Assistant, "Welcome"), (Role::User, "Hail")]);
    assert_eq!(opening.trim_history(11), 0);
    assert_eq!(opening.messages().len(), 2);
}

#[test]
fn fingerprints_differ_where_requests_do() {
    let all = [
        request(&[(Role::User, "ab")]),
        request(&[(Role::User, "a"), (Role::User, "b")]),
        request(&[(Role::Assistant, "a"), (Role::User, "b")]),
        request(&[(Role::User, "a b")]),
    ];
    for (i, one) in all.iter().enumerate() {
        for (j, other) in all.iter().enumerate() {
            assert_eq!(one.fingerprint() == other.fingerprint(), i == j);
        }
    }
}

#[test]
fn debug_output_holds_no_prompt() {
    assert!(!format!("{:?}", request(&[(Role::User, "secret")])).contains("secret"));
}

#[test]
fn the_time_without_readers_is_no_part_of_the_conversation() {
    let plain = ChatRequest::from_json(br#"{"prompt":"a"}"#).unwrap();
    let patient = ChatRequest::from_json(br#"{"prompt":"a","idle_reader_seconds":1.5}"#).unwrap();
    assert_eq!(plain.idle_reader(), None);
    assert_eq!(patient.idle_reader(), Some(Duration::from_millis(1500)));
    // A repeated POST may ask for another time.
    assert_eq!(plain.fingerprint(), patient.fingerprint());
}
