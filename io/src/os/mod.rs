//! The machine: real files, sockets, clocks, threads and randomness. The only code that touches the outside.
