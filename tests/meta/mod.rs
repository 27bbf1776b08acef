//! The source and the documents themselves: imports, words, links, names and settings.

mod documents;
mod files;
mod imports;
mod layering;
mod links;
mod operations;
mod words;
