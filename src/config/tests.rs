//! What the settings mean together. Where each comes from is tested with the command line.

use secrecy::ExposeSecret as _;

use super::{
    settings::{ApiMode, AuthMode, MoreDeployment},
    *,
};
use crate::upstream::{Api, DeploymentOptions, IdentitySource, endpoint::EndpointKind};

mod network;

/// The configuration that these variables make, each given as its flag.
fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    config_of_several(variables, [])
}

fn config_of_several(
    variables: &[(&str, &str)],
    more: impl Into<Vec<MoreDeployment>>,
) -> Result<Config, ConfigError> {
    let flags = variables.iter().map(|(name, value)| {
        let name = name.to_lowercase().replace('_', "-");
        OsString::from(format!("--{name}={value}"))
    });
    Config::new(Settings {
        more_deployments: more.into(),
        ..settings(flags)?
    })
}

fn all_deployments(config: Config) -> Vec<DeploymentOptions> {
    match config.upstream {
        UpstreamConfig::Deployments(deployments) => deployments,
        UpstreamConfig::Simulator => panic!("the simulator was chosen"),
    }
}

fn deployment(variables: &[(&str, &str)]) -> DeploymentOptions {
    let all = all_deployments(config(variables).unwrap());
    let [deployment] = all.try_into().expect("one deployment");
    deployment
}

fn key_of(variables: &[(&str, &str)]) -> String {
    let deployment = deployment(variables);
    deployment
        .credential
        .key()
        .unwrap()
        .expose_secret()
        .to_owned()
}

const ENDPOINT: (&str, &str) = ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com");
const DEPLOYMENT: (&str, &str) = ("AZURE_OPENAI_DEPLOYMENT", "d");
const KEY: (&str, &str) = ("AZURE_OPENAI_API_KEY", "k3y");

