//! Puts the page into the program: lists every file of `static/` as a Rust expression, each with its
//! compressed forms. `src/routes/page/embedded.rs` includes the list.
//!
//! Compression takes too long for a start of the program, and far too long for a request.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// The folder of the page, relative to the package.
const FOLDER: &str = "static";
/// The largest window that every Brotli decoder accepts.
const BROTLI_WINDOW_BITS: u32 = 22;
const BROTLI_QUALITY: u32 = 11;
/// Files are read whole, so this bounds nothing but the calls to the encoder.
const BUFFER_BYTES: usize = 4096;

fn main() -> io::Result<()> {
    writeln!(io::stdout(), "cargo::rerun-if-changed={FOLDER}")?;
    let folder = directory("CARGO_MANIFEST_DIR")?.join(FOLDER);
    let out = directory("OUT_DIR")?;
    let mut files = Vec::new();
    list(&folder, "", &mut files)?;
    files.sort();

    let mut table = String::from("[\n");
    for (number, name) in files.iter().enumerate() {
        let file = folder.join(name);
        let content = fs::read(&file)?;
        let brotli = written(
            &out.join(format!("{number}.br")),
            &brotli(&content)?,
            &content,
        )?;
        let gzip = written(
            &out.join(format!("{number}.gz")),
            &gzip(&content)?,
            &content,
        )?;
        table += &format!(
            "    File {{ name: {name:?}, identity: include_bytes!({file:?}), brotli: {brotli}, gzip: {gzip} }},\n"
        );
    }
    table += "]\n";
    fs::write(out.join("page.rs"), table)
}

fn directory(variable: &str) -> io::Result<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other(format!("cargo did not set {variable}")))
}

/// Lists the files of a folder and of those in it, by their paths from the first one. Hidden files,
/// such as those of editors and of macOS, are no part of the page.
fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().filter(|name| {
            // Such a name stands for itself in a URL and in a route.
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        });
        let name = name.ok_or_else(|| {
            let path = entry.path();
            io::Error::other(format!(
                "{path:?}: use only letters, digits, '.', '_' and '-'"
            ))
        })?;
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes a compressed form; gives the Rust expression for it, which is `None` if it is no smaller.
fn written(file: &Path, compressed: &[u8], content: &[u8]) -> io::Result<String> {
    if compressed.len() >= content.len() {
        return Ok("None".to_owned());
    }
    fs::write(file, compressed)?;
    Ok(format!("Some(include_bytes!({file:?}))"))
}

fn brotli(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder =
        brotli::CompressorWriter::new(Vec::new(), BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
    encoder.write_all(content)?;
    encoder.flush()?;
    Ok(encoder.into_inner())
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}
