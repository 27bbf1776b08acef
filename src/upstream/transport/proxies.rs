//! Which proxy a request goes through, if any.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    no_proxy::NoProxy,
    target::{Security, Target, is_nearby},
};

/// The proxies by the scheme of a request's URL, and what is reached without them.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For `https` URLs.
    pub https: Option<Arc<Proxy>>,
    /// For `http` URLs.
    pub http: Option<Arc<Proxy>>,
    /// What is reached without a proxy.
    pub except: NoProxy,
}

impl Proxies {
    /// The proxy for a target. There is none for this machine and its link: there are local servers,
    /// the simulator and the clouds' metadata services.
    pub(super) fn of(&self, target: &Target) -> Option<&Proxy> {
        let proxy = match target.security {
            Security::Tls => self.https.as_deref(),
            Security::Plain => self.http.as_deref(),
        };
        proxy.filter(|_| !is_nearby(&target.host) && !self.except.has(&target.host, target.port))
    }
}

/// One proxy.
#[derive(Clone)]
pub struct Proxy {
    pub(super) address: Target,
    /// The value of `Proxy-Authorization`.
    authorization: Option<SecretString>,
}

/// Why a text is no proxy. None of them shows the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not a URL with a host.
    #[error("must be http://[USER:PASSWORD@]HOST:PORT, or https:// for a proxy with TLS")]
    Form,
    /// Another kind of proxy.
    #[error("must be an HTTP proxy, http://HOST:PORT: SOCKS is not supported")]
    Socks,
}

impl Proxy {
    /// Reads the URL of a proxy; without a scheme it is `http`.
    ///
    /// # Errors
    ///
    /// [`ProxyError`].
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let whole = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = Url::parse(&whole).map_err(|_| ProxyError::Form)?;
        let security = match url.scheme() {
            "http" => Security::Plain,
            "https" => Security::Tls,
            scheme if scheme.starts_with("socks") => return Err(ProxyError::Socks),
            _ => return Err(ProxyError::Form),
        };
        let host = url.host_str().ok_or(ProxyError::Form)?;
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let authorization = has_credentials.then(|| {
            let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
            pair.push(b':');
            pair.extend(percent_decode_str(url.password().unwrap_or_default()));
            SecretString::from(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        });
        Ok(Self {
            address: Target::new(security, host, url.port()),
            authorization,
        })
    }

    /// The line of the header that carries the credentials; empty if there are none.
    pub(super) fn authorization_line(&self) -> String {
        self.authorization
            .as_ref()
            .map_or_else(String::new, |value| {
                format!("Proxy-Authorization: {}\r\n", value.expose_secret())
            })
    }
}

/// The address, without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.address.security {
            Security::Plain => "http",
            Security::Tls => "https",
        };
        write!(f, "{scheme}://{}", self.address.authority())
    }
}

/// As [`Display`](fmt::Display), without credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(text: &str) -> Proxy {
        Proxy::parse(text).unwrap()
    }

    #[test]
    fn a_proxy_has_an_address_and_may_have_credentials() {
        for (text, address, authorization) in [
            ("http://proxy.corp:3128", "http://proxy.corp:3128", ""),
            ("proxy.corp:3128", "http://proxy.corp:3128", ""),
            ("proxy.corp", "http://proxy.corp:80", ""),
            ("https://proxy.corp/", "https://proxy.corp:443", ""),
            ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080", ""),
            (
                "http://user:p%40ss%3aword@proxy:3128",
                "http://proxy:3128",
                "Proxy-Authorization: Basic dXNlcjpwQHNzOndvcmQ=\r\n",
            ),
            (
                "http://user@proxy:3128",
                "http://proxy:3128",
                "Proxy-Authorization: Basic dXNlcjo=\r\n",
            ),
        ] {
            assert_eq!(proxy(text).to_string(), address, "{text}");
            assert_eq!(proxy(text).authorization_line(), authorization, "{text}");
        }
        for (text, error) in [
            ("socks5://proxy:1080", ProxyError::Socks),
            ("socks5h://proxy:1080", ProxyError::Socks),
            ("ftp://proxy", ProxyError::Form),
            ("http://", ProxyError::Form),
            ("http://proxy:99999", ProxyError::Form),
            ("two words", ProxyError::Form),
        ] {
            assert_eq!(Proxy::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn no_text_of_a_proxy_shows_its_password() {
        let proxy = proxy("http://user:canary@proxy:3128");
        assert_eq!(format!("{proxy:?}"), "Proxy(http://proxy:3128)");
    }

    #[test]
    fn the_scheme_of_the_request_selects_the_proxy() {
        let proxies = Proxies {
            https: Some(Arc::new(proxy("secure:1"))),
            http: Some(Arc::new(proxy("plain:2"))),
            except: NoProxy::parse("internal.example"),
        };
        let used = |security, host: &str| {
            let target = Target::new(security, host, None);
            proxies.of(&target).map(ToString::to_string)
        };
        let secure = Some("http://secure:1".to_owned());
        assert_eq!(used(Security::Tls, "r.openai.azure.com"), secure);
        assert_eq!(
            used(Security::Plain, "gpu.example"),
            Some("http://plain:2".to_owned())
        );
        for host in [
            "api.internal.example",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "169.254.169.254",
        ] {
            assert_eq!(used(Security::Tls, host), None, "{host}");
            assert_eq!(used(Security::Plain, host), None, "{host}");
        }
        let none = Proxies::default();
        assert!(none.of(&Target::new(Security::Tls, "host", None)).is_none());
    }
}
