//! What is most likely wrong on our side of the connection, when upstream refuses: for `check`, which
//! names the remedy, and for requests that can be made again without what is refused.
//!
//! Azure tells several things by one status, and only its words tell them apart.

use super::capabilities::Field;

/// A cause that somebody can mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// The host's name has no address.
    NameResolution,
    /// Nobody answers at the address.
    Connection,
    /// The certificate is not trusted, or the other side speaks no TLS.
    Tls,
    /// The network rules of the resource keep this machine out.
    Firewall,
    /// The resource takes no keys.
    KeysDisabled,
    /// The principal lacks the role.
    Role,
    /// There is no token to show: Entra gives none, or there is no identity.
    Identity,
    /// The key or the token is not accepted.
    Credential,
    /// There is no deployment of this name.
    Deployment,
    /// There is nothing at this path, or the API version is not known.
    PathOrVersion,
    /// The model has no chat completions.
    NoChatCompletions,
    /// The quota is used up, or the service is at its capacity.
    Quota,
    /// The content filter refused the prompt.
    Filter,
    /// An optional field is not taken.
    Field(Field),
    /// Something else.
    Other,
}

impl Diagnosis {
    /// Of a refusal: its status, its code, the field that it names, and all of its words.
    pub(super) fn of_refusal(status: u16, code: &str, param: &str, words: &str) -> Self {
        let says = |text: &str| words.contains(text);
        match status {
            401 | 403 if says("Virtual Network") || says("Firewall") => Self::Firewall,
            401 | 403 if code == "AuthenticationTypeDisabled" => Self::KeysDisabled,
            401 | 403 if code == "PermissionDenied" || says("data action") => Self::Role,
            401 | 403 => Self::Credential,
            404 if code == "DeploymentNotFound" => Self::Deployment,
            400 if code == "OperationNotSupported" => Self::NoChatCompletions,
            // `model_not_found` is what compatible servers say.
            404 if code == "model_not_found" => Self::Deployment,
            404 | 405 => Self::PathOrVersion,
            400 if says("API version") || says("api version") => Self::PathOrVersion,
            429 => Self::Quota,
            400 | 422 => Field::named_in(param, words).map_or(Self::Other, Self::Field),
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_status_is_told_apart_by_its_words() {
        use Diagnosis::*;
        // Texts as Azure writes them.
        let cases = [
            (
                401,
                "401",
                "Access denied due to invalid subscription key or wrong API endpoint.",
                Credential,
            ),
            (
                401,
                "",
                "Unauthorized. Access token is missing, invalid, audience is incorrect",
                Credential,
            ),
            (
                401,
                "PermissionDenied",
                "Principal does not have access to API/Operation.",
                Role,
            ),
            (
                401,
                "401",
                "The principal lacks the required data action `chat/completions/action`",
                Role,
            ),
            (
                401,
                "AccessDenied",
                "Access denied due to Virtual Network/Firewall rules.",
                Firewall,
            ),
            (
                403,
                "403",
                "Access denied due to Virtual Network/Firewall rules.",
                Firewall,
            ),
            (
                403,
                "AuthenticationTypeDisabled",
                "Key based authentication is disabled",
                KeysDisabled,
            ),
            (
                404,
                "DeploymentNotFound",
                "The API deployment for this resource does not exist.",
                Deployment,
            ),
            (404, "404", "Resource not found", PathOrVersion),
            (
                400,
                "BadRequest",
                "API version not supported",
                PathOrVersion,
            ),
            (
                400,
                "BadRequest",
                "Model x is enabled only for api versions 2024-12-01-preview and later",
                PathOrVersion,
            ),
            (
                400,
                "OperationNotSupported",
                "The chatCompletion operation does not work with the specified model",
                NoChatCompletions,
            ),
            (429, "429", "Requests have exceeded token rate limit", Quota),
            (
                400,
                "",
                "Unrecognized request argument supplied: stream_options",
                Field(super::Field::StreamOptions),
            ),
            (400, "", "something else", Other),
            (500, "", "temperature", Other),
        ];
        for (status, code, words, diagnosis) in cases {
            assert_eq!(
                Diagnosis::of_refusal(status, code, "", words),
                diagnosis,
                "{status} {words}"
            );
        }
    }
}
