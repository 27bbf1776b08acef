//! Who has started a reply, as the store keeps it: a digest, so that Redis has no names.

use sha2::{Digest as _, Sha256};

/// Sets these digests apart from those of other texts.
const PREFIX: &str = "rasta-stream owner\0";

/// Who may read and stop a reply, and repeat its POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Any caller who knows its id: it was started by an anonymous caller, or by a version of this
    /// program that stored no owners.
    Anyone,
    /// The caller with this digest.
    One([u8; 32]),
}

impl Owner {
    /// One caller, by all that sets it apart from others.
    #[must_use]
    pub fn one(identity: &str) -> Self {
        let digest = Sha256::new().chain_update(PREFIX).chain_update(identity);
        Self::One(digest.finalize().into())
    }

    /// Whether a reply with this owner may be read by `caller`.
    #[must_use]
    pub fn admits(self, caller: Self) -> bool {
        self == Self::Anyone || self == caller
    }

    /// As it is stored; `None` if nothing is.
    pub(super) fn encode(self) -> Option<String> {
        match self {
            Self::Anyone => None,
            Self::One(digest) => Some(base16ct::lower::encode_string(&digest)),
        }
    }

    /// Reads what [`encode`](Self::encode) has written; `None` for any other text.
    pub(super) fn decode(stored: Option<&[u8]>) -> Option<Self> {
        let Some(stored) = stored else {
            return Some(Self::Anyone);
        };
        let mut digest = [0; 32];
        let decoded = base16ct::lower::decode(stored, &mut digest).ok()?.len();
        (decoded == digest.len()).then_some(Self::One(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_admits_its_owner_and_one_without_an_owner_admits_all() {
        let (ann, bob) = (Owner::one("token ann"), Owner::one("token bob"));
        assert!(ann.admits(ann) && !ann.admits(bob) && !ann.admits(Owner::Anyone));
        assert!(Owner::Anyone.admits(ann) && Owner::Anyone.admits(Owner::Anyone));
    }

    #[test]
    fn what_is_stored_is_read_back_and_nothing_else_is() {
        let ann = Owner::one("token ann");
        let stored = ann.encode().unwrap();
        assert_eq!(Owner::decode(Some(stored.as_bytes())), Some(ann));
        assert_eq!(Owner::Anyone.encode(), None);
        assert_eq!(Owner::decode(None), Some(Owner::Anyone));
        for bad in [
            "",
            &stored[2..],
            &stored.to_uppercase(),
            &format!("{stored}00"),
        ] {
            assert_eq!(Owner::decode(Some(bad.as_bytes())), None, "for {bad}");
        }
    }
}
