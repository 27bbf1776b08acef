//! Turns an endpoint, in any form in which people paste it, into the URL to POST to.
//!
//! Azure's portal, its samples and the manuals of other servers show different forms: a bare host, an
//! address with `/openai` or `/openai/v1`, a whole "target URI" with deployment and API version. All
//! of them work. This module does no I/O.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

use super::api::Api;

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

/// The first dated API version that has the Responses API.
const FIRST_RESPONSES_VERSION: &str = "2025-03-01-preview";

/// Where to send a request, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The whole URL of Chat Completions, query included.
    chat_completions: Url,
    /// The whole URL of the Responses API, query included.
    responses: Url,
    /// The API to try first: that of a pasted URL.
    pub first_api: Api,
    /// The deployment (for Azure) or the model (for others): `model` in the body.
    pub deployment: String,
    /// The kind of server.
    pub kind: EndpointKind,
}

impl Endpoint {
    /// The URL to POST to for an API.
    #[must_use]
    pub const fn url(&self, api: Api) -> &Url {
        match api {
            Api::ChatCompletions => &self.chat_completions,
            Api::Responses => &self.responses,
        }
    }

    /// Scheme, host and port, which hold no secret.
    #[must_use]
    pub fn origin(&self) -> String {
        self.chat_completions.origin().ascii_serialization()
    }
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

/// Determines the URLs to POST to.
///
/// `deployment` and `api_version` are the settings of those names. Where one is absent, the address
/// itself may name it. Without any API version the URLs are Azure's v1 URLs.
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

    let first_api = path.pasted_api.unwrap_or(Api::ChatCompletions);
    let endpoint = |chat_completions, responses| Endpoint {
        chat_completions,
        responses,
        first_api,
        deployment: deployment.clone(),
        kind,
    };

    if kind == EndpointKind::Compatible {
        let mut base = path.prefix;
        if path.family == Family::OpenAiV1 {
            base.extend(["openai".to_owned(), "v1".to_owned()]);
        }
        return Ok(endpoint(
            with_path(&url, &base, &CHAT_COMPLETIONS)?,
            with_path(&url, &base, &RESPONSES)?,
        ));
    }

    let mut base = match path.family {
        Family::Other if azure_host => gateway_prefix(&url, path.prefix)?,
        _ => path.prefix,
    };
    base.push("openai".to_owned());
    url.set_query(None);
    let version = api_version.or(pasted_version.as_deref());
    let dated = match version {
        None => None,
        Some(word) if V1_API_VERSIONS.contains(&word) => None,
        Some(date) if is_dated_version(date) => Some(date),
        Some(_) => return Err(EndpointError::ApiVersion),
    };
    let v1_base = [base.as_slice(), &["v1".to_owned()]].concat();
    let v1_url = |operation: &[&str]| {
        let mut url = with_path(&url, &v1_base, operation)?;
        if dated.is_none() {
            add_version(&mut url, version);
        }
        Ok(url)
    };
    let Some(date) = dated else {
        return Ok(endpoint(v1_url(&CHAT_COMPLETIONS)?, v1_url(&RESPONSES)?));
    };
    let dated_url = |operation: &[&str]| {
        let mut url = with_path(&url, &base, operation)?;
        add_version(&mut url, version);
        Ok(url)
    };
    let in_deployment = ["deployments", &deployment, "chat", "completions"];
    // An older version names only the URL of Chat Completions.
    let responses = if date < FIRST_RESPONSES_VERSION {
        v1_url(&RESPONSES)?
    } else {
        dated_url(&RESPONSES)?
    };
    Ok(endpoint(dated_url(&in_deployment)?, responses))
}

/// The path of Chat Completions below its base.
const CHAT_COMPLETIONS: [&str; 2] = ["chat", "completions"];
/// The path of the Responses API below its base.
const RESPONSES: [&str; 1] = ["responses"];

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
    /// The API whose path it was.
    pasted_api: Option<Api>,
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
        let pasted_api = [
            (Api::ChatCompletions, &CHAT_COMPLETIONS[..]),
            (Api::Responses, &RESPONSES),
        ]
        .into_iter()
        .find_map(|(api, operation)| {
            let base = segments.len().checked_sub(operation.len())?;
            (segments[base..] == *operation).then(|| {
                segments.truncate(base);
                api
            })
        });
        let Some(at) = segments.iter().rposition(|segment| segment == "openai") else {
            return Self {
                prefix: segments,
                family: Family::Other,
                pasted_api,
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
                    pasted_api,
                };
            }
        };
        segments.truncate(at);
        Self {
            prefix: segments,
            family,
            pasted_api,
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

/// `url` with the path of an operation below a base.
fn with_path(url: &Url, base: &[String], operation: &[&str]) -> Result<Url, EndpointError> {
    let mut url = url.clone();
    url.path_segments_mut()
        .map_err(|()| EndpointError::NotAUrl)?
        .clear()
        .extend(base)
        .extend(operation);
    Ok(url)
}

fn add_version(url: &mut Url, version: Option<&str>) {
    if let Some(version) = version {
        url.query_pairs_mut().append_pair("api-version", version);
    }
}

#[cfg(test)]
mod tests;
