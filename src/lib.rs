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
//! A generation never knows its viewers; a viewer never knows its generation. From that one sentence
//! follow resuming, several viewers, and stopping.
//!
//! In reading order, with what each module may use of the others. A test keeps the table true.
//!
//! | module | what | uses |
//! |---|---|---|
//! | `event` | the contract: events, their numbers, names and bytes | |
//! | `chat` | what a caller may ask | |
//! | `idle_timer` | tells a silence from a stream | |
//! | `logging` | the log, without secrets | |
//! | `simulator` | Azure OpenAI on a loopback port | |
//! | `upstream` | a conversation in, chunks out | `chat`, `event` |
//! | `store` | the log of logs | `event` |
//! | `shutdown` | from the request to exit to idle workers | `store` |
//! | `generation` | one reply, upstream to store | `chat`, `event`, `idle_timer`, `store`, `upstream` |
//! | `viewer` | one response body, store to client | `event`, `idle_timer`, `shutdown`, `store` |
//! | `routes` | extract, call, answer | `chat`, `event`, `generation`, `shutdown`, `store`, `upstream`, `viewer` |
//! | `config` | every setting, checked, handed out as the components' options | `generation`, `logging`, `store`, `upstream` |
//! | `server` | wiring | `config`, `routes`, `shutdown`, `simulator`, `store`, `upstream` |
//! | `check` | a short prompt to each deployment, and a diagnosis | `chat`, `config`, `event`, `upstream` |
//! | `cli` | the command line: arguments, environment, signals, subcommands | `config`, `simulator` |

#![deny(clippy::large_futures)]

pub mod event;
pub mod chat;
pub mod idle_timer;
pub mod logging;
pub mod simulator;
pub mod upstream;
pub mod store;
pub mod shutdown;
pub mod generation;
pub mod viewer;
pub mod routes;
pub mod config;
pub mod server;
pub mod check;
pub mod cli;
