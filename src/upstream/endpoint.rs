//! Turns an endpoint, in any form in which people paste it, into the URL to POST to.
//!
//! Azure's portal, its samples and the manuals of other servers show different forms: a bare host, an
//! address with `/openai` or `/openai/v1`, a whole "target URI" with deployment and API version. All
//! of them work. This module does no I/O.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

/// Domains of Azure's own hosts, whatever the path. Sources: the Azure OpenAI v1 reference, the
/// Azure Government and Azure China pages, API Management's default domains.
const AZURE_DOMAINS: [&str; 6] = [
    ".azure.com",
    ".azure.us",
    ".azure.cn",
    ".azure-api.net",
    ".azure-api.us",
    ".azure-api.cn",
];

/// API versions of the v1 URL. A dated version belongs to the deployments URL.
const V1_API_VERSIONS: [&str; 3] = ["v1", "preview", "latest"];

/// Where to send a chat completion, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The whole URL, query included.
    pub url: Url,
    /// The deployment (for Azure) or the model (for others): `model` in the body.
    pub deployment: String,
    /// The kind of server.
    pub kind: EndpointKind,
}

/// The kind of server, which decides the header that carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// Azure OpenAI, or a gateway in front of it: `api-key`.
    Azure,
    /// Any server with an OpenAI-compatible API: `Authorization: Bearer`, and the key is optional.
    Compatible,
}

/// Why an endpoint cannot be used. The texts name the setting and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL.
    #[error(
        "AZURE_OPENAI_ENDPOINT is not an address: set it to one such as https://NAME.openai.azure.com"
    )]
    NotAUrl,
    /// A scheme other than HTTP.
    #[error("AZURE_OPENAI_ENDPOINT must begin with https:// (or http:// for a local server)")]
    Scheme,
    /// `user:password@`.
    #[error("AZURE_OPENAI_ENDPOINT must hold no user name or password: use AZURE_OPENAI_API_KEY")]
    Credentials,
    /// An unknown path on an Azure host.
    #[error(
        "AZURE_OPENAI_ENDPOINT has a path that Azure OpenAI does not have: set it to https://NAME.openai.azure.com alone"
    )]
    Path,
    /// No deployment is named anywhere.
    #[error(
        "AZURE_OPENAI_DEPLOYMENT is missing: set it to the deployment's name (for other servers, the model's)"
    )]
    NoDeployment,
    /// Neither a date nor a known word.
    #[error("AZURE_OPENAI_API_VERSION must be a date such as 2024-10-21, or unset for the v1 URL")]
    ApiVersion,
}

/// Determines the URL to POST to.
///
/// `deployment` and `api_version` are the settings of those names. Where one is absent, the address
/// itself may name it. Without any API version the URL is Azure's v1 URL.
///
/// # Errors
///
/// [`EndpointError`], which names the remedy.
pub fn resolve(
    endpoint: &str,
    deployment: Option<&str>,
    api_version: Option<&str>,
) -> Result<Endpoint, EndpointError> {
    let mut url = parse(endpoint)?;
    let pasted_version = url
        .query_pairs()
        .find(|(name, _)| name == "api-version")
        .map(|(_, v)| v.into_owned());
    let path = Path::of(&url);
    let azure_host = is_azure_host(&url);
    let kind = match path.family {
        Family::Deployments(_) | Family::OpenAi => EndpointKind::Azure,
        Family::Other if !azure_host && path.prefix.last().is_some_and(|last| last == "v1") => {
            EndpointKind::Compatible
        }
        Family::Other => EndpointKind::Azure,
        Family::OpenAiV1 if azure_host => EndpointKind::Azure,
        Family::OpenAiV1 => EndpointKind::Compatible,
    };
    let named = match (&path.family, deployment) {
        (_, Some(name)) => Some(name.to_owned()),
        (Family::Deployments(name), None) => Some(name.clone()),
        (_, None) => None,
    };
    let deployment = named.ok_or(EndpointError::NoDeployment)?;

    if kind == EndpointKind::Compatible {
        let mut segments = path.prefix;
        if path.family == Family::OpenAiV1 {
            segments.extend(["openai".to_owned(), "v1".to_owned()]);
        }
        segments.extend(["chat".to_owned(), "completions".to_owned()]);
        set_path(&mut url, &segments)?;
        return Ok(Endpoint {
            url,
            deployment,
            kind,
        });
    }

    let mut segments = match path.family {
        Family::Other if azure_host => gateway_prefix(&url, path.prefix)?,
        _ => path.prefix,
    };
    let version = api_version.or(pasted_version.as_deref());
    let classic = match version {
        None => false,
        Some(word) if V1_API_VERSIONS.contains(&word) => false,
        Some(date) if is_dated_version(date) => true,
        Some(_) => return Err(EndpointError::ApiVersion),
    };
    segments.push("openai".to_owned());
    if classic {
        segments.extend(["deployments".to_owned(), deployment.clone()]);
    } else {
        segments.push("v1".to_owned());
    }
    segments.extend(["chat".to_owned(), "completions".to_owned()]);
    set_path(&mut url, &segments)?;
    url.set_query(None);
    if let Some(version) = version {
        url.query_pairs_mut().append_pair("api-version", version);
    }
    Ok(Endpoint {
        url,
        deployment,
        kind,
    })
}

