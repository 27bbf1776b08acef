//! Streams chat replies from Azure OpenAI to the browser, event by event, and never loses one.
//!
//! ```text
//!                        one direction only
//! browser / curl / SDK ─▶ routes ─▶ generation ─▶ upstream ─▶ Azure OpenAI     POST /v1/replies
//!                                       │   bytes → Frame → Chunk → ReplyEvent
//!                                       ▼
//!                                     store      append-only log per reply, numbered 1, 2, 3 …
//!                                       ▼
//! browser / curl / SDK ◀─ routes ◀── viewer      replay after Last-Event-ID, then follow
//! ```
//!
//! A generation never knows its viewers, and a viewer never knows its generation. That is why a reply
//! can be resumed, watched by several viewers, and stopped. `DESIGN.md` follows a delta through every
//! file.
//!
//! The modules in reading order, from the contract to the command line, each with the modules that it
//! may import. A test compares the table with the code.
//!
//! | module | what | uses |
//! |---|---|---|
//! | `event` | the contract: events, their numbers, names and bytes | |
//! | `context` | the request that a task works for: its id and trace | |
//! | `chat` | the body of a POST, validated | |
//! | `tokens` | estimates how many tokens a text has | |
//! | `metrics` | figures for Prometheus | |
//! | `idle_timer` | reports that nothing has happened for a while | |
//! | `logging` | the log, without secrets | `context` |
//! | `connection` | the connections of clients: deadlines, count, certificates | |
//! | `simulator` | Azure OpenAI on a loopback port: the default upstream | |
//! | `upstream` | Azure OpenAI: a conversation out, chunks in | `chat`, `context`, `event`, `metrics`, `tokens` |
//! | `store` | the logs of all replies, shared with other replicas over Redis | `event` |
//! | `guard` | who may ask, from where, and what it may cost | `store` |
//! | `shutdown` | the sequence from the request to exit until the workers stop | `store` |
//! | `generation` | one reply, from upstream to its log | `chat`, `context`, `event`, `idle_timer`, `metrics`, `store`, `tokens`, `upstream` |
//! | `viewer` | one response body, from a log to its client | `event`, `idle_timer`, `metrics`, `shutdown`, `store` |
//! | `routes` | the HTTP interface: extract, call, answer | `chat`, `connection`, `context`, `event`, `generation`, `guard`, `metrics`, `shutdown`, `store`, `upstream`, `viewer` |
//! | `config` | all settings, checked, as the options of the components | `connection`, `generation`, `guard`, `logging`, `store`, `upstream` |
//! | `server` | wiring | `config`, `connection`, `guard`, `routes`, `shutdown`, `simulator`, `store`, `upstream` |
//! | `check` | sends a short prompt to each deployment, and reports what is wrong | `chat`, `config`, `event`, `upstream` |
//! | `cli` | the command line: arguments, environment, signals, subcommands | `config`, `simulator` |

#![deny(clippy::large_futures)]

pub mod event;
pub mod context;
pub mod chat;
pub mod tokens;
pub mod metrics;
pub mod idle_timer;
pub mod logging;
pub mod connection;
pub mod simulator;
pub mod upstream;
pub mod store;
pub mod guard;
pub mod shutdown;
pub mod generation;
pub mod viewer;
pub mod routes;
pub mod config;
pub mod server;
pub mod check;
pub mod cli;
