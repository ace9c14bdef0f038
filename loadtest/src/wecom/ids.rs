//! Ids of people and groups, computed from their numbers and read back, so that none is stored.
//!
//! They look like the platform's: a prefix and 30 letters and digits. 24 of these follow from the seed and the number, six are
//! the number itself, so a made-up id is told from a real one.

const CHARS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Characters that only make an id hard to guess.
const FILLER: usize = 24;
/// Characters that carry the number: 62^6 is more than 2^32.
const DIGITS: usize = 6;

/// A group's id.
pub(crate) const GROUP: &str = "wr";
/// A customer who uses `WeChat`.
pub(crate) const WECHAT_CUSTOMER: &str = "wm";
/// A customer who uses the WeCom of another corp.
pub(crate) const WECOM_CUSTOMER: &str = "wo";
/// A person across all apps of one developer.
pub(crate) const UNION: &str = "oU";

/// The id of a number.
pub(crate) fn encode(seed: u64, prefix: &str, number: u32) -> String {
    let mut id = String::with_capacity(prefix.len() + FILLER + DIGITS);
    id.push_str(prefix);
    let kind = prefix.bytes().fold(0, |sum, byte| sum * 256 + u64::from(byte));
    let mut state = mix(seed ^ kind << 32 ^ u64::from(number));
    for at in 0..FILLER {
        if at % 8 == 0 {
            state = mix(state);
        }
        id.push(char_of(state >> (at % 8 * 8)));
    }
    let mut rest = u64::from(number);
    for _ in 0..DIGITS {
        id.push(char_of(rest % 62));
        rest /= 62;
    }
    id
}

/// The number of an id; none when it was not made with this seed and prefix.
pub(crate) fn decode(seed: u64, prefix: &str, id: &str) -> Option<u32> {
    let tail = id.strip_prefix(prefix)?.as_bytes().get(FILLER..)?;
    let mut number = 0_u64;
    for byte in tail.iter().rev() {
        let digit = CHARS.iter().position(|char| char == byte)?;
        number = number.checked_mul(62)?.checked_add(u64::try_from(digit).ok()?)?;
    }
    let number = u32::try_from(number).ok()?;
    (encode(seed, prefix, number) == id).then_some(number)
}

/// Whether customers of a number use the WeCom of another corp; one in fifty does.
pub(crate) fn uses_wecom(customer: u32) -> bool {
    customer % 50 == 49
}

/// The id of a customer.
pub(crate) fn customer(seed: u64, number: u32) -> String {
    encode(seed, if uses_wecom(number) { WECOM_CUSTOMER } else { WECHAT_CUSTOMER }, number)
}

/// The number of a customer's id.
pub(crate) fn customer_number(seed: u64, id: &str) -> Option<u32> {
    let prefix = if id.starts_with(WECOM_CUSTOMER) { WECOM_CUSTOMER } else { WECHAT_CUSTOMER };
    decode(seed, prefix, id).filter(|&number| customer(seed, number) == id)
}

fn char_of(bits: u64) -> char {
    char::from(CHARS[usize::try_from(bits & 0xff).unwrap_or(0) % CHARS.len()])
}

/// Spreads close numbers over all of 64 bits (the finaliser of `SplitMix64`).
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_made_up_ones_are_not() {
        for number in [0, 1, 61, 62, 49, 5_000_000, u32::MAX] {
            let id = customer(7, number);
            assert_eq!(id.len(), 32, "{id}");
            assert_eq!(customer_number(7, &id), Some(number), "{id}");
            assert_eq!(customer_number(8, &id), None, "{id}");
            assert_eq!(decode(7, GROUP, &encode(7, GROUP, number)), Some(number));
        }
        for id in ["", "wm", "wmA", "wmAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "woé"] {
            assert_eq!(customer_number(7, id), None, "{id}");
        }
        assert!(customer(7, 49).starts_with("wo") && customer(7, 50).starts_with("wm"));
    }
}
