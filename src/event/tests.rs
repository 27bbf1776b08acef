use super::*;

fn encoded(event: &ReplyEvent, seq: u64) -> String {
    let mut out = Vec::new();
    event.encode(Seq(seq), Padding::Off, &mut out);
    String::from_utf8(out).unwrap()
}

fn end() -> End {
    End {
        status: Status::Completed,
        finish_reason: Some(FinishReason::Stop),
        reason: None,
        model: Some("m".into()),
        usage: None,
        bytes: 2,
        sha256: "ab".into(),
        ms: Timing {
            first: Some(1),
            total: 2,
        },
        error: None,
    }
}

#[test]
fn an_encoded_event_has_exactly_three_lines() {
    let event = ReplyEvent::Delta {
        text: "a\r\n\"b\"\u{2028}".into(),
    };
    assert_eq!(
        encoded(&event, 7),
        "id: 7\nevent: delta\ndata: {\"text\":\"a\\r\\n\\\"b\\\"\u{2028}\"}\n\n"
    );
}

#[test]
fn a_replace_says_why() {
    let event = ReplyEvent::Replace {
        text: String::new(),
        why: Why::ContentFilter,
    };
    assert_eq!(
        encoded(&event, 3),
        "id: 3\nevent: replace\ndata: {\"text\":\"\",\"why\":\"content_filter\"}\n\n"
    );
}

#[test]
fn an_end_names_every_field_of_the_contract() {
    assert_eq!(
        encoded(&ReplyEvent::End(end()), 9),
        "id: 9\nevent: end\ndata: {\"status\":\"completed\",\"finish_reason\":\"stop\",\
         \"model\":\"m\",\"usage\":null,\"bytes\":2,\"sha256\":\"ab\",\
         \"ms\":{\"first\":1,\"total\":2}}\n\n"
    );
}

#[test]
fn an_estimate_says_so_and_is_never_read_as_a_count() {
    let read = |json: serde_json::Value| serde_json::from_value::<TokenUsage>(json).unwrap();
    let counted =
        serde_json::json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
    let estimated = serde_json::json!({
        "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "estimated": true
    });
    let estimate = TokenUsage::Estimated(Estimate::new(3, 4));
    assert_eq!(serde_json::to_value(&estimate).unwrap(), estimated);
    assert_eq!(read(estimated), estimate);
    let usage = read(counted.clone());
    assert!(matches!(usage, TokenUsage::Reported(_)), "{usage:?}");
    assert_eq!(serde_json::to_value(&usage).unwrap(), counted);
    for usage in [usage, estimate] {
        assert_eq!((usage.prompt_tokens(), usage.completion_tokens()), (3, 4));
    }
}

#[test]
fn a_ping_carries_the_cursor_of_its_connection() {
    let mut out = Vec::new();
    encode_ping(Seq(4), &mut out);
    assert_eq!(out, b"id: 4\nevent: ping\ndata: {\"last\":4}\n\n");
}

/// A padded event.
fn padded(event: &ReplyEvent, seq: u64) -> String {
    let mut out = b"what is there already".to_vec();
    let before = out.len();
    event.encode(Seq(seq), Padding::ToClass, &mut out);
    String::from_utf8(out.split_off(before)).unwrap()
}

fn delta(text: &str) -> ReplyEvent {
    ReplyEvent::Delta { text: text.into() }
}

#[test]
fn ordinary_words_have_one_length_and_longer_ones_few() {
    let reasoning = |text: &str| ReplyEvent::Reasoning { text: text.into() };
    let longest = "x".repeat(24);
    for word in [
        "a",
        " responsibilities",
        "\n\n\"",
        "\u{1}",
        "Привет, мир",
        &longest,
    ] {
        for seq in [1, 10, 262_144] {
            assert_eq!(padded(&delta(word), seq).len(), 80, "{word} {seq}");
            assert_eq!(padded(&reasoning(word), seq).len(), 80, "{word} {seq}");
        }
    }
    let lengths: std::collections::BTreeSet<usize> = (1..=200)
        .map(|length| padded(&delta(&"x".repeat(length)), 1).len())
        .collect();
    let classes: Vec<usize> = (80..=256).step_by(16).collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), classes);
}

#[test]
fn a_pad_is_random_and_the_model_s_words_only_have_one() {
    for (event, name) in [
        (delta("a"), "delta"),
        (ReplyEvent::Reasoning { text: "a".into() }, "reasoning"),
    ] {
        let [one, other] = [(); 2].map(|()| padded(&event, 2));
        assert_ne!(one, other);
        let data = one
            .strip_prefix(&format!("id: 2\nevent: {name}\ndata: "))
            .and_then(|data| data.strip_suffix("\n\n"))
            .unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["text"], "a");
        let pad = data["pad"].as_str().unwrap();
        let in_alphabet = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        assert!(pad.len() >= 24 && pad.chars().all(in_alphabet), "{pad}");
    }
    let end = ReplyEvent::End(end());
    assert_eq!(padded(&end, 9), encoded(&end, 9));
}

#[test]
fn a_replace_retracts_text_and_reasoning_and_the_proof_is_of_the_text() {
    let events = [
        ReplyEvent::Start {
            reply: ReplyId::random(),
            created: Created::now(),
        },
        ReplyEvent::Reasoning {
            text: "retracted as well".into(),
        },
        ReplyEvent::Delta {
            text: "retracted".into(),
        },
        ReplyEvent::Replace {
            text: "One ".into(),
            why: Why::ContentFilter,
        },
        ReplyEvent::Reasoning {
            text: "Which ".into(),
        },
        ReplyEvent::Delta {
            text: "\"love\"".into(),
        },
        ReplyEvent::Reasoning {
            text: "word?".into(),
        },
        ReplyEvent::End(end()),
    ];
    let encoded: Vec<String> = (1..).zip(&events).map(|(n, e)| encoded(e, n)).collect();
    let content = Content::decode(encoded.iter().map(String::as_bytes));
    assert_eq!(content.text, "One \"love\"");
    assert_eq!(content.reasoning, "Which word?");
    assert_eq!(content.end, Some(end()));

    let mut transcript = Transcript::default();
    for event in &encoded {
        replay(event.as_bytes(), &mut transcript);
    }
    let mut direct = Transcript::default();
    direct.append(&content.text);
    assert_eq!(transcript.sha256(), direct.sha256());
    assert_eq!(transcript.bytes(), 10);
}

#[test]
fn the_hash_is_sha_256_in_lower_case() {
    let mut transcript = Transcript::default();
    transcript.append("abc");
    // FIPS 180-2, appendix B.1.
    assert_eq!(
        transcript.sha256(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn the_debug_form_of_a_reply_id_does_not_give_access() {
    let id = ReplyId::random();
    assert!(!format!("{id:?}").contains(&id.to_string()));
    assert_eq!(id.short().len(), 8);
}

#[test]
fn created_is_rfc_3339_with_milliseconds_in_utc() {
    let text = Created(jiff::Timestamp::from_millisecond(1_790_000_000_120).unwrap());
    assert_eq!(text.to_string(), "2026-09-21T14:13:20.120Z");
}
