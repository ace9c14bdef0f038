//! The platform's side of the callback cipher: seals events, and opens what comes back.
//!
//! Written from the published description with the usual crates, sharing nothing with any gateway. Ciphertexts are
//! AES-256-CBC over `random(16) | length (4, big endian) | message | receiveid`, padded to multiples of 32.
//! Not for: keeping secrets. Comparison is not constant in time, the keys are fixtures.

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest, Sha1};

/// The unit of padding; not AES's own 16.
const PAD_BLOCK: usize = 32;
/// Random bytes in front of the length.
const PREFIX: usize = 16;
/// Characters of an `EncodingAESKey`.
const AES_KEY_CHARS: usize = 43;

/// 43 characters carry two bits more than a key has, and published keys have them set.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// One end of a callback's encryption.
#[derive(Clone)]
pub struct Cipher {
    token: String,
    key: [u8; 32],
    receiveid: String,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cipher").field("receiveid", &self.receiveid).finish_non_exhaustive()
    }
}

/// Says why something could not be opened, in the terms of the platform's own libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The signature is another one.
    #[error("signature mismatch (-40001)")]
    Signature,
    /// The envelope is neither of the two forms.
    #[error("envelope could not be parsed (-40002)")]
    Envelope,
    /// The key is not 43 characters that make 32 bytes.
    #[error("EncodingAESKey illegal (-40004)")]
    AesKey,
    /// Sealed for somebody else.
    #[error("receiveid mismatch (-40005)")]
    ReceiveId,
    /// Not whole blocks.
    #[error("AES decrypt failed (-40007)")]
    Decrypt,
    /// Deciphers, but to nothing of the right form.
    #[error("decrypted buffer illegal (-40008)")]
    Buffer,
    /// Not base64.
    #[error("base64 decode failed (-40010)")]
    Base64,
}

impl CryptoError {
    /// The number that the platform's libraries give it.
    pub fn code(self) -> i32 {
        match self {
            Self::Signature => -40_001,
            Self::Envelope => -40_002,
            Self::AesKey => -40_004,
            Self::ReceiveId => -40_005,
            Self::Decrypt => -40_007,
            Self::Buffer => -40_008,
            Self::Base64 => -40_010,
        }
    }
}

impl Cipher {
    /// Takes the two secrets of a callback and the id it is sealed for.
    ///
    /// # Errors
    /// [`CryptoError::AesKey`].
    pub fn new(token: &str, aes_key: &str, receiveid: &str) -> Result<Self, CryptoError> {
        if aes_key.len() != AES_KEY_CHARS {
            return Err(CryptoError::AesKey);
        }
        let key = LENIENT.decode(format!("{aes_key}=")).map_err(|_| CryptoError::AesKey)?;
        let key = key.try_into().map_err(|_| CryptoError::AesKey)?;
        Ok(Self { token: token.to_owned(), key, receiveid: receiveid.to_owned() })
    }

    /// The same keys, sealing for another id; for callbacks that must be refused.
    pub(crate) fn for_receiveid(&self, receiveid: &str) -> Self {
        Self { receiveid: receiveid.to_owned(), ..self.clone() }
    }

    /// Seals a message.
    pub fn encrypt(&self, message: &[u8], random: [u8; PREFIX]) -> String {
        let mut plain = Vec::with_capacity(PREFIX + 4 + message.len() + self.receiveid.len() + PAD_BLOCK);
        plain.extend(random);
        plain.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        plain.extend(message);
        plain.extend(self.receiveid.as_bytes());
        let pad = PAD_BLOCK - plain.len() % PAD_BLOCK;
        plain.resize(plain.len() + pad, u8::try_from(pad).expect("1..=32"));
        self.encrypt_padded(plain)
    }

    /// Seals what is a multiple of 32 long, whatever it holds; for callbacks that must be refused.
    pub(crate) fn encrypt_padded(&self, mut plain: Vec<u8>) -> String {
        let length = plain.len();
        let sealer = cbc::Encryptor::<Aes256>::new(&self.key.into(), self.iv());
        let sealed = sealer.encrypt_padded_mut::<NoPadding>(&mut plain, length).expect("whole blocks");
        STANDARD.encode(sealed)
    }

    fn iv(&self) -> &aes::cipher::Iv<cbc::Encryptor<Aes256>> {
        let (iv, _) = self.key.split_at(PREFIX);
        iv.into()
    }

