//! Which Microsoft Entra identity the program has, by the variables that all of Azure's SDKs read.
//!
//! Workload identity if its file is named, else an application's secret, else whatever the machine
//! offers. What is named must be complete. Nothing is asked here: the tokens are upstream's.

use super::{ConfigError, settings::Settings};
use crate::upstream::{IdentityOptions, IdentitySource};

pub(super) fn options(settings: &Settings) -> Result<IdentityOptions, ConfigError> {
    let client = &settings.azure_client_id;
    let needed = |because| {
        let missing = |name| ConfigError::Identity { name, because };
        Ok::<_, ConfigError>((
            settings
                .azure_tenant_id
                .clone()
                .ok_or_else(|| missing("AZURE_TENANT_ID"))?,
            client.clone().ok_or_else(|| missing("AZURE_CLIENT_ID"))?,
        ))
    };
    let source = if let Some(file) = &settings.azure_federated_token_file {
        let (tenant, client) = needed("AZURE_FEDERATED_TOKEN_FILE")?;
        IdentitySource::Workload {
            tenant,
            client,
            file: file.clone(),
        }
    } else if let Some(secret) = &settings.azure_client_secret {
        let (tenant, client) = needed("AZURE_CLIENT_SECRET")?;
        IdentitySource::Secret {
            tenant,
            client,
            secret: secret.clone(),
        }
    } else {
        IdentitySource::Machine {
            client: client.clone(),
        }
    };
    Ok(IdentityOptions {
        source,
        scope: settings.azure_openai_scope.clone(),
        authority: settings.azure_authority_host.clone(),
    })
}

/// A scope as credentials of applications need it; managed identities take it without its end.
pub(super) fn scope(text: &str) -> Result<String, String> {
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

/// An https URL; other SDKs take it without `https://` too.
pub(super) fn authority(text: &str) -> Result<String, String> {
    let whole = match text.split_once("://") {
        Some(_) => text.to_owned(),
        None => format!("https://{text}"),
    };
    match url::Url::parse(&whole) {
        Ok(url) if url.scheme() == "https" && url.username().is_empty() => Ok(whole),
        _ => Err("must be an https URL such as https://login.microsoftonline.us".to_owned()),
    }
}
