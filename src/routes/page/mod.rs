//! `GET /` and the files of the page: built into the program, or read from a folder.

mod directory;
mod embedded;

use std::path::PathBuf;

use actix_web::web::ServiceConfig;

/// Where the page comes from.
#[derive(Clone, Debug)]
pub enum Page {
    /// The program itself.
    Embedded,
    /// A folder, which is read anew on each request.
    Directory(PathBuf),
}

/// A folder without an `index.html`.
#[derive(Debug, thiserror::Error)]
#[error("there is no index.html in {}", .0.display())]
pub struct NoIndex(PathBuf);

impl Page {
    /// The page of a folder, or the embedded one if there is none.
    ///
    /// # Errors
    ///
    /// [`NoIndex`] if the folder does not hold the page.
    pub fn open(folder: Option<PathBuf>) -> Result<Self, NoIndex> {
        match folder {
            None => Ok(Self::Embedded),
            Some(folder) if folder.join("index.html").is_file() => Ok(Self::Directory(folder)),
            Some(folder) => Err(NoIndex(folder)),
        }
    }

    /// Adds the routes of the page. They have to come last: those of a folder take every path.
    pub(super) fn configure(&self, app: &mut ServiceConfig) {
        match self {
            Self::Embedded => embedded::configure(app),
            Self::Directory(folder) => directory::configure(app, folder),
        }
    }
}
