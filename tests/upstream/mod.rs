//! What upstream may do, and what becomes of the reply: failures, retries, credentials, malformed streams.

mod failures;
mod fuzz;
mod http_shapes;
mod identity;
mod retries;
mod secrets;
