//! Access tokens: one per app until it expires, voided early on demand, and the ban for guessing secrets.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;

use super::clock::millis;
use super::errcode;
use super::request::Refusal;

/// Length of a token, about that of real ones.
const TOKEN_CHARS: usize = 214;
/// Dead tokens are remembered, so that an expired one is told from an unknown one; past this number all are forgotten.
const DEAD_MAX: usize = 10_000;
const HOUR_MS: u64 = 3_600_000;

#[derive(Debug, Clone)]
struct Token {
    app: usize,
    expires_ms: u64,
    is_void: bool,
}

/// All tokens of the corp.
#[derive(Debug)]
pub struct Tokens {
    life_ms: u64,
    given: HashMap<String, Token>,
    current: HashMap<usize, String>,
    /// Moments of wrong secrets, and the end of the ban, by address.
    guesses: HashMap<IpAddr, (Vec<u64>, u64)>,
    guesses_max: usize,
}

impl Tokens {
    pub(crate) fn new(life: Duration, wrong_secrets_max: u32) -> Self {
        Self {
            life_ms: millis(life),
            given: HashMap::new(),
            current: HashMap::new(),
            guesses: HashMap::new(),
            guesses_max: usize::try_from(wrong_secrets_max).unwrap_or(usize::MAX),
        }
    }

    /// Changes how long tokens live that are given out from now on.
    pub fn set_life(&mut self, life: Duration) {
        self.life_ms = millis(life);
    }

    /// The app's token and the whole seconds it has left: the same one until it expires or is voided.
    pub(crate) fn give(&mut self, app: usize, now_ms: u64, rng: &mut StdRng) -> (String, u64) {
        if let Some(text) = self.current.get(&app)
            && let Some(token) = self.given.get(text)
            && !token.is_void
            && now_ms < token.expires_ms
        {
            return (text.clone(), (token.expires_ms - now_ms) / 1_000);
        }
        if self.given.len() >= DEAD_MAX {
            self.given.clear();
        }
        let text: String = (0..TOKEN_CHARS)
            .map(|_| match rng.random_range(0..64_u8) {
                n @ 0..26 => char::from(b'A' + n),
                n @ 26..52 => char::from(b'a' + n - 26),
                n @ 52..62 => char::from(b'0' + n - 52),
                62 => '-',
                _ => '_',
            })
            .collect();
        self.given.insert(text.clone(), Token { app, expires_ms: now_ms + self.life_ms, is_void: false });
        self.current.insert(app, text.clone());
        (text, self.life_ms / 1_000)
    }

    /// The app a token belongs to.
    ///
    /// # Errors
    /// 40014 for unknown and voided ones, 42001 for expired ones.
    pub(crate) fn app(&self, token: &str, now_ms: u64) -> Result<usize, Refusal> {
        match self.given.get(token) {
            Some(token) if token.is_void => Err(Refusal::code(errcode::BAD_TOKEN)),
            Some(token) if now_ms >= token.expires_ms => Err(Refusal::code(errcode::TOKEN_EXPIRED)),
            Some(token) => Ok(token.app),
            None => Err(Refusal::code(errcode::BAD_TOKEN)),
        }
    }

    /// The platform voids an app's token before its time: 40014 from now on.
    pub fn void(&mut self, app: usize) {
        self.end(app, |token| token.is_void = true);
    }

    /// An app's token expires before its time: 42001 from now on.
    pub fn expire(&mut self, app: usize) {
        self.end(app, |token| token.expires_ms = 0);
    }

    fn end(&mut self, app: usize, how: impl FnOnce(&mut Token)) {
        if let Some(token) = self.current.get(&app).and_then(|text| self.given.get_mut(text)) {
            how(token);
        }
    }

    /// Counts a wrong secret; enough of them within an hour ban the address for an hour.
    pub(crate) fn guessed(&mut self, ip: IpAddr, now_ms: u64) {
        let (moments, banned_until_ms) = self.guesses.entry(ip).or_default();
        moments.retain(|&at| now_ms - at.min(now_ms) < HOUR_MS);
        moments.push(now_ms);
        if moments.len() >= self.guesses_max {
            *banned_until_ms = now_ms + HOUR_MS;
            moments.clear();
        }
    }

    pub(crate) fn is_banned(&self, ip: IpAddr, now_ms: u64) -> bool {
        self.guesses.get(&ip).is_some_and(|(_, until_ms)| now_ms < *until_ms)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn codes(tokens: &Tokens, token: &str, now_ms: u64) -> i64 {
        tokens.app(token, now_ms).map_or_else(|refusal| refusal.errcode, |_| 0)
    }

    #[test]
    fn a_token_lives_until_it_expires_or_is_voided() {
        let mut tokens = Tokens::new(Duration::from_hours(2), 5);
        let mut rng = StdRng::seed_from_u64(1);
        let (first, life_s) = tokens.give(0, 0, &mut rng);
        assert_eq!(life_s, 7_200);
        assert_eq!(tokens.give(0, 7_199_000, &mut rng), (first.clone(), 1));
        assert_eq!((codes(&tokens, &first, 7_199_999), codes(&tokens, &first, 7_200_000)), (0, 42_001));
        let (second, _) = tokens.give(0, 7_200_000, &mut rng);
        assert_ne!(first, second);
        assert_eq!(codes(&tokens, &first, 7_200_000), 42_001);
        tokens.void(0);
        assert_eq!(codes(&tokens, &second, 7_200_001), 40_014);
        let (third, _) = tokens.give(0, 7_200_002, &mut rng);
        tokens.expire(0);
        assert_eq!(codes(&tokens, &third, 7_200_003), 42_001);
        assert_eq!(codes(&tokens, "made up", 0), 40_014);
    }

    #[test]
    fn wrong_secrets_ban_the_address_for_an_hour() {
        let mut tokens = Tokens::new(Duration::from_hours(2), 3);
        let (here, there): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        tokens.guessed(here, 0);
        tokens.guessed(here, HOUR_MS);
        tokens.guessed(here, HOUR_MS + 1);
        assert!(!tokens.is_banned(here, HOUR_MS + 1), "the first is more than an hour old");
        tokens.guessed(here, HOUR_MS + 2);
        assert!(tokens.is_banned(here, 2 * HOUR_MS + 1));
        assert!(!tokens.is_banned(there, HOUR_MS + 2));
        assert!(!tokens.is_banned(here, 2 * HOUR_MS + 2));
    }
}
