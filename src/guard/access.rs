//! Who may ask: the holders of access tokens, the users of a proxy that signs them in, or any client.

use std::{
    net::IpAddr,
    sync::{Arc, Once},
};

use log::warn;

use super::{
    caller::{Caller, Network},
    clock::Clock,
    proxies::Proxies,
    session,
    tokens::AccessTokens,
};

/// The longest name of a user, in bytes. Stops a proxy's header that fills each line of the log.
const USER_BYTES_LIMIT: usize = 256;

/// Where a caller's name comes from.
#[derive(Debug)]
pub struct Access {
    tokens: Option<Arc<AccessTokens>>,
    /// The header in which a proxy names the user.
    user_header: Option<Box<str>>,
    proxies: Proxies,
    clock: Clock,
    /// That a proxy seems to be missing in the settings is logged once.
    hint: Once,
}

/// What a request says of its caller.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The values of `X-Forwarded-For`, in their order.
    pub forwarded: &'a [&'a str],
    /// The value of the header that [`Access::user_header`] names; empty if it has several.
    pub user: Option<&'a str>,
    /// The value of `Authorization`; empty if it has several.
    pub authorization: Option<&'a str>,
    /// The session in the cookie.
    pub session: Option<&'a str>,
}

/// A session that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The name of the token.
    pub name: Arc<str>,
    /// What the cookie holds.
    pub session: String,
}

/// Why a caller may not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthorized {
    /// It says nothing that names it.
    Missing,
    /// Its token is not valid, or not any more.
    Invalid,
}

impl Access {
    pub(super) fn new(
        tokens: Option<Arc<AccessTokens>>,
        user_header: Option<Box<str>>,
        proxies: Proxies,
        clock: Clock,
    ) -> Self {
        Self {
            tokens,
            user_header,
            proxies,
            clock,
            hint: Once::new(),
        }
    }

    /// Whether any client may ask, without a name.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.tokens.is_none() && self.user_header.is_none()
    }

    /// The access tokens, if callers need one.
    #[must_use]
    pub const fn tokens(&self) -> Option<&Arc<AccessTokens>> {
        self.tokens.as_ref()
    }

    /// The header in which a proxy names the user, if one does.
    #[must_use]
    pub fn user_header(&self) -> Option<&str> {
        self.user_header.as_deref()
    }

    /// The caller with these credentials.
    ///
    /// # Errors
    ///
    /// [`Unauthorized`] if that caller may not ask.
    pub fn identify(&self, credentials: &Credentials<'_>) -> Result<Caller, Unauthorized> {
        let user = credentials
            .user
            .filter(|_| self.user_header.is_some() && self.proxies.contain(credentials.peer));
        if let Some(user) = user {
            return named(user).ok_or(Unauthorized::Invalid);
        }
        if let Some(tokens) = &self.tokens
            && let Some(sent) = credentials.authorization.and_then(bearer)
        {
            let tokens = tokens.current();
            let token = tokens.find(sent).ok_or(Unauthorized::Invalid)?;
            return Ok(Caller::Token(Arc::clone(&token.name)));
        }
        if let Some(tokens) = &self.tokens
            && let Some(sent) = credentials.session
            && let Some(name) = session::name_of(sent, &tokens.current(), self.clock.since_1970())
        {
            return Ok(Caller::Token(name));
        }
        if self.is_open() {
            let network = self.network(credentials.peer, credentials.forwarded);
            return Ok(Caller::Anonymous(network));
        }
        Err(Unauthorized::Missing)
    }

    /// Opens a session with a token.
    ///
    /// # Errors
    ///
    /// [`Unauthorized`] if the token is not valid.
    pub fn sign_in(&self, sent: &str) -> Result<Opened, Unauthorized> {
        let tokens = self.tokens.as_ref().map(|tokens| tokens.current());
        let tokens = tokens.ok_or(Unauthorized::Invalid)?;
        let token = tokens.find(sent).ok_or(Unauthorized::Invalid)?;
        let session = session::open(token, self.clock.since_1970());
        Ok(Opened {
            name: Arc::clone(&token.name),
            session: session.ok_or(Unauthorized::Invalid)?,
        })
    }

    /// The network from which a client asks.
    #[must_use]
    pub fn network(&self, peer: IpAddr, forwarded: &[&str]) -> Network {
        if !forwarded.is_empty() && !self.proxies.contain(peer) {
            self.hint.call_once(|| {
                warn!("X-Forwarded-For has come from a peer that TRUSTED_PROXIES does not list: all clients of that peer are one caller");
            });
        }
        Network::of(self.proxies.client(peer, forwarded))
    }
}

