//! The cryptography of WeCom's callbacks: signature, AES-256-CBC with the vendor's framing, and media.
//!
//! ```text
//! plain   = random(16) ‖ length of msg (u32, big endian) ‖ msg ‖ receive id
//! padded  = plain ‖ n bytes of value n, 1..=32, to a multiple of 32
//! encrypt = base64(AES-256-CBC(key, key[0..16], padded))
//! ```
//!
//! Not for: envelopes (`envelope`) or what a message says (`decode`). Randomness and nonces come in as arguments.
//! Invariants: a signature is compared in constant time and before anything is decrypted; no input panics; keys never
//! show in `Debug`. Public for benches, fuzzing and tests with independent peers.

use std::fmt;
use std::ops::Range;

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Padding is to a multiple of this, twice the cipher's block: ready-made unpadders refuse half of all messages.
const PAD_BLOCK: usize = 32;
/// The cipher's own block.
const CIPHER_BLOCK: usize = 16;
/// Random bytes and the length stand before the message.
const HEAD: usize = 16 + 4;
/// Characters of an `EncodingAESKey`.
const KEY_CHARS: usize = 43;

/// 43 characters carry 258 bits for 256: the vendor's own sample key has its spare bits set, which a strict decoder
/// refuses.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What went wrong, by the names and codes of the vendor's sample libraries.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CryptoError {
    /// The signature is another's.
    #[error("the signature does not match the token")]
    Signature,
    /// The envelope is neither XML nor JSON with an encrypted part.
    #[error("the envelope cannot be read")]
    Envelope,
    /// Not 43 letters and digits.
    #[error("an EncodingAESKey has exactly 43 letters and digits")]
    Key,
    /// Meant for somebody else.
    #[error("the message is addressed to another corp or suite")]
    Receiver,
    /// Longer than the framing can say.
    #[error("the message is too long to be encrypted")]
    Encrypt,
    /// Not a whole number of blocks.
    #[error("the ciphertext is not a whole number of blocks")]
    Decrypt,
    /// Decrypted, and not framed as it must be.
    #[error("the decrypted bytes are not framed as they must be")]
    Buffer,
    /// Not base64.
    #[error("the ciphertext is not base64")]
    Base64,
}

impl CryptoError {
    /// Returns the vendor's code.
    pub const fn code(self) -> i32 {
        match self {
            Self::Signature => -40001,
            Self::Envelope => -40002,
            Self::Key => -40004,
            Self::Receiver => -40005,
            Self::Encrypt => -40006,
            Self::Decrypt => -40007,
            Self::Buffer => -40008,
            Self::Base64 => -40010,
        }
    }
}

