//! The body of a POST: read within a time and a size, and within the memory that all bodies share.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpMessage as _, HttpRequest,
    http::header::{self, ContentType},
    web::Payload,
};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::problem::{BODY_LIMIT_BYTES, Code, Problem};

/// How long a client may take to send its body. One that sends a byte a minute would hold its
/// connection for days.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The memory that all bodies may take together, from their first byte until upstream has begun to
/// answer. Stops thousands of clients that each send half of a large body.
const BODIES_BYTES_LIMIT: usize = 64 << 20;
/// What each body may take beside that, so that large bodies do not shut out usual ones.
const SMALL_BODY_BYTES: usize = 4 << 10;

/// The memory for bodies. A cheap handle, to be cloned.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BODIES_BYTES_LIMIT)))
    }
}

impl Bodies {
    /// The body, announced as JSON, with its share of the memory, to be kept as long as the
    /// conversation in it.
    ///
    /// # Errors
    ///
    /// The [`Problem`] with a body that is of another type, is too large or does not arrive, or for
    /// which there is no memory.
    pub(super) async fn json(
        &self,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<(BytesMut, Option<OwnedSemaphorePermit>), Problem> {
        if !is_json(request) {
            let detail = "Send the body with Content-Type: application/json, in UTF-8.";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > BODY_LIMIT_BYTES) {
            return Err(Problem::too_large());
        }
        let read = timeout(BODY_TIMEOUT, self.read(payload, announced.unwrap_or(0))).await;
        read.unwrap_or_else(|_| {
            Err(Problem::new(
                Code::BadRequest,
                "The body did not arrive in time.",
            ))
        })
    }

    /// Takes the memory before the bytes: of an announced body at once, of any other as it grows.
    async fn read(
        &self,
        mut payload: Payload,
        announced: usize,
    ) -> Result<(BytesMut, Option<OwnedSemaphorePermit>), Problem> {
        let mut share = self.take(0);
        self.grow(&mut share, announced)?;
        let mut body = BytesMut::new();
        while let Some(part) = payload.next().await {
            let part =
                part.map_err(|_| Problem::new(Code::BadRequest, "The body was cut short."))?;
            let length = body.len() + part.len();
            if length > BODY_LIMIT_BYTES {
                return Err(Problem::too_large());
            }
            if length > body.capacity() {
                let capacity = announced.max(length.next_power_of_two());
                self.grow(&mut share, capacity)?;
                body.reserve(capacity - body.len());
            }
            body.extend_from_slice(&part);
        }
        Ok((body, share))
    }

    /// Extends the share to that of a body of this size.
    fn grow(&self, share: &mut Option<OwnedSemaphorePermit>, size: usize) -> Result<(), Problem> {
        let taken = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let counted = size.saturating_sub(SMALL_BODY_BYTES);
        let more = self.take(counted.saturating_sub(taken));
        match (share, more) {
            (Some(share), Some(more)) => {
                share.merge(more);
                Ok(())
            }
            _ => Err(Problem::new(
                Code::Overloaded,
                "Too many large requests are being read; please try again.",
            )),
        }
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).ok()
    }
}

/// HTML forms cannot send this type: a page of another site needs this server's consent (CORS) before
/// its script can post here.
fn is_json(request: &HttpRequest) -> bool {
    let is_one = request.headers().get_all(header::CONTENT_TYPE).count() == 1;
    let Ok(Some(mime)) = request.mime_type() else {
        return false;
    };
    let is_utf8 = mime
        .get_param("charset")
        .is_none_or(|charset| charset == "utf-8");
    is_one && is_utf8 && mime.essence_str() == ContentType::json().essence_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_for_bodies_is_shared_and_given_back() {
        let bodies = Bodies::default();
        let all = bodies.take(BODIES_BYTES_LIMIT).unwrap();
        assert!(bodies.take(1).is_none());
        assert!(bodies.take(0).is_some());
        drop(all);
        assert!(bodies.take(1).is_some());
    }
}
