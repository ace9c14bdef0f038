//! Is a run of digits what its form says? Check digits, number plans, dates.

/// Says whether the digits (of any length) pass the Luhn check.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit) * 2) {
            (0, doubled) => doubled / 2,
            (_, doubled @ 0..=9) => doubled,
            (_, doubled) => doubled - 9,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// Says whether 17 digits and a check character (10 stands for X) are a resident identity number: the checksum of
/// GB 11643, a province, a date of birth that somebody alive can have.
pub(super) fn resident_id(digits: &[u8], check: u8) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [u8; 11] = [1, 0, 10, 9, 8, 7, 6, 5, 4, 3, 2];
    if digits.len() != WEIGHTS.len() {
        return false;
    }
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    let expect = usize::try_from(sum % 11).ok().and_then(|rest| CHECKS.get(rest));
    let province = number(digits, 0, 2);
    let provinces = [11..=15, 21..=23, 31..=37, 41..=46, 50..=54, 61..=65, 81..=83];
    expect == Some(&check)
        && (province == 71 || provinces.iter().any(|range| range.contains(&province)))
        && is_date(number(digits, 6, 4), number(digits, 10, 2), number(digits, 12, 2))
}

fn is_date(year: u32, month: u32, day: u32) -> bool {
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    };
    // The core has no clock; nobody who writes in a group was born before 1900.
    (1900..2100).contains(&year) && (1..=days).contains(&day)
}

/// Reads `length` digits from `from` on as a number; missing digits are left out.
fn number(digits: &[u8], from: usize, length: usize) -> u32 {
    digits.iter().skip(from).take(length).fold(0, |number, digit| number * 10 + u32::from(*digit))
}

/// How surely a number of this form and first digits is a bank card's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuer {
    /// No issuer has such numbers.
    Nobody,
    /// An issuer has; so have many order numbers.
    Somebody,
    /// `UnionPay`, whose numbers hardly anything else has.
    UnionPay,
}

/// Looks at length and first digits, not at the check digit.
pub(super) fn issuer(digits: &[u8]) -> Issuer {
    let four = number(digits, 0, 4);
    match digits.len() {
        16..=19 if four / 100 == 62 => Issuer::UnionPay,
        19 if four == 9558 => Issuer::UnionPay,
        16 if matches!(four, 3528..=3589 | 4000..=4999 | 5100..=5599 | 2221..=2720 | 6011 | 6500..=6599) => {
            Issuer::Somebody
        }
        _ => Issuer::Nobody,
    }
}

/// Says whether 11 digits are a mobile number of a segment that is given out.
pub(super) fn mobile(digits: &[u8]) -> bool {
    let [1, second, third, rest @ ..] = digits else { return false };
    // A row of one digit is a joke or an example.
    rest.len() == 8
        && rest.iter().any(|digit| Some(digit) != rest.first())
        && match second {
            3 | 8 => true,
            4 => !matches!(third, 2 | 3),
            5 | 9 => *third != 4,
            6 => matches!(third, 2 | 5 | 6 | 7),
            7 => *third != 9,
            _ => false,
        }
}

/// Returns the length of the area code that the digits begin with, if it is one.
pub(super) fn area_code(digits: &[u8]) -> Option<usize> {
    match number(digits, 0, 3) {
        10 | 20..=25 | 27..=29 if digits.first() == Some(&0) => return Some(3),
        _ => {}
    }
    let four = number(digits, 0, 4);
    let known = matches!(four,
        310..=319 | 335 | 349..=359 | 370..=379 | 391..=398 | 410..=419 | 421 | 427 | 429 | 431..=439
        | 451..=459 | 464 | 467..=479 | 482 | 483 | 510..=519 | 523 | 527 | 530..=539 | 543 | 546
        | 550..=566 | 570..=580 | 591..=599 | 631..=635 | 660 | 662 | 663 | 668 | 691 | 692 | 701
        | 710..=719 | 722 | 724 | 728 | 730..=739 | 743..=746 | 750..=763 | 766 | 768..=779
        | 790..=799 | 812..=818 | 825..=827 | 830..=839 | 851..=859 | 870..=888 | 891..=898
        | 901..=909 | 910..=919 | 930..=943 | 951..=955 | 970..=979 | 990..=999);
    (digits.len() >= 4 && digits.first() == Some(&0) && known).then_some(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn published_numbers_pass() {
        for card in ["4111111111111111", "5555555555554444", "6011111111111117", "3530111333300000"] {
            assert!(luhn(&digits(card)) && issuer(&digits(card)) == Issuer::Somebody, "{card}");
        }
        // The example of GB 11643 itself.
        assert!(resident_id(&digits("11010519491231002"), 10));
        assert!(!resident_id(&digits("11010519491231002"), 1));
        assert!(!resident_id(&digits("11010519491331002"), 10));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (year, month, day, expect) in [
            (1900, 2, 29, false),
            (2000, 2, 29, true),
            (2001, 2, 29, false),
            (1999, 4, 31, false),
            (1999, 12, 31, true),
            (1899, 1, 1, false),
            (1999, 13, 1, false),
            (1999, 1, 0, false),
        ] {
            assert_eq!(is_date(year, month, day), expect, "{year}-{month}-{day}");
        }
    }

    #[test]
    fn area_codes_are_known_ones() {
        for (text, expect) in [
            ("010", Some(3)),
            ("0571", Some(4)),
            ("026", None),
            ("0100", Some(3)),
            ("0300", None),
            ("10", None),
        ] {
            assert_eq!(area_code(&digits(text)), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn luhn_is_what_its_definition_says(number in prop::collection::vec(0_u8..10, 1..20)) {
            let mut sum = 0;
            let mut double = false;
            for digit in number.iter().rev() {
                let value = if double { digit * 2 } else { *digit };
                sum += u32::from(value / 10 + value % 10);
                double = !double;
            }
            prop_assert_eq!(luhn(&number), sum % 10 == 0);
            // Exactly one last digit completes any number.
            let completed = (0..10).filter(|last| luhn(&[number.as_slice(), &[*last]].concat())).count();
            prop_assert_eq!(completed, 1);
        }

        #[test]
        fn a_resident_id_has_one_check_character(
            year in 1900_u32..2100, month in 1_u32..13, day in 1_u32..29, serial in 0_u32..1000,
        ) {
            let body = digits(&format!("330106{year:04}{month:02}{day:02}{serial:03}"));
            let checks: Vec<u8> = (0..11).filter(|check| resident_id(&body, *check)).collect();
            prop_assert_eq!(checks.len(), 1);
            // ISO 7064 MOD 11-2, the other way round: from the left, doubling.
            let rest = body.iter().fold(0, |rest, digit| (rest + u32::from(*digit)) * 2 % 11);
            prop_assert_eq!((rest + u32::from(checks[0])) % 11, 1);
        }
    }
}
