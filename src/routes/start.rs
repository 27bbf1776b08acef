//! Starts a reply for a caller. All POSTs that ask for one share it, whichever API they belong to.

use std::rc::Rc;

use log::info;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{problem::Problem, service::Service};
use crate::{
    chat::ChatRequest,
    event::End,
    generation::{self, Ask, OnEnd, Started},
    guard::Caller,
    store::{self, IdempotencyKey},
    upstream::Upstream,
};

/// What a POST asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The conversation.
    pub(super) chat: ChatRequest,
    /// Its share of the memory for bodies.
    pub(super) memory: Option<OwnedSemaphorePermit>,
    /// The key by which a repeated POST is recognized.
    pub(super) idempotency: Option<IdempotencyKey>,
    /// When the POST was accepted.
    pub(super) accepted: Instant,
}

/// Starts a reply if the caller may have one more, or finds the one that the same key started.
///
/// # Errors
///
/// The [`Problem`] that says why there is no reply.
pub(super) async fn start(
    asked: Asked,
    caller: &Caller,
    service: &Service,
    upstream: Rc<Upstream>,
) -> Result<Started, Problem> {
    let idempotency = asked.idempotency.map(|key| store::Request {
        key,
        fingerprint: asked.chat.fingerprint(),
    });
    let owner = caller.owner();
    let prompt = upstream.prompt_tokens(&asked.chat);
    let costs = service.guard.costs();
    match costs.admit(&service.store, caller, prompt).await {
        Ok(admission) => {
            let ask = Ask {
                request: asked.chat,
                memory: asked.memory,
                owner,
                idempotency,
                limits: service.limits.clone(),
                accepted: asked.accepted,
                on_end: OnEnd(Box::new(move |end| admission.settle(tokens(end)))),
            };
            let started = generation::start(service.store.clone(), upstream, ask).await?;
            if let (Started::New(log), Some(name)) = (&started, caller.name()) {
                info!(reply = log.id().short().as_str(), caller = name; "reply accepted");
            }
            Ok(started)
        }
        // A repeated POST starts nothing, and so costs nothing.
        Err(refusal) => match idempotency {
            Some(request) => Ok(service
                .store
                .existing(owner, &request)
                .await?
                .map(Started::Existing)
                .ok_or(refusal)?),
            None => Err(refusal.into()),
        },
    }
}

/// The tokens that a reply has used.
fn tokens(end: &End) -> u64 {
    let usage = end.usage.as_ref();
    usage.map_or(0, |usage| {
        usage
            .prompt_tokens()
            .saturating_add(usage.completion_tokens())
    })
}
