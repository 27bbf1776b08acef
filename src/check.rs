//! `rasta-stream check`: asks each configured deployment for one word, and reports in one sentence
//! whether it works and what to do if not.
//!
//! It asks once: no retry, no other deployment. What is wrong and how to fix it is
//! [`Diagnosis`](crate::upstream::Diagnosis)'s to say; this module makes the sentence.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    chat::ChatRequest,
    config::{Config, UpstreamConfig},
    event::ErrorCode,
    upstream::{
        Api, Attempt, Deployment, DeploymentOptions, DeploymentStates, Fault, Identity, Network,
        Progress, Upstream,
    },
};

/// How long a deployment may take for its first word.
const WORD_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks every deployment for one word. Returns a sentence for each, if all of them respond.
///
/// # Errors
///
/// A sentence for each deployment; those that do not work come with a remedy. Also if none is
/// configured, and if TLS or the Entra identity cannot be set up.
pub async fn check(config: &Config) -> Result<String, String> {
    let UpstreamConfig::Deployments(all) = &config.upstream else {
        return Err(
            "No Azure OpenAI is configured, so the built-in simulator would respond: set \
            AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and AZURE_OPENAI_DEPLOYMENT."
                .to_owned(),
        );
    };
    let network = Network::new(&config.network).map_err(|error| error.to_string())?;
    let identity = config
        .identity
        .as_ref()
        .map(|identity| Identity::start(identity, &network))
        .transpose()
        .map_err(|error| error.to_string())?;
    let states = DeploymentStates::new(all.len());
    let upstream = Upstream::new(all, &config.model, &network, &states, identity.as_ref());

    let (mut sentences, mut failed) = (Vec::new(), false);
    for (deployment, options) in upstream.deployments().iter().zip(all) {
        match check_one(deployment, options).await {
            Ok(sentence) => sentences.push(sentence),
            Err(sentence) => {
                failed = true;
                sentences.push(sentence);
            }
        }
    }
    let sentences = sentences.join("\n");
    if failed {
        Err(sentences)
    } else {
        Ok(sentences)
    }
}

async fn check_one(deployment: &Deployment, options: &DeploymentOptions) -> Result<String, String> {
    let begun = Instant::now();
    let name = format!(
        "{:?} at {}",
        options.endpoint.deployment,
        options.endpoint.origin()
    );
    match timeout(WORD_TIMEOUT, first_word(deployment)).await {
        Ok(Ok(word)) => {
            let model = word
                .model
                .map(|model| format!(" (model {model})"))
                .unwrap_or_default();
            let (api, ms) = (word.api, begun.elapsed().as_millis());
            Ok(format!(
                "OK: {name}{model} responded over the {api} API in {ms} ms."
            ))
        }
        Ok(Err(fault)) => Err(failure(&name, &fault, options)),
        Err(_) => Err(format!(
            "{name}: no response within {} s. Try again later.",
            WORD_TIMEOUT.as_secs()
        )),
    }
}

/// Who said the first word, and how.
struct FirstWord {
    model: Option<String>,
    api: Api,
}

/// Reads up to the first text or finish reason.
async fn first_word(deployment: &Deployment) -> Result<FirstWord, Fault> {
    let body = br#"{"prompt":"Answer with one word: ready?"}"#;
    let request = ChatRequest::from_json(body)
        .map_err(|_| Fault::new(ErrorCode::Internal, "the request is invalid"))?;
    let attempt = match deployment.admit() {
        Ok(permit) => permit.ask(&request).await,
        Err(open) => Attempt::Busy(open.into()),
    };
    let mut reply = match attempt {
        Attempt::Opened(reply) => reply,
        Attempt::Busy(busy) => return Err(busy.fault),
        Attempt::Failed(fault) => return Err(fault),
    };
    let (mut chunks, mut model) = (Vec::new(), None);
    loop {
        let read = reply.next(&mut chunks).await;
        for chunk in chunks.drain(..) {
            model = chunk.model.map(String::from).or(model);
            if chunk.text.is_some() || chunk.finish.is_some() {
                let api = reply.api();
                return Ok(FirstWord { model, api });
            }
        }
        if read? == Progress::Ended {
            return Err(Fault::new(
                ErrorCode::UpstreamTruncated,
                "the response has no text",
            ));
        }
    }
}

fn failure(name: &str, fault: &Fault, options: &DeploymentOptions) -> String {
    let by_code = match fault.error.code {
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
    };
    let remedy = fault.diagnosis.remedy(&options.credential);
    format!(
        "{} {name}: {}. [{}]",
        fault.error.message,
        remedy.unwrap_or(by_code),
        fault.cause
    )
}