/// A user by the value of the proxy's header.
fn named(user: &str) -> Option<Caller> {
    let valid = (1..=USER_BYTES_LIMIT).contains(&user.len()) && !user.chars().any(char::is_control);
    valid.then(|| Caller::User(user.into()))
}

/// The token of an `Authorization` header; `None` for another scheme, which a proxy may use for itself.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::{super::tokens::TokenSource, *};

    const ANN: &str = "ann-0123456789abcdef";

    fn access(with_tokens: bool, user_header: Option<&str>) -> Access {
        let text = SecretString::from(format!("ann:{ANN}"));
        let tokens = AccessTokens::read(TokenSource::Text(text)).unwrap();
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        Access::new(
            with_tokens.then(|| Arc::new(tokens)),
            user_header.map(Into::into),
            proxies,
            Clock::default(),
        )
    }

    fn credentials<'a>(
        peer: &str,
        user: Option<&'a str>,
        authorization: Option<&'a str>,
    ) -> Credentials<'a> {
        Credentials {
            peer: peer.parse().unwrap(),
            forwarded: &["203.0.113.9"],
            user,
            authorization,
            session: None,
        }
    }

    fn identified(access: &Access, credentials: Credentials<'_>) -> Result<String, Unauthorized> {
        access
            .identify(&credentials)
            .map(|caller| format!("{caller:?}"))
    }

    #[test]
    fn a_token_names_its_caller() {
        let access = access(true, None);
        let says = |authorization: Option<&str>| {
            identified(&access, credentials("192.0.2.1", Some("x"), authorization))
        };
        let [plain, spaced, basic] =
            ["Bearer", "bearer ", "Basic"].map(|scheme| format!("{scheme} {ANN}"));
        assert_eq!(says(Some(&plain)), Ok("Token(\"ann\")".to_owned()));
        assert_eq!(says(Some(&spaced)), Ok("Token(\"ann\")".to_owned()));
        assert_eq!(says(None), Err(Unauthorized::Missing));
        // Another scheme is between the client and the proxy.
        assert_eq!(says(Some(&basic)), Err(Unauthorized::Missing));
        for invalid in [
            "Bearer",
            "Bearer ",
            &format!("{plain}x"),
            &format!("{plain},{ANN}"),
        ] {
            assert_eq!(says(Some(invalid)), Err(Unauthorized::Invalid), "{invalid}");
        }
    }

    #[test]
    fn a_proxy_names_users_and_no_other_peer_does() {
        let access = access(true, Some("x-forwarded-user"));
        let says = |peer, user| identified(&access, credentials(peer, user, None));
        let user = Some("ann@example.com");
        assert_eq!(
            says("10.1.2.3", user),
            Ok("User(\"ann@example.com\")".to_owned())
        );
        assert_eq!(says("192.0.2.1", user), Err(Unauthorized::Missing));
        assert_eq!(says("10.1.2.3", None), Err(Unauthorized::Missing));
        for invalid in ["", "a\nb", &"x".repeat(USER_BYTES_LIMIT + 1)] {
            assert_eq!(says("10.1.2.3", Some(invalid)), Err(Unauthorized::Invalid));
        }
        // Without the setting, the header is that of any client.
        let access = super::tests::access(true, None);
        let ignored = identified(&access, credentials("10.1.2.3", user, None));
        assert_eq!(ignored, Err(Unauthorized::Missing));
    }

    #[test]
    fn without_tokens_and_users_any_client_may_ask_by_its_address() {
        let access = access(false, None);
        let says = |peer| identified(&access, credentials(peer, None, Some("Bearer x")));
        assert_eq!(
            says("192.0.2.1"),
            Ok("Anonymous(Network(192.0.2.1))".to_owned())
        );
        assert_eq!(
            says("10.1.2.3"),
            Ok("Anonymous(Network(203.0.113.9))".to_owned())
        );
    }
}
