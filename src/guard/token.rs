//! One list of access tokens: named secrets, kept as digests.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// The length of a token, in bytes. Shorter ones could be guessed, and longer ones would not fit into a
/// header.
const TOKEN_BYTES: RangeInclusive<usize> = 20..=512;
/// The length of a token's name, in bytes. Stops a name that fills each line of the log.
const NAME_BYTES: RangeInclusive<usize> = 1..=64;
/// The most tokens. All are compared with each token that is sent.
const TOKENS_LIMIT: usize = 1000;

/// A token's name, and what a sent token is compared with.
pub(super) struct Token {
    pub(super) name: Arc<str>,
    digest: [u8; 32],
    session_key: [u8; 32],
}

/// Tokens, in the order in which they are listed. A name may have several tokens, so that a new one is
/// valid before the old one is removed.
#[derive(Debug, Default)]
pub(super) struct TokenList(Vec<Token>);

/// Why a list is none. No token is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The entry with this number, from 1, is malformed.
    #[error(
        "entry {0} must be NAME:TOKEN, with a name of letters, digits and . _ @ -, and a token of {min} to {max} visible ASCII characters without a comma",
        min = TOKEN_BYTES.start(), max = TOKEN_BYTES.end()
    )]
    Form(usize),
    /// The entry with this number has the token of another name.
    #[error("entry {0} has the token of another name")]
    Shared(usize),
    /// There is no entry.
    #[error("there is no entry")]
    Empty,
    /// There are too many entries.
    #[error("there are more than {TOKENS_LIMIT} entries")]
    TooMany,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl TokenList {
    /// Parses `NAME:TOKEN` entries, which commas or line ends separate. Empty entries and lines that
    /// begin with `#` are skipped.
    pub(super) fn parse(text: &SecretString) -> Result<Self, TokenError> {
        let lines = text.expose_secret().lines().map(str::trim);
        let entries = lines
            .filter(|line| !line.starts_with('#'))
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let mut tokens: Vec<Token> = Vec::new();
        for (index, entry) in entries.enumerate() {
            let number = index + 1;
            if number > TOKENS_LIMIT {
                return Err(TokenError::TooMany);
            }
            let token = Token::parse(entry).ok_or(TokenError::Form(number))?;
            if tokens
                .iter()
                .any(|other| other.digest == token.digest && other.name != token.name)
            {
                return Err(TokenError::Shared(number));
            }
            tokens.push(token);
        }
        if tokens.is_empty() {
            return Err(TokenError::Empty);
        }
        Ok(Self(tokens))
    }

    /// The token that was sent; `None` if it is not listed. Takes equally long whichever it is.
    pub(super) fn find(&self, sent: &str) -> Option<&Token> {
        let digest = digest("access token", sent);
        let (mut found, mut at) = (Choice::from(0), 0);
        for (index, token) in (0_u64..).zip(&self.0) {
            let same = token.digest.ct_eq(&digest);
            found |= same;
            at.conditional_assign(&index, same);
        }
        let at = usize::try_from(at).ok()?;
        self.0.get(at).filter(|_| bool::from(found))
    }

    /// The tokens of a name.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Token> {
        self.0.iter().filter(move |token| &*token.name == name)
    }

    /// How many tokens there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl Token {
    fn parse(entry: &str) -> Option<Self> {
        let (name, token) = entry.split_once(':')?;
        let name_char = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        let valid = NAME_BYTES.contains(&name.len())
            && name.bytes().all(name_char)
            && TOKEN_BYTES.contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then(|| Self {
            name: name.into(),
            digest: digest("access token", token),
            session_key: digest("session key", token),
        })
    }

    /// What only those know who know the token.
    pub(super) const fn session_key(&self) -> &[u8; 32] {
        &self.session_key
    }
}

fn digest(purpose: &str, token: &str) -> [u8; 32] {
    let digest = Sha256::new()
        .chain_update("rasta-stream ")
        .chain_update(purpose);
    digest
        .chain_update("\0")
        .chain_update(token)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "ann-0123456789abcdef";
    const BOB: &str = "bob:0123456789abcdef";

    fn parse(text: &str) -> Result<TokenList, TokenError> {
        TokenList::parse(&SecretString::from(text))
    }

    #[test]
    fn each_token_leads_to_its_name_and_nothing_else_does() {
        let list = parse(&format!("ann:{ANN}, bob:{BOB},ann:{ANN}new,")).unwrap();
        let name = |sent: &str| list.find(sent).map(|token| token.name.to_string());
        assert_eq!(name(ANN).as_deref(), Some("ann"));
        assert_eq!(name(&format!("{ANN}new")).as_deref(), Some("ann"));
        assert_eq!(name(BOB).as_deref(), Some("bob"));
        for other in [
            "",
            "ann",
            &ANN[1..],
            &format!("{ANN}n"),
            "ann:",
            &ANN.to_uppercase(),
        ] {
            assert_eq!(name(other), None, "for {other}");
        }
        assert_eq!((list.len(), list.of("ann").count()), (3, 2));
    }

    #[test]
    fn a_file_has_lines_and_comments() {
        let list = parse(&format!(
            "# for ann, of sales\nann:{ANN}\r\n\n  bob:{BOB}  \n"
        ))
        .unwrap();
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn a_malformed_list_is_refused_by_number() {
        for (text, error) in [
            ("", TokenError::Empty),
            ("# ann", TokenError::Empty),
            (ANN, TokenError::Form(1)),
            ("ann:short", TokenError::Form(1)),
            (":0123456789abcdefghij", TokenError::Form(1)),
            ("an n:0123456789abcdefghij", TokenError::Form(1)),
            ("ann:0123456789 abcdefghij", TokenError::Form(1)),
            ("ann:0123456789äabcdefghij", TokenError::Form(1)),
            (&format!("ann:{ANN},bob"), TokenError::Form(2)),
            (&format!("ann:{ANN},bob:{ANN}"), TokenError::Shared(2)),
            (
                &format!("ann:{ANN}\n").repeat(TOKENS_LIMIT + 1),
                TokenError::TooMany,
            ),
        ] {
            let found = parse(text).unwrap_err();
            assert_eq!(found, error, "for {text}");
            assert!(!found.to_string().contains(ANN));
        }
        assert!(parse(&format!("ann:{ANN}\n").repeat(TOKENS_LIMIT)).is_ok());
    }

    #[test]
    fn debug_output_holds_no_token() {
        let list = parse(&format!("ann:{ANN}")).unwrap();
        assert_eq!(
            format!("{list:?}"),
            "TokenList([Token { name: \"ann\", .. }])"
        );
    }
}
