//! The page as a reader meets it, in a real browser.

mod access;
mod controls;
mod conversations;
mod crowd;
mod gallery;
mod layout;
mod loss;
mod markdown;
mod moments;
mod sending;
mod sign_in;
mod states;
mod streaming;

/// The upstream frames before the first delta: the filter's results for the prompt, and the role.
const OPENING: usize = 2;
/// All frames that are left.
const REST: usize = usize::MAX;

const PROMPT: &str = "Why is the sea salty?";
