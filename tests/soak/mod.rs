//! What many viewers at once cost a replica: ten thousand that come back in one moment, five hundred
//! that never read; and, measured on demand, what one event costs.
//!
//! The replicas are processes of their own, so that the kernel can say what they hold. Memory and
//! counts decide; times are printed and decide nothing but a generous deadline.

mod crowd;
mod figures;
mod reconnects;
mod usage;
mod wall;
