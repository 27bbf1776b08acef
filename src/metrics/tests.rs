use super::*;

const MOMENT: Moment = Moment {
    running: 3,
    unreplicated: 4,
    store_up: true,
    draining: false,
};

#[test]
fn every_figure_has_a_name_by_prometheus_rules() {
    let names = names();
    assert_eq!(names.len(), 15);
    for name in names {
        let ours = name.starts_with("rasta_stream_") || name.starts_with("gen_ai_client_");
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(ours && name.chars().all(plain), "{name}");
    }
}

#[test]
fn the_text_has_what_was_counted() {
    ended(Ended {
        status: "failed",
        code: "a_test",
        first: Some(Duration::from_millis(150)),
        total: Duration::from_secs(3),
        tokens: Some((20, 5)),
    });
    attempted("a-test", "rate_limited");
    retried();
    circuit("a-test", true);
    refused("not_found");
    let mut gaps = Gaps::default();
    gaps.note();
    gaps.note();
    drop(gaps);
    let viewer = OpenViewer::count();
    let text = text(MOMENT);
    drop(viewer);
    for line in [
        "rasta_stream_store_unreplicated_events 4",
        "rasta_stream_store_up 1",
        "rasta_stream_draining 0",
        r#"rasta_stream_replies_ended_total{code="a_test",status="failed"} 1"#,
        r#"rasta_stream_upstream_attempts_total{deployment="a-test",outcome="rate_limited"} 1"#,
        r#"rasta_stream_upstream_circuit_open{deployment="a-test"} 1"#,
    ] {
        assert!(
            text.lines().any(|written| written == line),
            "{line}\n{text}"
        );
    }
    for name in names() {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
    }
}
