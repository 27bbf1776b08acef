//! Messages in place of deltas: how a text of which each chunk may have all becomes its new part.
//!
//! A server that does not stream sends one message. Others send the whole text so far with each
//! delta, or in place of it, and some send the new part of the text in a message.

/// The text of a stream so far, as far as messages need it.
#[derive(Debug, Default)]
pub(super) enum Message {
    /// There is no text yet.
    #[default]
    Empty,
    /// There were deltas: they are the text, and a message only repeats it.
    Deltas,
    /// There were messages only. So far each began with the one before: this is the last one.
    Whole(Vec<u8>),
    /// There were messages only, each with a new part of the text.
    Parts,
}

impl Message {
    /// Whether there is no text yet.
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Notes that a delta has brought some text.
    pub(super) fn add_delta(&mut self) {
        *self = Self::Deltas;
    }

    /// The new text of a choice that has a message, and maybe a delta.
    pub(super) fn add(
        &mut self,
        delta: Option<Vec<u8>>,
        message: Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        if delta.is_some() {
            self.add_delta();
            return delta;
        }
        let message = message?;
        match self {
            Self::Empty => {
                *self = Self::Whole(message.clone());
                Some(message)
            }
            Self::Deltas => None,
            Self::Whole(before) => {
                if let Some(new) = message.strip_prefix(before.as_slice()) {
                    let new = new.to_vec();
                    *before = message;
                    return Some(new);
                }
                *self = Self::Parts;
                Some(message)
            }
            Self::Parts => Some(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of choices, each with a delta and a message.
    fn text(choices: &[(Option<&str>, Option<&str>)]) -> String {
        let mut message = Message::default();
        let bytes = |text: &str| text.as_bytes().to_vec();
        let new = choices
            .iter()
            .filter_map(|(delta, whole)| message.add(delta.map(bytes), whole.map(bytes)));
        String::from_utf8(new.collect::<Vec<_>>().concat()).unwrap()
    }

    #[test]
    fn a_message_beside_deltas_or_after_them_is_not_appended() {
        let beside = [
            (Some("Wah"), Some("Wah")),
            (Some(" gwan"), Some("Wah gwan")),
        ];
        assert_eq!(text(&beside), "Wah gwan");
        let after = [
            (Some("Wah"), None),
            (Some(" gwan"), None),
            (None, Some("Wah gwan")),
        ];
        assert_eq!(text(&after), "Wah gwan");
    }

    #[test]
    fn messages_in_place_of_deltas_are_the_text_so_far_or_its_new_part() {
        assert_eq!(text(&[(None, Some("Wah gwan"))]), "Wah gwan");
        let so_far = ["Wah", "Wah gwan", "Wah gwan", "Wah gwan?"].map(|text| (None, Some(text)));
        assert_eq!(text(&so_far), "Wah gwan?");
        let parts = ["Wah", " gwan", ",", " Wah", "?"].map(|text| (None, Some(text)));
        assert_eq!(text(&parts), "Wah gwan, Wah?");
    }
}
