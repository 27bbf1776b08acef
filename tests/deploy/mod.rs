//! The files in `deploy/` that can be run. `manifests.py` beside this file checks the others.

mod metrics;
mod nginx;
