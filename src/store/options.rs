//! The store's options: how many replies it keeps and for how long, and where it replicates them.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::event::Padding;

/// The port of a Redis URL that names none.
const DEFAULT_REDIS_PORT: u16 = 6379;

/// How replies are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The most replies that are kept, running and ended together.
    pub max_replies: usize,
    /// The most replies that run at a time. Each needs a connection to upstream.
    pub max_running: usize,
    /// How long a reply is kept after its end.
    pub retention: Duration,
    /// Whether the model's words are padded.
    pub padding: Padding,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_replies: 10_000,
            max_running: usize::MAX,
            retention: Duration::from_secs(21_600),
            padding: Padding::ToClass,
        }
    }
}

/// How replies are shared with other replicas.
#[derive(Clone, Debug)]
pub struct ReplicationOptions {
    /// Redis's URL, with user and password: `redis://` or, for TLS, `rediss://`.
    pub url: SecretString,
    /// The certificate authorities in PEM that Redis's certificate is checked against; `None` for
    /// the public ones.
    pub ca: Option<Vec<u8>>,
    /// The longest that a reply can run.
    pub max_reply: Duration,
}

impl ReplicationOptions {
    /// Redis's host and port. Unlike the URL, they may be shown.
    #[must_use]
    pub fn address(&self) -> String {
        let parsed = url::Url::parse(self.url.expose_secret()).ok();
        parsed.map_or_else(String::new, |url| {
            let host = url.host_str().unwrap_or_default();
            format!("{host}:{}", url.port().unwrap_or(DEFAULT_REDIS_PORT))
        })
    }
}
