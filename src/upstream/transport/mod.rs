//! Connections for requests: TCP, proxies, TLS, and what HTTP needs below awc.
//!
//! ```text
//! client: request ─▶ proxies ─┬─ none ────▶ dial ──────────────────▶ tls ─▶ head ─▶ awc
//!                             ├─ https:// ▶ dial the proxy ▶ tunnel ▶ tls ─▶ head ─▶ awc
//!                             └─ http:// ─▶ dial the proxy ▶ forward ─────▶ head ─▶ awc
//! ```
//!
//! awc has no proxies, and it does TLS itself with nothing of ours between TLS and HTTP. So it is given
//! connections that are ready for HTTP. Each one serves one request. This module knows no request and
//! no response beyond their heads.

mod dial;
mod failure;
mod forward;
mod head;
mod no_proxy;
mod proxies;
mod target;
mod tls;
mod tunnel;

use std::sync::Arc;

pub(super) use self::{
    dial::BoxedIo,
    failure::ConnectFailure,
    head::ResponseStream,
    target::{Security, Target},
    tls::certificate_reason,
};
use self::{dial::Leg, forward::Forwarded, tls::Tls};
pub use self::{
    no_proxy::NoProxy,
    proxies::{Proxies, Proxy, ProxyError},
    target::is_this_machine,
    tls::{CaCertificates, CaError},
};

/// How upstream and Microsoft Entra ID are reached.
#[derive(Clone, Debug, Default)]
pub struct NetworkOptions {
    /// The proxies, and what is reached without them.
    pub proxies: Proxies,
    /// Certificate authorities that are trusted beside the built-in ones.
    pub certificates: CaCertificates,
}

/// Opens connections. All workers share one, and with it the TLS session cache; a clone is the same.
#[derive(Clone, Debug)]
pub struct Network {
    tls: Tls,
    proxies: Arc<Proxies>,
}

impl Network {
    /// Prepares TLS.
    ///
    /// # Errors
    ///
    /// If the cryptography provider supports none of the protocol versions; ring does.
    pub fn new(options: &NetworkOptions) -> Result<Self, rustls::Error> {
        Ok(Self {
            tls: Tls::new(&options.certificates)?,
            proxies: Arc::new(options.proxies.clone()),
        })
    }

    /// Opens a connection for one request, through a proxy if the settings say so.
    ///
    /// # Errors
    ///
    /// Why there is none. Each step has a time limit.
    pub(super) async fn connect(
        &self,
        target: &Target,
    ) -> Result<ResponseStream<BoxedIo>, ConnectFailure> {
        let io = match (self.proxies.of(target), target.security) {
            (None, Security::Plain) => dial::target(target).await?,
            (None, Security::Tls) => {
                let io = dial::target(target).await?;
                self.tls.handshake(&target.host, io, Leg::Target).await?
            }
            (Some(proxy), Security::Plain) => {
                let io = self.reach(proxy).await?;
                Box::new(Forwarded::new(io, target, proxy))
            }
            (Some(proxy), Security::Tls) => {
                let mut io = self.reach(proxy).await?;
                tunnel::open(&mut io, target, proxy).await?;
                self.tls.handshake(&target.host, io, Leg::Target).await?
            }
        };
        Ok(ResponseStream::new(io))
    }

    async fn reach(&self, proxy: &Proxy) -> Result<BoxedIo, ConnectFailure> {
        let io = dial::proxy(proxy).await?;
        match proxy.address.security {
            Security::Plain => Ok(io),
            Security::Tls => {
                let host = &proxy.address.host;
                self.tls.handshake(host, io, Leg::Proxy).await
            }
        }
    }
}
