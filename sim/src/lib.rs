//! Simulation of SierraDB: seeded faults, oracles, replay.
