//! The names of the models that answer, as one response gives them.

use serde_json::value::RawValue;

use crate::upstream::secrets::{ModelName, Secrets};

/// Reads the model's name from each frame of a response, and returns it when it is new.
#[derive(Debug, Default)]
pub(super) struct ModelNames {
    secrets: Secrets,
    /// The JSON of the last name.
    last: String,
}

impl ModelNames {
    /// For the response to a request that carried these credentials.
    pub(super) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            last: String::new(),
        }
    }

    /// The name, if it differs from the last one and is fit for viewers.
    pub(super) fn read(&mut self, json: &RawValue) -> Option<ModelName> {
        if json.get() == self.last {
            return None;
        }
        json.get().clone_into(&mut self.last);
        let name: String = serde_json::from_str(json.get()).ok()?;
        ModelName::accept(&name, &self.secrets)
    }
}
