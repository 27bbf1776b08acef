//! Starts a reply on a task of its own.

use std::{rc::Rc, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    task::spawn_local,
    time::Instant,
};

use super::{limits::Limits, run::OnEnd, supervise::supervise};
use crate::{
    chat::ChatRequest,
    context,
    store::{CreateError, Created, Log, Owner, Request, Store},
    upstream::Upstream,
};

/// A reply that exists.
#[derive(Clone, Debug)]
pub enum Started {
    /// It is being generated.
    New(Log),
    /// The same idempotency key had started it before.
    Existing(Log),
}

impl Started {
    /// The log of the reply.
    #[must_use]
    pub const fn log(&self) -> &Log {
        match self {
            Self::New(log) | Self::Existing(log) => log,
        }
    }
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The store did not create it.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The task panicked before the reply existed.
    #[error("the reply could not be started")]
    Panicked,
}

/// What a POST asks for.
#[derive(Debug)]
pub struct Ask {
    /// The conversation.
    pub request: ChatRequest,
    /// The share that the request takes of some memory, given back once upstream has begun to
    /// answer.
    pub memory: Option<OwnedSemaphorePermit>,
    /// Who may read the reply and stop it.
    pub owner: Owner,
    /// The key that may have started the reply before.
    pub idempotency: Option<Request>,
    /// How long and how large the reply may be.
    pub limits: Limits,
    /// When the POST was accepted: the reply's time counts from then.
    pub accepted: Instant,
    /// Called with the `end` of a new reply.
    pub on_end: OnEnd,
}

/// Starts a reply, or finds the one that the owner's key started before.
///
/// The reply does not depend on the caller. If this future is dropped, because a client disconnects
/// during its POST, the reply is still generated, and the client can find it by its key.
///
/// # Errors
///
/// [`StartError`]; no reply was created.
///
/// # Panics
///
/// Outside a [`LocalSet`](tokio::task::LocalSet). An HTTP client belongs to one thread, so its replies
/// do, too.
pub async fn start(store: Store, upstream: Rc<Upstream>, ask: Ask) -> Result<Started, StartError> {
    let Ask {
        request,
        memory,
        owner,
        idempotency,
        limits,
        accepted,
        on_end,
    } = ask;
    let limits = limits.with_idle_reader(request.idle_reader());
    let (answer, answered) = oneshot::channel();
    spawn_local(context::inherited(async move {
        let created = store.create(owner, idempotency).await;
        drop(store);
        let (started, writer) = match created {
            Ok(Created::New(writer)) => {
                let log = Log::from(Arc::clone(writer.log()));
                (Ok(Started::New(log)), Some(writer))
            }
            Ok(Created::Existing(log)) => (Ok(Started::Existing(log)), None),
            Err(error) => (Err(error), None),
        };
        // An error means that the caller has gone.
        let _ = answer.send(started);
        if let Some(writer) = writer {
            let request = (request, memory);
            supervise(&upstream, writer, request, &limits, accepted, on_end).await;
        }
    }));
    let started = answered.await.map_err(|_| StartError::Panicked)?;
    Ok(started?)
}
