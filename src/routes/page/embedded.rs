//! The page that is built into the program. `build.rs` lists its files and compresses them.
//!
//! Each form of a file has an entity tag of its content. A browser that has the file is answered
//! without a body, also by another replica, and also by a new build in which the file is the same.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError as _,
    http::header::{
        self, AcceptEncoding, ContentEncoding, Encoding, EntityTag, Header as _, IfNoneMatch,
        Preference, Quality,
    },
    web::{self, Bytes, ServiceConfig},
};
use sha2::{Digest as _, Sha256};

use super::super::problem::Problem;

const INDEX: &str = "index.html";

/// A file as `build.rs` writes it.
struct File {
    /// The path from the page's folder.
    name: &'static str,
    identity: &'static [u8],
    /// `None` if it is not smaller, as for gzip.
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

const FILES: &[File] = &include!(concat!(env!("OUT_DIR"), "/page.rs"));

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| FILES.iter().map(Asset::new).collect());

/// A file with what its responses need.
struct Asset {
    name: &'static str,
    content_type: String,
    plain: Form,
    /// Smallest first.
    compressed: Vec<Form>,
}

/// A file in one content encoding.
struct Form {
    encoding: ContentEncoding,
    bytes: &'static [u8],
    tag: EntityTag,
}

pub(super) fn configure(app: &mut ServiceConfig) {
    for asset in ASSETS.iter() {
        serve(app, &format!("/{}", asset.name), asset);
        if asset.name == INDEX {
            serve(app, "/", asset);
        }
    }
}

fn serve(app: &mut ServiceConfig, path: &str, asset: &'static Asset) {
    let respond = move |request: HttpRequest| async move { asset.respond(&request) };
    app.service(
        web::resource(path)
            .route(web::get().to(respond))
            .route(web::head().to(respond))
            .default_service(web::to(|| async {
                Problem::method_not_allowed("GET, HEAD").error_response()
            })),
    );
}

impl Asset {
    fn new(file: &File) -> Self {
        let extension = file.name.rsplit('.').next().unwrap_or_default();
        let mime = actix_files::file_extension_to_mime(extension);
        let is_text = mime.type_() == "text" || mime.suffix().is_some_and(|suffix| suffix == "xml");
        let charset = if is_text { "; charset=utf-8" } else { "" };
        let compressed = [
            (ContentEncoding::Brotli, file.brotli),
            (ContentEncoding::Gzip, file.gzip),
        ];
        Self {
            name: file.name,
            content_type: format!("{mime}{charset}"),
            plain: Form::new(ContentEncoding::Identity, file.identity),
            compressed: compressed
                .into_iter()
                .filter_map(|(encoding, bytes)| Some(Form::new(encoding, bytes?)))
                .collect(),
        }
    }

    fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let form = self.preferred(request);
        let is_known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&form.tag)),
            Err(_) => false,
        };
        let mut response = if is_known {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        response
            .insert_header(header::ETag(form.tag.clone()))
            .insert_header((header::VARY, "accept-encoding"));
        if is_known {
            return response.finish();
        }
        if form.encoding != ContentEncoding::Identity {
            response.insert_header(form.encoding);
        }
        response
            .content_type(self.content_type.as_str())
            .body(Bytes::from_static(form.bytes))
    }

    /// The form that the client prefers; of several that it likes equally, the smallest. A client
    /// that states no preference, or refuses every encoding, gets the plain form.
    fn preferred(&self, request: &HttpRequest) -> &Form {
        let accepted = AcceptEncoding::parse(request).ok();
        let quality = |form: &Form| {
            let quality_of = |wanted: Preference<Encoding>| {
                let item = accepted.as_ref()?.iter().find(|item| item.item == wanted);
                item.map(|item| item.quality)
            };
            quality_of(Preference::Specific(Encoding::Known(form.encoding)))
                .or_else(|| quality_of(Preference::Any))
                .unwrap_or(Quality::ZERO)
        };
        let best = self
            .compressed
            .iter()
            .filter(|form| quality(form) > Quality::ZERO)
            // Of equals, `max_by_key` gives the last one.
            .rev()
            .max_by_key(|form| quality(form));
        match best {
            Some(form) if quality(form) >= quality(&self.plain) => form,
            _ => &self.plain,
        }
    }
}

impl Form {
    fn new(encoding: ContentEncoding, bytes: &'static [u8]) -> Self {
        Self {
            encoding,
            bytes,
            tag: EntityTag::new_strong(base16ct::lower::encode_string(&Sha256::digest(bytes))),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{http::StatusCode, test::TestRequest};

    use super::*;

    fn index() -> &'static Asset {
        ASSETS.iter().find(|asset| asset.name == INDEX).unwrap()
    }

    fn encoding_for(accepted: Option<&str>) -> &'static str {
        let mut request = TestRequest::default();
        if let Some(value) = accepted {
            request = request.insert_header((header::ACCEPT_ENCODING, value));
        }
        index()
            .preferred(&request.to_http_request())
            .encoding
            .as_str()
    }

    #[test]
    fn a_client_gets_the_smallest_form_that_it_likes_best() {
        for (accepted, encoding) in [
            (None, "identity"),
            (Some(""), "identity"),
            (Some("gzip, deflate, br, zstd"), "br"),
            (Some("gzip, deflate"), "gzip"),
            (Some("br;q=0.5, gzip;q=0.8"), "gzip"),
            (Some("br;q=0, gzip;q=0"), "identity"),
            (Some("br;q=0.5, identity"), "identity"),
            (Some("*"), "br"),
            (Some("*;q=0"), "identity"),
            (Some("identity;q=0, br;q=0"), "identity"),
            (Some("zstd"), "identity"),
            (Some("gzip;q=oops"), "identity"),
        ] {
            assert_eq!(encoding_for(accepted), encoding, "{accepted:?}");
        }
    }

    #[test]
    fn a_file_that_compression_makes_larger_is_sent_plain() {
        let tiny = Asset::new(&File {
            name: "tiny.txt",
            identity: b"1",
            brotli: None,
            gzip: None,
        });
        let request = TestRequest::default()
            .insert_header((header::ACCEPT_ENCODING, "br, gzip"))
            .to_http_request();
        let response = tiny.respond(&request);
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    }
}
