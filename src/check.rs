//! `rasta-stream check`: asks the configured deployment for one word, and says in one sentence what
//! came of it.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    chat::ChatRequest,
    config::{Config, UpstreamConfig},
    event::ErrorCode,
    upstream::{
        DeploymentOptions, Diagnosis, Experience, Fault, Field, Identity, Progress, Tls, Upstream,
    },
};

/// How long the deployment may take for its word.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks every deployment, and gives a sentence for each: `Ok` if all answered, `Err` with the remedies
/// if not.
///
/// # Errors
///
/// The sentences, of which one at least says what is wrong.
pub async fn check(config: &Config) -> Result<String, String> {
    let UpstreamConfig::Deployments(deployments) = &config.upstream else {
        return Err(
            "No Azure OpenAI is configured, the built-in simulator would answer: set \
            AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and AZURE_OPENAI_DEPLOYMENT."
                .to_owned(),
        );
    };
    let tls = Tls::new().map_err(|error| error.to_string())?;
    let identity = config
        .identity
        .as_ref()
        .map(|identity| Identity::start(identity, &tls))
        .transpose()
        .map_err(|error| error.to_string())?;
    let (mut sentences, mut well) = (Vec::new(), true);
    for deployment in deployments {
        let one = std::slice::from_ref(deployment);
        let upstream = Upstream::new(
            one,
            &config.model,
            &tls,
            Experience::new(1),
            identity.as_ref(),
        );
        let checked = check_one(&upstream, deployment).await;
        well &= checked.is_ok();
        sentences.push(checked.unwrap_or_else(|sentence| sentence));
    }
    let sentences = sentences.join("\n");
    if well { Ok(sentences) } else { Err(sentences) }
}

async fn check_one(upstream: &Upstream, deployment: &DeploymentOptions) -> Result<String, String> {
    let begun = Instant::now();
    let asked = timeout(PATIENCE, ask(upstream)).await;
    let whom = format!(
        "{:?} at {}",
        deployment.endpoint.deployment,
        deployment.endpoint.url.origin().ascii_serialization()
    );
    match asked {
        Ok(Ok(model)) => {
            let model = model
                .map(|model| format!(" (model {model})"))
                .unwrap_or_default();
            let ms = begun.elapsed().as_millis();
            Ok(format!("All is well: {whom}{model} answered in {ms} ms."))
        }
        Ok(Err(fault)) => Err(sentence(&whom, &fault, deployment)),
        Err(_) => Err(format!(
            "{whom} sent no word in {} s: try again later.",
            PATIENCE.as_secs()
        )),
    }
}

/// Reads to the first text or finish; gives the model's name.
async fn ask(upstream: &Upstream) -> Result<Option<String>, Fault> {
    let body = br#"{"prompt":"Answer with one word: ready?"}"#;
    let request = ChatRequest::from_json(body)
        .map_err(|error| Fault::new(ErrorCode::Internal, error.to_string()))?;
    // Until now: a check waits for nothing.
    let mut reply = upstream
        .open(&request, Instant::now(), async |_| Ok(()))
        .await?;
    let (mut chunks, mut model) = (Vec::new(), None);
    loop {
        let read = reply.next(&mut chunks).await;
        for chunk in chunks.drain(..) {
            model = chunk.model.or(model);
            if chunk.text.is_some() || chunk.finish.is_some() {
                return Ok(model);
            }
        }
        if read? == Progress::Ended {
            let cause = "the answer held nothing".to_owned();
            return Err(Fault::new(ErrorCode::UpstreamTruncated, cause));
        }
    }
}

fn sentence(whom: &str, fault: &Fault, deployment: &DeploymentOptions) -> String {
    let remedy = remedy(fault.diagnosis, deployment).unwrap_or(match fault.error.code {
        ErrorCode::UpstreamProtocol => {
            "check that AZURE_OPENAI_ENDPOINT is the address of an API and not of a page or proxy"
        }
        ErrorCode::UpstreamUnavailable | ErrorCode::UpstreamTimeout => {
            "check AZURE_OPENAI_ENDPOINT and the network, or try again later"
        }
        ErrorCode::UpstreamRejected => {
            "check AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_VERSION and the model's settings"
        }
        _ => "try again later",
    });
    format!(
        "{} {whom}: {remedy}. [{}]",
        fault.error.message, fault.cause
    )
}

fn remedy(diagnosis: Diagnosis, deployment: &DeploymentOptions) -> Option<&'static str> {
    Some(match diagnosis {
        Diagnosis::NameResolution => {
            "the host's name has no address: check the spelling of AZURE_OPENAI_ENDPOINT"
        }
        Diagnosis::Connection => {
            "nobody answers there: check AZURE_OPENAI_ENDPOINT and the network, a proxy's rules too"
        }
        Diagnosis::Tls => {
            "the certificate is not trusted, or the other side speaks no TLS: check for a proxy that \
             replaces certificates, and http:// against https:// in AZURE_OPENAI_ENDPOINT"
        }
        Diagnosis::Firewall => {
            "the resource's network rules keep this machine out: allow its address under Networking \
             in the portal (a change settles in up to 30 minutes)"
        }
        Diagnosis::KeysDisabled => {
            "the resource takes no keys: set AZURE_OPENAI_AUTH=entra, or enable key access in the portal"
        }
        Diagnosis::Role => {
            "the principal lacks a role: give it Cognitive Services OpenAI User on the resource \
             (Owner does not suffice; it takes some 5 minutes)"
        }
        Diagnosis::Identity => {
            "set up the Entra identity as told here in brackets, or set AZURE_OPENAI_API_KEY"
        }
        Diagnosis::Credential if deployment.credential.is_entra() => {
            "check that the Entra identity has the role \"Cognitive Services OpenAI User\" on this very \
             resource (it takes some minutes), and AZURE_OPENAI_SCOPE"
        }
        Diagnosis::Credential if deployment.credential.key().is_none() => {
            "set AZURE_OPENAI_API_KEY"
        }
        Diagnosis::Credential => "check that AZURE_OPENAI_API_KEY is a key of this very resource",
        Diagnosis::Deployment => {
            "check AZURE_OPENAI_DEPLOYMENT against the names in the portal (a deployment is new \
             for some five minutes)"
        }
        Diagnosis::PathOrVersion => {
            "there is no such path or API version: check AZURE_OPENAI_ENDPOINT (an \
             OpenAI-compatible server's ends in /v1), and unset AZURE_OPENAI_API_VERSION for the v1 \
             URL"
        }
        Diagnosis::NoChatCompletions => {
            "this model has no chat completions: deploy one that has, such as a gpt model"
        }
        Diagnosis::Quota => "wait, or raise the deployment's quota",
        Diagnosis::Filter => "check SYSTEM_PROMPT, which the content filter reads too",
        Diagnosis::Field(field) => match field {
            Field::MaxTokens => "unset MAX_OUTPUT_TOKENS, which the model refuses",
            Field::Temperature => "unset TEMPERATURE, which the model refuses",
            Field::ReasoningEffort => {
                "unset REASONING_EFFORT, or set it to a value that the model knows"
            }
            Field::StreamOptions => "use a newer AZURE_OPENAI_API_VERSION",
        },
        Diagnosis::Other => return None,
    })
}
