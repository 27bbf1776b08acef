use super::*;

fn url(endpoint: &str, deployment: &str, version: Option<&str>) -> String {
    resolve(endpoint, Some(deployment), version)
        .unwrap()
        .url(Api::ChatCompletions)
        .to_string()
}

#[test]
fn every_form_that_people_paste_leads_to_the_v1_url() {
    for pasted in [
        "https://r.openai.azure.com",
        "https://r.openai.azure.com/",
        "r.openai.azure.com",
        "  https://r.openai.azure.com//  ",
        "https://r.openai.azure.com/openai",
        "https://r.openai.azure.com/openai/",
        "https://r.openai.azure.com/openai/v1",
        "https://r.openai.azure.com/openai/v1/",
        "https://r.openai.azure.com/openai/v1/chat/completions",
        "https://r.openai.azure.com/openai/v1/responses",
        "https://r.openai.azure.com/openai/deployments/d",
        "https://r.openai.azure.com/openai/deployments/other/chat/completions",
        "https://r.openai.azure.com/v1",
        "https://r.openai.azure.com/#overview",
    ] {
        assert_eq!(
            url(pasted, "d", None),
            "https://r.openai.azure.com/openai/v1/chat/completions",
            "for {pasted}"
        );
    }
    for pasted in [
        "https://r.services.ai.azure.com/api/projects/p",
        "https://r.services.ai.azure.com/models",
    ] {
        assert_eq!(
            url(pasted, "d", None),
            "https://r.services.ai.azure.com/openai/v1/chat/completions"
        );
    }
}

#[test]
fn an_api_version_leads_to_the_deployments_url() {
    for pasted in [
        "https://r.openai.azure.com",
        "https://r.openai.azure.com/openai/v1",
        "https://r.openai.azure.com/openai/deployments/x?api-version=2023-05-15",
    ] {
        assert_eq!(
            url(pasted, "my dep", Some("2024-10-21")),
            "https://r.openai.azure.com/openai/deployments/my%20dep/chat/completions?api-version=2024-10-21",
            "for {pasted}"
        );
    }
}

#[test]
fn a_target_uri_needs_no_other_setting() {
    let pasted = "https://r.cognitiveservices.azure.com/openai/deployments/my%2Ddep/chat/completions?api-version=2025-01-01-preview";
    let endpoint = resolve(pasted, None, None).unwrap();
    assert_eq!(endpoint.deployment, "my-dep");
    assert_eq!(
        endpoint.url(Api::ChatCompletions).as_str(),
        "https://r.cognitiveservices.azure.com/openai/deployments/my-dep/chat/completions?api-version=2025-01-01-preview"
    );
}

#[test]
fn words_for_versions_belong_to_the_v1_url() {
    assert_eq!(
        url("https://r.openai.azure.com", "d", Some("preview")),
        "https://r.openai.azure.com/openai/v1/chat/completions?api-version=preview"
    );
    assert_eq!(
        url(
            "https://r.openai.azure.com/openai/v1/?api-version=preview",
            "d",
            None
        ),
        "https://r.openai.azure.com/openai/v1/chat/completions?api-version=preview"
    );
}

#[test]
fn a_gateways_prefix_is_kept() {
    for (pasted, expected) in [
        (
            "https://g.azure-api.net/team/openai",
            "https://g.azure-api.net/team/openai/v1/chat/completions",
        ),
        (
            "https://g.azure-api.net/team",
            "https://g.azure-api.net/team/openai/v1/chat/completions",
        ),
        (
            "https://llm.example.com/team",
            "https://llm.example.com/team/openai/v1/chat/completions",
        ),
    ] {
        let endpoint = resolve(pasted, Some("d"), None).unwrap();
        assert_eq!(endpoint.url(Api::ChatCompletions).as_str(), expected);
        assert_eq!(endpoint.kind, EndpointKind::Azure);
    }
}

