//! What the server refuses: callers who may not ask, requests from where they should not come, and what costs
//! too much.

mod budget;
mod callers;
mod canary;
mod gate;
mod limits;
mod session;
