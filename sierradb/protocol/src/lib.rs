//! The words of the wire: commands, arguments, replies and errors of SierraDB.
