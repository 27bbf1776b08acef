//! Where each setting comes from, and how errors name it.

use std::{ffi::OsString, time::Duration};

use clap::CommandFactory as _;
use secrecy::ExposeSecret as _;

use super::*;
use crate::{config::settings::Settings, simulator::Scenario};

fn parse(args: &[&str], env: &[(&str, &str)], dot_env: &str) -> Result<Cli, CliError> {
    let process = env
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let environment = Environment::new(process, dot_env::parse(dot_env.as_bytes())?);
    let args = std::iter::once("rasta-stream").chain(args.iter().copied());
    arguments::parse(args.map(OsString::from), &environment)
}

fn settings(args: &[&str], env: &[(&str, &str)], dot_env: &str) -> Settings {
    parse(args, env, dot_env).unwrap().settings
}

fn error(args: &[&str], env: &[(&str, &str)], dot_env: &str) -> String {
    parse(args, env, dot_env).unwrap_err().to_string()
}

#[test]
fn a_flag_beats_the_environment_which_beats_dot_env() {
    let environment = [("PORT", "2")];
    assert_eq!(settings(&[], &[], "").port, 8080);
    assert_eq!(settings(&[], &[], "PORT=1").port, 1);
    assert_eq!(settings(&[], &environment, "PORT=1").port, 2);
    for flag in [
        &["--port", "3"][..],
        &["--port=3"],
        &["--port=4", "--port=3"],
    ] {
        assert_eq!(settings(flag, &environment, "PORT=1").port, 3);
    }
}

#[test]
fn a_variable_that_a_flag_overrides_may_be_wrong() {
    assert_eq!(settings(&["--port=3"], &[("PORT", "no")], "").port, 3);
    // A flag of a similar name does not count.
    let file = "--azure-openai-api-key-file=f";
    let settings = settings(&[file], &[("AZURE_OPENAI_API_KEY", "k")], "");
    assert_eq!(settings.azure_openai_api_key.unwrap().expose_secret(), "k");
}

