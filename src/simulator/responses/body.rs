//! The body of a request for a response, parsed and validated.
//!
//! Unlike Chat Completions, this API refuses fields that it does not know. The refusals carry the texts of
//! the real service.

use serde_json::Value;

use crate::simulator::{
    fields::{self, Fields, wrong_type},
    parameters::Parameters,
    refusal::Refusal,
};

/// The smallest token limit that the API accepts.
const MIN_OUTPUT_TOKENS: i64 = 16;

/// The fields of a request.
const KNOWN: [&str; 29] = [
    "background",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Fields of Chat Completions, and where this API has them.
const MOVED: [(&str, &str); 5] = [
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("reasoning_effort", "reasoning.effort"),
    ("response_format", "text.format"),
];

const ROLES: [&str; 4] = ["assistant", "system", "developer", "user"];

const PARTS: [&str; 5] = [
    "input_text",
    "input_image",
    "output_text",
    "refusal",
    "input_file",
];

/// A valid request.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct ResponsesBody {
    pub(in crate::simulator) parameters: Parameters,
    pub(super) background: bool,
    pub(super) store: bool,
    /// Whether the request asks for a summary of the reasoning.
    pub(super) summarizes: bool,
    pub(super) previous_response_id: Option<String>,
    /// All fields as sent; the response repeats many of them.
    pub(super) fields: Fields,
}

impl ResponsesBody {
    /// Parses a body.
    ///
    /// # Errors
    ///
    /// The 400 that Azure would answer.
    pub(in crate::simulator) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let body = fields::parse(bytes)?;
        check_names(&body)?;
        let stream = fields::flag(&body, "stream")?.unwrap_or(false);
        let options = fields::stream_options(&body, stream)?;
        if let Some(name) = options.and_then(|options| unknown(options, &["include_obfuscation"])) {
            return Err(Refusal::unknown_parameter(&format!(
                "stream_options.{name}"
            )));
        }
        let obfuscate = options.map_or(Ok(None), |options| {
            fields::flag(options, "include_obfuscation")
        })?;
        let store = fields::flag(&body, "store")?.unwrap_or(true);
        let background = fields::flag(&body, "background")?.unwrap_or(false);
        if background && !store {
            let text = "Background mode requires 'store' to be true.";
            return Err(Refusal::invalid(text, Some("background"), None));
        }
        let reasoning = fields::object(&body, "reasoning")?;
        let unsupported = ["top_p", "temperature"]
            .into_iter()
            .filter(|name| fields::present(&body, name).is_some())
            .collect();
        let mut parameters = Parameters {
            model: fields::string(&body, "model")?,
            stream,
            obfuscate: obfuscate.unwrap_or(true),
            max_deltas: fields::tokens(&body, "max_output_tokens", MIN_OUTPUT_TOKENS)?,
            unsupported,
            has_stream_options: options.is_some(),
            ..Parameters::default()
        };
        // They count as a message, as they would in Chat Completions.
        if let Some(instructions) = fields::string(&body, "instructions")? {
            parameters.message_count += 1;
            parameters.characters += instructions.chars().count();
        }
        read_input(body.get("input"), &mut parameters)?;
        Ok(Self {
            parameters,
            background,
            store,
            summarizes: reasoning
                .is_some_and(|reasoning| fields::present(reasoning, "summary").is_some()),
            previous_response_id: fields::string(&body, "previous_response_id")?,
            fields: body,
        })
    }
}

fn check_names(body: &Fields) -> Result<(), Refusal> {
    for (name, place) in MOVED {
        if body.contains_key(name) {
            let text = format!(
                "Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to \
                 '{place}'. Try again with the new parameter. See the API documentation for more \
                 information: https://platform.openai.com/docs/api-reference/responses/create."
            );
            let code = Some("unsupported_parameter");
            return Err(Refusal::invalid(&text, Some(name), code));
        }
    }
    match unknown(body, &KNOWN) {
        Some(name) => Err(Refusal::unknown_parameter(name)),
        None => Ok(()),
    }
}

fn unknown<'a>(fields: &'a Fields, known: &[&str]) -> Option<&'a str> {
    let mut names = fields.keys().map(String::as_str);
    names.find(|name| !known.contains(name))
}

fn read_input(input: Option<&Value>, parameters: &mut Parameters) -> Result<(), Refusal> {
    let items = match input {
        None | Some(Value::Null) => return Err(fields::missing("input")),
        Some(Value::String(text)) => {
            parameters.message_count += 1;
            parameters.characters += text.chars().count();
            parameters.prompt.clone_from(text);
            return Ok(());
        }
        Some(Value::Array(items)) if items.is_empty() => return Err(fields::empty_array("input")),
        Some(Value::Array(items)) => items,
        Some(other) => {
            let expected = "one of an array of objects or string";
            return Err(wrong_type("input", expected, other));
        }
    };
    parameters.message_count += items.len();
    for (index, item) in items.iter().enumerate() {
        let place = format!("input[{index}]");
        let Value::Object(item) = item else {
            return Err(wrong_type(&place, "an object", item));
        };
        // Other items are reasoning and tool calls of earlier turns.
        if fields::present(item, "type").is_some_and(|kind| kind != "message") {
            continue;
        }
        let role = fields::string(item, "role")?
            .ok_or_else(|| fields::missing(&format!("{place}.role")))?;
        if !ROLES.contains(&role.as_str()) {
            return Err(not_one_of(&role, &ROLES, &place));
        }
        let text = text(item, &format!("{place}.content"))?;
        parameters.characters += text.chars().count();
        if role == "user" {
            parameters.prompt = text;
        }
    }
    Ok(())
}

/// The text of a message's content: a string, or the text parts of an array.
fn text(item: &Fields, place: &str) -> Result<String, Refusal> {
    let parts = match fields::present(item, "content") {
        None => return Err(fields::missing(place)),
        Some(Value::String(text)) => return Ok(text.clone()),
        Some(Value::Array(parts)) => parts,
        Some(other) => {
            let expected = "one of an array of objects or string";
            return Err(wrong_type(place, expected, other));
        }
    };
    let mut texts = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let kind = part["type"].as_str().unwrap_or_default();
        if !PARTS.contains(&kind) {
            return Err(not_one_of(kind, &PARTS, &format!("{place}[{index}]")));
        }
        texts.extend(part["text"].as_str());
    }
    Ok(texts.join(" "))
}

fn not_one_of(value: &str, supported: &[&str], place: &str) -> Refusal {
    let supported: Vec<_> = supported.iter().map(|name| format!("'{name}'")).collect();
    let text = format!(
        "Invalid value: '{value}'. Supported values are: {}.",
        supported.join(", ")
    );
    Refusal::invalid(&text, Some(place), Some("invalid_value"))
}