#[test]
fn a_path_that_ends_in_v1_is_any_compatible_server() {
    for (pasted, expected) in [
        (
            "http://localhost:11434/v1",
            "http://localhost:11434/v1/chat/completions",
        ),
        (
            "localhost:11434/v1/",
            "http://localhost:11434/v1/chat/completions",
        ),
        (
            "http://127.0.0.1:8000/v1/chat/completions",
            "http://127.0.0.1:8000/v1/chat/completions",
        ),
        (
            "https://api.example.com/openai/v1",
            "https://api.example.com/openai/v1/chat/completions",
        ),
        (
            "https://api.example.com/v1?tier=a",
            "https://api.example.com/v1/chat/completions?tier=a",
        ),
    ] {
        let endpoint = resolve(pasted, Some("m"), Some("2024-10-21")).unwrap();
        assert_eq!(endpoint.url(Api::ChatCompletions).as_str(), expected);
        assert_eq!(endpoint.kind, EndpointKind::Compatible);
    }
}

#[test]
fn a_local_address_without_a_path_is_azures() {
    let endpoint = resolve("http://127.0.0.1:9000", Some("d"), None).unwrap();
    assert_eq!(
        endpoint.url(Api::ChatCompletions).as_str(),
        "http://127.0.0.1:9000/openai/v1/chat/completions"
    );
    assert_eq!(endpoint.kind, EndpointKind::Azure);
}

#[test]
fn addresses_that_cannot_work_are_refused() {
    use EndpointError::*;
    for (pasted, version, error) in [
        ("", None, NotAUrl),
        ("https://", None, NotAUrl),
        ("two words", None, NotAUrl),
        ("ftp://r.openai.azure.com", None, Scheme),
        ("https://me:secret@r.openai.azure.com", None, Credentials),
        ("https://r.openai.azure.com/openai/assistants", None, Path),
        ("https://r.openai.azure.com", Some("latest-ish"), ApiVersion),
        ("https://r.openai.azure.com", Some("2024-1-1"), ApiVersion),
    ] {
        assert_eq!(
            resolve(pasted, Some("d"), version),
            Err(error),
            "for {pasted}"
        );
    }
    assert_eq!(
        resolve("https://r.openai.azure.com", None, None),
        Err(NoDeployment)
    );
}

#[test]
fn the_responses_api_has_its_url_in_every_family() {
    for (pasted, version, expected) in [
        (
            "https://r.openai.azure.com",
            None,
            "https://r.openai.azure.com/openai/v1/responses",
        ),
        (
            "https://r.openai.azure.com",
            Some("preview"),
            "https://r.openai.azure.com/openai/v1/responses?api-version=preview",
        ),
        (
            "https://r.openai.azure.com",
            Some("2025-03-01-preview"),
            "https://r.openai.azure.com/openai/responses?api-version=2025-03-01-preview",
        ),
        (
            "https://r.openai.azure.com/openai/deployments/x/chat/completions?api-version=2025-04-01-preview",
            None,
            "https://r.openai.azure.com/openai/responses?api-version=2025-04-01-preview",
        ),
        // The API is younger than this version, but the v1 URL is everywhere.
        (
            "https://r.openai.azure.com",
            Some("2024-10-21"),
            "https://r.openai.azure.com/openai/v1/responses",
        ),
        (
            "https://g.azure-api.net/team",
            None,
            "https://g.azure-api.net/team/openai/v1/responses",
        ),
        (
            "http://localhost:11434/v1",
            Some("2024-10-21"),
            "http://localhost:11434/v1/responses",
        ),
        (
            "https://api.example.com/openai/v1?tier=a",
            None,
            "https://api.example.com/openai/v1/responses?tier=a",
        ),
    ] {
        let endpoint = resolve(pasted, Some("d"), version).unwrap();
        let url = endpoint.url(Api::Responses);
        assert_eq!(url.as_str(), expected, "for {pasted}");
    }
}

#[test]
fn a_target_uri_says_which_api_to_try_first() {
    for (pasted, first) in [
        (
            "https://r.openai.azure.com/openai/responses?api-version=2025-04-01-preview",
            Api::Responses,
        ),
        ("http://localhost:8000/v1/responses", Api::Responses),
        ("http://localhost:8000/v1", Api::ChatCompletions),
        ("https://r.openai.azure.com", Api::ChatCompletions),
    ] {
        let endpoint = resolve(pasted, Some("d"), None).unwrap();
        assert_eq!(endpoint.first_api, first, "for {pasted}");
        let url = endpoint.url(Api::ChatCompletions).as_str();
        assert!(url.contains("/chat/completions"), "for {pasted}: {url}");
    }
}
