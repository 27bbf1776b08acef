//! What the last event of a response says: how it ended, the filter's verdict, and the whole text.

use super::wire::{WireItem, WireResponse};
use crate::{
    event::{ErrorCode, FinishReason},
    upstream::{
        dialect::{content_filter::retracts, surrogates::decoded},
        fault::Fault,
    },
};

/// How a response ends.
#[derive(Clone, Copy)]
pub(super) enum Ending {
    Completed,
    Incomplete,
    Failed,
    Cancelled,
}

impl Ending {
    /// The ending that an event tells. A response's own status counts more than the type of an event
    /// that would be a success.
    pub(super) fn of(kind: &str, response: &WireResponse<'_>) -> Self {
        match (kind, response.status()) {
            ("response.failed", _) | (_, "\"failed\"") => Self::Failed,
            ("response.cancelled", _) | (_, "\"cancelled\"") => Self::Cancelled,
            ("response.incomplete", _) | (_, "\"incomplete\"") => Self::Incomplete,
            _ => Self::Completed,
        }
    }
}

/// The finish reason of an incomplete response.
///
/// # Errors
///
/// `upstream_protocol` for a reason that is not known.
pub(super) fn incomplete(response: &WireResponse<'_>) -> Result<FinishReason, Fault> {
    match response.incomplete_reason().as_deref() {
        Some("max_output_tokens" | "max_tokens" | "length") => Ok(FinishReason::Length),
        Some("content_filter") => Ok(FinishReason::ContentFilter),
        _ => Err(Fault::new(
            ErrorCode::UpstreamProtocol,
            "the response is incomplete for an unknown reason",
        )),
    }
}

/// Whether the content filter blocks the reply.
pub(super) fn is_blocked(response: &WireResponse<'_>) -> bool {
    response.verdicts().iter().any(|verdict| {
        verdict.is_about_the_reply()
            && (verdict.is_blocked() || verdict.content_filter_results.is_some_and(retracts))
    })
}

/// The text of the output, for servers that send no deltas. A model that only commented on its work
/// has said that.
///
/// # Errors
///
/// `upstream_protocol` if there is a message and its text cannot be found.
pub(super) fn whole_text(response: &WireResponse<'_>) -> Result<Option<String>, Fault> {
    let output = response.output();
    for commentary in [false, true] {
        let (mut text, mut unread) = (String::new(), false);
        let parts = output
            .iter()
            .filter(|item| item.is_message() && item.is_commentary() == commentary)
            .flat_map(WireItem::parts);
        for part in parts {
            match part.text().and_then(decoded) {
                Some(more) => text.push_str(&more),
                None => unread = true,
            }
        }
        if !text.is_empty() {
            return Ok(Some(text));
        }
        if unread {
            return Err(unreadable());
        }
    }
    Ok(None)
}

/// Text that cannot be read.
pub(super) fn unreadable() -> Fault {
    Fault::new(
        ErrorCode::UpstreamProtocol,
        "text that is not a string, or is longer than 1 MiB",
    )
}
