//! The stream by which a client sees what proxies do to streams.

use crate::support::app::spawn_app;

#[actix_web::test]
async fn the_doctor_ticks_in_its_rhythm_is_silent_and_ends() {
    let app = spawn_app().await;
    let mut doctor = app.get("/v1/doctor?silence=0.3").await;
    assert_eq!(doctor.status, 200);
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-store, no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(doctor.header(name), Some(value));
    }
    let events = doctor.rest().await;
    let sent = |at: usize| events[at].data["ms"].as_u64().unwrap();
    assert_eq!(events.len(), 21);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.id, at as u64 + 1);
        assert_eq!(event.name, if at < 20 { "tick" } else { "end" });
    }
    for at in 0..20 {
        assert!(sent(at) >= 100 * at as u64, "{events:?}");
    }
    assert!(sent(20) >= 1_900 + 300, "{events:?}");
}

#[actix_web::test]
async fn a_silence_that_is_too_long_or_no_number_is_refused() {
    let app = spawn_app().await;
    for silence in ["60.5", "-1", "NaN", "inf", "long", ""] {
        let refusal = app.get(&format!("/v1/doctor?silence={silence}")).await;
        assert_eq!(refusal.status, 400, "{silence}");
        let problem = refusal.json().await;
        assert_eq!(problem["code"], "bad_request");
        assert_eq!(
            problem["detail"],
            "silence takes a number of seconds, up to 60."
        );
    }
    let refusal = app.delete("/v1/doctor").await;
    assert_eq!(refusal.status, 405);
    assert_eq!(refusal.header("allow"), Some("GET"));
}
