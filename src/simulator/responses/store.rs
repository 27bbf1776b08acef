//! Stored responses: what a client can retrieve, follow, cancel and delete by a response's id.
//!
//! [`Stored`] is one of them. Responses in the background run here.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::{object::ResponseObject, stored::Stored};
use crate::simulator::{
    http::Head,
    pace::{FrameKind, Pace, Pacer},
    refusal::Refusal,
    response::{ResponsePlan, Step},
    script::{self, Steps},
};

/// The most responses kept; beyond it the oldest go. Azure keeps them for 30 days, but clients store by
/// default, and a simulator may run for as long.
const RESPONSE_LIMIT: usize = 100;

/// The responses that a simulator keeps.
#[derive(Debug, Default)]
pub(in crate::simulator) struct StoredResponses {
    /// Oldest first.
    entries: Mutex<VecDeque<Entry>>,
}

#[derive(Debug)]
struct Entry {
    response: Arc<Stored>,
    /// Ends the response in the background together with the entry.
    _task: Option<AbortOnDropHandle<()>>,
}

impl StoredResponses {
    /// Whether a response of this id is there.
    pub(super) fn has(&self, id: &str) -> bool {
        self.find(id).is_ok()
    }

    /// Keeps a response, and runs its steps in the background at this pace.
    pub(super) fn run(&self, response: Arc<Stored>, steps: Steps, pace: &Pace) {
        let mut pacer = Pacer::new(pace.clone());
        let sending = response.sending(steps);
        let task = tokio::spawn(async move {
            for step in sending {
                match step {
                    Step::Frame { kind, .. } => pacer.wait(kind, 1).await,
                    Step::Burst(frames) => pacer.wait(FrameKind::FirstDelta, frames.len()).await,
                    Step::Pause(time) => pacer.pause(time).await,
                    Step::Hang => std::future::pending().await,
                    _ => {}
                }
            }
        });
        self.keep(response, Some(AbortOnDropHandle::new(task)));
    }

    /// Keeps a response.
    pub(super) fn keep(&self, response: Arc<Stored>, task: Option<AbortOnDropHandle<()>>) {
        let mut entries = self.entries.lock();
        if entries.len() == RESPONSE_LIMIT {
            entries.pop_front();
        }
        entries.push_back(Entry {
            response,
            _task: task,
        });
    }

    /// The response so far.
    ///
    /// # Errors
    ///
    /// 404: there is no such response.
    pub(in crate::simulator) fn retrieve(&self, id: &str) -> Result<ResponsePlan, Refusal> {
        Ok(whole(&self.find(id)?.now()))
    }

    /// The events of a response after the one with this number, and then as they come.
    ///
    /// # Errors
    ///
    /// 404: there is no such response. 400: it cannot be streamed.
    pub(in crate::simulator) fn replay(
        &self,
        id: &str,
        after: Option<u64>,
    ) -> Result<ResponsePlan, Refusal> {
        let response = self.find(id)?;
        let refusal = if !response.streamed {
            "This response cannot be streamed because it was not created with stream=true."
        } else if response.too_old {
            "This response can no longer be streamed because it is more than 5 minutes old."
        } else {
            let next = after.map_or(0, |after| after.saturating_add(1));
            let next = usize::try_from(next).unwrap_or(usize::MAX);
            let steps = response.replay(next);
            return Ok(script::respond(None, head(), steps));
        };
        Err(Refusal::invalid(refusal, Some("stream"), None))
    }

    /// Cancels a response in the background. To cancel an ended one changes nothing.
    ///
    /// # Errors
    ///
    /// 404: there is no such response. 400: it does not run in the background.
    pub(in crate::simulator) fn cancel(&self, id: &str) -> Result<ResponsePlan, Refusal> {
        let response = self.find(id)?;
        if !response.background {
            let text = "Cannot cancel a synchronous response.";
            return Err(Refusal::invalid(text, None, None));
        }
        response.cancel();
        Ok(whole(&response.now()))
    }

    /// Removes a response; one that runs in the background ends.
    ///
    /// # Errors
    ///
    /// 404: there is no such response.
    pub(in crate::simulator) fn delete(&self, id: &str) -> Result<ResponsePlan, Refusal> {
        self.find(id)?;
        self.entries.lock().retain(|entry| entry.response.id != id);
        let body = json!({"id": id, "object": "response", "deleted": true});
        Ok(json_response(body.to_string().as_bytes()))
    }

    fn find(&self, id: &str) -> Result<Arc<Stored>, Refusal> {
        let entries = self.entries.lock();
        let found = entries.iter().find(|entry| entry.response.id == id);
        found
            .map(|entry| Arc::clone(&entry.response))
            .ok_or_else(|| {
                let text = format!("Response with id '{id}' not found.");
                let error = json!({
                    "message": text, "type": "invalid_request_error", "param": null, "code": null,
                });
                Refusal::json(404, &json!({"error": error}))
            })
    }
}

fn whole(response: &ResponseObject) -> ResponsePlan {
    // Serialization fails for maps whose keys are not strings; no response has one.
    json_response(&serde_json::to_vec(response).unwrap_or_default())
}

fn json_response(body: &[u8]) -> ResponsePlan {
    ResponsePlan::complete(&head().with("Content-Type", "application/json"), body)
}

fn head() -> Head {
    Head::new(200).with("apim-request-id", uuid::Uuid::new_v4().to_string())
}
