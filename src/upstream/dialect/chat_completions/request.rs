//! The body of a chat completion request: the system prompt, the conversation, and the optional
//! fields that are set and that the deployment accepts.
//!
//! This module sends nothing and reads no response.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    chat::{ChatRequest, Message},
    event::ErrorCode,
    upstream::{
        capabilities::{Capabilities, Field, TokenLimit},
        endpoint::{Endpoint, EndpointKind},
        fault::Fault,
        options::ModelOptions,
    },
};

/// What all requests to one deployment have in common.
pub(in crate::upstream) struct Request {
    model: String,
    kind: EndpointKind,
    settings: ModelOptions,
}

impl Request {
    pub(in crate::upstream) fn new(endpoint: &Endpoint, settings: &ModelOptions) -> Self {
        Self {
            model: endpoint.deployment.clone(),
            kind: endpoint.kind,
            settings: settings.clone(),
        }
    }

    /// Encodes the body for a conversation.
    ///
    /// # Errors
    ///
    /// A [`Fault`] with `internal`, if JSON cannot express the settings.
    pub(in crate::upstream) fn encode(
        &self,
        request: &ChatRequest,
        capabilities: Capabilities,
    ) -> Result<Bytes, Fault> {
        let settings = &self.settings;
        let system = Some(settings.system_prompt.as_str()).filter(|prompt| !prompt.is_empty());
        let messages = system
            .map(|content| WireMessage::System {
                role: "system",
                content,
            })
            .into_iter()
            .chain(request.messages().iter().map(WireMessage::Said))
            .collect();
        // Azure documents the newer name; other servers know the older one.
        let newer_name = match (capabilities.token_limit, self.kind) {
            (TokenLimit::DocumentedName, EndpointKind::Azure)
            | (TokenLimit::OtherName, EndpointKind::Compatible) => Some(true),
            (TokenLimit::DocumentedName, EndpointKind::Compatible)
            | (TokenLimit::OtherName, EndpointKind::Azure) => Some(false),
            (TokenLimit::Unsupported, _) => None,
        };
        let limit_if = |name| {
            settings
                .max_output_tokens
                .filter(|_| newer_name == Some(name))
        };
        serde_json::to_vec(&WireRequest {
            model: &self.model,
            messages,
            stream: true,
            stream_options: capabilities.stream_options.then_some(WireStreamOptions {
                include_usage: true,
            }),
            max_completion_tokens: limit_if(true),
            max_tokens: limit_if(false),
            temperature: settings.temperature.filter(|_| capabilities.temperature),
            reasoning_effort: settings
                .reasoning_effort
                .as_deref()
                .filter(|_| capabilities.reasoning_effort),
        })
        .map(Bytes::from)
        .map_err(|_| Fault::new(ErrorCode::Internal, "the request cannot be encoded"))
    }

    /// Whether requests have a field, so that leaving it out makes a difference.
    pub(in crate::upstream) fn offers(&self, field: Field) -> bool {
        match field {
            Field::MaxTokens => self.settings.max_output_tokens.is_some(),
            Field::Temperature => self.settings.temperature.is_some(),
            Field::ReasoningEffort => self.settings.reasoning_effort.is_some(),
            Field::StreamOptions => true,
            Field::ReasoningSummary | Field::Reasoning | Field::Store => false,
        }
    }
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<WireStreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireMessage<'a> {
    System {
        role: &'static str,
        content: &'a str,
    },
    Said(&'a Message),
}

#[derive(Serialize)]
struct WireStreamOptions {
    include_usage: bool,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::{api::Api, endpoint};

    /// Options without any optional field.
    fn bare() -> ModelOptions {
        ModelOptions {
            system_prompt: "Sing".to_owned(),
            max_output_tokens: None,
            temperature: None,
            reasoning_effort: None,
            reasoning_summary: None,
            first_byte: Duration::from_secs(60),
        }
    }

    /// Options with every optional field.
    fn full() -> ModelOptions {
        ModelOptions {
            max_output_tokens: Some(7),
            temperature: Some(0.5),
            reasoning_effort: Some("low".to_owned()),
            ..bare()
        }
    }

    fn encoded(model: &ModelOptions, endpoint: &str) -> serde_json::Value {
        encoded_after(&[], model, endpoint)
    }

    fn encoded_after(refused: &[Field], model: &ModelOptions, endpoint: &str) -> serde_json::Value {
        let capabilities = refused
            .iter()
            .fold(Capabilities::default(), |capabilities, field| {
                capabilities.without(*field, Api::ChatCompletions).unwrap()
            });
        let endpoint = endpoint::resolve(endpoint, Some("d"), None).unwrap();
        let request = ChatRequest::from_json(br#"{"prompt":"Hail"}"#).unwrap();
        let encoded = Request::new(&endpoint, model)
            .encode(&request, capabilities)
            .unwrap();
        serde_json::from_slice(&encoded).unwrap()
    }

    #[test]
    fn the_system_prompt_comes_first_and_only_fields_that_are_set_are_sent() {
        assert_eq!(
            encoded(&bare(), "https://r.openai.azure.com"),
            serde_json::json!({
                "model": "d",
                "messages": [
                    {"role": "system", "content": "Sing"},
                    {"role": "user", "content": "Hail"},
                ],
                "stream": true,
                "stream_options": {"include_usage": true},
            })
        );
    }

    #[test]
    fn the_token_limit_has_the_name_that_the_server_documents() {
        let azure = encoded(&full(), "https://r.openai.azure.com");
        assert_eq!(azure["max_completion_tokens"], 7);
        assert_eq!(azure["temperature"], 0.5);
        assert_eq!(azure["reasoning_effort"], "low");
        assert_eq!(azure.get("max_tokens"), None);
        let local = encoded(&full(), "http://localhost:1/v1");
        assert_eq!(local["max_tokens"], 7);
        assert_eq!(local.get("max_completion_tokens"), None);
    }

    #[test]
    fn fields_that_were_refused_are_left_out_or_renamed() {
        let azure = "https://r.openai.azure.com";
        let renamed = encoded_after(&[Field::MaxTokens], &full(), azure);
        assert_eq!(renamed["max_tokens"], 7);
        assert_eq!(renamed.get("max_completion_tokens"), None);
        let all = [
            Field::MaxTokens,
            Field::MaxTokens,
            Field::Temperature,
            Field::ReasoningEffort,
            Field::StreamOptions,
        ];
        let plain = encoded_after(&all, &full(), azure);
        let mut names: Vec<&String> = plain.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["messages", "model", "stream"]);
    }
}
