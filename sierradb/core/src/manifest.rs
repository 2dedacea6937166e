//! The settings of a directory that never change, as a small text file.
//!
//! UTF-8 lines `key = value`; the last line is `crc32c = <8 hex digits>` over all bytes before it. Replaced whole:
//! temporary file, sync, rename, directory sync. Unknown keys are kept out of the way of older readers by the format
//! number: another major is refused, a higher minor is opened only if every name in `requires` is known.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use sierradb_io::{DiskErrorKind, Io, OpenOptions};
use uuid::Uuid;

use crate::error::OpenError;
use crate::limits::MAX_MANIFEST_BYTES;
use crate::options::DatabaseOptions;

/// File name inside the data directory.
pub(crate) const MANIFEST_NAME: &str = "manifest";
const TEMPORARY_NAME: &str = "manifest.tmp";
const FORMAT_MAJOR: u32 = 1;
const FORMAT_MINOR: u32 = 0;
/// Names of optional features this version understands in `requires`.
const KNOWN_FEATURES: [&str; 0] = [];

/// Fixed settings of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Names the database, whoever holds a copy of it.
    pub(crate) database_uuid: Uuid,
    /// Names this very directory.
    pub(crate) incarnation: Uuid,
    pub(crate) created_ms: u64,
    pub(crate) partition_count: u16,
    pub(crate) bucket_count: u16,
    pub(crate) segment_size_bytes: u64,
    pub(crate) hash_seed: u64,
    /// Only ever raised, so that whatever was accepted once can be read by later checks.
    pub(crate) max_transaction_bytes: u64,
    pub(crate) writer_version: String,
}

