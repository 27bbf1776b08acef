//! What the server refuses: requests from where they should not come.

mod gate;
