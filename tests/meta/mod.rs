//! The source and the documents themselves: imports between modules, and links and names in Markdown.

mod documents;
mod imports;
mod layering;
