//! The page from a folder, for people who work on it: every request reads the disk.
//!
//! actix-files answers some requests by itself, in plain text. Here they become problems like all
//! others.

use std::path::Path;

use actix_files::Files;
use actix_web::{
    ResponseError as _,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    guard,
    http::Method,
    middleware::{Next, from_fn},
    web::{self, ServiceConfig},
};

use super::super::problem::Problem;

pub(super) fn configure(app: &mut ServiceConfig, folder: &Path) {
    let files = Files::new("/", folder)
        .index_file("index.html")
        .prefer_utf8(true)
        .disable_content_disposition()
        // Any method, so that `problems_only` can tell a file from a path at which there is nothing.
        .method_guard(guard::fn_guard(|_| true))
        .default_handler(web::to(|| async { Err::<String, _>(Problem::not_found()) }));
    app.service(web::scope("").wrap(from_fn(problems_only)).service(files));
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
