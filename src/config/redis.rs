//! Where replies are shared: Redis's URL, checked as far as that is possible without asking.
//!
//! The URL holds a password, and is never shown.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{ConfigError, settings::Settings};

/// How replies are shared with other replicas.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// Where Redis is, with user and password: `redis://` or, for TLS, `rediss://`.
    pub url: SecretString,
    /// The certificates in PEM that its own is signed with; `None` for a public one.
    pub ca: Option<Vec<u8>>,
    /// The longest that a reply can run.
    pub max_reply: Duration,
}

impl RedisConfig {
    pub(super) fn new(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let Some(url) = settings.redis_url.clone() else {
            return match settings.redis_ca_file {
                Some(_) => Err(ConfigError::RedisCaAlone),
                None => Ok(None),
            };
        };
        let tls = match url::Url::parse(url.expose_secret()) {
            Ok(parsed) if parsed.has_host() && parsed.scheme() == "redis" => false,
            Ok(parsed) if parsed.has_host() && parsed.scheme() == "rediss" => true,
            _ => return Err(ConfigError::RedisUrl),
        };
        let ca = match &settings.redis_ca_file {
            Some(_) if !tls => return Err(ConfigError::RedisCaAlone),
            Some(file) => Some(std::fs::read(file).map_err(ConfigError::RedisCa)?),
            None => None,
        };
        Ok(Some(Self {
            url,
            ca,
            max_reply: settings.max_reply_seconds,
        }))
    }

    /// Host and port, for people.
    #[must_use]
    pub fn place(&self) -> String {
        const PORT: u16 = 6379;
        let parsed = url::Url::parse(self.url.expose_secret()).ok();
        parsed.map_or_else(String::new, |url| {
            let host = url.host_str().unwrap_or_default();
            format!("{host}:{}", url.port().unwrap_or(PORT))
        })
    }
}
