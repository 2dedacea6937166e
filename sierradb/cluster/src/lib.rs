//! Replication of SierraDB: placement and elections.
