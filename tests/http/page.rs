//! The page's files over HTTP: built into the program, or from a folder. How the page behaves in a
//! browser is tested elsewhere.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use rasta_stream::{config::Config, server::Server};

use crate::support::{
    app::{Setup, TestApp, spawn_app, spawn_app_with},
    client::{self, Response},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/static");

async fn get(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    client::send(addr, "GET", path, headers, None).await
}

/// A server whose page is the folder `static`.
async fn spawn_from_folder() -> TestApp {
    spawn_app_with(Setup {
        flags: &["--static-dir", FOLDER],
        ..Setup::default()
    })
    .await
}

/// Every file of the page by its URL path.
fn files_on_disk() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::from(FOLDER)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(FOLDER).unwrap().to_str().unwrap();
                files.insert(format!("/{name}"), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn content_type_of(path: &str) -> &'static str {
    match Path::new(path).extension().unwrap().to_str().unwrap() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml; charset=utf-8",
        other => panic!("say which type .{other} has"),
    }
}

fn decoded(encoding: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    match encoding {
        None => content.extend(bytes),
        Some("br") => {
            let mut decoder = brotli::Decompressor::new(bytes, 4096);
            decoder.read_to_end(&mut content).unwrap();
        }
        Some("gzip") => {
            let mut decoder = flate2::read::GzDecoder::new(bytes);
            decoder.read_to_end(&mut content).unwrap();
        }
        Some(other) => panic!("an encoding that was not requested: {other}"),
    }
    content
}

#[actix_web::test]
async fn every_file_of_the_folder_is_built_in_in_every_encoding() {
    let app = spawn_app().await;
    let mut files = files_on_disk();
    assert!(files.len() >= 7, "{files:?}");
    files.insert("/".to_owned(), files["/index.html"].clone());
    for (path, content) in files {
        for accept in ["", "br", "gzip"] {
            let response = get(app.addr, &path, &[("Accept-Encoding", accept)]).await;
            assert_eq!(response.status, 200, "{path}");
            assert_eq!(response.header("vary"), Some("accept-encoding"));
            assert_eq!(response.header("cache-control"), Some("no-cache"));
            if path != "/" {
                assert_eq!(
                    response.header("content-type"),
                    Some(content_type_of(&path))
                );
            }
            let encoding = response.header("content-encoding").map(str::to_owned);
            if content.len() > 1000 {
                assert_eq!(encoding.as_deref().unwrap_or_default(), accept, "{path}");
            }
            let body = response.bytes().await;
            assert!(body.len() <= content.len());
            assert_eq!(
                decoded(encoding.as_deref(), &body),
                content,
                "{path} {accept}"
            );
        }
    }
    app.shut_down().await;
}

#[actix_web::test]
async fn each_encoding_has_a_tag_by_which_it_is_known_again() {
    let app = spawn_app().await;
    let mut tags = Vec::new();
    for path in ["/app.js", "/style.css"] {
        for accept in ["identity", "br", "gzip"] {
            let first = get(app.addr, path, &[("Accept-Encoding", accept)]).await;
            let tag = first.header("etag").unwrap().to_owned();
            assert!(tag.starts_with('"') && tag.len() == 66, "{tag}");
            for known in [tag.as_str(), "*", &format!("\"other\", W/{tag}")] {
                let headers = [("Accept-Encoding", accept), ("If-None-Match", known)];
                let again = get(app.addr, path, &headers).await;
                assert_eq!(again.status, 304, "{known}");
                assert_eq!(again.header("etag"), Some(tag.as_str()));
                assert_eq!(again.header("vary"), Some("accept-encoding"));
                assert_eq!(again.header("cache-control"), Some("no-cache"));
            }
            tags.push(tag);
        }
    }
    // A tag of another encoding or file does not count.
    for (i, tag) in tags.iter().enumerate() {
        let headers = [("Accept-Encoding", "br"), ("If-None-Match", tag)];
        let status = get(app.addr, "/app.js", &headers).await.status;
        assert_eq!(status, if i == 1 { 304 } else { 200 }, "{i}");
    }
    app.shut_down().await;
}

