//! The settings of who may ask, and from where.

use clap::Args;

use crate::guard::{HostName, Options, Origin};

/// Who may ask, and from where.
#[derive(Args, Clone, Debug)]
#[expect(rustdoc::bare_urls, reason = "the comments are the text of --help")]
pub struct AccessSettings {
    /// The names of this server, such as chat.example.com, separated by commas. The names of the
    /// loopback interface and the address of the connection are always among them; a request by any
    /// other name is refused
    #[arg(long, env = "ALLOWED_HOSTS", value_name = "NAMES", value_parser = host_names)]
    pub allowed_hosts: Option<List<HostName>>,

    /// Other origins whose pages may use this server, such as https://app.example.com, separated by
    /// commas
    #[arg(long, env = "ALLOWED_ORIGINS", value_name = "ORIGINS", value_parser = origins)]
    pub allowed_origins: Option<List<Origin>>,
}

impl AccessSettings {
    pub(super) fn options(self) -> Options {
        Options {
            hosts: self.allowed_hosts.map(|list| list.0).unwrap_or_default(),
            origins: self.allowed_origins.map(|list| list.0).unwrap_or_default(),
        }
    }
}

/// Values that are separated by commas.
#[derive(Clone, Debug)]
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    fn parse(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<Self> {
        let items = text.split(',').map(|text| item(text.trim()));
        items.collect::<Option<Vec<T>>>().map(Self)
    }
}

fn host_names(text: &str) -> Result<List<HostName>, String> {
    List::parse(text, HostName::parse).ok_or_else(|| {
        "must be host names such as chat.example.com, separated by commas".to_owned()
    })
}

fn origins(text: &str) -> Result<List<Origin>, String> {
    List::parse(text, Origin::parse).ok_or_else(|| {
        "must be origins such as https://app.example.com, without a path, separated by commas"
            .to_owned()
    })
}
