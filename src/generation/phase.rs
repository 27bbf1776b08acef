//! The phases of a reply, and how long upstream may be silent in each.

use std::time::Duration;

use super::limits::Limits;
use crate::{
    event::{ErrorCode, FinishReason},
    upstream::Fault,
};

/// How long upstream may be silent after a finish reason. Annotations and usage that come sooner
/// count; some servers then leave the connection open.
const TAIL_TIMEOUT: Duration = Duration::from_secs(5);

/// The phases of a reply, in order. A reply never returns to an earlier phase, but for one case: if
/// a response turns out to be a refusal before its first event, deployments are asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No deployment has responded with status 200. [`open`](super::opening::open) has the limits of this phase.
    Opening,
    /// A deployment has responded, but without text: the model thinks.
    Thinking,
    /// Text is coming in.
    Streaming,
    /// The model has finished, for this reason. Annotations and usage may follow.
    Tail(FinishReason),
    /// Text has gone on after a finish reason: some servers send one with every chunk.
    Continuing(FinishReason),
    /// The content filter has retracted the text. Usage may follow; further text is dropped.
    Retracted,
}

impl Phase {
    /// Why the model finished; `None` while it has not.
    pub(super) const fn finish_reason(self) -> Option<FinishReason> {
        match self {
            Self::Opening | Self::Thinking | Self::Streaming => None,
            Self::Tail(reason) | Self::Continuing(reason) => Some(reason),
            Self::Retracted => Some(FinishReason::ContentFilter),
        }
    }

    /// The phase after some text.
    pub(super) const fn with_text(self) -> Self {
        match self {
            Self::Opening | Self::Thinking | Self::Streaming => Self::Streaming,
            Self::Tail(_) | Self::Continuing(_) | Self::Retracted => self.with_reasoning(),
        }
    }

    /// The phase after some reasoning: the text is still to come, also after a finish reason.
    pub(super) const fn with_reasoning(self) -> Self {
        match self {
            Self::Tail(reason) => Self::Continuing(reason),
            _ => self,
        }
    }

    /// The phase after a finish reason. The first one counts, unless the content filter overrules
    /// it.
    pub(super) const fn with_finish(self, reason: FinishReason) -> Self {
        match (self, reason) {
            (Self::Opening | Self::Thinking | Self::Streaming, _)
            | (Self::Tail(_) | Self::Continuing(_), FinishReason::ContentFilter) => {
                Self::Tail(reason)
            }
            (Self::Tail(_) | Self::Continuing(_) | Self::Retracted, _) => self,
        }
    }

    /// How long upstream may be silent.
    pub(super) const fn silence_limit(self, limits: &Limits) -> Duration {
        match self {
            Self::Opening | Self::Thinking => limits.first_delta,
            Self::Streaming | Self::Continuing(_) => limits.stall,
            Self::Tail(_) | Self::Retracted => TAIL_TIMEOUT,
        }
    }

    /// Whether a chunk without text and without reasoning ends a silence. While the model thinks it
    /// does not: servers send such chunks whether or not the model works.
    pub(super) const fn any_chunk_ends_silence(self) -> bool {
        !matches!(self, Self::Opening | Self::Thinking)
    }

    /// The outcome when upstream was silent for the limit: after a finish reason, the reply is
    /// complete.
    ///
    /// # Errors
    ///
    /// In the earlier phases, the [`Fault`] that ends the reply.
    pub(super) fn silence(self) -> Result<(), Fault> {
        let cause = match self {
            Self::Opening | Self::Thinking => "no delta and no reasoning in FIRST_DELTA_SECONDS",
            Self::Streaming => "no chunk in STALL_SECONDS",
            Self::Tail(_) | Self::Continuing(_) | Self::Retracted => return Ok(()),
        };
        Err(Fault::new(ErrorCode::UpstreamStalled, cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_finish_reason_counts_unless_the_content_filter_overrules_it() {
        use FinishReason::{ContentFilter, Length, Stop};
        let after = |reasons: &[FinishReason]| {
            let phase = reasons
                .iter()
                .fold(Phase::Streaming, |phase, reason| phase.with_finish(*reason));
            phase.finish_reason()
        };
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[Stop, Length]), Some(Stop));
        assert_eq!(after(&[Stop, ContentFilter]), Some(ContentFilter));
        assert_eq!(after(&[ContentFilter, Stop]), Some(ContentFilter));
        assert_eq!(Phase::Retracted.with_finish(Stop), Phase::Retracted);
    }

    #[test]
    fn text_never_leads_back_to_an_earlier_phase() {
        let tail = Phase::Tail(FinishReason::Stop);
        assert_eq!(Phase::Thinking.with_text(), Phase::Streaming);
        let continuing = Phase::Continuing(FinishReason::Stop);
        assert_eq!(tail.with_text(), continuing);
        assert_eq!(continuing.with_text(), continuing);
        assert_eq!(continuing.with_finish(FinishReason::Stop), continuing);
        assert_eq!(Phase::Retracted.with_text(), Phase::Retracted);
    }
}