#[test]
fn no_azure_setting_means_the_simulator_and_an_incomplete_one_an_error() {
    assert!(matches!(
        config(&[]).unwrap().upstream,
        UpstreamConfig::Simulator
    ));
    let missing: &[(&[(&str, &str)], &str)] = &[
        (&[KEY], "AZURE_OPENAI_ENDPOINT is missing"),
        (&[DEPLOYMENT], "AZURE_OPENAI_ENDPOINT is missing"),
        (
            &[ENDPOINT, DEPLOYMENT, ("AZURE_OPENAI_AUTH", "key")],
            "AZURE_OPENAI_API_KEY is missing",
        ),
        (&[ENDPOINT, KEY], "AZURE_OPENAI_DEPLOYMENT is missing"),
        (
            &[("AZURE_OPENAI_API_KEY_FILE", "x")],
            "AZURE_OPENAI_ENDPOINT is missing",
        ),
    ];
    for (env, words) in missing {
        let error = config(env).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn a_compatible_server_needs_no_key() {
    let local = ("AZURE_OPENAI_ENDPOINT", "http://localhost:11434/v1");
    let without = deployment(&[local, DEPLOYMENT]);
    assert_eq!(without.endpoint.kind, EndpointKind::Compatible);
    assert!(without.credential.key().is_none());
    assert!(
        deployment(&[local, DEPLOYMENT, KEY])
            .credential
            .key()
            .is_some()
    );
    let none = ("AZURE_OPENAI_AUTH", "none");
    assert!(
        deployment(&[ENDPOINT, DEPLOYMENT, none])
            .credential
            .key()
            .is_none()
    );
    assert!(
        deployment(&[ENDPOINT, DEPLOYMENT, KEY, none])
            .credential
            .key()
            .is_none()
    );
}

#[test]
fn a_key_that_cannot_stand_in_a_header_is_refused_without_being_shown() {
    for bad in ["two words", "ключ"] {
        let error = config(&[ENDPOINT, DEPLOYMENT, ("AZURE_OPENAI_API_KEY", bad)]).unwrap_err();
        assert!(matches!(error, ConfigError::KeyForm));
        assert!(!error.to_string().contains(bad));
    }
}

#[test]
fn debug_output_holds_no_secret_and_no_prompt() {
    let config = config(&[ENDPOINT, DEPLOYMENT, KEY, ("SYSTEM_PROMPT", "s3cret")]).unwrap();
    let debug = format!("{config:?}");
    assert!(
        !debug.contains("k3y") && !debug.contains("s3cret"),
        "{debug}"
    );
}

#[test]
fn an_azure_endpoint_without_a_key_means_entra_and_a_compatible_one_does_not() {
    let local = ("AZURE_OPENAI_ENDPOINT", "http://localhost:11434/v1");
    let entra = ("AZURE_OPENAI_AUTH", "entra");
    let machine = config(&[ENDPOINT, DEPLOYMENT]).unwrap().identity.unwrap();
    assert!(matches!(
        machine.source,
        IdentitySource::Machine { client: None }
    ));
    assert_eq!(
        machine.scope,
        "https://cognitiveservices.azure.com/.default"
    );
    assert_eq!(machine.authority, "https://login.microsoftonline.com");
    assert!(
        !deployment(&[ENDPOINT, DEPLOYMENT, KEY])
            .credential
            .is_entra()
    );
    assert!(!deployment(&[local, DEPLOYMENT]).credential.is_entra());
    // Said in so many words, it holds; a key that is there too is not sent.
    let both = deployment(&[ENDPOINT, DEPLOYMENT, KEY, entra]);
    assert!(both.credential.is_entra());
    assert!(
        deployment(&[local, DEPLOYMENT, entra])
            .credential
            .is_entra()
    );
    let none = ("AZURE_OPENAI_AUTH", "none");
    assert!(
        !deployment(&[ENDPOINT, DEPLOYMENT, none])
            .credential
            .is_entra()
    );
}

#[test]
fn the_conventional_variables_say_who_the_program_is() {
    let tenant = ("AZURE_TENANT_ID", "t");
    let client = ("AZURE_CLIENT_ID", "c");
    let secret = ("AZURE_CLIENT_SECRET", "s3cret");
    let file = ("AZURE_FEDERATED_TOKEN_FILE", "/f");
    let host = ("AZURE_AUTHORITY_HOST", "login.microsoftonline.us");
    let identity = |more: &[(&str, &str)]| {
        let env = [&[ENDPOINT, DEPLOYMENT], more].concat();
        config(&env).unwrap().identity.unwrap()
    };
    let all = identity(&[tenant, client, secret, file, host]);
    assert!(matches!(all.source, IdentitySource::Workload { .. }));
    assert_eq!(all.authority, "https://login.microsoftonline.us");
    let with_secret = identity(&[tenant, client, secret]);
    assert!(matches!(with_secret.source, IdentitySource::Secret { .. }));
    assert!(!format!("{with_secret:?}").contains("s3cret"));
    assert!(matches!(
        identity(&[tenant, client]).source,
        IdentitySource::Machine { client: Some(id) } if id == "c"
    ));
    for (env, words) in [
        (
            [secret, client],
            "AZURE_TENANT_ID is missing: set it, or unset AZURE_CLIENT_SECRET",
        ),
        (
            [file, tenant],
            "AZURE_CLIENT_ID is missing: set it, or unset AZURE_FEDERATED_TOKEN_FILE",
        ),
    ] {
        let env = [&[ENDPOINT, DEPLOYMENT], &env[..]].concat();
        let error = config(&env).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
    // A program that uses a key needs no complete identity.
    assert!(config(&[ENDPOINT, DEPLOYMENT, KEY, secret]).is_ok());
}

#[test]
fn a_key_can_be_mounted_as_a_file() {
    let file = std::env::temp_dir().join(format!("rasta-stream-key-{}", std::process::id()));
    let name = file.to_str().unwrap();
    let mounted = ("AZURE_OPENAI_API_KEY_FILE", name);
    std::fs::write(&file, "m0unted\n").unwrap();
    assert_eq!(key_of(&[ENDPOINT, DEPLOYMENT, mounted]), "m0unted");
    assert!(matches!(
        config(&[ENDPOINT, DEPLOYMENT, KEY, mounted]),
        Err(ConfigError::TwoKeys)
    ));

    std::fs::write(&file, " \n").unwrap();
    assert!(matches!(
        config(&[ENDPOINT, DEPLOYMENT, mounted]),
        Err(ConfigError::KeyForm)
    ));
    std::fs::remove_file(&file).unwrap();
    let missing = config(&[ENDPOINT, DEPLOYMENT, mounted]).unwrap_err();
    assert!(matches!(missing, ConfigError::KeyFile(_)));
    assert!(
        missing
            .to_string()
            .starts_with("AZURE_OPENAI_API_KEY_FILE cannot be read")
    );
}

#[test]
fn further_deployments_inherit_what_they_do_not_say() {
    let second = MoreDeployment {
        number: 2,
        deployment: Some("second".to_owned()),
        ..MoreDeployment::default()
    };
    let fourth = MoreDeployment {
        number: 4,
        endpoint: Some("https://other.openai.azure.com".to_owned()),
        api_key: Some("other-key".into()),
        api_version: Some("2024-10-21".to_owned()),
        ..MoreDeployment::default()
    };
    let config = config_of_several(&[ENDPOINT, DEPLOYMENT, KEY], [second, fourth]);
    let all = all_deployments(config.unwrap());
    let told: Vec<(String, &str)> = all
        .iter()
        .map(|d| {
            (
                d.endpoint.url(Api::ChatCompletions).to_string(),
                d.credential.key().unwrap().expose_secret(),
            )
        })
        .collect();
    let v1 = "https://r.openai.azure.com/openai/v1/chat/completions".to_owned();
    let classic = "https://other.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21";
    assert_eq!(
        told,
        [
            (v1.clone(), "k3y"),
            (v1, "k3y"),
            (classic.to_owned(), "other-key")
        ]
    );
    assert_eq!(all[1].endpoint.deployment, "second");
}

#[test]
fn one_deployment_may_take_a_key_and_another_an_entra_identity() {
    let second = MoreDeployment {
        number: 2,
        auth: Some(AuthMode::Entra),
        ..MoreDeployment::default()
    };
    let config = config_of_several(&[ENDPOINT, DEPLOYMENT, KEY], [second]).unwrap();
    assert!(config.identity.is_some());
    let all = all_deployments(config);
    assert!(all[0].credential.key().is_some());
    assert!(all[1].credential.is_entra());
}

#[test]
fn each_deployment_may_pin_an_api_and_inherits_the_first_ones() {
    let second = MoreDeployment {
        number: 2,
        api: Some(ApiMode::Auto),
        ..MoreDeployment::default()
    };
    let third = MoreDeployment {
        number: 3,
        deployment: Some("third".to_owned()),
        ..MoreDeployment::default()
    };
    let pin = ("AZURE_OPENAI_API", "Responses");
    let further = [second, third];
    let config = config_of_several(&[ENDPOINT, DEPLOYMENT, KEY, pin], further.clone()).unwrap();
    let apis = |config| all_deployments(config).into_iter().map(|d| d.api);
    let pinned = Some(Api::Responses);
    assert!(apis(config).eq([pinned, None, pinned]));
    let config = config_of_several(&[ENDPOINT, DEPLOYMENT, KEY], further).unwrap();
    assert!(apis(config).eq([None; 3]));
}

#[test]
fn an_error_of_a_further_deployment_names_its_number() {
    let third = MoreDeployment {
        number: 3,
        api_key: Some("two words".into()),
        ..MoreDeployment::default()
    };
    let error = config_of_several(&[ENDPOINT, DEPLOYMENT, KEY], [third]).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "deployment 3 (the settings that end in _3): AZURE_OPENAI_API_KEY is empty"
        ),
        "{error}"
    );
}

#[test]
fn a_further_deployment_alone_is_incomplete() {
    let second = MoreDeployment {
        number: 2,
        deployment: Some("d".to_owned()),
        ..MoreDeployment::default()
    };
    let error = config_of_several(&[], [second]).unwrap_err();
    assert!(matches!(error, ConfigError::NoEndpoint), "{error}");
}

#[test]
fn redis_needs_a_url_of_redis_and_tls_for_its_certificates() {
    let url = |url| config(&[("REDIS_URL", url)]);
    assert!(config(&[]).unwrap().replication.is_none());
    let plain = url("redis://u:s3cret@r").unwrap().replication.unwrap();
    assert_eq!(plain.address(), "r:6379");
    assert!(!format!("{plain:?}").contains("s3cret"));
    assert_eq!(
        url("rediss://[::1]:1")
            .unwrap()
            .replication
            .unwrap()
            .address(),
        "[::1]:1"
    );
    for wrong in ["r:6379", "http://r", "redis:", "redis://u:p%@:1"] {
        assert!(matches!(url(wrong), Err(ConfigError::RedisUrl)), "{wrong}");
    }
    let ca = ("REDIS_CA_FILE", "no such file");
    for alone in [&[ca][..], &[ca, ("REDIS_URL", "redis://r")]] {
        assert!(matches!(config(alone), Err(ConfigError::RedisCaAlone)));
    }
    let unreadable = config(&[ca, ("REDIS_URL", "rediss://r")]);
    assert!(matches!(unreadable, Err(ConfigError::RedisCa(_))));
    let readable = config(&[("REDIS_CA_FILE", "Cargo.toml"), ("REDIS_URL", "rediss://r")]);
    assert!(readable.unwrap().replication.unwrap().ca.is_some());
}

#[test]
fn without_settings_each_component_has_its_own_defaults() {
    let config = config(&[]).unwrap();
    assert_eq!(config.limits, generation::Limits::default());
    assert_eq!(config.store, store::Options::default());
    assert_eq!(config.guard.limits, guard::Limits::default());
}

#[test]
fn a_flag_that_is_unknown_or_not_allowed_is_an_error() {
    assert!(matches!(
        Config::from_flags(["--unknown"]),
        Err(ConfigError::Flag(FlagError::Usage(_)))
    ));
    let error = Config::from_flags(["--port=no"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--port must be a number from 0 to 65535, not \"no\""
    );
}

#[test]
fn hosts_and_origins_are_lists() {
    let guard = config(&[
        ("ALLOWED_HOSTS", "chat.example.com, [::1]:8080"),
        (
            "ALLOWED_ORIGINS",
            "https://app.example.com,http://localhost:5173",
        ),
    ])
    .unwrap()
    .guard;
    assert_eq!((guard.hosts.len(), guard.origins.len()), (2, 2));
    for (name, value, sentence) in [
        (
            "ALLOWED_HOSTS",
            "https://chat.example.com",
            "--allowed-hosts must be host names such as chat.example.com, separated by commas, not \"https://chat.example.com\"",
        ),
        (
            "ALLOWED_ORIGINS",
            "*",
            "--allowed-origins must be origins such as https://app.example.com, without a path, separated by commas, not \"*\"",
        ),
    ] {
        let error = config(&[(name, value)]).unwrap_err();
        assert_eq!(error.to_string(), sentence);
    }
}
