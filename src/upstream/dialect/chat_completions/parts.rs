//! Text in parts: a list of parts, or one part, where the API has a string.
//!
//! Reasoning models of Mistral and of Azure AI Foundry send it: parts of thinking, then parts of text.

use serde_json::value::RawValue;

use super::object::{LosesText, Object};
use crate::upstream::{dialect::surrogates::WireText, word::Word};

/// What the parts of a content hold.
#[derive(Default)]
pub(super) struct Parts {
    /// The text, as WTF-8.
    pub(super) text: Vec<u8>,
    /// The reasoning, as WTF-8.
    pub(super) thinking: Vec<u8>,
    /// The kind of a part that is neither.
    pub(super) unknown: Option<Word>,
}

impl Parts {
    pub(super) fn extend(&mut self, more: Self) {
        self.text.extend(more.text);
        self.thinking.extend(more.thinking);
        self.unknown = more.unknown.or(self.unknown);
    }
}

/// Reads a content: a string, a part, or a list of both.
pub(super) fn read(json: &RawValue) -> Result<Parts, LosesText> {
    let mut parts = Parts::default();
    match json.get().as_bytes().first() {
        Some(b'"') => parts.text = text(json)?,
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(json.get())?;
            for part in list {
                parts.extend(read(part)?);
            }
        }
        Some(b'{') => parts = part(&Object::parse(json.get())?)?,
        Some(b'n') => {}
        _ => return Err(LosesText),
    }
    Ok(parts)
}

fn part(part: &Object<'_>) -> Result<Parts, LosesText> {
    let kind = part.get("type").map(RawValue::get).unwrap_or_default();
    let kind = kind.trim_matches('"');
    let field = |names: &[&str]| names.iter().find_map(|name| part.get(name));
    let mut parts = Parts::default();
    match kind {
        "text" | "output_text" | "refusal" | "" => {
            // `value` is the text of a text in the Assistants API, `parts` the list of Google's.
            match field(&["text", "refusal", "value", "parts"]) {
                Some(json) => parts = read(json)?,
                None if kind.is_empty() && !part.is_empty() => return Err(LosesText),
                None => {}
            }
        }
        "thinking" | "reasoning" | "reasoning_text" | "summary_text" => {
            let json = field(&["thinking", "reasoning", "text", "summary", "content"]);
            // Reasoning is no text: in another form it counts as absent.
            let inner = json.and_then(|json| read(json).ok()).unwrap_or_default();
            parts.thinking = [inner.thinking, inner.text].concat();
        }
        other => parts.unknown = Some(Word::of(other)),
    }
    Ok(parts)
}

fn text(json: &RawValue) -> Result<Vec<u8>, LosesText> {
    let WireText(text) = serde_json::from_str(json.get())?;
    Ok(text)
}