    /// The signature over ciphertext, time and nonce.
    pub fn sign(&self, timestamp: &str, nonce: &str, encrypt: &str) -> String {
        let mut parts = [self.token.as_str(), timestamp, nonce, encrypt];
        parts.sort_unstable();
        let mut hash = Sha1::new();
        for part in parts {
            hash.update(part);
        }
        hex(&hash.finalize())
    }

    /// Checks and opens a sealed message.
    ///
    /// # Errors
    /// Any [`CryptoError`] but [`CryptoError::AesKey`] and [`CryptoError::Envelope`].
    pub fn open(
        &self,
        signature: &str,
        timestamp: &str,
        nonce: &str,
        encrypt: &str,
    ) -> Result<Vec<u8>, CryptoError> {
        if self.sign(timestamp, nonce, encrypt) != signature {
            return Err(CryptoError::Signature);
        }
        let mut sealed = STANDARD.decode(encrypt).map_err(|_| CryptoError::Base64)?;
        let opener = cbc::Decryptor::<Aes256>::new(&self.key.into(), self.iv());
        let plain = opener.decrypt_padded_mut::<NoPadding>(&mut sealed).map_err(|_| CryptoError::Decrypt)?;
        let pad = usize::from(*plain.last().ok_or(CryptoError::Buffer)?);
        if pad == 0 || pad > PAD_BLOCK || pad > plain.len() {
            return Err(CryptoError::Buffer);
        }
        let (plain, padding) = plain.split_at(plain.len() - pad);
        if padding.iter().any(|&byte| usize::from(byte) != pad) {
            return Err(CryptoError::Buffer);
        }
        let (length, rest) =
            plain.get(PREFIX..).and_then(|rest| rest.split_first_chunk::<4>()).ok_or(CryptoError::Buffer)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| CryptoError::Buffer)?;
        let (message, receiveid) = rest.split_at_checked(length).ok_or(CryptoError::Buffer)?;
        if receiveid != self.receiveid.as_bytes() {
            return Err(CryptoError::ReceiveId);
        }
        Ok(message.to_vec())
    }
}

/// Lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|&byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::envelope;
    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/vectors/wecom-crypto.json")).expect("vectors")
    }

    fn text<'v>(value: &'v Value, name: &str) -> &'v str {
        value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
    }

    fn cipher(all: &Value, receiveid: &str) -> Cipher {
        let common = &all["common"];
        Cipher::new(text(common, "token"), text(common, "encoding_aes_key"), receiveid).expect("a key")
    }

    fn random(hex: &str) -> [u8; 16] {
        let byte = |at: usize| u8::from_str_radix(hex.get(at * 2..at * 2 + 2).expect("16 bytes"), 16);
        std::array::from_fn(|at| byte(at).expect("hex"))
    }

    #[test]
    fn every_published_vector_seals_to_the_byte_and_opens_again() {
        let all = vectors();
        let vectors = all["vectors"].as_array().expect("vectors");
        assert_eq!(vectors.len(), 15);
        for vector in vectors {
            let cipher = cipher(&all, text(vector, "receiveid"));
            let message = text(vector, "plaintext").as_bytes();
            let encrypt = cipher.encrypt(message, random(text(vector, "random_hex")));
            let name = text(vector, "name");
            assert_eq!(encrypt, text(vector, "encrypt"), "{name}");
            let timestamp = vector["timestamp"].to_string().replace('"', "");
            let nonce = text(vector, "nonce");
            let signature = text(vector, "msg_signature");
            assert_eq!(cipher.sign(&timestamp, nonce, &encrypt), signature, "{name}");
            assert_eq!(cipher.open(signature, &timestamp, nonce, &encrypt).as_deref(), Ok(message), "{name}");
        }
    }

    #[test]
    fn every_negative_vector_fails_for_its_reason() {
        let all = vectors();
        for vector in all["negative"].as_array().expect("negative") {
            let name = text(vector, "name");
            let expected = vector["expect_code"].as_i64().expect("a code");
            let code = if let Some(key) = vector["encoding_aes_key"].as_str() {
                Cipher::new("t", key, "").expect_err(name).code()
            } else {
                let own = text(&all["common"], "corpid");
                let receiveid = vector["configured_receiveid"].as_str().unwrap_or(own);
                let timestamp = vector["timestamp"].to_string().replace('"', "");
                let opened = envelope::encrypted_part(text(vector, "body")).and_then(|encrypt| {
                    let signature = text(vector, "msg_signature");
                    cipher(&all, receiveid).open(signature, &timestamp, text(vector, "nonce"), &encrypt)
                });
                opened.expect_err(name).code()
            };
            assert_eq!(i64::from(code), expected, "{name}");
        }
    }
}
