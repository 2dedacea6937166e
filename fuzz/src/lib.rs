//! Byte-level search for SierraDB: bodies of the fuzz targets and replay of their corpora.
