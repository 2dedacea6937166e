//! The file with a segment's frames, as those who look things up share it.

use std::fmt;
use std::sync::Arc;

use sierradb_io::File;

use crate::read::fetch::CachedFile;

/// A segment's data file.
pub(crate) struct DataFile {
    pub(crate) number: u64,
    /// For readers.
    pub(crate) data: CachedFile,
    /// For those who scan, cut or check it whole.
    pub(crate) raw: Arc<dyn File>,
}

impl fmt::Debug for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFile").field("number", &self.number).finish_non_exhaustive()
    }
}
