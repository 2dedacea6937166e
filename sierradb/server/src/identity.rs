//! Who this data directory is: an ed25519 key in `node.key` and the peer id that follows from it.
//!
//! `node.key` holds the 32 secret bytes (the seed of RFC 8032) and nothing else. The peer id is the multihash of the
//! public key as libp2p writes it, base58: 52 characters that begin with `12D3KooW`. The file is written under
//! another name, synced and renamed, so it is there whole or not at all; it is never replaced.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use ed25519_compact::{KeyPair, Seed};
use sierradb_io::{DiskError, DiskErrorKind, Io, OpenOptions};

const FILE: &str = "node.key";
const TEMPORARY: &str = "node.key.tmp";
const SECRET_LEN: usize = 32;

/// Multihash "identity" of 36 bytes, then protobuf: key type 1 (ed25519), 32 bytes.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Why there is no peer id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{file} in the data directory has {found} bytes, expected 32")]
    Length { file: &'static str, found: u64 },
    #[error("{file} in the data directory holds only zeros, which is no key")]
    Zeros { file: &'static str },
}

/// The peer id of `dir`, which must exist and be locked by this process; made durable at the first call.
///
/// # Errors
/// [`IdentityError`].
pub(crate) async fn peer_id(io: &Io, dir: &Path) -> Result<String, IdentityError> {
    let secret = match read(io, dir).await? {
        Some(secret) => secret,
        None => create(io, dir).await?,
    };
    peer_id_of(secret)
}

async fn read(io: &Io, dir: &Path) -> Result<Option<[u8; SECRET_LEN]>, IdentityError> {
    let path = dir.join(FILE);
    let file = match io.disk().open(&path, OpenOptions::READ).await {
        Ok(file) => file,
        Err(err) if err.kind == DiskErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err.into()),
    };
    let found = file.len().await?;
    let (bytes, count) = file.read_at(BytesMut::zeroed(SECRET_LEN), 0).await;
    count?;
    match <[u8; SECRET_LEN]>::try_from(bytes.as_ref()) {
        Ok(secret) if usize::try_from(found) == Ok(SECRET_LEN) => Ok(Some(secret)),
        _ => Err(IdentityError::Length { file: FILE, found }),
    }
}

async fn create(io: &Io, dir: &Path) -> Result<[u8; SECRET_LEN], IdentityError> {
    let mut secret = [0; SECRET_LEN];
    io.entropy().fill_secret(&mut secret);
    let temporary = dir.join(TEMPORARY);
    match io.disk().remove(&temporary).await {
        Err(err) if err.kind != DiskErrorKind::NotFound => return Err(err.into()),
        _ => {}
    }
    let file = io.disk().open(&temporary, OpenOptions::CREATE_NEW).await?;
    file.write_all_at(vec![Bytes::copy_from_slice(&secret)], 0).await?;
    file.sync_data().await?;
    io.disk().rename(&temporary, &dir.join(FILE)).await?;
    io.disk().sync_dir(dir).await?;
    Ok(secret)
}

fn peer_id_of(secret: [u8; SECRET_LEN]) -> Result<String, IdentityError> {
    let keys = KeyPair::try_from_seed(Seed::new(secret));
    let public = keys.map_err(|_| IdentityError::Zeros { file: FILE })?.pk;
    let mut bytes = PEER_ID_PREFIX.to_vec();
    bytes.extend_from_slice(public.as_ref());
    Ok(base58(&bytes))
}

/// Bitcoin's base58: the bytes as one big number, most significant digit first; each leading zero byte is a `1`.
fn base58(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = Vec::new();
    for &byte in bytes {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 58).unwrap_or(0);
            carry /= 58;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 58).unwrap_or(0));
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = std::iter::repeat_n(0, zeros).chain(digits.into_iter().rev());
    digits
        .filter_map(|digit| BASE58.get(usize::from(digit)))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base58_agrees_with_known_vectors() {
        assert_eq!(base58(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(base58(&[0, 0, 0x28, 0x7f, 0xb4, 0xcd]), "11233QC4");
    }

    #[test]
    fn the_peer_id_of_a_secret_never_changes_its_shape() {
        assert_eq!(peer_id_of([0; 32]), Err(IdentityError::Zeros { file: FILE }));
        for secret in [[1; 32], [7; 32], [255; 32]] {
            let id = peer_id_of(secret).unwrap();
            assert_eq!(id.len(), 52);
            assert!(id.starts_with("12D3KooW"), "{id}");
        }
    }

    #[test]
    fn the_public_key_is_that_of_rfc_8032() {
        // RFC 8032, section 7.1, test 1.
        let secret = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec,
            0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03,
            0x1c, 0xae, 0x7f, 0x60,
        ];
        let public = KeyPair::from_seed(Seed::new(secret)).pk;
        assert_eq!(public.as_ref()[..4], [0xd7, 0x5a, 0x98, 0x01]);
    }
}
