//! The body of a request for a response: the instructions, the conversation, and the optional fields
//! that are set and that the deployment accepts.
//!
//! This module sends nothing and reads no response.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    chat::{ChatRequest, Message},
    event::ErrorCode,
    upstream::{
        capabilities::{Capabilities, Field, TokenLimit},
        endpoint::Endpoint,
        fault::Fault,
        options::{ModelOptions, ReasoningSummary},
    },
};

/// The smallest limit of output tokens that the API accepts.
const MIN_OUTPUT_TOKENS: u64 = 16;

/// What all requests to one deployment have in common.
pub(in crate::upstream) struct Request {
    model: String,
    settings: ModelOptions,
}

impl Request {
    pub(in crate::upstream) fn new(endpoint: &Endpoint, settings: &ModelOptions) -> Self {
        Self {
            model: endpoint.deployment.clone(),
            settings: settings.clone(),
        }
    }

    /// Encodes the body for a conversation. Upstream must not store it: by default it would, for 30
    /// days.
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
        let reasoning = WireReasoning {
            effort: settings
                .reasoning_effort
                .as_deref()
                .filter(|_| capabilities.reasoning_effort),
            summary: settings
                .reasoning_summary
                .filter(|_| capabilities.reasoning_summary)
                .map(ReasoningSummary::word),
        };
        serde_json::to_vec(&WireRequest {
            model: &self.model,
            stream: true,
            store: capabilities.store.then_some(false),
            instructions: Some(settings.system_prompt.as_str()).filter(|text| !text.is_empty()),
            input: request.messages(),
            max_output_tokens: settings
                .max_output_tokens
                .filter(|_| capabilities.token_limit != TokenLimit::Unsupported)
                .map(|limit| limit.max(MIN_OUTPUT_TOKENS)),
            temperature: settings.temperature.filter(|_| capabilities.temperature),
            reasoning: (reasoning != WireReasoning::default()).then_some(reasoning),
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
            Field::ReasoningSummary => self.settings.reasoning_summary.is_some(),
            Field::Reasoning => {
                self.offers(Field::ReasoningEffort) || self.offers(Field::ReasoningSummary)
            }
            Field::StreamOptions => false,
            Field::Store => true,
        }
    }
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<WireReasoning<'a>>,
}

#[derive(Default, PartialEq, Serialize)]
struct WireReasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

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
            max_output_tokens: Some(800),
            temperature: Some(0.5),
            reasoning_effort: Some("low".to_owned()),
            reasoning_summary: Some(ReasoningSummary::Concise),
            ..bare()
        }
    }

    fn encoded(model: &ModelOptions, refused: &[Field]) -> Value {
        let capabilities = refused
            .iter()
            .fold(Capabilities::default(), |capabilities, field| {
                capabilities.without(*field, Api::Responses).unwrap()
            });
        let endpoint = endpoint::resolve("https://r.openai.azure.com", Some("d"), None).unwrap();
        let body = br#"{"messages":[{"role":"user","content":"Hail"},
            {"role":"assistant","content":"Greetings"},{"role":"user","content":"Again"}]}"#;
        let request = ChatRequest::from_json(body).unwrap();
        let encoded = Request::new(&endpoint, model).encode(&request, capabilities);
        serde_json::from_slice(&encoded.unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_stored_and_only_fields_that_are_set_are_sent() {
        let input = json!([
            {"role": "user", "content": "Hail"},
            {"role": "assistant", "content": "Greetings"},
            {"role": "user", "content": "Again"},
        ]);
        assert_eq!(
            encoded(&bare(), &[]),
            json!({"model": "d", "stream": true, "store": false, "instructions": "Sing", "input": input})
        );
        let no_prompt = ModelOptions {
            system_prompt: String::new(),
            ..bare()
        };
        assert_eq!(encoded(&no_prompt, &[]).get("instructions"), None);
    }

    #[test]
    fn every_setting_has_its_place() {
        let body = encoded(&full(), &[]);
        assert_eq!(body["max_output_tokens"], 800);
        assert_eq!(body["temperature"], 0.5);
        assert_eq!(
            body["reasoning"],
            json!({"effort": "low", "summary": "concise"})
        );
    }

    #[test]
    fn a_limit_below_the_smallest_is_the_smallest() {
        let model = ModelOptions {
            max_output_tokens: Some(3),
            ..bare()
        };
        assert_eq!(encoded(&model, &[])["max_output_tokens"], 16);
    }

    #[test]
    fn fields_that_were_refused_are_left_out() {
        let model = full();
        let body = encoded(&model, &[Field::ReasoningSummary]);
        assert_eq!(body["reasoning"], json!({"effort": "low"}));
        let fields = [
            Field::MaxTokens,
            Field::Temperature,
            Field::Reasoning,
            Field::Store,
        ];
        let plain = encoded(&model, &fields);
        let mut names: Vec<&String> = plain.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["input", "instructions", "model", "stream"]);
    }
}
