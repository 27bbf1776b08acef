//! An `EventSource` over HTTP/1.1 and HTTP/2: it reads, and reconnects after a cut.

use awc::{Client, ClientResponse};
use futures_util::StreamExt as _;

use crate::support::client::{Event, soon};

/// A viewer that reconnects with its cursor.
pub struct Source {
    client: Client,
    url: String,
    pub body: Option<ClientResponse>,
    bytes: Vec<u8>,
    pub events: Vec<Event>,
    pub connections: usize,
}

impl Source {
    pub fn new(client: Client, url: String) -> Self {
        Self {
            client,
            url,
            body: None,
            bytes: Vec::new(),
            events: Vec::new(),
            connections: 0,
        }
    }

    async fn connect(&mut self) {
        let cursor = self.events.last().map_or(0, |event| event.id).to_string();
        let request = self
            .client
            .get(&self.url)
            .insert_header(("Last-Event-ID", cursor))
            // As browsers do: what must not be compressed must be asked for like that.
            .insert_header(("Accept-Encoding", "gzip, deflate, br"));
        let response = soon("an answer", request.send()).await.unwrap();
        // Anything else ends an `EventSource` for good.
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers().get("content-type").unwrap(),
            "text/event-stream; charset=utf-8"
        );
        self.bytes.clear();
        self.connections += 1;
        self.body = Some(response);
    }

    /// Waits for one more event; false after the last one.
    pub async fn next(&mut self) -> bool {
        loop {
            if self.events.last().is_some_and(|event| event.name == "end") {
                return false;
            }
            if let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
                let block = String::from_utf8(self.bytes.drain(..end + 2).collect()).unwrap();
                // A `retry:` line alone comes where no replica could be reached.
                if block.contains("data: ") {
                    let event = Event::parse(&block);
                    if !event.is_ping() {
                        self.events.push(event);
                        return true;
                    }
                }
                continue;
            }
            let Some(body) = &mut self.body else {
                self.connect().await;
                continue;
            };
            match soon("more events", body.next()).await {
                Some(Ok(bytes)) => self.bytes.extend_from_slice(&bytes),
                Some(Err(_)) | None => self.body = None,
            }
        }
    }

    pub async fn rest(&mut self) {
        while self.next().await {}
    }
}
