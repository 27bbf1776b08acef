//! The pages whose scripts may use the server: its own, and those that are listed.
//!
//! A browser sends cookies with requests that a page of another site starts. It also says which page that
//! was: in `Sec-Fetch-Site`, and in older browsers and on plain HTTP in `Origin`. Other clients say
//! nothing, and no page controls them.

use super::hosts::HostName;

/// A scheme, a host and a port, such as `https://chat.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Box<str>);

/// The listed origins.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<Origin>);

/// Where a request says that it comes from. A header with two values, or with one that is no text, is
/// empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'a> {
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub site: Option<&'a str>,
    /// `Host`.
    pub host: Option<&'a str>,
}

impl Origin {
    /// Parses an origin, as browsers write it; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok()?;
        let whole = url.origin().ascii_serialization();
        let web = matches!(url.scheme(), "http" | "https");
        (web && whole == text).then(|| Self(whole.into()))
    }

    /// As browsers write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Origins {
    pub(super) const fn new(listed: Vec<Origin>) -> Self {
        Self(listed)
    }

    /// The listed origins.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }

    /// Whether a request that changes something may come from there.
    ///
    /// `Sec-Fetch-Site` counts before `Origin`, because it stays true behind a proxy that changes `Host`.
    #[must_use]
    pub fn admit(&self, source: Source<'_>) -> bool {
        let listed = |text| self.0.iter().any(|origin| origin.as_str() == text);
        match (source.site, source.origin) {
            (_, Some(origin)) if listed(origin) => true,
            (Some(site), _) => matches!(site, "same-origin" | "none"),
            (None, Some(origin)) => source.host.is_some_and(|host| is_at(origin, host)),
            (None, None) => true,
        }
    }
}

/// Whether a page of this origin comes from the server that is asked under the name `host`. The scheme is
/// not compared: a proxy may have removed TLS.
fn is_at(origin: &str, host: &str) -> bool {
    let Some(origin) = Origin::parse(origin) else {
        return false;
    };
    let (https, place) = match origin.as_str().split_once("://") {
        Some((scheme, place)) => (scheme == "https", place),
        None => return false,
    };
    let port = |text: &str| match text.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port.to_owned(),
        _ if https => "443".to_owned(),
        _ => "80".to_owned(),
    };
    HostName::parse(place).is_some()
        && HostName::parse(place) == HostName::parse(host)
        && port(place) == port(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(site: Option<&str>, origin: Option<&str>) -> bool {
        let listed = ["https://app.example.com", "http://localhost:5173"];
        let listed = listed.map(|origin| Origin::parse(origin).unwrap());
        Origins::new(listed.into()).admit(Source {
            origin,
            site,
            host: Some("chat.example.com"),
        })
    }

    #[test]
    fn the_servers_own_pages_listed_pages_and_programs_are_admitted() {
        let own = Some("https://chat.example.com");
        for (site, origin) in [
            (None, None),
            (Some("none"), None),
            (Some("same-origin"), own),
            // Behind a proxy that changes `Host`.
            (Some("same-origin"), Some("https://other.example.com")),
            (None, own),
            (None, Some("http://chat.example.com")),
            (Some("cross-site"), Some("http://localhost:5173")),
            (Some("same-site"), Some("https://app.example.com")),
            (None, Some("https://app.example.com")),
        ] {
            assert!(admits(site, origin), "for {site:?}, {origin:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_not() {
        let evil = Some("http://evil.example");
        for (site, origin) in [
            (Some("cross-site"), evil),
            (Some("cross-site"), None),
            (Some("cross-site"), Some("https://chat.example.com")),
            (Some("same-site"), Some("https://evil.example.com")),
            (Some(""), None),
            (Some("Same-Origin"), None),
            (None, evil),
            (None, Some("null")),
            (None, Some("")),
            (None, Some("https://chat.example.com:8443")),
            (None, Some("https://chat.example.com.evil.example")),
            (None, Some("https://app.example.com.")),
            (None, Some("https://app.example.com/")),
            (None, Some("HTTPS://APP.EXAMPLE.COM")),
            (None, Some("file://chat.example.com")),
        ] {
            assert!(!admits(site, origin), "for {site:?}, {origin:?}");
        }
    }

    #[test]
    fn ports_are_compared_also_where_one_is_left_out() {
        for (origin, host, same) in [
            ("http://localhost:8080", "localhost:8080", true),
            ("http://localhost:8080", "localhost:8081", false),
            ("http://localhost", "localhost:80", true),
            ("https://localhost", "localhost:443", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://[::1]", "[::1]", true),
            ("http://[::1]", "[::2]", false),
        ] {
            assert_eq!(is_at(origin, host), same, "{origin} at {host}");
        }
    }

    #[test]
    fn an_origin_has_a_scheme_a_host_and_no_path() {
        for bad in [
            "",
            "*",
            "null",
            "chat.example.com",
            "https://chat.example.com/",
            "https://chat.example.com:443",
            "https://user@chat.example.com",
            "ftp://chat.example.com",
        ] {
            assert_eq!(Origin::parse(bad), None, "for {bad}");
        }
    }
}
