//! The log of one reply as readers see it, whichever replica writes it.

use std::sync::Arc;

use super::{
    batch::Position,
    error::Unavailable,
    local_log::{LocalLog, LocalReader, StopRequest},
    owner::Owner,
    reader::Reader,
    remote_log::{RemoteLog, RemoteReader},
    snapshot::Snapshot,
};
use crate::event::{Created, End, ReplyId};

/// The events of one reply. A handle that is cheap to clone.
#[derive(Clone, Debug)]
pub enum Log {
    /// This process writes it.
    Local(Arc<LocalLog>),
    /// Another replica writes it.
    Remote(Arc<RemoteLog>),
}

impl Log {
    /// The reply's id.
    #[must_use]
    pub fn id(&self) -> ReplyId {
        match self {
            Self::Local(log) => log.id(),
            Self::Remote(log) => log.id(),
        }
    }

    /// When the reply was accepted.
    #[must_use]
    pub fn created(&self) -> Created {
        match self {
            Self::Local(log) => log.created(),
            Self::Remote(log) => log.created(),
        }
    }

    /// Who may read the reply and stop it.
    #[must_use]
    pub fn owner(&self) -> Owner {
        match self {
            Self::Local(log) => log.owner(),
            Self::Remote(log) => log.owner(),
        }
    }

    /// How far readers can read at the moment.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            Self::Local(log) => log.position(),
            Self::Remote(log) => log.position(),
        }
    }

    /// Opens a reader. While it is open, the reply counts as read.
    #[must_use]
    pub fn reader(&self) -> Reader {
        match self {
            Self::Local(log) => LocalReader::open(Arc::clone(log)).into(),
            Self::Remote(log) => RemoteReader::open(Arc::clone(log)).into(),
        }
    }

    /// The reply at this moment. Counts as reading it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if another replica writes the log and its events cannot be read at the
    /// moment.
    pub async fn snapshot(&self) -> Result<Snapshot, Unavailable> {
        match self {
            Self::Local(log) => Ok(log.snapshot()),
            Self::Remote(log) => log.snapshot().await,
        }
    }

    /// The `end`; `None` while readers cannot read it yet. Does not count as reading.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        match self {
            Self::Local(log) => log.end(),
            Self::Remote(log) => log.end(),
        }
    }

    /// Asks the generation to stop, on whichever replica it is. It stops soon and appends the `end`.
    /// After the `end` this has no effect.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if the generation is on another replica and cannot be asked at the moment.
    pub async fn stop(&self) -> Result<(), Unavailable> {
        match self {
            Self::Local(log) => {
                log.request_stop(StopRequest::Viewer);
                Ok(())
            }
            Self::Remote(log) => log.stop().await,
        }
    }
}

impl From<Arc<LocalLog>> for Log {
    fn from(log: Arc<LocalLog>) -> Self {
        Self::Local(log)
    }
}

impl From<Arc<RemoteLog>> for Log {
    fn from(log: Arc<RemoteLog>) -> Self {
        Self::Remote(log)
    }
}