#[actix_web::test]
async fn head_has_the_headers_of_get_and_no_body() {
    for app in [spawn_app().await, spawn_from_folder().await] {
        let get = get(app.addr, "/app.js", &[("Accept-Encoding", "br")]).await;
        let headers = [("Accept-Encoding", "br"), ("Connection", "close")];
        let head = client::send(app.addr, "HEAD", "/app.js", &headers, None).await;
        assert_eq!(head.status, 200);
        for name in [
            "content-length",
            "content-type",
            "content-encoding",
            "etag",
            "vary",
        ] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
        assert!(
            head.header("content-length")
                .unwrap()
                .parse::<usize>()
                .unwrap()
                > 0
        );
        assert_eq!(head.after_the_head().await, b"");
        app.shut_down().await;
    }
}

#[actix_web::test]
async fn what_is_not_a_file_or_not_read_is_a_problem() {
    for app in [spawn_app().await, spawn_from_folder().await] {
        for (method, path, status, code) in [
            ("GET", "/nothing", 404, "not_found"),
            ("GET", "/nothing/app.js", 404, "not_found"),
            ("GET", "/.env", 404, "not_found"),
            ("GET", "/..%2f", 404, "not_found"),
            ("GET", "/..%2fCargo.toml", 404, "not_found"),
            ("GET", "/../Cargo.toml", 404, "not_found"),
            ("GET", "/%ff", 404, "not_found"),
            ("GET", "/%00", 404, "not_found"),
            ("GET", "/*", 404, "not_found"),
            ("HEAD", "/nothing", 404, ""),
            ("POST", "/nothing", 404, "not_found"),
            ("POST", "/.env", 404, "not_found"),
            ("POST", "/", 405, "method_not_allowed"),
            ("DELETE", "/index.html", 405, "method_not_allowed"),
            ("PUT", "/app.js", 405, "method_not_allowed"),
            ("OPTIONS", "/style.css", 405, "method_not_allowed"),
            ("BREW", "/style.css", 405, "method_not_allowed"),
        ] {
            let response = client::send(app.addr, method, path, &[], None).await;
            assert_eq!(response.status, status, "{method} {path}");
            let allow = (status == 405).then_some("GET, HEAD");
            assert_eq!(response.header("allow"), allow, "{method} {path}");
            let content_type = response.header("content-type").unwrap();
            assert_eq!(content_type, "application/problem+json", "{method} {path}");
            assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
            let policy = response.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'"), "{policy}");
            if method != "HEAD" {
                assert_eq!(response.json().await["code"], code, "{method} {path}");
            }
        }
        app.shut_down().await;
    }
}

#[actix_web::test]
async fn a_folder_is_read_anew_on_each_request() {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let index = folder.join("index.html");
    fs::write(&index, "first").unwrap();
    let app = spawn_app_with(Setup {
        flags: &["--static-dir", folder.to_str().unwrap()],
        ..Setup::default()
    })
    .await;
    let first = get(app.addr, "/", &[]).await;
    assert_eq!(
        first.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(first.text().await, "first");
    let same = get(app.addr, "/", &[("If-None-Match", &tag)]).await;
    assert_eq!(same.status, 304);
    fs::write(&index, "second text").unwrap();
    let changed = get(app.addr, "/", &[("If-None-Match", &tag)]).await;
    assert_eq!(changed.text().await, "second text");
    assert_eq!(get(app.addr, "/app.js", &[]).await.status, 404);
    app.shut_down().await;
    fs::remove_dir_all(folder).unwrap();
}

#[actix_web::test]
async fn a_folder_without_an_index_is_refused_at_the_start() {
    let src = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let config = Config::from_flags(["--port=0", "--static-dir", src]).unwrap();
    let error = Server::start(config, std::future::pending())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "there is no index.html in {src}: set STATIC_DIR to the folder of the page, or unset it to use the built-in page"
        )
    );
}
