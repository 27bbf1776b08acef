//! The APIs by which a deployment can be asked, one module each.
//!
//! A dialect has a `Request`, which encodes the body of a request, and a `Normalizer`, which turns the
//! frames of the response into [`Chunk`](super::chunk::Chunk)s. Nothing above this module knows which
//! dialect a deployment speaks. The forms of an error are common to all of them.

pub mod chat_completions;
mod content_filter;
pub mod error_object;
mod model_names;
mod surrogates;

pub(super) use self::chat_completions::{Normalizer, Request};
