//! The options of the guard.

use std::sync::Arc;

use ipnet::IpNet;

use super::{clock::Clock, hosts::HostName, limits::Limits, origins::Origin, tokens::AccessTokens};

/// Who may ask, from where, and what it may cost.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The names of the server beside those of the loopback interface and the address of a connection.
    pub hosts: Vec<HostName>,
    /// The pages on other origins whose scripts may use the server.
    pub origins: Vec<Origin>,
    /// The tokens of callers.
    pub tokens: Option<Arc<AccessTokens>>,
    /// The header in which a proxy names the user whom it has signed in.
    pub user_header: Option<Box<str>>,
    /// The networks of the proxies in front.
    pub proxies: Vec<IpNet>,
    /// Whether any client may ask on an address that others can reach.
    pub allow_anonymous: bool,
    /// What callers may cost.
    pub limits: Limits,
    /// The time by which sessions end and limits are renewed.
    pub clock: Clock,
}
