//! Work in the background: sealing and checkpoints on one thread, free space and space ahead on another.

mod checkpoint;
mod run;
mod space;

pub(crate) use run::Maintenance;
pub(crate) use space::SpaceWatch;
