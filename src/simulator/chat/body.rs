//! The body of a chat completion request, parsed and validated.
//!
//! It is as lenient as Azure: it ignores arguments that it does not know. The refusals carry the
//! texts of the real service.

use serde_json::Value;

use crate::simulator::{
    fields::{self, Fields, missing, wrong_type},
    parameters::Parameters,
    refusal::Refusal,
};

const ROLES: [&str; 6] = [
    "system",
    "assistant",
    "user",
    "function",
    "tool",
    "developer",
];

/// A valid request.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct ChatBody {
    pub(in crate::simulator) parameters: Parameters,
    pub(super) include_usage: bool,
}

impl ChatBody {
    /// Parses a body.
    ///
    /// # Errors
    ///
    /// The 400 that Azure would answer.
    pub(in crate::simulator) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let body = fields::parse(bytes)?;
        let stream = fields::flag(&body, "stream")?.unwrap_or(false);
        let options = fields::stream_options(&body, stream)?;
        let option = |name| options.map_or(Ok(None), |options| fields::flag(options, name));
        let unsupported = ["max_tokens", "top_p", "temperature"]
            .into_iter()
            .filter(|name| fields::present(&body, name).is_some())
            .collect();
        let mut parameters = Parameters {
            model: fields::string(&body, "model")?,
            stream,
            obfuscate: option("include_obfuscation")?.unwrap_or(true),
            max_deltas: max_deltas(&body)?,
            unsupported,
            has_stream_options: options.is_some(),
            ..Parameters::default()
        };
        let include_usage = option("include_usage")?.unwrap_or(false);
        if fields::present(&body, "n").is_some_and(|n| n.as_u64() != Some(1)) {
            let text = "Unsupported value: 'n' must be 1 with this model.";
            return Err(Refusal::invalid(text, Some("n"), Some("unsupported_value")));
        }
        read_messages(body.get("messages"), &mut parameters)?;
        Ok(Self {
            parameters,
            include_usage,
        })
    }
}

fn read_messages(messages: Option<&Value>, parameters: &mut Parameters) -> Result<(), Refusal> {
    let messages = match messages {
        Some(Value::Array(messages)) => messages,
        Some(other) => return Err(wrong_type("messages", "an array of objects", other)),
        None => return Err(missing("messages")),
    };
    if messages.is_empty() {
        return Err(fields::empty_array("messages"));
    }
    parameters.message_count = messages.len();
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
            let text = "Invalid value for a role. Supported values are: 'system', 'assistant', \
                        'user', 'function', 'tool', and 'developer'.";
            return Err(Refusal::invalid(text, Some(&param), Some("invalid_value")));
        }
        let text = text(message, index, role)?;
        parameters.characters += text.chars().count();
        if role == "user" {
            parameters.prompt = text;
        }
    }
    Ok(())
}

/// The text of a message's content: a string, or the text parts of an array.
fn text(message: &Fields, index: usize, role: &str) -> Result<String, Refusal> {
    let param = format!("messages[{index}].content");
    match message.get("content") {
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

fn max_deltas(body: &Fields) -> Result<Option<usize>, Refusal> {
    let old = fields::tokens(body, "max_tokens", 1)?;
    let new = fields::tokens(body, "max_completion_tokens", 1)?;
    if old.is_some() && new.is_some() {
        let text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not \
                    supported.";
        let code = "invalid_parameter_combination";
        return Err(Refusal::invalid(text, Some("max_tokens"), Some(code)));
    }
    Ok(old.or(new))
}
