//! Guards the HTTP interface: from where it may be asked.
//!
//! The routes hand over what a request says, as plain text, and answer what is refused. This module
//! knows nothing of HTTP types, of generations and of viewers.

mod hosts;
mod origins;
mod options;

pub use self::{
    hosts::{HostName, Hosts},
    options::Options,
    origins::{Origin, Origins, Source},
};

/// What all workers check requests against.
#[derive(Debug)]
pub struct Guard {
    hosts: Hosts,
    origins: Origins,
}

impl Guard {
    /// A guard with these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            hosts: Hosts::new(options.hosts),
            origins: Origins::new(options.origins),
        }
    }

    /// The names under which the server may be asked.
    #[must_use]
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The pages whose scripts may use the server.
    #[must_use]
    pub const fn origins(&self) -> &Origins {
        &self.origins
    }
}
