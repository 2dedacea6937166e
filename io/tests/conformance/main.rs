//! One list of operations, two worlds, equal answers: the machine's disk in a temporary directory against a healthy
//! simulated one. And: whatever a simulated power loss does, it does no more than the contract allows.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod drive;
#[cfg(test)]
mod ops;
#[cfg(test)]
mod worlds;
