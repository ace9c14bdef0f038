//! The words of a page in both languages, and what each figure means: as docs/STATISTICS.md says it.

use super::Language;
use crate::statistics::definitions;

/// Says one thing in the page's language.
pub(super) fn say(language: Language, zh: &'static str, en: &'static str) -> &'static str {
    match language {
        Language::Zh => zh,
        Language::En => en,
    }
}

/// Returns the name and the meaning of a figure.
pub(super) fn figure(language: Language, field: &str) -> (&'static str, &'static str) {
    let found = definitions::all().find(|definition| definition.field == field);
    found.map_or(("", ""), |definition| {
        (
            say(language, definition.zh, definition.en),
            say(language, definition.meaning_zh, definition.meaning_en),
        )
    })
}

/// Monday to Sunday.
pub(super) fn weekdays(language: Language) -> [&'static str; 7] {
    match language {
        Language::Zh => ["一", "二", "三", "四", "五", "六", "日"],
        Language::En => ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    }
}

/// Writes seconds as people say them.
pub(super) fn lasting(language: Language, seconds: u32) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match (language, seconds) {
        (Language::Zh, 0..=59) => format!("{seconds} 秒"),
        (Language::Zh, 60..=3_599) => format!("{minutes} 分钟"),
        (Language::Zh, _) => format!("{hours} 小时 {} 分", minutes % 60),
        (Language::En, 0..=59) => format!("{seconds} s"),
        (Language::En, 60..=3_599) => format!("{minutes} min"),
        (Language::En, _) => format!("{hours} h {} min", minutes % 60),
    }
}