#[test]
fn subcommands_take_the_same_settings() {
    for args in [&["serve", "--port", "3"][..], &["check", "--port=3"]] {
        let env = [("PORT", "2"), ("HOST", "::1")];
        match parse(args, &env, "").unwrap().command {
            Some(Command::Serve(settings) | Command::Check(settings)) => {
                assert_eq!(settings.port, 3);
                assert_eq!(settings.host.to_string(), "::1");
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
fn the_simulator_takes_nothing_from_the_environment() {
    let env = [("PORT", "2"), ("HOST", "no")];
    match parse(&["simulate"], &env, "").unwrap().command {
        Some(Command::Simulate(args)) => assert_eq!(args.port, 8081),
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
        let deployment = |env: &[(&str, &str)]| settings(&[], env, "").azure_openai_deployment;
        assert_eq!(deployment(&[(alias, "x")]).unwrap(), "x");
        let both = [(alias, "x"), ("AZURE_OPENAI_DEPLOYMENT", "d")];
        assert_eq!(deployment(&both).unwrap(), "d");
    }
    let key = |env: &[(&str, &str)]| settings(&[], env, "").azure_openai_api_key;
    let other = key(&[("AZURE_OPENAI_KEY", "other")]).unwrap();
    assert_eq!(other.expose_secret(), "other");
    assert!(key(&[("OPENAI_API_KEY", "x")]).is_none());
}

#[test]
fn the_lower_case_names_of_proxies_come_first_and_all_proxy_last() {
    let proxies = |env: &[(&str, &str)]| {
        let settings = settings(&[], env, "");
        let [https, http] = [settings.https_proxy, settings.http_proxy]
            .map(|url| url.map(|url| url.expose_secret().to_owned()));
        (https, http, settings.no_proxy)
    };
    let some = |text: &str| Some(text.to_owned());
    let mut env = vec![("ALL_PROXY", "all:1"), ("NO_PROXY", "upper")];
    let expected = (some("all:1"), some("all:1"), some("upper"));
    assert_eq!(proxies(&env), expected);
    env.extend([("HTTPS_PROXY", "https:1"), ("HTTP_PROXY", "http:1")]);
    let expected = (some("https:1"), some("http:1"), some("upper"));
    assert_eq!(proxies(&env), expected);
    env.extend([("https_proxy", "https:2"), ("no_proxy", "lower")]);
    let expected = (some("https:2"), some("http:1"), some("lower"));
    assert_eq!(proxies(&env), expected);
}

#[test]
fn further_deployments_have_numbered_variables() {
    let env = [
        ("AZURE_OPENAI_AUTH_3", "Entra"),
        ("AZURE_OPENAI_DEPLOYMENT_9", "ninth"),
        ("AZURE_OPENAI_DEPLOYMENT_10", "beyond"),
        ("AZURE_OPENAI_DEPLOYMENT_1", "before"),
    ];
    for command in [&[][..], &["serve"], &["check"]] {
        let cli = parse(command, &env, "").unwrap();
        let settings = match cli.command {
            Some(Command::Serve(settings) | Command::Check(settings)) => *settings,
            _ => cli.settings,
        };
        let numbers: Vec<u8> = settings.more_deployments.iter().map(|d| d.number).collect();
        assert_eq!(numbers, [3, 9]);
    }
    assert_eq!(
        error(&[], &[("AZURE_OPENAI_API_2", "both")], ""),
        "AZURE_OPENAI_API_2 must be one of auto, chat, responses, not \"both\" (set in the environment)"
    );
    assert_eq!(
        error(&[], &[("AZURE_OPENAI_AUTH_3", "magic")], ""),
        "AZURE_OPENAI_AUTH_3 must be one of key, entra, none, not \"magic\" (set in the environment)"
    );
}

#[test]
fn a_value_that_is_not_allowed_is_named_in_one_line_with_what_is() {
    for (name, value, words) in [
        (
            "PORT",
            "70000",
            "must be a number from 0 to 65535, not \"70000\"",
        ),
        ("HOST", "here", "must be an IP address"),
        ("PING_SECONDS", "0", "must be a number of seconds"),
        ("STALL_SECONDS", "NaN", "must be a number of seconds"),
        ("MAX_REPLIES", "-1", "must be a whole number from 1"),
        ("TEMPERATURE", "3", "must be a number from 0 to 2"),
        ("REASONING_EFFORT", "VERY", "must be one word"),
        ("PAD", "maybe", "must be true or false"),
        ("LOG_FORMAT", "xml", "must be one of text, json"),
        (
            "AZURE_OPENAI_API",
            "both",
            "must be one of auto, chat, responses",
        ),
        (
            "AZURE_OPENAI_AUTH",
            "token",
            "must be one of key, entra, none",
        ),
        (
            "AZURE_OPENAI_SCOPE",
            "https://ai.azure.com",
            "must end in /.default",
        ),
        (
            "AZURE_AUTHORITY_HOST",
            "http://login.microsoftonline.us",
            "must be an https URL",
        ),
    ] {
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        let given = format!("{flag}={value}");
        let dot_env = format!("{name}={value}");
        for (error, subject, place) in [
            (
                error(&[], &[(name, value)], ""),
                name,
                " (set in the environment)",
            ),
            (error(&[], &[], &dot_env), name, " (set in .env)"),
            (error(&["check"], &[], &dot_env), name, " (set in .env)"),
            (error(&[&given], &[], ""), &flag, ""),
        ] {
            assert!(error.starts_with(&format!("{subject} {words}")), "{error}");
            assert!(
                error.ends_with(&format!(", not {value:?}{place}")),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
    }
    assert_eq!(
        error(&["simulate", "--scenario=x"], &[], ""),
        "--scenario must be one of the names that --list prints, not \"x\""
    );
}

#[test]
fn a_flag_without_its_value_is_a_usage_error() {
    for flag in ["--port", "--log-format"] {
        let error = error(&[flag], &[], "");
        assert!(error.contains("a value is required for"), "{error}");
    }
}

#[test]
fn help_names_every_variable_and_shows_no_value() {
    let key = [("AZURE_OPENAI_API_KEY", "k3y")];
    let help = error(&["--help"], &key, "");
    for arg in Cli::command().get_arguments() {
        if let Some(name) = arg.get_env().and_then(|name| name.to_str()) {
            assert!(
                help.contains(&format!("[env: {name}]")),
                "{name} is not in\n{help}"
            );
        }
    }
    assert!(!help.contains("k3y"));
    assert!(error(&["healthcheck", "--help"], &[], "").contains("[env: PORT]"));
}

#[tokio::test]
async fn the_simulator_says_how_to_use_it_without_showing_its_key() {
    for (args, words) in [
        (&[][..], "API_KEY=any\nAZURE_OPENAI_DEPLOYMENT=any\n"),
        (
            &["--key=s3cret", "--deployment=d"],
            "API_KEY=THE-KEY\nAZURE_OPENAI_DEPLOYMENT=d\n",
        ),
    ] {
        let all = [&["simulate", "--port=0"], args].concat();
        let Some(Command::Simulate(args)) = parse(&all, &[], "").unwrap().command else {
            panic!("another command");
        };
        let simulator = simulate::start(&args).await.unwrap();
        let lines = simulate::instructions(&simulator, &args);
        let endpoint = format!("AZURE_OPENAI_ENDPOINT={}\n", simulator.url());
        assert!(lines.contains(&endpoint), "{lines}");
        assert!(lines.ends_with(words), "{lines}");
        assert!(!lines.contains("s3cret"));
    }
}

#[test]
fn the_scenarios_are_listed_by_group_in_columns() {
    let list = simulate::list();
    let (lines, headings): (Vec<_>, Vec<_>) = list
        .lines()
        .filter(|line| !line.is_empty())
        .partition(|line| line.starts_with("  "));
    let names = headings
        .iter()
        .map(|heading| heading.split([';', ':']).next().unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["Both APIs", "Chat Completions", "Responses API"]
    );
    assert_eq!(lines.len(), Scenario::ALL.len());
    let column = lines[0].find("401").unwrap();
    for (line, scenario) in lines.iter().zip(Scenario::ALL) {
        assert_eq!(line[..column].trim(), scenario.name());
        assert!(line[column..].starts_with(scenario.about()), "{line}");
        for name in scenario.names() {
            assert!(line.contains(name), "{line}");
        }
    }
}
