//! Where replies are replicated. The URL holds a password, and no error shows it.

use secrecy::ExposeSecret as _;

use super::{error::ConfigError, settings::Settings};
use crate::store::ReplicationOptions;

/// The options of replication, or `None` where replies stay in this process's memory.
pub(super) fn options(settings: &Settings) -> Result<Option<ReplicationOptions>, ConfigError> {
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
    Ok(Some(ReplicationOptions {
        url,
        ca,
        max_reply: settings.max_reply_seconds,
    }))
}
