//! Every vector of `tests/vectors/wecom-crypto.json`, made by one implementation and checked by four others.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::connectors::wecom::envelope::{Query, encrypted};

const VECTORS: &str = include_str!("../../../../tests/vectors/wecom-crypto.json");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name}: {vector}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap();
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap())
        .collect()
}

fn key() -> Key {
    Key::parse(text(&vectors()["common"], "encoding_aes_key")).unwrap()
}

#[test]
fn the_vendors_kind_of_key_is_read_although_its_spare_bits_are_set() {
    let common = &vectors()["common"];
    assert_eq!(key().0, unhex(text(common, "aes_key_hex"))[..]);
    assert_eq!(key().iv()[..], unhex(text(common, "iv_hex"))[..]);
    assert_eq!(format!("{:?}", key()), "Key");
}

#[test]
fn every_positive_vector_is_verified_decrypted_and_made_again() {
    let all = vectors();
    let (key, token) = (key(), text(&all["common"], "token"));
    let mut kinds = HashSet::new();
    for vector in all["vectors"].as_array().unwrap() {
        let name = text(vector, "name");
        let (timestamp, nonce) = (text(vector, "timestamp"), text(vector, "nonce"));
        let (encrypt, receive_id) = (text(vector, "encrypt"), text(vector, "receiveid"));
        let plain = text(vector, "plaintext").as_bytes();
        assert_eq!(sign(token, timestamp, nonce, encrypt), text(vector, "msg_signature"), "{name}");
        let message = key.decrypt(encrypt).unwrap();
        assert_eq!((message.bytes(), message.receive_id()), (plain, receive_id.as_bytes()), "{name}");
        assert_eq!(message.bytes().len() as u64, vector["plaintext_len"].as_u64().unwrap(), "{name}");
        let random = unhex(text(vector, "random_hex")).try_into().unwrap();
        assert_eq!(key.encrypt(&random, plain, receive_id).unwrap(), encrypt, "{name}");
        let kind = text(vector, "kind");
        assert!(check_kind(kind, vector, encrypt), "{name}: no test for the kind {kind}");
        kinds.insert(kind.to_owned());
    }
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

/// Looks at what a vector has beside its ciphertext; says whether the kind is known.
fn check_kind(kind: &str, vector: &Value, encrypt: &str) -> bool {
    match kind {
        "url_verify" => {
            let query = Query::read(text(&vector["http"], "query")).unwrap();
            assert_eq!(query.echo.as_deref(), Some(encrypt));
            assert_eq!(query.signature, text(vector, "msg_signature"));
            assert_eq!(vector["http"]["expect_body"], vector["plaintext"]);
        }
        "xml_callback" | "json_callback" => {
            let http = &vector["http"];
            let query = Query::read(text(http, "query")).unwrap();
            assert_eq!(
                (query.timestamp.as_ref(), query.nonce.as_ref()),
                (text(vector, "timestamp"), text(vector, "nonce"))
            );
            assert_eq!(encrypted(text(http, "body").as_bytes()).unwrap(), encrypt);
        }
        "xml_reply" | "json_reply" => {
            // Both forms of a reply hold the ciphertext as a body does.
            let reply = text(vector, "reply_body");
            assert!(reply.contains(encrypt) && reply.contains(text(vector, "msg_signature")), "{reply}");
            assert_eq!(encrypted(reply.as_bytes()).unwrap(), encrypt);
        }
        "raw" => {}
        _ => return false,
    }
    true
}

#[test]
fn every_negative_vector_is_refused_with_the_vendors_code() {
    let all = vectors();
    let common = &all["common"];
    let mut checked = 0;
    for vector in all["negative"].as_array().unwrap() {
        let refused = match vector.get("encoding_aes_key") {
            Some(key) => Key::parse(key.as_str().unwrap()).map(drop).unwrap_err(),
            None => open(vector, text(common, "token"), text(common, "corpid")).unwrap_err(),
        };
        assert_eq!(i64::from(refused.code()), vector["expect_code"].as_i64().unwrap(), "{vector}");
        checked += 1;
    }
    assert_eq!(checked, 9);
}

/// What a gateway does with a callback, step by step.
fn open(vector: &Value, token: &str, corp_id: &str) -> Result<(), CryptoError> {
    let body = text(vector, "body").as_bytes();
    let encrypt = encrypted(body)?;
    let (timestamp, nonce) = (text(vector, "timestamp"), text(vector, "nonce"));
    verify(text(vector, "msg_signature"), token, timestamp, nonce, &encrypt)?;
    let receive_id = vector["configured_receiveid"].as_str().unwrap_or(corp_id);
    key().decrypt(&encrypt)?.check_receiver([receive_id].into_iter())
}

#[test]
fn every_medium_is_decrypted() {
    let all = vectors();
    let media = all["media"]["vectors"].as_array().unwrap();
    for vector in media {
        let key = Key::parse_media(text(vector, "aeskey_base64")).unwrap();
        let cipher = unhex(text(vector, "cipher_hex"));
        let plain = unhex(text(vector, "plain_hex"));
        assert_eq!((cipher.len() - plain.len()) as u64, vector["pad_len"].as_u64().unwrap());
        assert_eq!(key.decrypt_media(cipher).unwrap(), plain, "{}", text(vector, "name"));
    }
    assert_eq!(media.len(), 3);
}

#[test]
fn the_codes_are_those_of_the_sheet() {
    let codes = vectors()["error_codes"].clone();
    for error in [
        CryptoError::Signature,
        CryptoError::Envelope,
        CryptoError::Key,
        CryptoError::Receiver,
        CryptoError::Encrypt,
        CryptoError::Decrypt,
        CryptoError::Buffer,
        CryptoError::Base64,
    ] {
        assert!(codes.get(error.code().to_string()).is_some(), "{error:?}");
    }
}

#[test]
fn broken_base64_and_padding_have_their_own_names() {
    assert_eq!(key().decrypt("***").unwrap_err(), CryptoError::Base64);
    assert_eq!(key().decrypt("").unwrap_err(), CryptoError::Buffer);
    assert_eq!(key().decrypt_media(vec![0; 15]).unwrap_err(), CryptoError::Decrypt);
    assert_eq!(unpad(&[7, 7, 3, 3]), Err(CryptoError::Buffer), "one pad byte is another");
    assert_eq!(unpad(&[33; 64]), Err(CryptoError::Buffer));
    assert_eq!(unpad(&[4, 4, 4]), Err(CryptoError::Buffer), "more than there is");
    assert_eq!(unpad(&[32; 32]), Ok(&[][..]));
    assert!(verify("", "t", "1", "n", "e").is_err());
}

proptest! {
    #[test]
    fn what_was_encrypted_is_decrypted(
        random in any::<[u8; 16]>(),
        message in prop::collection::vec(any::<u8>(), 0..300),
        receive_id in "[a-z0-9]{0,40}",
    ) {
        let encrypt = key().encrypt(&random, &message, &receive_id).unwrap();
        let opened = key().decrypt(&encrypt).unwrap();
        prop_assert_eq!(opened.bytes(), &message[..]);
        prop_assert!(opened.check_receiver([receive_id.as_str()].into_iter()).is_ok());
        prop_assert!(opened.check_receiver(["other!"].into_iter()).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,100}") {
        _ = key().decrypt(&text); // that they return is the point
        _ = key().decrypt(&LENIENT.encode(&bytes));
        _ = key().decrypt_media(bytes);
        _ = Key::parse(&text);
        _ = Key::parse_media(&text);
        _ = verify(&text, &text, &text, &text, &text);
    }

    /// Whatever the plaintext is, also one that nobody framed.
    #[test]
    fn no_plaintext_panics(blocks in prop::collection::vec(any::<[u8; 32]>(), 0..8)) {
        let mut plain = blocks.concat();
        let whole = plain.len();
        let cipher = cbc::Encryptor::<Aes256>::new((&key().0).into(), key().iv().into());
        cipher.encrypt_padded_mut::<NoPadding>(&mut plain, whole).unwrap();
        _ = key().decrypt(&LENIENT.encode(plain)); // that it returns is the point
    }
}
