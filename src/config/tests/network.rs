//! Proxies, certificate authorities, and what crosses a network without encryption.

use super::*;

/// A file with this content, for as long as `use_it` runs.
fn with_file<T>(name: &str, content: &str, use_it: impl FnOnce(&str) -> T) -> T {
    let file = std::env::temp_dir().join(format!("rasta-stream-{name}-{}", std::process::id()));
    std::fs::write(&file, content).unwrap();
    let result = use_it(file.to_str().unwrap());
    std::fs::remove_file(&file).unwrap();
    result
}

#[test]
fn a_ca_file_that_is_missing_or_no_certificate_is_refused_with_the_remedy() {
    for name in ["AZURE_OPENAI_CA_FILE", "SSL_CERT_FILE"] {
        let error = |file: &str| {
            let error = config(&[ENDPOINT, DEPLOYMENT, KEY, (name, file)]).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("set it to a PEM file"), "{error}");
            assert!(!error.contains('\n'), "{error}");
            error
        };
        let missing = error("/no/such/file");
        assert!(missing.starts_with(&format!("{name} cannot be read (")));
        let empty = with_file(&format!("ca-{name}"), "canary", error);
        assert!(empty.starts_with(&format!("{name} is not usable (it has no certificate")));
        assert!(!empty.contains("canary"));
        // The simulator needs none of it.
        assert!(config(&[(name, "/no/such/file")]).is_ok());
    }
}

#[test]
fn a_proxy_is_an_http_url_and_its_password_is_never_shown() {
    for name in ["HTTPS_PROXY", "HTTP_PROXY"] {
        let proxied = |url| config(&[ENDPOINT, DEPLOYMENT, KEY, (name, url)]);
        let config = proxied("http://user:canary@proxy:3128").unwrap();
        let debug = format!("{config:?}");
        assert!(debug.contains("Proxy(http://proxy:3128)"), "{debug}");
        assert!(!debug.contains("canary"), "{debug}");
        for (url, words) in [
            ("http://user:canary@:3128", "must be http://[USER"),
            ("socks5://user:canary@proxy", "must be an HTTP proxy"),
        ] {
            let error = proxied(url).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} {words}")), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}

#[test]
fn a_credential_needs_https_unless_the_server_is_this_machine() {
    let plain = |host| {
        let url = format!("http://{host}");
        let key = config(&[("AZURE_OPENAI_ENDPOINT", &url), DEPLOYMENT, KEY]);
        let entra = ("AZURE_OPENAI_AUTH", "entra");
        let token = config(&[("AZURE_OPENAI_ENDPOINT", &url), DEPLOYMENT, entra]);
        [key, token]
    };
    for host in [
        "localhost:8000",
        "127.0.0.1:1/v1",
        "[::1]:8000",
        "0.0.0.0:8000/v1",
    ] {
        for outcome in plain(host) {
            assert!(outcome.is_ok(), "{host}");
        }
    }
    for host in [
        "gpu.example/v1",
        "192.168.1.5:8000/v1",
        "r.openai.azure.com",
    ] {
        for (outcome, what) in plain(host).into_iter().zip(["key", "token"]) {
            let error = outcome.unwrap_err().to_string();
            let begin = "AZURE_OPENAI_ENDPOINT begins with http://, and ";
            assert!(error.starts_with(begin), "{error}");
            assert!(
                error.contains(&format!("could read the {what};")),
                "{error}"
            );
            assert!(error.contains("ALLOW_PLAIN_HTTP=true"), "{error}");
        }
    }
    let gpu = ("AZURE_OPENAI_ENDPOINT", "http://gpu.example/v1");
    let allowed = ("ALLOW_PLAIN_HTTP", "true");
    assert!(config(&[gpu, DEPLOYMENT, KEY, allowed]).is_ok());
    assert!(config(&[gpu, DEPLOYMENT]).is_ok(), "nothing secret is sent");
    let further = MoreDeployment {
        number: 2,
        endpoint: Some("http://gpu.example/v1".to_owned()),
        ..MoreDeployment::default()
    };
    let error = config_of_several(&[ENDPOINT, DEPLOYMENT, KEY], [further]).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("deployment 2 (the settings that end in _2)"),
        "{error}"
    );
}
