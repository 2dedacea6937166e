//! What only the simulation hears: coverage marks, chaos points, knobs, mutants and trace events.

use std::fmt;

use crate::Fut;

/// A named place in the code. Make it with [`site!`](crate::site).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site(&'static str);

impl Site {
    /// A place called `name`, as `recovery.torn_tail_zeroed`.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name given.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Names a place in the code for marks, chaos and knobs: `io.mark(site!("segment.roll"))`.
#[macro_export]
macro_rules! site {
    ($name:literal) => {
        const { $crate::Site::new($name) }
    };
}

/// A deliberate bug: `false` unless feature `mutants` is on and the probe enables it.
///
/// `if mutant!(io, skip_sync) { … }`
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! mutant {
    ($io:expr, $name:ident) => {
        $io.mutant(concat!("mutant/", stringify!($name)))
    };
}

/// A deliberate bug: the constant `false` in every product build.
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! mutant {
    ($io:expr, $name:ident) => {{
        let _: &$crate::Io = &$io;
        false
    }};
}

/// A deliberate bug as it was when something was made, for code that has no [`Io`](crate::Io) at hand. Make it with
/// [`mutant_flag!`](crate::mutant_flag). Without feature `mutants` it has no size and is never on.
#[derive(Debug, Clone, Copy, Default)]
pub struct MutantFlag {
    #[cfg(feature = "mutants")]
    is_on: bool,
}

impl MutantFlag {
    /// A flag that is on if `is_on`, in builds with feature `mutants`.
    #[inline]
    pub const fn new(is_on: bool) -> Self {
        #[cfg(not(feature = "mutants"))]
        let _ = is_on;
        Self {
            #[cfg(feature = "mutants")]
            is_on,
        }
    }

    /// Whether the bug is switched on.
    #[inline]
    pub const fn is_on(self) -> bool {
        #[cfg(feature = "mutants")]
        return self.is_on;
        #[cfg(not(feature = "mutants"))]
        false
    }
}

/// Whether a deliberate bug is on, to be kept: `trusts: mutant_flag!(io, no_body_crc)`.
#[macro_export]
macro_rules! mutant_flag {
    ($io:expr, $name:ident) => {
        $crate::MutantFlag::new($crate::mutant!($io, $name))
    };
}

/// The simulation's ear and hand inside the product. Production has none.
pub trait Probe: Send + Sync {
    /// A rare branch was reached.
    fn mark(&self, site: Site);

    /// A seeded yield or delay.
    fn chaos(&self, site: Site) -> Fut<'_, ()>;

    /// A value for a tunable, at least `min`.
    fn knob(&self, site: Site, usual: u64, min: u64) -> u64;

    /// Whether the deliberate bug `name` (with its `mutant/` prefix) is on in this run.
    fn mutant(&self, name: &'static str) -> bool;

    /// A fact for trace and checkers.
    fn event(&self, kind: &'static str, fields: &[(&'static str, u64)]);
}
