//! The page from a folder, for people who work on it: every request reads the disk.
//!
//! actix-files answers some requests by itself, in plain text. Here they become problems like all
//! others.

use std::path::Path;

use actix_files::Files;
use actix_web::{
    ResponseError as _,
    body::BoxBody,
    dev::{RequestHead, ServiceRequest, ServiceResponse},
    guard,
    http::Method,
    middleware::{Next, from_fn},
    web::{self, ServiceConfig},
};

use super::super::problem::{Code, Problem};

const INDEX: &str = "index.html";

pub(super) fn configure(app: &mut ServiceConfig, folder: &Path) {
    let absent_in = folder.to_owned();
    let files = Files::new("/", folder)
        .index_file(INDEX)
        .prefer_utf8(true)
        .disable_content_disposition()
        // Opening a pipe or a device would block the worker.
        .path_filter(can_be_opened(folder))
        // Any method, so that `problems_only` can tell a file from a path at which there is nothing.
        .method_guard(guard::fn_guard(|_| true))
        .default_handler(web::to(move || {
            std::future::ready(Err::<String, _>(not_found(&absent_in)))
        }));
    app.service(web::scope("").wrap(from_fn(problems_only)).service(files));
}

/// False for a pipe or a device, and for a folder whose index is one.
fn can_be_opened(folder: &Path) -> impl Fn(&Path, &RequestHead) -> bool + 'static {
    let folder = folder.to_owned();
    move |path, _| {
        let path = folder.join(path);
        let found = match path.is_dir() {
            true => path.join(INDEX).metadata(),
            false => path.metadata(),
        };
        // What cannot be looked at is left to actix-files, which answers.
        found.map_or(true, |found| found.is_file() || found.is_dir())
    }
}

/// A file that cannot be opened is treated as absent, unless nothing can be opened: the process may be out
/// of file descriptors.
fn not_found(folder: &Path) -> Problem {
    match folder.read_dir() {
        Ok(_) => Problem::not_found(),
        Err(_) => Problem::new(
            Code::Overloaded,
            "The page cannot be read at the moment; please try again.",
        ),
    }
}

async fn problems_only(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let can_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let response = next.call(request).await?;
    let status = response.status();
    if !can_read && !status.is_client_error() {
        return Ok(refused(response, &Problem::method_not_allowed("GET, HEAD")));
    }
    if response
        .response()
        .error()
        .is_some_and(|error| error.as_error::<Problem>().is_none())
    {
        // A hidden file, or a path that would leave the folder.
        return Ok(refused(response, &Problem::not_found()));
    }
    Ok(response)
}

fn refused(response: ServiceResponse<BoxBody>, problem: &Problem) -> ServiceResponse<BoxBody> {
    ServiceResponse::new(response.into_parts().0, problem.error_response())
}
