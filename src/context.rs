//! The HTTP request in whose service a task works: its id and its trace.
//!
//! The id is on every log line and in every answer, and the trace goes to upstream, so that one can follow a
//! request through several systems. Both come from outside, so only what has the right form is accepted.
//! A task has its context without being handed it, because it concerns no decision of the program.

use std::{ops::RangeInclusive, sync::Arc};

use uuid::Uuid;

/// How long an id that a client sends may be. Stops one that fills the log, or that says nothing.
const CLIENT_ID_BYTES: RangeInclusive<usize> = 8..=64;

tokio::task_local! {
    static CONTEXT: Arc<Context>;
}

/// What is known of the request that a task works for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    id: String,
    trace: Option<String>,
}

impl Context {
    /// Takes over the id and the trace that a client sent, if they are well-formed. A request without an id
    /// gets one.
    #[must_use]
    pub fn new(request_id: Option<&str>, traceparent: Option<&str>) -> Self {
        let id = request_id.filter(|id| is_id(id));
        Self {
            id: id.map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned),
            trace: traceparent
                .filter(|trace| is_trace(trace))
                .map(str::to_owned),
        }
    }

    /// The request's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The value of `traceparent`.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }

    /// Does `work` in this context.
    pub async fn within<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        CONTEXT.scope(self, work).await
    }
}

/// The context of the task that asks; none for what no request has caused.
#[must_use]
pub fn current() -> Option<Arc<Context>> {
    CONTEXT.try_with(Arc::clone).ok()
}

/// Takes the context of the task that asks along into `work`, for a task of its own.
pub fn inherited<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let context = current();
    async move {
        match context {
            Some(context) => context.within(work).await,
            None => work.await,
        }
    }
}

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    CLIENT_ID_BYTES.contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether this is a `traceparent` of W3C's Trace Context, version 00.
fn is_trace(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |length| {
        parts.next().filter(|part| {
            part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    let (version, trace, parent, flags) = (hex(2), hex(32), hex(16), hex(2));
    let not_zero = |part: &str| part.bytes().any(|byte| byte != b'0');
    version == Some("00")
        && trace.is_some_and(not_zero)
        && parent.is_some_and(not_zero)
        && flags.is_some()
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_well_formed_is_taken_over() {
        let context = Context::new(Some("req_0123.4-5"), Some(TRACE));
        assert_eq!(
            (context.id(), context.trace()),
            ("req_0123.4-5", Some(TRACE))
        );
    }

    #[test]
    fn what_is_not_is_dropped_and_an_id_is_made() {
        let long = "x".repeat(65);
        for id in [
            "",
            "short",
            "has a space",
            "line\nbreak",
            "quote\"quote",
            &long,
        ] {
            let [one, other] = [(); 2].map(|()| Context::new(Some(id), None));
            assert!(one.id().len() == 32 && is_id(one.id()), "{id:?}");
            assert_ne!(one, other);
        }
        for trace in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(Context::new(None, Some(trace)).trace(), None, "{trace}");
        }
    }

    #[tokio::test]
    async fn a_task_of_its_own_inherits_the_context() {
        assert_eq!(current(), None);
        inherited(async { assert_eq!(current(), None) }).await;
        let context = Arc::new(Context::new(Some("0123456789"), None));
        let inside = Arc::clone(&context).within(async {
            let task = tokio::spawn(inherited(async { current() }));
            task.await.unwrap()
        });
        assert_eq!(inside.await, Some(context));
        assert_eq!(current(), None);
    }
}
