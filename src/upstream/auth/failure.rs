//! Why there is no token, in words of this program: nothing that Entra, a metadata service or Azure
//! CLI wrote reaches the log, since any of them may quote a secret.

use serde_json::Value;

use crate::{
    event::ErrorCode,
    upstream::{
        cause::{Cause, TokenFailure, TokenReason},
        diagnosis::Diagnosis,
        fault::Fault,
        word::Word,
    },
};

/// What Entra calls its errors, before their number.
const PREFIX: &str = "AADSTS";
/// The most digits of such a number.
const MAX_DIGITS: usize = 8;

/// The fault of a request that has no token to send.
pub(super) fn no_token(cause: impl Into<Cause>) -> Fault {
    Fault {
        diagnosis: Diagnosis::Identity,
        ..Fault::new(ErrorCode::UpstreamAuth, cause)
    }
}

/// The same, where each of these sources gave none. The network's remedy comes first: without it no
/// other one can help.
pub(super) fn sources_failed<const N: usize>(
    failures: [(&'static str, TokenReason); N],
    remedy: &'static str,
) -> Fault {
    let of_network = failures
        .iter()
        .find_map(|(_, reason)| network_remedy(reason));
    let remedy = of_network.unwrap_or(remedy);
    let failures = failures
        .into_iter()
        .map(|(source, reason)| TokenFailure { source, reason })
        .collect();
    no_token(Cause::NoToken { failures, remedy })
}

fn network_remedy(reason: &TokenReason) -> Option<&'static str> {
    match reason {
        TokenReason::Connection { remedy, .. } => *remedy,
        TokenReason::TimedOut(_, Some(last)) => network_remedy(last),
        _ => None,
    }
}

/// Reads the error object of Entra or of a metadata service.
pub(super) fn refused(status: u16, body: &[u8]) -> TokenReason {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let aadsts = aadsts_in(text("error_description"));
    TokenReason::Refused {
        status,
        error: Word::of(text("error")),
        aadsts,
        meaning: aadsts.and_then(meaning),
    }
}

/// Recognizes what azure_identity says where no HTTP response explains the failure: its own errors,
/// and those of Azure CLI.
pub(super) fn recognized(text: &str) -> TokenReason {
    const TEXTS: [(&str, &str); 6] = [
        (
            "failed to read federated token",
            "failed to read the federated token file",
        ),
        ("not found on PATH", "az not found on PATH"),
        ("wasn't found on PATH", "az not found on PATH"),
        ("az login", "no account is signed in"),
        (
            "managed identity isn't supported",
            "this platform's managed identity is not supported",
        ),
        ("could not be URL encoded", "AZURE_TENANT_ID is invalid"),
    ];
    if let Some(meaning) = aadsts_in(text).and_then(meaning) {
        return TokenReason::Text(meaning);
    }
    let known = TEXTS.iter().find(|(part, _)| text.contains(part));
    TokenReason::Text(known.map_or("its response could not be read", |(_, ours)| ours))
}

/// The number of Entra's error in a text.
fn aadsts_in(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once(PREFIX)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits.min(MAX_DIGITS)].parse().ok()
}

/// The errors that a wrong configuration leads to, from Entra's list of error codes.
fn meaning(aadsts: u32) -> Option<&'static str> {
    Some(match aadsts {
        50_034 | 700_016 => "the tenant does not know the application",
        50_076 | 50_079 | 53_003 => "a policy demands a sign-in by a person",
        70_043 | 700_082 => "the sign-in has expired: run `az login`",
        70_021 | 700_211 | 700_212 | 700_213 => {
            "no federated credential of the application matches the token"
        }
        90_002 | 900_023 => "the tenant does not exist",
        500_011 | 1_002_012 | 70_011 => "the scope is not known",
        700_024 => "the federated token has expired",
        7_000_112 => "the application is disabled",
        7_000_215 => "the client secret is wrong",
        7_000_222 => "the client secret has expired",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_status_its_code_and_its_number() {
        for (body, shown) in [
            (
                r#"{"error":"invalid_client","error_description":"AADSTS7000222: canary expired"}"#,
                "HTTP 401 invalid_client AADSTS7000222, the client secret has expired",
            ),
            (
                r#"{"error":"canary","error_description":"AADSTS12: canary"}"#,
                "HTTP 401 other(6) AADSTS12",
            ),
            (
                r#"{"error":"invalid_client","error_description":"AADSTScanary"}"#,
                "HTTP 401 invalid_client",
            ),
            ("<canary>", "HTTP 401"),
        ] {
            assert_eq!(refused(401, body.as_bytes()).to_string(), shown);
        }
    }

    #[test]
    fn a_local_failure_is_told_in_words_of_ours() {
        for (text, shown) in [
            (
                "ERROR: Please run 'az login', canary",
                "no account is signed in",
            ),
            (
                "ERROR: AADSTS700082: canary. Please run: az login",
                "the sign-in has expired: run `az login`",
            ),
            ("canary", "its response could not be read"),
        ] {
            assert_eq!(recognized(text).to_string(), shown);
        }
    }
}
