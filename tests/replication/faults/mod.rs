//! The fault matrix: what is promised to every viewer, under each of sixteen faults, over and over.
//!
//! [`cluster`] is what is hurt, [`fault`] does the hurting, [`viewer`]s follow replies meanwhile as
//! browsers do, and [`history`] judges what they saw. That the strikes on
//! Redis hit is shown in [`strikes`].

mod cluster;
mod fault;
mod history;
mod http;
mod leftover;
mod matrix;
mod report;
mod rollout;
mod run;
mod strikes;
mod viewer;
