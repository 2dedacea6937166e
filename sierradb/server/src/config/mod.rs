//! Settings: declared once, merged from five sources, checked as a whole.
//!
//! [`keys`] declares every key with its type, default, range and help. [`load`](mod@load) merges command line,
//! environment, `[[nodes]]` entry, file and defaults, in this order of strength, and remembers where each
//! value came from. [`check`](mod@check) validates single values and relations and makes the plain [`Config`]
//! the rest of the server works with. All of this is pure; only [`gather`] and [`machine`] look at the process.

mod ambient;
pub mod check;
pub mod keys;
pub mod load;
mod value;

pub use ambient::{gather, machine};
pub use check::{Config, Machine, check};
pub use load::{ConfigError, ConfigFile, FileFormat, Loaded, Sources, load};
pub use value::{Origin, Setting, Value};
