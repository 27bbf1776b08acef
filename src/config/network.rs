//! How upstream is reached: proxies, and the certificate authorities beside the built-in ones.

use std::{path::Path, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};

use super::{error::ConfigError, settings::Settings, upstream::UpstreamConfig};
use crate::upstream::{CaCertificates, CaError, NetworkOptions, NoProxy, Proxies, Proxy};

/// The options of the network. For the simulator they are the defaults: these variables are shared with
/// other programs, and a fault in them is none of a program that sends nothing.
pub(super) fn options(
    settings: &Settings,
    upstream: &UpstreamConfig,
) -> Result<NetworkOptions, ConfigError> {
    if matches!(upstream, UpstreamConfig::Simulator) {
        return Ok(NetworkOptions::default());
    }
    let mut certificates = CaCertificates::default();
    let mut add = |name, file: Option<&Path>, add: Add| {
        file.map_or(Ok(()), |file| {
            let pem = std::fs::read(file).map_err(|error| ConfigError::CaFile(name, error))?;
            add(&mut certificates, &pem).map_err(|error| ConfigError::CaContent(name, error))
        })
    };
    let own = settings.azure_openai_ca_file.as_deref();
    add("AZURE_OPENAI_CA_FILE", own, CaCertificates::add_pem)?;
    let system = settings.ssl_cert_file.as_deref();
    add("SSL_CERT_FILE", system, CaCertificates::add_bundle)?;
    let no_proxy = settings.no_proxy.as_deref().unwrap_or_default();
    Ok(NetworkOptions {
        proxies: Proxies {
            https: proxy("HTTPS_PROXY", settings.https_proxy.as_ref())?,
            http: proxy("HTTP_PROXY", settings.http_proxy.as_ref())?,
            except: NoProxy::parse(no_proxy),
        },
        certificates,
    })
}

type Add = fn(&mut CaCertificates, &[u8]) -> Result<(), CaError>;

fn proxy(
    name: &'static str,
    url: Option<&SecretString>,
) -> Result<Option<Arc<Proxy>>, ConfigError> {
    url.map(|url| Proxy::parse(url.expose_secret()).map(Arc::new))
        .transpose()
        .map_err(|error| ConfigError::Proxy(name, error))
}
