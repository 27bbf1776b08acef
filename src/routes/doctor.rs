//! `GET /v1/doctor`: a stream with a known rhythm, by which a client sees what the proxies between it and
//! the server do to event streams.
//!
//! Ticks in a fixed interval show whether a proxy holds events back. A silence and one more event show
//! whether a proxy closes a silent connection. The head is that of each event stream.

use std::{convert::Infallible, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, Stream},
};
use tokio::time::{Instant, sleep_until};

use super::{
    asking::Asking,
    events,
    problem::{Code, Problem},
    service::Service,
};
use crate::viewer::Format;

/// How many ticks there are: for longer than a person takes for a pause, and too few to fill a buffer.
const TICKS: u32 = 20;
const TICK_INTERVAL: Duration = Duration::from_millis(100);
/// The longest silence. Without it, a client could keep a connection for hours.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// Sends the ticks, then nothing for as long as `?silence=SECONDS` says (by default, for as long as an
/// event stream may be silent), then an `end`.
///
/// # Errors
///
/// The [`Problem`] with the silence.
pub(super) async fn examine(
    request: HttpRequest,
    service: web::Data<Service>,
    _: Asking,
) -> Result<HttpResponse, Problem> {
    let silence = silence(&request)?.unwrap_or_else(|| service.ping.min(SILENCE_LIMIT));
    Ok(events::head(&Format::Native).streaming(rhythm(silence)))
}

fn silence(request: &HttpRequest) -> Result<Option<Duration>, Problem> {
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let Some((_, value)) = query.find(|(name, _)| name == "silence") else {
        return Ok(None);
    };
    let seconds = value.parse().ok();
    let silence = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    silence
        .filter(|silence| *silence <= SILENCE_LIMIT)
        .map(Some)
        .ok_or_else(|| {
            Problem::new(
                Code::BadRequest,
                format!(
                    "silence takes a number of seconds, up to {}.",
                    SILENCE_LIMIT.as_secs()
                ),
            )
        })
}

/// The events, each at its time.
fn rhythm(silence: Duration) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let start = Instant::now();
    stream::iter(0..=TICKS).then(move |number| async move {
        let ticking = TICK_INTERVAL * number.min(TICKS - 1);
        let (name, due) = if number < TICKS {
            ("tick", ticking)
        } else {
            ("end", ticking + silence)
        };
        sleep_until(start + due).await;
        let sent = start.elapsed().as_millis();
        Ok(Bytes::from(format!(
            "id: {}\nevent: {name}\ndata: {{\"ms\":{sent}}}\n\n",
            number + 1
        )))
    })
}
