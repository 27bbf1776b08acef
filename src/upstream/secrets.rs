//! The two texts from upstream that leave this module unchanged, the model's name and the request
//! id, and the rule by which they may.
//!
//! Both reach viewers, and the request id reaches the log. A server can put anything there, so each
//! has a type that only a check by form and against the credentials can make. Whatever fails the
//! check is dropped, never shortened: part of a key is a secret, too.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use memchr::memmem;
use secrecy::{ExposeSecret as _, SecretString};

/// The longest model name that is passed on, in bytes. Stops a hostile upstream from growing every
/// `end`.
const MAX_MODEL_BYTES: usize = 128;
/// How many digits and hyphens a request id has, its prefix apart; a UUID has 36.
const REQUEST_ID_BYTES: RangeInclusive<usize> = 8..=64;
/// What may stand before them: Azure uses none of these, OpenAI and gateways do.
const REQUEST_ID_PREFIXES: [&str; 4] = ["req_", "req-", "chatcmpl-", "resp_"];
/// A text that shares this many bytes in a row with a credential holds part of it.
const SHARED_BYTES: usize = 8;
/// A part of a request id that is at least this long and stands in the request is an echo.
const ECHO_BYTES: usize = 8;

/// The credentials that a request carried: what no text that leaves may hold.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<Arc<SecretString>>);

impl Secrets {
    /// Adds a credential.
    pub(super) fn add(&mut self, secret: Arc<SecretString>) {
        self.0.push(secret);
    }

    /// Whether `text` holds a credential or a good part of one.
    fn are_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.0.iter().any(|secret| {
            let secret = secret.expose_secret().to_ascii_lowercase();
            let shared = SHARED_BYTES.min(secret.len()).max(1);
            secret
                .as_bytes()
                .windows(shared)
                .any(|part| memmem::find(text.as_bytes(), part).is_some())
        })
    }
}

/// The name of the model that answered, fit for viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName(String);

impl ModelName {
    /// Accepts a name of letters, digits and `. _ - : / @ +` that holds no credential. Of a path,
    /// which llama.cpp's server gives, only the file's name remains.
    pub(super) fn accept(name: &str, secrets: &Secrets) -> Option<Self> {
        let is_path = name.starts_with(['/', '~']) || name.contains('\\');
        let shown = if is_path {
            name.rsplit(['/', '\\']).next().unwrap_or_default()
        } else {
            name
        };
        let is_name = (1..=MAX_MODEL_BYTES).contains(&shown.len())
            && shown
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-:/@+".contains(&byte));
        (is_name && !secrets.are_in(name)).then(|| Self(shown.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Upstream's id for a request, to quote in a support case; fit for viewers and for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Accepts a UUID or another hexadecimal number, with or without a known prefix, that holds no
    /// credential and repeats nothing of `sent`, the body of the request. No word has this form.
    pub fn accept(id: &str, secrets: &Secrets, sent: &[u8]) -> Option<Self> {
        let prefix = REQUEST_ID_PREFIXES
            .iter()
            .find(|prefix| id.starts_with(*prefix));
        let number = &id[prefix.map_or(0, |prefix| prefix.len())..];
        let is_id = REQUEST_ID_BYTES.contains(&number.len())
            && number
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let is_echo = || {
            number
                .split('-')
                .filter(|part| part.len() >= ECHO_BYTES)
                .any(|part| memmem::find(sent, part.as_bytes()).is_some())
        };
        (is_id && !secrets.are_in(id) && !is_echo()).then(|| Self(id.to_owned()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add(Arc::new("canary-Key-5f1c77".to_owned().into()));
        secrets
    }

    fn model(name: &str) -> Option<String> {
        ModelName::accept(name, &secrets()).map(String::from)
    }

    fn request_id(id: &str) -> Option<String> {
        let sent = br#"{"messages":[{"content":"My number is 4929123456781234."}]}"#;
        RequestId::accept(id, &secrets(), sent).map(|id| id.to_string())
    }

    #[test]
    fn a_model_name_passes_by_its_form() {
        for name in [
            "gpt-x-2026-01-01",
            "org/model-7b",
            "hf.co/user/model:Q4_K_M",
            "qwen2.5-7b@q4",
        ] {
            assert_eq!(model(name).as_deref(), Some(name));
        }
        assert_eq!(
            model("/home/me/models/tiny.gguf").as_deref(),
            Some("tiny.gguf")
        );
        assert_eq!(model(r"C:\models\tiny.gguf").as_deref(), Some("tiny.gguf"));
        for bad in [
            "",
            "two words",
            "a\nb",
            "<b>",
            "löwe",
            "/home/me/",
            &"x".repeat(129),
        ] {
            assert_eq!(model(bad), None, "for {bad:?}");
        }
    }

    #[test]
    fn a_request_id_passes_by_its_form() {
        for id in [
            "0b0c5c2e-7f4e-4c8f-9a51-3d2f0a9c1b77",
            "req_c79b9a0e2f1ec2a2b6c6",
        ] {
            assert_eq!(request_id(id).as_deref(), Some(id));
        }
        for bad in [
            "",
            "1f-2",
            "two words",
            "ü",
            "mountain-lion",
            "req_mountain",
            "other_c79b9a0e2f1ec2a2",
            &"a".repeat(65),
        ] {
            assert_eq!(request_id(bad), None, "for {bad:?}");
        }
    }

    #[test]
    fn what_holds_part_of_a_credential_is_dropped() {
        for text in [
            "canary-Key-5f1c77",
            "m-CANARY-KEY-5F1C77-x",
            "canary-K",
            "x/y-5f1c77",
        ] {
            assert_eq!(model(text), None, "for {text}");
        }
        // The directory held it, and is cut off.
        assert_eq!(model("/canary-Key-5f1c77/m"), None);
        assert_eq!(model("canary").as_deref(), Some("canary"));

        let mut secrets = Secrets::default();
        secrets.add(Arc::new(
            "0123456789abcdef0123456789abcdef".to_owned().into(),
        ));
        for id in ["0123456789ABCDEF", "req_00-89abcdef01", "3456789a-0000"] {
            assert_eq!(RequestId::accept(id, &secrets, b""), None, "for {id}");
        }
    }

    #[test]
    fn an_id_that_repeats_the_request_is_dropped() {
        assert_eq!(request_id("req_4929123456781234"), None);
        assert_eq!(request_id("00-91234567-00"), None);
        assert!(request_id("req_4929123456789999").is_some());
    }
}
