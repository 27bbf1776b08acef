//! The body of a chat completion request, parsed and validated.
//!
//! It is as lenient as Azure: it ignores arguments that it does not know. The refusals carry the
//! texts of the real service.

use serde_json::{Map, Value};

use super::{limits::CHARACTERS_PER_TOKEN, refusal::Refusal};

const ROLES: [&str; 6] = [
    "system",
    "assistant",
    "user",
    "function",
    "tool",
    "developer",
];

/// A valid request.
#[derive(Clone, Default)]
pub(super) struct ChatBody {
    /// The deployment, for the v1 path.
    pub(super) model: Option<String>,
    /// The text of the last user message.
    pub(super) prompt: String,
    /// The number of messages.
    pub(super) message_count: usize,
    /// The characters of all messages together.
    pub(super) characters: usize,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) obfuscate: bool,
    /// The most deltas that the reply may have: the request's own token limit.
    pub(super) max_deltas: Option<usize>,
    /// The parameters that reasoning models do not support, in the order in which they refuse them.
    pub(super) unsupported_params: Vec<&'static str>,
    pub(super) has_stream_options: bool,
}

impl ChatBody {
    /// Parses a body.
    ///
    /// # Errors
    ///
    /// The 400 that Azure would answer.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
            let text = "We could not parse the JSON body of your request. (HINT: This likely means \
                        you aren't using your HTTP library correctly. The API expects a JSON \
                        payload, but what was sent was not valid JSON.)";
            return Err(Refusal::invalid(text, None, None));
        };
        let stream = flag(&body, "stream")?.unwrap_or(false);
        let options = match body.get("stream_options") {
            None | Some(Value::Null) => None,
            Some(Value::Object(options)) => Some(options),
            Some(other) => return Err(wrong_type("stream_options", "an object", other)),
        };
        if options.is_some() && !stream {
            let text = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(Refusal::invalid(text, Some("stream_options"), None));
        }
        let option = |name| options.map_or(Ok(None), |options| flag(options, name));
        let mut parsed = Self {
            stream,
            include_usage: option("include_usage")?.unwrap_or(false),
            obfuscate: option("include_obfuscation")?.unwrap_or(true),
            has_stream_options: options.is_some(),
            max_deltas: max_deltas(&body)?,
            ..Self::default()
        };
        let present = |name: &&str| body.get(*name).is_some_and(|value| !value.is_null());
        parsed.unsupported_params = ["max_tokens", "top_p", "temperature"]
            .into_iter()
            .filter(present)
            .collect();
        match body.get("model") {
            None | Some(Value::Null) => {}
            Some(Value::String(model)) => parsed.model = Some(model.clone()),
            Some(other) => return Err(wrong_type("model", "a string", other)),
        }
        match body.get("n") {
            None | Some(Value::Null) => {}
            Some(n) if n.as_u64() == Some(1) => {}
            Some(_) => {
                let text = "Unsupported value: 'n' must be 1 with this model.";
                return Err(Refusal::invalid(text, Some("n"), Some("unsupported_value")));
            }
        }
        parsed.read_messages(body.get("messages"))?;
        Ok(parsed)
    }

    /// The tokens that rate limiting counts: the length of the prompt, and the most that the reply
    /// may have. A reply without a limit counts as 0.
    pub(super) fn estimated_tokens(&self) -> u64 {
        let prompt = self.characters.div_ceil(CHARACTERS_PER_TOKEN);
        let tokens = prompt.saturating_add(self.max_deltas.unwrap_or(0));
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    fn read_messages(&mut self, messages: Option<&Value>) -> Result<(), Refusal> {
        let messages = match messages {
            Some(Value::Array(messages)) => messages,
            Some(other) => return Err(wrong_type("messages", "an array of objects", other)),
            None => return Err(missing("messages")),
        };
        if messages.is_empty() {
            let text = "Invalid 'messages': empty array. Expected an array with minimum length 1, \
                        but got an empty array instead.";
            return Err(Refusal::invalid(
                text,
                Some("messages"),
                Some("empty_array"),
            ));
        }
        self.message_count = messages.len();
        for (index, message) in messages.iter().enumerate() {
            let Value::Object(message) = message else {
                return Err(wrong_type(
                    &format!("messages[{index}]"),
                    "an object",
                    message,
                ));
            };
            let param = format!("messages[{index}].role");
            let role = match message.get("role") {
                Some(Value::String(role)) => role.as_str(),
                Some(other) => return Err(wrong_type(&param, "a string", other)),
                None => return Err(missing(&param)),
            };
            if !ROLES.contains(&role) {
                let text = "Invalid value for a role. Supported values are: 'system', \
                            'assistant', 'user', 'function', 'tool', and 'developer'.";
                return Err(Refusal::invalid(text, Some(&param), Some("invalid_value")));
            }
            let text = text(message.get("content"), index, role)?;
            self.characters += text.chars().count();
            if role == "user" {
                self.prompt = text;
            }
        }
        Ok(())
    }
}

/// The text of a message's content: a string, or the text parts of an array.
fn text(content: Option<&Value>, index: usize, role: &str) -> Result<String, Refusal> {
    let param = format!("messages[{index}].content");
    match content {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            Ok(texts.collect::<Vec<_>>().join(" "))
        }
        // An assistant message that only calls tools has no text.
        None | Some(Value::Null) if role == "assistant" => Ok(String::new()),
        None => Err(missing(&param)),
        Some(other) => Err(wrong_type(
            &param,
            "one of a string or array of objects",
            other,
        )),
    }
}

fn flag(object: &Map<String, Value>, name: &str) -> Result<Option<bool>, Refusal> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(wrong_type(name, "a boolean", other)),
    }
}

fn max_deltas(body: &Map<String, Value>) -> Result<Option<usize>, Refusal> {
    let mut limit = None;
    for name in ["max_tokens", "max_completion_tokens"] {
        let value = match body.get(name) {
            None | Some(Value::Null) => continue,
            Some(value) => value,
        };
        let Some(number) = value.as_i64() else {
            return Err(wrong_type(name, "an integer", value));
        };
        if number < 1 {
            let text = format!(
                "Invalid '{name}': integer below minimum value. Expected a value >= 1, but got \
                 {number} instead."
            );
            return Err(Refusal::invalid(
                &text,
                Some(name),
                Some("integer_below_min_value"),
            ));
        }
        if limit.is_some() {
            let text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not \
                        supported.";
            let code = "invalid_parameter_combination";
            return Err(Refusal::invalid(text, Some("max_tokens"), Some(code)));
        }
        limit = Some(usize::try_from(number).unwrap_or(usize::MAX));
    }
    Ok(limit)
}

fn missing(param: &str) -> Refusal {
    let text = format!("Missing required parameter: '{param}'.");
    Refusal::invalid(&text, Some(param), Some("missing_required_parameter"))
}

fn wrong_type(param: &str, expected: &str, got: &Value) -> Refusal {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let text = format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
    Refusal::invalid(&text, Some(param), Some("invalid_type"))
}