fn parse(endpoint: &str) -> Result<Url, EndpointError> {
    let endpoint = endpoint.trim();
    let with_scheme = if endpoint.contains("://") {
        endpoint.to_owned()
    } else if ["localhost", "127.", "[::1]"]
        .iter()
        .any(|local| endpoint.starts_with(local))
    {
        format!("http://{endpoint}")
    } else {
        format!("https://{endpoint}")
    };
    let mut url = Url::parse(&with_scheme).map_err(|_| EndpointError::NotAUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(EndpointError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::Credentials);
    }
    url.set_fragment(None);
    Ok(url)
}

/// A pasted path, split at `openai`.
struct Path {
    /// The segments before `openai` (a gateway's own prefix), or all segments if there is none.
    prefix: Vec<String>,
    family: Family,
}

#[derive(PartialEq, Eq)]
enum Family {
    /// `…/openai`
    OpenAi,
    /// `…/openai/v1`
    OpenAiV1,
    /// `…/openai/deployments/NAME`
    Deployments(String),
    /// Anything else, or no path at all.
    Other,
}

impl Path {
    fn of(url: &Url) -> Self {
        let mut segments: Vec<String> = url
            .path_segments()
            .into_iter()
            .flatten()
            .filter(|segment| !segment.is_empty())
            .map(decoded)
            .collect();
        for operation in [&["chat", "completions"][..], &["responses"]] {
            if segments.ends_with(
                &operation
                    .iter()
                    .map(|s| (*s).to_owned())
                    .collect::<Vec<_>>(),
            ) {
                segments.truncate(segments.len() - operation.len());
            }
        }
        let Some(at) = segments.iter().rposition(|segment| segment == "openai") else {
            return Self {
                prefix: segments,
                family: Family::Other,
            };
        };
        let family = match &segments[at + 1..] {
            [] => Family::OpenAi,
            [v1] if v1 == "v1" => Family::OpenAiV1,
            [word, name] if word == "deployments" => Family::Deployments(name.clone()),
            _ => {
                return Self {
                    prefix: segments,
                    family: Family::Other,
                };
            }
        };
        segments.truncate(at);
        Self {
            prefix: segments,
            family,
        }
    }
}

/// On Azure's own hosts a path other than `/openai…` is either the prefix of a gateway or the address
/// of another product. Two such addresses are common enough to be accepted.
fn gateway_prefix(url: &Url, prefix: Vec<String>) -> Result<Vec<String>, EndpointError> {
    let host = url.host_str().unwrap_or_default();
    if host.contains(".azure-api.") {
        return Ok(prefix);
    }
    match prefix
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        // `/api/projects/NAME` is a Foundry project, `/models` the retired inference endpoint.
        [] | ["v1"] | ["models"] | ["api", "projects", _] => Ok(Vec::new()),
        _ => Err(EndpointError::Path),
    }
}

fn is_azure_host(url: &Url) -> bool {
    url.host_str()
        .is_some_and(|host| AZURE_DOMAINS.iter().any(|domain| host.ends_with(domain)))
}

/// `YYYY-MM-DD`, with or without `-preview`.
fn is_dated_version(version: &str) -> bool {
    let date = version.strip_suffix("-preview").unwrap_or(version);
    date.len() == 10
        && date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// A segment without its percent-encoding, which `set_path` adds again.
fn decoded(segment: &str) -> String {
    percent_decode_str(segment)
        .decode_utf8()
        .map_or_else(|_| segment.to_owned(), Cow::into_owned)
}

fn set_path(url: &mut Url, segments: &[String]) -> Result<(), EndpointError> {
    let mut path = url
        .path_segments_mut()
        .map_err(|()| EndpointError::NotAUrl)?;
    path.clear().extend(segments);
    Ok(())
}

#[cfg(test)]
mod tests;
