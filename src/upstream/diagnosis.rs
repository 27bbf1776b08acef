//! The most likely problem with the configuration when a request fails, and its remedy: for `check`,
//! which prints it, and for requests that can be repeated without the refused field.
//!
//! Azure reports different problems by the same status. Only the words of the error tell them apart,
//! so they are read here, and none of them is kept.

use super::{capabilities::Field, options::Credential};

/// A problem that an operator can fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// The host name has no address.
    NameResolution,
    /// No server accepts connections at the address.
    Connection,
    /// Connections to the host end in silence or are cut: a firewall, mostly.
    Blocked,
    /// The proxy cannot be reached.
    ProxyUnreachable,
    /// What responds at the proxy's address is no HTTP proxy.
    ProxyProtocol,
    /// The proxy demands credentials, or others.
    ProxyCredentials,
    /// The proxy's rules do not permit this host.
    ProxyRefusal,
    /// The proxy does not reach the host.
    ProxyGateway,
    /// The certificate is from an authority that is not trusted.
    UnknownIssuer,
    /// The certificate has expired, or is not valid yet.
    CertificateExpired,
    /// The certificate is for another host.
    CertificateName,
    /// The server does not speak TLS.
    NoTls,
    /// Something else is wrong with the certificate or the handshake.
    Tls,
    /// The resource's network rules block this machine.
    Firewall,
    /// The resource does not accept keys.
    KeysDisabled,
    /// The principal lacks the role.
    Role,
    /// There is no token to send: Entra issues none, or there is no identity.
    Identity,
    /// The key or the token is not accepted.
    Credential,
    /// There is no deployment of this name.
    Deployment,
    /// The path or the API version does not exist.
    PathOrVersion,
    /// The model, or the server, does not have the API that was asked.
    Api,
    /// The model has none of the APIs.
    NoApi,
    /// The quota is used up, or the service is at capacity.
    Quota,
    /// The service fails by itself, whatever the request is.
    Outage,
    /// The content filter refused the prompt.
    Filter,
    /// An optional field is refused.
    Field(Field),
    /// Something else.
    Other,
}

impl Diagnosis {
    /// Diagnoses a refusal by its status, its code, the field that it names, and all of its words.
    pub(super) fn of_refusal(status: u16, code: &str, param: &str, words: &str) -> Self {
        let says = |text: &str| words.contains(text);
        match status {
            401 | 403 if says("Virtual Network") || says("Firewall") => Self::Firewall,
            401 | 403 if code == "AuthenticationTypeDisabled" => Self::KeysDisabled,
            401 | 403 if code == "PermissionDenied" || says("data action") => Self::Role,
            401 | 403 => Self::Credential,
            // Only a proxy that forwards the request responds with it.
            407 => Self::ProxyCredentials,
            404 if code == "DeploymentNotFound" => Self::Deployment,
            400 | 404 if code == "OperationNotSupported" || says("v1/responses") => Self::Api,
            // Compatible servers use `model_not_found`.
            404 if code == "model_not_found" => Self::Deployment,
            404 | 405 => Self::PathOrVersion,
            400 if says("API version") || says("api version") => Self::PathOrVersion,
            429 => Self::Quota,
            400 | 422 => Field::named_in(param, words).map_or(Self::Other, Self::Field),
            _ => Self::Other,
        }
    }

