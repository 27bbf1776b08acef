//! Why a server does not start.

use std::{io, net::SocketAddr};

use crate::{connection::CertificateError, routes::NoIndex, upstream::endpoint::EndpointError};

/// Why the server did not start. Displayed in one line with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use or not this machine's.
    #[error(
        "cannot listen on {0} ({1}): set HOST and PORT to a free address, or stop what uses it"
    )]
    Listen(SocketAddr, io::Error),
    /// Any client that reaches the address could use the deployment.
    #[error(
        "on {0}, any client could use the deployment: set ACCESS_TOKENS, TRUSTED_USER_HEADER or HOST=127.0.0.1, or ALLOW_ANONYMOUS=true if all may ask"
    )]
    OpenToAll(SocketAddr),
    /// The files for TLS.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// STATIC_DIR is not the page's folder.
    #[error("{0}: set STATIC_DIR to the folder of the page, or unset it to use the built-in page")]
    Page(#[from] NoIndex),
    /// Redis is configured but cannot be used.
    #[error(
        "cannot use Redis at {0} ({1}): start it, correct REDIS_URL, or unset it to keep replies in memory"
    )]
    Redis(String, String),
    /// The built-in simulator could not listen.
    #[error(
        "the built-in simulator cannot listen on a loopback port ({0}): allow it, or configure Azure OpenAI"
    )]
    Simulator(io::Error),
    /// The simulator's own address, or TLS.
    #[error("the connection to upstream cannot be prepared ({0}): please report this")]
    Upstream(String),
}

impl From<EndpointError> for StartError {
    fn from(error: EndpointError) -> Self {
        Self::Upstream(error.to_string())
    }
}
