//! What the server refuses: callers who may not ask, and requests from where they should not come.

mod callers;
mod gate;