/// A callback's or a medium's AES key. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Reads an `EncodingAESKey`.
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        if text.len() != KEY_CHARS {
            return Err(CryptoError::Key);
        }
        Self::decode(text)
    }

    /// Reads the key of one medium: base64 of 32 bytes, padded or not.
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn parse_media(text: &str) -> Result<Self, CryptoError> {
        Self::decode(text)
    }

    fn decode(text: &str) -> Result<Self, CryptoError> {
        let bytes = LENIENT.decode(text).map_err(|_| CryptoError::Key)?;
        bytes.try_into().map(Self).map_err(|_| CryptoError::Key)
    }

    /// The first half of the key, the same for every message: the vendor's choice.
    fn iv(&self) -> &[u8; 16] {
        self.0.first_chunk().expect("32 bytes begin with 16")
    }

    /// Decrypts a callback's `encrypt`.
    ///
    /// # Errors
    /// [`CryptoError::Base64`], [`CryptoError::Decrypt`] or [`CryptoError::Buffer`].
    pub fn decrypt(&self, encrypt: &str) -> Result<Message, CryptoError> {
        let mut buffer = LENIENT.decode(encrypt).map_err(|_| CryptoError::Base64)?;
        let plain = self.decrypt_blocks(&mut buffer)?.len();
        let (head, rest) =
            buffer.get(..plain).and_then(|plain| plain.split_at_checked(HEAD)).ok_or(CryptoError::Buffer)?;
        let length = head.last_chunk().map_or(0, |length| u32::from_be_bytes(*length));
        let length = usize::try_from(length).map_err(|_| CryptoError::Buffer)?;
        if length > rest.len() {
            return Err(CryptoError::Buffer);
        }
        Ok(Message { buffer, said: HEAD..HEAD + length, receive_id: HEAD + length..plain })
    }

    /// Encrypts a message as the platform does: for replies, and for who plays the platform.
    ///
    /// # Errors
    /// [`CryptoError::Encrypt`].
    pub fn encrypt(
        &self,
        random: &[u8; 16],
        message: &[u8],
        receive_id: &str,
    ) -> Result<String, CryptoError> {
        let length = u32::try_from(message.len()).map_err(|_| CryptoError::Encrypt)?;
        let mut buffer = Vec::with_capacity(HEAD + message.len() + receive_id.len() + PAD_BLOCK);
        for part in [random, &length.to_be_bytes()[..], message, receive_id.as_bytes()] {
            buffer.extend_from_slice(part);
        }
        let pad = PAD_BLOCK - buffer.len() % PAD_BLOCK;
        buffer.resize(buffer.len() + pad, u8::try_from(pad).expect("32 at most"));
        let whole = buffer.len();
        let cipher = cbc::Encryptor::<Aes256>::new((&self.0).into(), self.iv().into());
        cipher.encrypt_padded_mut::<NoPadding>(&mut buffer, whole).map_err(|_| CryptoError::Encrypt)?;
        Ok(LENIENT.encode(buffer))
    }

    /// Decrypts a medium's bytes in place and returns those that are left without the padding.
    ///
    /// # Errors
    /// [`CryptoError::Decrypt`] or [`CryptoError::Buffer`].
    pub fn decrypt_media(&self, mut bytes: Vec<u8>) -> Result<Vec<u8>, CryptoError> {
        let plain = self.decrypt_blocks(&mut bytes)?.len();
        bytes.truncate(plain);
        Ok(bytes)
    }

    /// Decrypts in place; returns what stands before the padding.
    fn decrypt_blocks<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], CryptoError> {
        if !buffer.len().is_multiple_of(CIPHER_BLOCK) {
            return Err(CryptoError::Decrypt);
        }
        let cipher = cbc::Decryptor::<Aes256>::new((&self.0).into(), self.iv().into());
        let padded = cipher.decrypt_padded_mut::<NoPadding>(buffer).map_err(|_| CryptoError::Decrypt)?;
        unpad(padded)
    }
}

fn unpad(padded: &[u8]) -> Result<&[u8], CryptoError> {
    let pad = usize::from(*padded.last().ok_or(CryptoError::Buffer)?);
    if !(1..=PAD_BLOCK).contains(&pad) {
        return Err(CryptoError::Buffer);
    }
    let end = padded.len().checked_sub(pad).ok_or(CryptoError::Buffer)?;
    let (plain, padding) = padded.split_at(end);
    if padding.iter().any(|byte| usize::from(*byte) != pad) {
        return Err(CryptoError::Buffer);
    }
    Ok(plain)
}

/// A decrypted message; the bytes are cut out of one buffer.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    buffer: Vec<u8>,
    said: Range<usize>,
    receive_id: Range<usize>,
}

impl fmt::Debug for Message {
    /// What members wrote is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("bytes", &self.said.len()).finish_non_exhaustive()
    }
}

impl Message {
    /// What was said.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.said.clone()).unwrap_or_default()
    }

    /// Whom it is addressed to.
    pub fn receive_id(&self) -> &[u8] {
        self.buffer.get(self.receive_id.clone()).unwrap_or_default()
    }

    /// Refuses what is addressed to none of `receive_ids`.
    ///
    /// # Errors
    /// [`CryptoError::Receiver`].
    pub fn check_receiver<'a>(
        &self,
        mut receive_ids: impl Iterator<Item = &'a str>,
    ) -> Result<(), CryptoError> {
        let own = self.receive_id();
        if receive_ids.any(|id| id.as_bytes() == own) { Ok(()) } else { Err(CryptoError::Receiver) }
    }
}

/// Signs: lowercase hex SHA-1 over the four texts, sorted by their bytes. Time and nonce count as they were received.
pub fn sign(token: &str, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    let mut parts = [token, timestamp, nonce, encrypt];
    parts.sort_unstable();
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    let mut text = String::with_capacity(40);
    for byte in hash.finalize() {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

/// Checks a signature, in constant time.
///
/// # Errors
/// [`CryptoError::Signature`].
pub fn verify(
    signature: &str,
    token: &str,
    timestamp: &str,
    nonce: &str,
    encrypt: &str,
) -> Result<(), CryptoError> {
    let own = sign(token, timestamp, nonce, encrypt);
    if bool::from(own.as_bytes().ct_eq(signature.as_bytes())) { Ok(()) } else { Err(CryptoError::Signature) }
}

#[cfg(test)]
mod tests;
