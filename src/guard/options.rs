//! The options of the guard.

use super::{hosts::HostName, origins::Origin};

/// From where the server may be asked.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The names of the server beside those of the loopback interface and the address of a connection.
    pub hosts: Vec<HostName>,
    /// The pages on other origins whose scripts may use the server.
    pub origins: Vec<Origin>,
}
