//! The APIs by which upstream can be asked, one module each: a request's body out, frames in.
//!
//! Each dialect turns the data of a frame into the same [`Chunk`](super::chunk::Chunk), so that
//! nothing above this module knows which one a deployment speaks.

pub mod chat_completions;
