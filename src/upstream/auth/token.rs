//! One token of Entra's: its value, which no log may hold, and how long it is used.
//!
//! The desk makes it, a deployment sends it. It knows neither where it came from nor what it opens.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{super::client::HeaderValue, Fault, failed};

/// A token is renewed so long before its end; halfway, if it is shorter or much longer.
const EARLY: Duration = Duration::from_secs(300);
/// Longer tokens are renewed halfway.
const LONG: Duration = Duration::from_secs(2 * 3600);
/// The longest life that is believed.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Clocks differ: so long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(30);

/// A token that opens the deployment for a while.
#[derive(Clone)]
pub(in crate::upstream) struct Token {
    value: Arc<SecretString>,
    /// Counts the tokens, so that one that was refused by many is replaced once.
    pub(super) number: u64,
    pub(super) renew_at: Instant,
    pub(super) until: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token {}", self.number)
    }
}

impl Token {
    pub(super) fn new(value: SecretString, lifetime: Duration, number: u64) -> Self {
        let (now, lifetime) = (Instant::now(), lifetime.min(LONGEST));
        let early = if lifetime > LONG {
            lifetime / 2
        } else {
            EARLY.min(lifetime / 2)
        };
        Self {
            value: Arc::new(value),
            number,
            renew_at: now + (lifetime - early),
            until: now + (lifetime - MARGIN.min(lifetime / 10)),
        }
    }

    /// The value of `Authorization`.
    pub(in crate::upstream) fn header(&self) -> Result<HeaderValue, Fault> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.value.expose_secret()))
            .map_err(|_| failed("the token holds characters that cannot stand in a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The text without the token, should it be in there.
    pub(in crate::upstream) fn hidden_in(&self, text: &str) -> String {
        text.replace(self.value.expose_secret(), "[token]")
    }
}
