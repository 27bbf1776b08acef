//! What the journal records of connections, however they end.

use super::{
    client::{Call, post},
    *,
};

fn ends(records: &[Record]) -> Vec<(u64, JournalEvent)> {
    let ended = records.iter().filter(|record| {
        matches!(
            record.event,
            JournalEvent::Finished | JournalEvent::ClientGone | JournalEvent::Cut
        )
    });
    ended
        .map(|record| (record.connection, record.event.clone()))
        .collect()
}

#[tokio::test]
async fn a_request_is_recorded_as_it_was_sent() {
    let simulator = instant().await;
    post(&simulator, &path("chat"), &non_streaming()).await;
    let records = simulator.journal().records();
    let JournalEvent::Request {
        method,
        path_and_query,
        headers,
        body,
    } = &records[0].event
    else {
        panic!("{records:?}");
    };
    assert_eq!((method.as_str(), path_and_query), ("POST", &path("chat")));
    assert!(headers.contains(&("api-key".to_owned(), "test-key".to_owned())));
    assert_eq!(*body, non_streaming().to_string().into_bytes());
    assert_eq!(ends(&records), [(1, JournalEvent::Finished)]);
    let shown = format!("{records:?}");
    assert!(!shown.contains("test-key") && !shown.contains("ocean"));
}

#[tokio::test]
async fn a_client_that_disconnects_is_noticed_during_every_kind_of_wait() {
    for deployment in [
        "chat",
        "sim-no-head",
        "sim-silent",
        "sim-stall",
        "sim-endless",
    ] {
        let pace = match deployment {
            "chat" => Pace::Stepped(Steps::new()),
            _ => Pace::Instant,
        };
        let simulator = start(Options {
            pace,
            ..Options::default()
        })
        .await;
        let call = Call::post(&simulator, &path(deployment), &streaming()).await;
        in_time(simulator.journal().wait_for(|records| !records.is_empty())).await;
        drop(call);
        in_time(
            simulator
                .journal()
                .wait_for(|records| !ends(records).is_empty()),
        )
        .await;
        let records = simulator.journal().records();
        assert_eq!(
            ends(&records),
            [(1, JournalEvent::ClientGone)],
            "{deployment}"
        );
        assert_eq!(simulator.journal().open(), 0);
    }
}

#[tokio::test]
async fn dropping_the_simulator_cuts_every_connection() {
    let simulator = instant().await;
    let addr = simulator.addr();
    let journal = simulator.journal().clone();
    let call = Call::post(&simulator, &path("sim-silent"), &streaming()).await;
    in_time(journal.wait_for(|records| !records.is_empty())).await;
    drop(simulator);
    in_time(journal.wait_for(|records| !ends(records).is_empty())).await;
    assert_eq!(ends(&journal.records()), [(1, JournalEvent::Cut)]);
    assert!(!call.finish().await.complete);
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_journal_that_is_off_still_counts_open_connections() {
    let options = Options {
        pace: Pace::Instant,
        ..Options::default()
    };
    let simulator = Simulator::start(options).await.unwrap();
    let call = Call::post(&simulator, &path("sim-no-head"), &streaming()).await;
    let journal = simulator.journal();
    in_time(journal.wait_for(|_| journal.open() == 1)).await;
    drop(call);
    in_time(journal.wait_for(|_| journal.open() == 0)).await;
    assert!(journal.records().is_empty());
}

#[tokio::test]
async fn the_journal_keeps_its_newest_records() {
    let simulator = instant().await;
    let mut call = Call::post(&simulator, &path("sim-endless"), &streaming()).await;
    let read = async {
        let mut discarded = vec![0; 1 << 16];
        while tokio::io::AsyncReadExt::read(&mut call.stream, &mut discarded)
            .await
            .unwrap()
            > 0
        {}
    };
    let full = simulator.journal().wait_for(|records| {
        let last = records.last().map(|record| &record.event);
        matches!(last, Some(JournalEvent::FrameSent { index: 11_000.. }))
    });
    tokio::select! {
        () = read => panic!("an endless stream ended"),
        () = in_time(full) => {}
    }
    assert_eq!(simulator.journal().records().len(), 10_000);
}
