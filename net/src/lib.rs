//! Bytes between processes: the RESP connections of SierraDB.
