//! Both worlds, one list.

use std::path::Path;

use proptest::prelude::*;
use sierradb_io::os::{self, OsDisk};
use sierradb_io::sim::{self, SimConfig};

use crate::drive::{Outcome, drive};
use crate::ops::{Op, op_list};

fn on_the_machine(ops: &[Op]) -> Vec<Outcome> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    os::wait(async { drive(&OsDisk::new(), &root, ops).await })
}

fn simulated(seed: u64, ops: &[Op]) -> Vec<Outcome> {
    let config = SimConfig { ..SimConfig::swarm(seed) };
    sim::run_with(seed, config, |host| async move {
        let io = host.boot();
        let root = Path::new("/root");
        io.disk().create_dir(root).await.unwrap();
        drive(io.disk(), root, ops).await
    })
}

proptest! {
    #[test]
    fn both_disks_answer_alike(seed: u64, ops in op_list()) {
        let (machine, simulation) = (on_the_machine(&ops), simulated(seed, &ops));
        for (place, (machine, simulation)) in machine.iter().zip(&simulation).enumerate() {
            prop_assert_eq!(
                machine, simulation, "left the machine, at {} {:?}", place, ops.get(place)
            );
        }
        prop_assert_eq!(machine.len(), simulation.len());
    }
}
