//! One Entra token: its value, which no log may hold, and how long it is used.
//!
//! The cache makes it, a deployment sends it. It knows neither where it came from nor what it opens.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::failure::no_token;
use crate::upstream::{client::HeaderValue, fault::Fault};

/// A token is renewed this long before its end, or halfway if it is short or very long.
const RENEW_BEFORE_END: Duration = Duration::from_secs(300);
/// Tokens that live longer than this are renewed halfway.
const LONG_LIFETIME: Duration = Duration::from_secs(2 * 3600);
/// A longer lifetime than this is not believed.
const LIFETIME_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Clocks differ: a token is no longer used this long before its end.
const EXPIRY_MARGIN: Duration = Duration::from_secs(30);

/// A token that authorizes requests for a while.
#[derive(Clone)]
pub(in crate::upstream) struct Token {
    value: Arc<SecretString>,
    /// Counts the tokens, so that one that many requests find refused is replaced once.
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
        let (now, lifetime) = (Instant::now(), lifetime.min(LIFETIME_LIMIT));
        let early = if lifetime > LONG_LIFETIME {
            lifetime / 2
        } else {
            RENEW_BEFORE_END.min(lifetime / 2)
        };
        Self {
            value: Arc::new(value),
            number,
            renew_at: now + (lifetime - early),
            until: now + (lifetime - EXPIRY_MARGIN.min(lifetime / 10)),
        }
    }

    /// The value of the `Authorization` header.
    ///
    /// # Errors
    ///
    /// A [`Fault`], if the token holds characters that no header may hold.
    pub(in crate::upstream) fn header(&self) -> Result<HeaderValue, Fault> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.value.expose_secret()))
            .map_err(|_| no_token("the Entra token has characters that no header may hold"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The value, for comparison with what upstream sends back.
    pub(in crate::upstream) fn secret(&self) -> Arc<SecretString> {
        Arc::clone(&self.value)
    }
}
