//! A reply's snapshot as JSON, in pieces: a client that does not read costs the text, not its JSON,
//! which can be six times as long.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use actix_web::{HttpResponse, HttpResponseBuilder, http::header::ContentType};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Code, Problem};

/// The memory that the texts of all snapshots may take together while they are sent. Stops clients
/// that ask for large replies and do not read them.
const SNAPSHOTS_BYTES_LIMIT: usize = 64 << 20;
/// What each text may take beside that.
const SMALL_TEXT_BYTES: usize = 4 << 10;
/// The longest part of a text that is made JSON at a time.
const TEXT_PIECE_BYTES: usize = 16 << 10;

/// The memory for snapshots. A cheap handle, to be cloned.
#[derive(Clone, Debug)]
pub struct Snapshots(Arc<Semaphore>);

impl Default for Snapshots {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SNAPSHOTS_BYTES_LIMIT)))
    }
}

impl Snapshots {
    /// A response with a JSON object: the fields of `head`, then the texts by their names.
    ///
    /// # Errors
    ///
    /// The [`Problem`] if there is no memory for the texts.
    pub(super) fn respond(
        &self,
        mut response: HttpResponseBuilder,
        head: &impl Serialize,
        texts: Vec<(&'static str, String)>,
    ) -> Result<HttpResponse, Problem> {
        let length: usize = texts.iter().map(|(_, text)| text.len()).sum();
        let counted = u32::try_from(length.saturating_sub(SMALL_TEXT_BYTES)).unwrap_or(u32::MAX);
        let Ok(share) = Arc::clone(&self.0).try_acquire_many_owned(counted) else {
            let detail = "Too many large replies are being read; please try again.";
            return Err(Problem::new(Code::Overloaded, detail));
        };
        let mut head = serde_json::to_vec(head).map_err(|_| Problem::internal())?;
        // Its closing brace comes last.
        head.pop();
        let pieces = Pieces {
            head: Some(head),
            texts: texts.into(),
            sent: 0,
            _share: share,
        };
        response.content_type(ContentType::json());
        if counted == 0 {
            return Ok(response.body(pieces.collect::<Vec<_>>().concat()));
        }
        Ok(response.streaming(stream::iter(
            pieces.map(|piece| Ok::<_, Infallible>(Bytes::from(piece))),
        )))
    }
}

/// The pieces of the object, made one by one.
struct Pieces {
    /// The fields, without the closing brace. They come first.
    head: Option<Vec<u8>>,
    /// The texts that are still to come or have begun.
    texts: VecDeque<(&'static str, String)>,
    /// How much of the first one is sent.
    sent: usize,
    _share: OwnedSemaphorePermit,
}

impl Iterator for Pieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut piece = match self.head.take() {
            Some(head) => head,
            None if self.texts.is_empty() => return None,
            None => Vec::new(),
        };
        if let Some((name, text)) = self.texts.front() {
            if self.sent == 0 {
                piece.extend_from_slice(format!(",\"{name}\":\"").as_bytes());
            }
            let rest = text.get(self.sent..).unwrap_or_default();
            let part = beginning(rest, TEXT_PIECE_BYTES);
            piece.extend_from_slice(escaped(part).as_bytes());
            self.sent += part.len();
            if part.len() == rest.len() {
                piece.push(b'"');
                self.texts.pop_front();
                self.sent = 0;
            }
        }
        if self.texts.is_empty() {
            piece.push(b'}');
        }
        Some(piece)
    }
}

/// At most so many bytes of a text, up to a character's end.
fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// A text in the form that it has between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let mut quoted = Value::from(text).to_string();
    quoted.pop();
    quoted.remove(0);
    quoted
}

#[cfg(test)]
mod tests {
    use actix_web::{HttpResponse, body::to_bytes};
    use serde_json::json;

    use super::*;

    async fn body(texts: Vec<(&'static str, String)>) -> Value {
        let head = json!({"id": 1, "status": "running"});
        let response = Snapshots::default().respond(HttpResponse::Ok(), &head, texts);
        let Ok(bytes) = to_bytes(response.unwrap().into_body()).await else {
            panic!("a body")
        };
        serde_json::from_slice(&bytes).unwrap()
    }

    #[actix_web::test]
    async fn the_pieces_make_the_object_whatever_the_text() {
        let odd = "\u{1}\"\\é😀\n".repeat(10_000);
        for text in [String::new(), "a".to_owned(), "é".repeat(20_000), odd] {
            let texts = vec![("text", text.clone()), ("reasoning", text.clone())];
            let expected = json!({"id": 1, "status": "running", "text": text, "reasoning": text});
            assert_eq!(body(texts).await, expected, "{} bytes", text.len());
        }
    }

    #[test]
    fn large_texts_share_a_memory_that_is_given_back() {
        let snapshots = Snapshots::default();
        let ask = || {
            let texts = vec![("text", "x".repeat(1 << 20))];
            snapshots.respond(HttpResponse::Ok(), &json!({}), texts)
        };
        let mut held = Vec::new();
        let refusal = loop {
            match ask() {
                Ok(response) => held.push(response),
                Err(problem) => break problem,
            }
        };
        assert_eq!(refusal.code(), Code::Overloaded);
        assert_eq!(held.len(), 64);
        held.pop();
        assert!(ask().is_ok());
    }
}
