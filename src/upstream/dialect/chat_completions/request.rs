//! The body of a chat completion request: a conversation behind our system prompt, with the settings
//! that were made and no field that the deployment refuses.
//!
//! This module sends nothing and reads no answer.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    chat::{ChatRequest, Message},
    event::ErrorCode,
    upstream::{
        capabilities::{Field, Learnt},
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

    /// The body for a conversation, without what the deployment has refused so far.
    pub(in crate::upstream) fn encode(
        &self,
        request: &ChatRequest,
        learnt: Learnt,
    ) -> Result<Bytes, Fault> {
        let system = Some(self.settings.system_prompt.as_str()).filter(|prompt| !prompt.is_empty());
        let messages = system
            .map(|content| WireMessage::System {
                role: "system",
                content,
            })
            .into_iter()
            .chain(request.messages().iter().map(WireMessage::Said))
            .collect();
        let limit = self
            .settings
            .max_output_tokens
            .filter(|_| learnt.sends(Field::MaxTokens));
        // The newer name is Azure's; the older one is what every other server knows.
        let newer_name = (self.kind == EndpointKind::Azure) != learnt.other_name();
        serde_json::to_vec(&WireRequest {
            model: &self.model,
            messages,
            stream: true,
            stream_options: learnt
                .sends(Field::StreamOptions)
                .then_some(WireStreamOptions {
                    include_usage: true,
                }),
            max_completion_tokens: limit.filter(|_| newer_name),
            max_tokens: limit.filter(|_| !newer_name),
            temperature: self
                .settings
                .temperature
                .filter(|_| learnt.sends(Field::Temperature)),
            reasoning_effort: self
                .settings
                .reasoning_effort
                .as_deref()
                .filter(|_| learnt.sends(Field::ReasoningEffort)),
        })
        .map(Bytes::from)
        .map_err(|error| Fault::new(ErrorCode::Internal, error.to_string()))
    }

    /// Whether a field is set, so that leaving it out makes a difference.
    pub(in crate::upstream) fn offers(&self, field: Field) -> bool {
        match field {
            Field::MaxTokens => self.settings.max_output_tokens.is_some(),
            Field::Temperature => self.settings.temperature.is_some(),
            Field::ReasoningEffort => self.settings.reasoning_effort.is_some(),
            Field::StreamOptions => true,
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
    use super::*;
    use crate::{
        config::Config,
        upstream::{capabilities::Lessons, endpoint},
    };

    fn encoded(flags: &[&str], endpoint: &str) -> serde_json::Value {
        encoded_after(&[], flags, endpoint)
    }

    fn encoded_after(refused: &[Field], flags: &[&str], endpoint: &str) -> serde_json::Value {
        let all = ["--system-prompt=Sing"]
            .into_iter()
            .chain(flags.iter().copied());
        let model = Config::from_flags(all).unwrap().model;
        let lessons = Lessons::default();
        for field in refused {
            assert!(lessons.learn(*field, lessons.so_far()));
        }
        let endpoint = endpoint::resolve(endpoint, Some("d"), None).unwrap();
        let request = ChatRequest::from_json(br#"{"prompt":"Hail"}"#).unwrap();
        let encoded = Request::new(&endpoint, &model)
            .encode(&request, lessons.so_far())
            .unwrap();
        serde_json::from_slice(&encoded).unwrap()
    }

    #[test]
    fn the_system_prompt_stands_first_and_nothing_is_sent_that_was_not_set() {
        assert_eq!(
            encoded(&[], "https://r.openai.azure.com"),
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
    fn what_was_set_is_sent_under_the_name_that_the_server_knows() {
        let flags = [
            "--max-output-tokens=7",
            "--temperature=0.5",
            "--reasoning-effort=low",
        ];
        let azure = encoded(&flags, "https://r.openai.azure.com");
        assert_eq!(azure["max_completion_tokens"], 7);
        assert_eq!(azure["temperature"], 0.5);
        assert_eq!(azure["reasoning_effort"], "low");
        assert_eq!(azure.get("max_tokens"), None);
        let local = encoded(&flags, "http://localhost:1/v1");
        assert_eq!(local["max_tokens"], 7);
        assert_eq!(local.get("max_completion_tokens"), None);
    }
    #[test]
    fn what_was_refused_is_left_out_or_renamed() {
        let flags = [
            "--max-output-tokens=7",
            "--temperature=0.5",
            "--reasoning-effort=low",
        ];
        let azure = "https://r.openai.azure.com";
        let renamed = encoded_after(&[Field::MaxTokens], &flags, azure);
        assert_eq!(renamed["max_tokens"], 7);
        assert_eq!(renamed.get("max_completion_tokens"), None);
        let all = [
            Field::MaxTokens,
            Field::MaxTokens,
            Field::Temperature,
            Field::ReasoningEffort,
            Field::StreamOptions,
        ];
        let bare = encoded_after(&all, &flags, azure);
        let mut names: Vec<&String> = bare.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["messages", "model", "stream"]);
    }
}