/// Why bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("it is not UTF-8")]
    NotText,
    #[error("line {line} is not `key = value`")]
    Line { line: usize },
    #[error("key {key} appears twice")]
    Repeated { key: String },
    #[error("the checksum line is missing")]
    NoChecksum,
    #[error("checksum mismatch (stored {stored}, actual {actual:08x})")]
    Checksum { stored: String, actual: u32 },
    #[error("key {key} is missing")]
    Missing { key: &'static str },
    #[error("value '{value}' of {key} is not valid")]
    Value { key: &'static str, value: String },
    #[error("it needs format {needs}")]
    Format { needs: String },
}

impl Manifest {
    /// Settings of a new directory.
    pub(crate) fn create(io: &Io, options: &DatabaseOptions) -> Self {
        let mut seed = [0u8; 8];
        io.entropy().fill_secret(&mut seed);
        Self {
            database_uuid: random_uuid(io),
            incarnation: random_uuid(io),
            created_ms: io.clock().wall().0,
            partition_count: options.partition_count,
            bucket_count: options.bucket_count,
            segment_size_bytes: options.segment_size_bytes,
            hash_seed: u64::from_le_bytes(seed),
            max_transaction_bytes: options.transaction_limit(options.segment_size_bytes),
            writer_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The file's bytes.
    pub(crate) fn encode(&self) -> Bytes {
        let body = format!(
            "format = {FORMAT_MAJOR}.{FORMAT_MINOR}\nrequires =\ndatabase_uuid = {}\nincarnation = {}\ncreated_ms = {}\n\
             partition_count = {}\nbucket_count = {}\nsegment_size_bytes = {}\nhash_seed = {}\n\
             max_transaction_bytes = {}\nwriter_version = {}\n",
            self.database_uuid,
            self.incarnation,
            self.created_ms,
            self.partition_count,
            self.bucket_count,
            self.segment_size_bytes,
            self.hash_seed,
            self.max_transaction_bytes,
            self.writer_version,
        );
        let crc = crc32c::crc32c(body.as_bytes());
        Bytes::from(format!("{body}crc32c = {crc:08x}\n"))
    }

    /// Reads a file's bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
        let fields = fields_of(text)?;
        let format = text_of(&fields, "format")?;
        let unknown = |needs: String| Err(ManifestError::Format { needs });
        let (major, minor) = format.split_once('.').unwrap_or((format, ""));
        if major.parse() != Ok(FORMAT_MAJOR) {
            return unknown(format.to_owned());
        }
        let requires = text_of(&fields, "requires")?;
        let missing = requires.split_whitespace().find(|name| !KNOWN_FEATURES.contains(name));
        if let Some(name) = missing {
            return unknown(format!("{major}.{minor} with '{name}'"));
        }
        Ok(Self {
            database_uuid: number_of(&fields, "database_uuid")?,
            incarnation: number_of(&fields, "incarnation")?,
            created_ms: number_of(&fields, "created_ms")?,
            partition_count: number_of(&fields, "partition_count")?,
            bucket_count: number_of(&fields, "bucket_count")?,
            segment_size_bytes: number_of(&fields, "segment_size_bytes")?,
            hash_seed: number_of(&fields, "hash_seed")?,
            max_transaction_bytes: number_of(&fields, "max_transaction_bytes")?,
            writer_version: text_of(&fields, "writer_version")?.to_owned(),
        })
    }

    /// Writes the file so that a crash leaves the old or the new one. Durable on return.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn store(&self, io: &Io, dir: &Path) -> Result<(), OpenError> {
        let temporary = dir.join(TEMPORARY_NAME);
        match io.disk().remove(&temporary).await {
            Ok(()) => {}
            Err(error) if error.kind == DiskErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let file = io.disk().open(&temporary, OpenOptions::CREATE_NEW).await?;
        file.write_all_at(vec![self.encode()], 0).await?;
        file.sync_data().await?;
        io.disk().rename(&temporary, &dir.join(MANIFEST_NAME)).await?;
        io.disk().sync_dir(dir).await?;
        Ok(())
    }

    /// Reads the file; `None` if the directory has none.
    ///
    /// # Errors
    /// [`OpenError::Manifest`] if it is damaged, [`OpenError::Format`] if it is of another time.
    pub(crate) async fn load(io: &Io, dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join(MANIFEST_NAME);
        let file = match io.disk().open(&path, OpenOptions::READ).await {
            Ok(file) => file,
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let len = usize::try_from(file.len().await?).unwrap_or(usize::MAX).min(MAX_MANIFEST_BYTES);
        let (bytes, read) = file.read_at(BytesMut::zeroed(len), 0).await;
        read?;
        match Self::decode(&bytes) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(ManifestError::Format { needs }) => {
                Err(OpenError::Format { dir: dir.to_owned(), needs })
            }
            Err(cause) => {
                Err(OpenError::Manifest { dir: dir.to_owned(), cause: cause.to_string() })
            }
        }
    }

    /// Compares configured values with the fixed ones. The segment size of the directory wins with a warning.
    ///
    /// # Errors
    /// [`OpenError::Fixed`] for another partition or bucket count.
    pub(crate) fn check(&self, options: &DatabaseOptions) -> Result<(), OpenError> {
        let pairs = [
            ("partition.count", options.partition_count, self.partition_count),
            ("bucket.count", options.bucket_count, self.bucket_count),
        ];
        for (name, configured, stored) in pairs {
            if configured != stored {
                let (configured, stored) = (u64::from(configured), u64::from(stored));
                return Err(OpenError::Fixed { name, configured, stored });
            }
        }
        if options.segment_size_bytes != self.segment_size_bytes {
            tracing::warn!(
                configured = options.segment_size_bytes,
                stored = self.segment_size_bytes,
                "segment.size_bytes is fixed when a directory is created; its own value is used"
            );
        }
        Ok(())
    }
}

fn random_uuid(io: &Io) -> Uuid {
    let mut bytes = [0u8; 16];
    io.entropy().fill_secret(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn fields_of(text: &str) -> Result<BTreeMap<&str, &str>, ManifestError> {
    let at = text.rfind("crc32c = ").ok_or(ManifestError::NoChecksum)?;
    let (body, last) = text.split_at_checked(at).ok_or(ManifestError::NoChecksum)?;
    let actual = crc32c::crc32c(body.as_bytes());
    if last != format!("crc32c = {actual:08x}\n") {
        let stored = last.trim_start_matches("crc32c = ").trim_end().to_owned();
        return Err(ManifestError::Checksum { stored, actual });
    }
    let mut fields = BTreeMap::new();
    for (number, line) in body.lines().enumerate() {
        let (key, value) =
            line.split_once('=').ok_or(ManifestError::Line { line: number.saturating_add(1) })?;
        if fields.insert(key.trim(), value.trim()).is_some() {
            return Err(ManifestError::Repeated { key: key.trim().to_owned() });
        }
    }
    Ok(fields)
}

fn text_of<'a>(
    fields: &BTreeMap<&str, &'a str>,
    key: &'static str,
) -> Result<&'a str, ManifestError> {
    fields.get(key).copied().ok_or(ManifestError::Missing { key })
}

fn number_of<T: std::str::FromStr>(
    fields: &BTreeMap<&str, &str>,
    key: &'static str,
) -> Result<T, ManifestError> {
    let value = text_of(fields, key)?;
    value.parse().map_err(|_| ManifestError::Value { key, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Manifest {
        Manifest {
            database_uuid: Uuid::from_u128(1),
            incarnation: Uuid::from_u128(2),
            created_ms: 1_729_247_400_000,
            partition_count: 32,
            bucket_count: 4,
            segment_size_bytes: 268_435_456,
            hash_seed: 7,
            max_transaction_bytes: 16_777_216,
            writer_version: "0.4.0".to_owned(),
        }
    }

    #[test]
    fn the_bytes_never_change() {
        let expected = "format = 1.0\nrequires =\ndatabase_uuid = 00000000-0000-0000-0000-000000000001\n\
            incarnation = 00000000-0000-0000-0000-000000000002\ncreated_ms = 1729247400000\npartition_count = 32\n\
            bucket_count = 4\nsegment_size_bytes = 268435456\nhash_seed = 7\nmax_transaction_bytes = 16777216\n\
            writer_version = 0.4.0\ncrc32c = 9e1f8a8f\n";
        assert_eq!(std::str::from_utf8(&sample().encode()).unwrap(), expected);
    }

    #[test]
    fn what_was_written_is_read_back() {
        assert_eq!(Manifest::decode(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn another_major_format_is_named() {
        let text = "format = 2.0\nrequires =\n";
        let bytes = format!("{text}crc32c = {:08x}\n", crc32c::crc32c(text.as_bytes()));
        assert_eq!(
            Manifest::decode(bytes.as_bytes()),
            Err(ManifestError::Format { needs: "2.0".to_owned() })
        );
    }

    #[test]
    fn an_unknown_required_feature_is_named() {
        let text = "format = 1.3\nrequires = shredding\n";
        let bytes = format!("{text}crc32c = {:08x}\n", crc32c::crc32c(text.as_bytes()));
        assert_eq!(
            Manifest::decode(bytes.as_bytes()),
            Err(ManifestError::Format { needs: "1.3 with 'shredding'".to_owned() })
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn every_flipped_bit_is_noticed(bit in 0usize..sample().encode().len() * 8) {
            let mut bytes = sample().encode().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Manifest::decode(&bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            prop_assert!(Manifest::decode(&bytes).is_err());
        }
    }
}
