//! What many viewers at once cost a replica: ten thousand that come back in one moment, five hundred
//! that never read; what one event costs, measured on demand; and what is left when clients and faults have
//! come and gone.
//!
//! The replicas are processes of their own, so that the kernel can say what they hold. Memory and
//! counts decide; times are printed and decide nothing but a generous deadline.

mod churn;
mod crowd;
mod figures;
mod reconnects;
mod usage;
mod wall;
