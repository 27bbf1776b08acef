use std::ffi::OsString;

use super::{environment::Environment, *};
use crate::upstream::IdentitySource;

fn parse(args: &[&str], env: &[(&str, &str)], dot_env: &str) -> Result<Cli, ConfigError> {
    let variables = env
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let environment = Environment::new(variables, Some(dot_env))?;
    let args = std::iter::once("rasta-stream")
        .chain(args.iter().copied())
        .map(OsString::from);
    environment::parse(args, &environment)
}

fn settings(args: &[&str], env: &[(&str, &str)], dot_env: &str) -> Settings {
    parse(args, env, dot_env).unwrap().settings
}

fn config(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::new(parse(&[], env, "")?.settings)
}

fn deployments(env: &[(&str, &str)]) -> Vec<DeploymentOptions> {
    match config(env).unwrap().upstream {
        UpstreamConfig::Deployments(deployments) => deployments,
        UpstreamConfig::Simulator => panic!("the simulator was chosen"),
    }
}

fn deployment(env: &[(&str, &str)]) -> DeploymentOptions {
    let [deployment] = deployments(env).try_into().expect("one deployment");
    deployment
}

fn key_of(env: &[(&str, &str)]) -> String {
    let deployment = deployment(env);
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
fn a_flag_beats_the_environment_which_beats_dot_env() {
    assert_eq!(settings(&[], &[], "").port, 8080);
    assert_eq!(settings(&[], &[], "PORT=1").port, 1);
    assert_eq!(settings(&[], &[("PORT", "2")], "PORT=1").port, 2);
    assert_eq!(
        settings(&["--port", "3"], &[("PORT", "2")], "PORT=1").port,
        3
    );
}

#[test]
fn subcommands_take_the_same_settings() {
    for args in [&["serve", "--port", "3"][..], &["check", "--port=3"]] {
        match parse(args, &[("PORT", "2"), ("HOST", "::1")], "")
            .unwrap()
            .command
        {
            Some(Command::Serve(settings) | Command::Check(settings)) => {
                assert_eq!(
                    (settings.port, settings.host.to_string()),
                    (3, "::1".to_owned())
                );
            }
            other => panic!("{other:?}"),
        }
    }
    match parse(&["healthcheck"], &[("PORT", "2")], "")
        .unwrap()
        .command
    {
        Some(Command::Healthcheck(args)) => assert_eq!(args.port, 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn outer_quotes_are_stripped_once_and_empty_means_unset() {
    let quoted = [
        ("SYSTEM_PROMPT", "\"'Sing'\""),
        ("PORT", "'9'"),
        ("WORKERS", ""),
        ("PAD", "\"\""),
    ];
    let settings = settings(&[], &quoted, "");
    assert_eq!(settings.system_prompt, "'Sing'");
    assert_eq!(
        (settings.port, settings.workers, settings.pad),
        (9, None, true)
    );
}

#[test]
fn durations_take_fractions_of_a_second() {
    let settings = settings(&[], &[("STALL_SECONDS", "0.25")], "");
    assert_eq!(settings.stall_seconds, Duration::from_millis(250));
}

#[test]
fn common_aliases_are_taken_where_the_first_name_is_absent() {
    for alias in [
        "AZURE_OPENAI_CHAT_DEPLOYMENT",
        "AZURE_OPENAI_DEPLOYMENT_NAME",
        "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME",
    ] {
        assert_eq!(
            deployment(&[ENDPOINT, KEY, (alias, "x")])
                .endpoint
                .deployment,
            "x"
        );
        let both = deployment(&[ENDPOINT, KEY, (alias, "x"), DEPLOYMENT]);
        assert_eq!(both.endpoint.deployment, "d");
    }
    assert_eq!(
        key_of(&[ENDPOINT, DEPLOYMENT, ("AZURE_OPENAI_KEY", "other")]),
        "other"
    );
    let generic = deployment(&[ENDPOINT, DEPLOYMENT, ("OPENAI_API_KEY", "x")]);
    assert!(generic.credential.key().is_none());
}

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
fn a_value_out_of_bounds_is_named_in_one_line_with_what_would_be_right() {
    let cases = [
        (
            "PORT",
            "70000",
            "PORT must be a number from 0 to 65535, and not \"70000\"",
        ),
        ("HOST", "here", "HOST must be an IP address"),
        (
            "PING_SECONDS",
            "0",
            "PING_SECONDS must be a number of seconds",
        ),
        (
            "STALL_SECONDS",
            "NaN",
            "STALL_SECONDS must be a number of seconds",
        ),
        (
            "MAX_REPLIES",
            "-1",
            "MAX_REPLIES must be a whole number from 1",
        ),
        (
            "TEMPERATURE",
            "3",
            "TEMPERATURE must be a number from 0 to 2",
        ),
        (
            "REASONING_EFFORT",
            "VERY",
            "REASONING_EFFORT must be one word",
        ),
        ("PAD", "maybe", "PAD must be true or false"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT must be one of text, json"),
        (
            "AZURE_OPENAI_AUTH",
            "token",
            "AZURE_OPENAI_AUTH must be one of key, entra, none",
        ),
        (
            "AZURE_OPENAI_SCOPE",
            "https://ai.azure.com",
            "AZURE_OPENAI_SCOPE must end in /.default",
        ),
        (
            "AZURE_AUTHORITY_HOST",
            "http://login.microsoftonline.us",
            "AZURE_AUTHORITY_HOST must be an https URL",
        ),
    ];
    for (name, value, words) in cases {
        let error = parse(&[], &[(name, value)], "").unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_broken_dot_env_is_told_by_line_and_not_by_content() {
    let error = parse(
        &[],
        &[],
        "PORT=1\n# note\n\nAZURE_OPENAI_API_KEY=my secret key\n",
    )
    .unwrap_err();
    assert!(
        matches!(error, ConfigError::DotEnv { line: 4 }),
        "{error:?}"
    );
    assert!(!error.to_string().contains("secret"));
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
fn help_names_every_variable_and_shows_no_value() {
    let help = parse(&["--help"], &[KEY], "").unwrap_err().to_string();
    for arg in <Cli as clap::CommandFactory>::command().get_arguments() {
        if let Some(name) = arg.get_env().and_then(|name| name.to_str()) {
            assert!(
                help.contains(&format!("[env: {name}]")),
                "{name} is not in\n{help}"
            );
        }
    }
    assert!(!help.contains("k3y"));
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
            "AZURE_TENANT_ID is missing: set it beside AZURE_CLIENT_SECRET",
        ),
        (
            [file, tenant],
            "AZURE_CLIENT_ID is missing: set it beside AZURE_FEDERATED_TOKEN_FILE",
        ),
    ] {
        let env = [&[ENDPOINT, DEPLOYMENT], &env[..]].concat();
        let error = config(&env).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
    // Whoever uses a key is not asked for the rest of an identity.
    assert!(config(&[ENDPOINT, DEPLOYMENT, KEY, secret]).is_ok());
}

#[test]
fn further_deployments_inherit_what_they_do_not_say() {
    let all = deployments(&[
        ENDPOINT,
        DEPLOYMENT,
        KEY,
        ("AZURE_OPENAI_DEPLOYMENT_2", "second"),
        ("AZURE_OPENAI_ENDPOINT_4", "https://other.openai.azure.com"),
        ("AZURE_OPENAI_API_KEY_4", "other-key"),
        ("AZURE_OPENAI_API_VERSION_4", "2024-10-21"),
    ]);
    let told: Vec<(String, &str)> = all
        .iter()
        .map(|d| {
            (
                d.endpoint.url.to_string(),
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
fn a_further_deployment_alone_is_incomplete() {
    let error = config(&[("AZURE_OPENAI_DEPLOYMENT_2", "d")])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("AZURE_OPENAI_ENDPOINT is missing"),
        "{error}"
    );
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
fn one_deployment_may_take_a_key_and_another_an_entra_identity() {
    let second = ("AZURE_OPENAI_ENDPOINT_2", "https://other.openai.azure.com");
    let all = deployments(&[
        ENDPOINT,
        DEPLOYMENT,
        KEY,
        second,
        ("AZURE_OPENAI_AUTH_2", "Entra"),
    ]);
    let told: Vec<(bool, bool)> = all
        .iter()
        .map(|d| (d.credential.key().is_some(), d.credential.is_entra()))
        .collect();
    assert_eq!(told, [(true, false), (false, true)]);
    let error = config(&[ENDPOINT, DEPLOYMENT, KEY, ("AZURE_OPENAI_AUTH_3", "magic")]);
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("AZURE_OPENAI_AUTH_3 must be one of key, entra, none"),
        "{error}"
    );
}
