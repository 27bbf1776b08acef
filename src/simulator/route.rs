//! The URLs of both APIs: from a request's method and target to what it asks for.
//!
//! Azure has two families, the classic one with a dated `api-version` and v1. Compatible servers have v1
//! without the `/openai` before it. This module reads no body.

use super::{http::Request, parameters::Api, refusal::Refusal};

/// The first API version that has the Responses API.
const FIRST_RESPONSES_VERSION: &str = "2025-03-01";

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) target: Target,
    family: Family,
    /// The date of the API version, if it has one.
    version: Option<String>,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A chat completion. On the classic path the deployment is known before the body is parsed.
    Chat { deployment: Option<String> },
    /// A new response.
    Create,
    /// A stored response, as JSON.
    Retrieve { id: String },
    /// The events of a stored response after one of them.
    Replay { id: String, after: Option<u64> },
    /// The end of a response that runs in the background.
    Cancel { id: String },
    /// The removal of a stored response.
    Delete { id: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Classic,
    V1,
}

impl Route {
    /// The route of a request; `None` if nothing is there.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let query = Query(query);
        let version = query.get("api-version").and_then(|version| date(&version));
        let v1 = path
            .strip_prefix("/openai/v1/")
            .or_else(|| path.strip_prefix("/v1/"));
        let (family, rest) = match v1 {
            Some(rest) => (Family::V1, rest),
            // The classic paths do not exist without an API version.
            None if version.is_none() => return None,
            None => (Family::Classic, path.strip_prefix("/openai/")?),
        };
        let target = match rest.strip_prefix("responses") {
            Some(rest) => response(&request.method, rest, &query)?,
            None if request.method != "POST" => return None,
            None => chat(family, rest)?,
        };
        Some(Self {
            target,
            family,
            version,
        })
    }

    /// Checks the API version.
    ///
    /// # Errors
    ///
    /// 400: v1 has no dated versions, and the Responses API is not in the older ones.
    pub(super) fn check_version(&self) -> Result<(), Refusal> {
        match (self.family, &self.version) {
            (Family::V1, Some(_)) => Err(Refusal::api_version()),
            (Family::Classic, Some(version))
                if self.api() == Api::Responses && version.as_str() < FIRST_RESPONSES_VERSION =>
            {
                let text = "Azure OpenAI Responses API is enabled only for api-version \
                            2025-03-01-preview and later";
                Err(Refusal::gateway(400, "BadRequest", text))
            }
            _ => Ok(()),
        }
    }

    fn api(&self) -> Api {
        match self.target {
            Target::Chat { .. } => Api::ChatCompletions,
            _ => Api::Responses,
        }
    }
}

fn chat(family: Family, rest: &str) -> Option<Target> {
    let deployment = match family {
        Family::V1 if rest == "chat/completions" => None,
        Family::V1 => return None,
        Family::Classic => {
            let rest = rest.strip_prefix("deployments/")?;
            let deployment = rest.strip_suffix("/chat/completions")?;
            // Deployment names are letters, digits, `-`, `_` and `.`, so there is nothing to decode.
            Some(segment(deployment)?)
        }
    };
    Some(Target::Chat { deployment })
}

fn response(method: &str, rest: &str, query: &Query<'_>) -> Option<Target> {
    if rest.is_empty() {
        return (method == "POST").then_some(Target::Create);
    }
    let rest = rest.strip_prefix('/')?;
    if let Some(id) = rest.strip_suffix("/cancel") {
        let id = segment(id)?;
        return (method == "POST").then_some(Target::Cancel { id });
    }
    let id = segment(rest)?;
    match method {
        "GET" if query.get("stream").as_deref() == Some("true") => Some(Target::Replay {
            id,
            after: query
                .get("starting_after")
                .and_then(|after| after.parse().ok()),
        }),
        "GET" => Some(Target::Retrieve { id }),
        "DELETE" => Some(Target::Delete { id }),
        _ => None,
    }
}

/// A part of a path between two slashes.
fn segment(text: &str) -> Option<String> {
    (!text.is_empty() && !text.contains('/')).then(|| text.to_owned())
}

struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.0.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// The date of an API version of the form `YYYY-MM-DD` or `YYYY-MM-DD-preview`.
fn date(version: &str) -> Option<String> {
    let date = version.strip_suffix("-preview").unwrap_or(version);
    let valid = date.parse::<jiff::civil::Date>().is_ok() && date.len() == "YYYY-MM-DD".len();
    valid.then(|| date.to_owned())
}
