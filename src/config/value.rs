//! The parsers of values: each setting's type and bounds.
//!
//! An error is a clause that begins with "must", for a sentence whose subject is the setting.

use std::{net::IpAddr, time::Duration};

pub(crate) fn ip_address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "must be an IP address such as 127.0.0.1 or 0.0.0.0".to_owned())
}

pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| "must be a number from 0 to 65535".to_owned())
}

pub(crate) fn from_1_to<const MAX: u64>(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=MAX).contains(number))
        .ok_or_else(|| format!("must be a whole number from 1 to {MAX}"))
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    const WEEK: f64 = 7.0 * 24.0 * 3600.0;
    text.parse()
        .ok()
        .filter(|seconds| (0.001..=WEEK).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "must be a number of seconds from 0.001 to 604800".to_owned())
}

pub(crate) fn temperature(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=2.0).contains(number))
        .ok_or_else(|| "must be a number from 0 to 2".to_owned())
}

pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

pub(crate) fn word(text: &str) -> Result<String, String> {
    if (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase()) {
        Ok(text.to_owned())
    } else {
        Err("must be one word of lower-case letters".to_owned())
    }
}

/// A scope in the form that applications need; for managed identities its end is removed later.
pub(crate) fn scope(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| byte.is_ascii_graphic())
        && text
            .strip_suffix("/.default")
            .is_some_and(|resource| !resource.is_empty())
    {
        Ok(text.to_owned())
    } else {
        Err("must end in /.default, such as https://ai.azure.com/.default".to_owned())
    }
}

/// An https URL. Azure's SDKs also accept it without `https://`.
pub(crate) fn authority(text: &str) -> Result<String, String> {
    let whole = match text.split_once("://") {
        Some(_) => text.to_owned(),
        None => format!("https://{text}"),
    };
    match url::Url::parse(&whole) {
        Ok(url) if url.scheme() == "https" && url.username().is_empty() => Ok(whole),
        _ => Err("must be an https URL such as https://login.microsoftonline.us".to_owned()),
    }
}