    /// What an operator can do about it, for a deployment with this credential; `None` if nothing
    /// more is known than that the request failed.
    #[must_use]
    pub const fn remedy(self, credential: &Credential) -> Option<&'static str> {
        Some(match self {
            Self::NameResolution => {
                "the host name has no address: check the spelling of AZURE_OPENAI_ENDPOINT, and set \
                 HTTPS_PROXY if only a proxy resolves names outside this network"
            }
            Self::Connection => {
                "no server accepts connections there: check AZURE_OPENAI_ENDPOINT and the network, and \
                 set HTTPS_PROXY if this network has a proxy"
            }
            Self::Blocked
            | Self::ProxyUnreachable
            | Self::ProxyProtocol
            | Self::ProxyCredentials
            | Self::ProxyRefusal
            | Self::ProxyGateway
            | Self::UnknownIssuer
            | Self::CertificateExpired => return self.network_remedy(),
            Self::CertificateName => {
                "the certificate is for another host: check the spelling of AZURE_OPENAI_ENDPOINT, \
                 which must name the host as the certificate does"
            }
            Self::NoTls => {
                "the server does not speak TLS: check the port, and http:// against https:// in \
                 AZURE_OPENAI_ENDPOINT"
            }
            Self::Tls => {
                "the TLS handshake failed: check for a device on the network that changes TLS, and the \
                 server's certificate"
            }
            Self::Firewall => {
                "the resource's network rules block this machine: allow its address under Networking \
                 in the portal (a change can take 30 minutes)"
            }
            Self::KeysDisabled => {
                "the resource does not accept keys: set AZURE_OPENAI_AUTH=entra, or enable key access \
                 in the portal"
            }
            Self::Role => {
                "the principal lacks a role: assign it Cognitive Services OpenAI User on the resource \
                 (Owner is not enough; a change takes some 5 minutes)"
            }
            Self::Identity => {
                "set up the Entra identity as described in brackets, or set AZURE_OPENAI_API_KEY"
            }
            Self::Credential => match credential {
                Credential::Entra => {
                    "check that the Entra identity has the role \"Cognitive Services OpenAI User\" on \
                     this resource (a change takes some minutes), and AZURE_OPENAI_SCOPE"
                }
                Credential::None => "set AZURE_OPENAI_API_KEY",
                Credential::Key(_) => "check that AZURE_OPENAI_API_KEY is a key of this resource",
            },
            Self::Deployment => {
                "check AZURE_OPENAI_DEPLOYMENT against the names in the portal (a new deployment takes \
                 some 5 minutes)"
            }
            Self::PathOrVersion => {
                "the path or the API version does not exist: check AZURE_OPENAI_ENDPOINT (for an \
                 OpenAI-compatible server it ends in /v1), and unset AZURE_OPENAI_API_VERSION to use \
                 the v1 URL"
            }
            Self::Api => {
                "the model or the server does not have the API that AZURE_OPENAI_API names: unset it, and \
                 check AZURE_OPENAI_ENDPOINT"
            }
            Self::NoApi => {
                "the model has neither Chat Completions nor the Responses API: deploy one that has, such \
                 as a gpt model"
            }
            Self::Quota => "wait, or raise the deployment's quota",
            Self::Outage => "the model's service fails by itself: try again later",
            Self::Filter => "check SYSTEM_PROMPT, which the content filter checks too",
            Self::Field(Field::MaxTokens) => "unset MAX_OUTPUT_TOKENS, which the model refuses",
            Self::Field(Field::Temperature) => "unset TEMPERATURE, which the model refuses",
            Self::Field(Field::ReasoningEffort) => {
                "unset REASONING_EFFORT, or set it to a value that the model accepts"
            }
            Self::Field(Field::ReasoningSummary) => {
                "unset REASONING_SUMMARY, which the model refuses"
            }
            Self::Field(Field::Reasoning) => {
                "unset REASONING_EFFORT and REASONING_SUMMARY, which the model refuses"
            }
            Self::Field(Field::StreamOptions | Field::Store) => {
                "use a newer AZURE_OPENAI_API_VERSION"
            }
            Self::Other => return None,
        })
    }

    /// What an operator can do about the network, whichever host of Azure is asked; `None` if the
    /// network is not the problem.
    #[must_use]
    pub const fn network_remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::Blocked => {
                "the network drops connections to this host: allow it in the firewall, or set \
                 HTTPS_PROXY if this network has a proxy"
            }
            Self::ProxyUnreachable => {
                "the proxy cannot be reached: check HTTPS_PROXY (for http:// HTTP_PROXY), or add the \
                 host to NO_PROXY"
            }
            Self::ProxyProtocol => {
                "no HTTP proxy responds at the proxy's address: check the scheme and the port of \
                 HTTPS_PROXY (for http:// HTTP_PROXY)"
            }
            Self::ProxyCredentials => {
                "the proxy demands a user name and a password, or does not accept these: set \
                 HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, with special characters percent-encoded"
            }
            Self::ProxyRefusal => {
                "the proxy's rules do not permit this host: have the proxy allow CONNECT to it, or add \
                 the host to NO_PROXY if it can be reached directly"
            }
            Self::ProxyGateway => {
                "the proxy does not reach the host: check the spelling of its name, or add it to NO_PROXY if \
                 it can be reached directly"
            }
            Self::UnknownIssuer => {
                "the certificate is from an authority that is not trusted, such as that of a proxy that \
                 reads TLS: set AZURE_OPENAI_CA_FILE to a PEM file of your network's CA certificates"
            }
            Self::CertificateExpired => {
                "the certificate is not valid today: check this machine's clock, or renew the \
                 server's certificate"
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_error_tell_equal_statuses_apart() {
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
                Api,
            ),
            // OpenAI's own words.
            (
                404,
                "",
                "This model is only supported in v1/responses and not in v1/chat/completions.",
                Api,
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
