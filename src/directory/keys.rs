//! The key that account secrets and kept texts are encrypted with: from a file, or made in the data directory.
//!
//! A key file holds one key a line, 32 bytes in base64; the first encrypts, all of them decrypt. To rotate: put the new
//! key on top, restart (everything is sealed anew), remove the old line. Lines that begin with `#` are skipped.
//!
//! Invariant: what is sealed for one account or purpose does not open for another (associated data).

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a nonce; long enough to be drawn at random.
const NONCE_BYTES: usize = 24;

/// Why there is no key, or why it does not open a secret.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("open the key file {path}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A line is no key.
    #[error("line {line} of the key: expected 32 bytes in base64; make one with `openssl rand -base64 32`")]
    Form {
        /// Which line, from 1.
        line: usize,
    },
    /// Nothing in it.
    #[error("the key is empty; make one with `openssl rand -base64 32`")]
    Empty,
    /// Sealed with a key that is not there any more.
    #[error("a secret was sealed with key {0}, which is not among the keys given; add it as a further line")]
    Lost(String),
    /// Changed since it was sealed.
    #[error("a sealed secret is damaged; write it anew")]
    Damaged,
    /// The system gave no randomness.
    #[error("the system gave no randomness")]
    Randomness,
}

/// Something encrypted, as it lies in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which key.
    pub key: String,
    /// The nonce, in base64.
    pub nonce: String,
    /// The encrypted bytes with their tag, in base64.
    pub data: String,
}

/// Something encrypted, as bytes: for what is too much or too short-lived for the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBytes {
    /// Which key.
    pub key: String,
    /// The nonce, never used before.
    pub nonce: [u8; NONCE_BYTES],
    /// The encrypted bytes with their tag.
    pub data: Vec<u8>,
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// All keys; `Debug` shows their ids only.
pub struct Keyring {
    /// The first one seals; never empty.
    keys: Vec<Key>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| key.id.as_str())).finish()
    }
}

impl Keyring {
    /// Reads the keys of a file's text.
    ///
    /// # Errors
    /// Names the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = STANDARD.decode(line).ok().filter(|bytes| bytes.len() == KEY_BYTES);
            let bytes = bytes.ok_or(KeyError::Form { line: index + 1 })?;
            // An id of the key that tells nothing of it: eight hex digits of its hash.
            let hash: [u8; 32] = Sha256::digest(&bytes).into();
            let id = format!("{:08x}", u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]));
            let cipher = XChaCha20Poly1305::new_from_slice(&bytes).expect("the length was checked");
            keys.push(Key { id, cipher });
        }
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self { keys }) }
    }

    /// Reads a key file that must be there.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map_err(|source| file_error(path, source))?;
        Self::parse(&text)
    }

    /// Reads a key file, or makes it with mode 0600 and a fresh key.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn read_or_make(path: &Path) -> Result<Self, KeyError> {
        match Self::read(path) {
            Err(KeyError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|_| KeyError::Randomness)?;
        let text = format!(
            "# Seals account secrets. Keep a copy: without it they are lost.\n{}\n",
            STANDARD.encode(key)
        );
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|source| file_error(path, source))?;
        Self::parse(&text)
    }

    /// Encrypts with the first key. `purpose` must be the same when it is opened.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal(&self, purpose: &str, plain: &str) -> Result<Sealed, KeyError> {
        let SealedBytes { key, nonce, data } = self.seal_bytes(purpose, plain.as_bytes())?;
        Ok(Sealed { key, nonce: STANDARD.encode(nonce), data: STANDARD.encode(data) })
    }

    /// Encrypts bytes with the first key. `purpose` must be the same when they are opened.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal_bytes(&self, purpose: &str, plain: &[u8]) -> Result<SealedBytes, KeyError> {
        let key = self.keys.first().expect("`parse` refuses an empty ring");
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| KeyError::Randomness)?;
        let payload = Payload { msg: plain, aad: purpose.as_bytes() };
        let data = key.cipher.encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| KeyError::Damaged)?;
        Ok(SealedBytes { key: key.id.clone(), nonce, data })
    }

    /// Decrypts bytes with the key that sealed them.
    ///
    /// # Errors
    /// `Lost` or `Damaged`.
    pub fn open_bytes(&self, purpose: &str, sealed: &SealedBytes) -> Result<Vec<u8>, KeyError> {
        let key = self.keys.iter().find(|key| key.id == sealed.key);
        let key = key.ok_or_else(|| KeyError::Lost(sealed.key.clone()))?;
        let payload = Payload { msg: &sealed.data, aad: purpose.as_bytes() };
        key.cipher.decrypt(XNonce::from_slice(&sealed.nonce), payload).map_err(|_| KeyError::Damaged)
    }

    /// Decrypts with the key that sealed it.
    ///
    /// # Errors
    /// `Lost` or `Damaged`.
    pub fn open(&self, purpose: &str, sealed: &Sealed) -> Result<String, KeyError> {
        let nonce = STANDARD.decode(&sealed.nonce).ok().and_then(|nonce| nonce.try_into().ok());
        let nonce = nonce.ok_or(KeyError::Damaged)?;
        let data = STANDARD.decode(&sealed.data).map_err(|_| KeyError::Damaged)?;
        let plain = self.open_bytes(purpose, &SealedBytes { key: sealed.key.clone(), nonce, data })?;
        String::from_utf8(plain).map_err(|_| KeyError::Damaged)
    }

    /// Says whether something is sealed with another key than the first.
    pub fn is_old(&self, sealed: &Sealed) -> bool {
        self.keys.first().is_some_and(|key| key.id != sealed.key)
    }
}

fn file_error(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn ring(keys: &[u8]) -> Keyring {
        let lines: Vec<_> = keys.iter().map(|byte| STANDARD.encode([*byte; KEY_BYTES])).collect();
        Keyring::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn a_secret_opens_for_its_purpose_only_and_shows_damage() {
        let keys = ring(&[1]);
        let sealed = keys.seal("demo/hook", "whsec_密").unwrap();
        assert_eq!(keys.open("demo/hook", &sealed).unwrap(), "whsec_密");
        assert!(matches!(keys.open("other/hook", &sealed), Err(KeyError::Damaged)));
        let cut = Sealed { data: sealed.data.chars().skip(4).collect(), ..sealed.clone() };
        assert!(matches!(keys.open("demo/hook", &cut), Err(KeyError::Damaged)));
        assert_ne!(keys.seal("demo/hook", "whsec_密").unwrap(), sealed, "a nonce was used twice");
    }

    #[test]
    fn an_old_key_still_opens_and_a_lost_one_is_named() {
        let sealed = ring(&[1]).seal("p", "s").unwrap();
        let rotated = ring(&[2, 1]);
        assert_eq!(rotated.open("p", &sealed).unwrap(), "s");
        assert!(rotated.is_old(&sealed));
        assert!(!rotated.is_old(&rotated.seal("p", "s").unwrap()));
        assert!(matches!(ring(&[2]).open("p", &sealed), Err(KeyError::Lost(id)) if id == sealed.key));
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let sealed = Keyring::read_or_make(&path).unwrap().seal("p", "s").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Keyring::read_or_make(&path).unwrap().open("p", &sealed).unwrap(), "s");
        assert!(matches!(Keyring::parse("# only words\n"), Err(KeyError::Empty)));
        assert!(matches!(Keyring::parse("# a\nc2hvcnQ="), Err(KeyError::Form { line: 2 })));
    }
}
