//! Sessions: what a browser keeps instead of an access token, in a cookie that no script can read.
//!
//! A session is a name, an end, and a signature by the token that opened it. So every replica that knows
//! the token accepts it, none has to remember it, and it ends at the latest with its token.

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::token::{Token, TokenList};

/// How long a session lasts. Then the page asks for the token again.
pub const SESSION_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Opens a session with a token; gives what the cookie holds.
pub(super) fn open(token: &Token, now: Duration) -> Option<String> {
    let expires = (now + SESSION_TTL).as_secs();
    let signature = signed(token, expires)?.finalize().into_bytes();
    let signature = base16ct::lower::encode_string(&signature);
    Some(format!("{}.{expires}.{signature}", token.name))
}

/// The name for which a session was opened; `None` if it is over, or if none of the tokens opened it.
pub(super) fn name_of(session: &str, tokens: &TokenList, now: Duration) -> Option<Arc<str>> {
    let (rest, signature) = session.rsplit_once('.')?;
    let (name, expires) = rest.rsplit_once('.')?;
    let signature = base16ct::lower::decode_vec(signature).ok()?;
    let expires = expires.parse().ok().filter(|end| now.as_secs() < *end)?;
    let opened = |token: &&Token| {
        signed(token, expires).is_some_and(|signed| signed.verify_slice(&signature).is_ok())
    };
    let token = tokens.of(name).find(opened)?;
    Some(Arc::clone(&token.name))
}

fn signed(token: &Token, expires: u64) -> Option<Hmac<Sha256>> {
    let mut signed = Hmac::<Sha256>::new_from_slice(token.session_key()).ok()?;
    signed.update(format!("{} {expires}", token.name).as_bytes());
    Some(signed)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    const ANN: &str = "ann-0123456789abcdef";
    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn tokens(text: &str) -> TokenList {
        TokenList::parse(&SecretString::from(text)).unwrap()
    }

    fn opened() -> (TokenList, String) {
        let tokens = tokens(&format!("a.nn:{ANN},bob:bob-0123456789abcdef"));
        let session = open(tokens.find(ANN).unwrap(), NOW).unwrap();
        (tokens, session)
    }

    #[test]
    fn a_session_names_its_caller_until_it_ends() {
        let (tokens, session) = opened();
        let name = |now| name_of(&session, &tokens, now);
        assert_eq!(name(NOW).as_deref(), Some("a.nn"));
        let second = Duration::from_secs(1);
        assert!(name(NOW + SESSION_TTL - second).is_some());
        assert!(name(NOW + SESSION_TTL).is_none());
        assert!(!session.contains(ANN));
    }

    #[test]
    fn a_session_ends_with_its_token_and_not_with_another_one_of_the_name() {
        let (_, session) = opened();
        let both = format!("a.nn:new-0123456789abcdef,a.nn:{ANN}");
        for (list, valid) in [(both.as_str(), true), ("a.nn:new-0123456789abcdef", false)] {
            let name = name_of(&session, &tokens(list), NOW);
            assert_eq!(name.is_some(), valid, "{list}");
        }
    }

    #[test]
    fn a_changed_session_names_no_caller() {
        let (tokens, session) = opened();
        let [name, expires, signature] = {
            let mut parts = session.rsplitn(3, '.');
            let mut next = || parts.next().unwrap();
            let (signature, expires, name) = (next(), next(), next());
            [name, expires, signature]
        };
        for changed in [
            String::new(),
            "a.nn".to_owned(),
            format!("bob.{expires}.{signature}"),
            format!("{name}.{expires}9.{signature}"),
            format!("{name}.{expires}."),
            format!("{name}.{expires}.{}", &signature[2..]),
            format!("{name}.{expires}.{}", signature.to_uppercase()),
            format!("{name}.+{expires}.{}", &signature[..62]),
        ] {
            assert_eq!(name_of(&changed, &tokens, NOW), None, "{changed}");
        }
    }
}
