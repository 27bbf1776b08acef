//! What upstream may do, and what becomes of the reply: failures, retries, credentials, malformed streams.

mod apis;
mod certificates;
mod failures;
mod fuzz;
mod http_shapes;
mod identity;
mod proxies;
mod responses;
mod retries;
mod secrets;
mod shapes;
