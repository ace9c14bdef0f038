//! Where a request of ours may go: which URLs, and which addresses a name may stand for.
//!
//! An operator who may enter a URL must not be able to reach what only this machine can reach: the loopback, the private
//! network, a cloud's metadata service. Names are therefore judged by the address they resolve to, at the moment of
//! connecting, and the judged address is the one connected to: a name that changes its mind in between gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

/// Why a text is no URL we send to.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UrlError {
    /// Not an absolute URL.
    #[error("is not a URL like `https://example.com/hook`")]
    Form,
    /// Neither `http` nor `https`.
    #[error("has a scheme other than `https` or `http`")]
    Scheme,
    /// A name or password before the host: it would be shown wherever the URL is.
    #[error("has a name or password in it; use a header or the signature instead")]
    UserInfo,
    /// Something after `#`, which is never sent.
    #[error("has a `#` part, which is never sent")]
    Fragment,
}

/// An address we do not connect to.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{address} is {why}; add its range to `connectors.allow_private` if it is meant")]
pub struct RefusedAddress {
    /// The address.
    pub address: IpAddr,
    /// What it is.
    pub why: &'static str,
}

/// Reads a URL that requests may be sent to.
///
/// # Errors
/// See [`UrlError`].
pub fn parse_url(text: &str) -> Result<Uri, UrlError> {
    if text.contains('#') {
        return Err(UrlError::Fragment);
    }
    let uri: Uri = text.parse().map_err(|_| UrlError::Form)?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) => return Err(UrlError::Scheme),
        None => return Err(UrlError::Form),
    }
    let authority = uri.authority().ok_or(UrlError::Form)?;
    if authority.as_str().contains('@') {
        return Err(UrlError::UserInfo);
    }
    if authority.host().is_empty() || authority.port().is_some_and(|port| port.as_u16() == 0) {
        return Err(UrlError::Form);
    }
    Ok(uri)
}

/// Which addresses may be connected to: every public one, and what is allowed by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRules {
    allow_private: Vec<IpNet>,
}

impl AddressRules {
    /// Opens `allow_private` beside all public addresses.
    pub fn new(allow_private: Vec<IpNet>) -> Self {
        Self { allow_private }
    }

    /// Judges one address.
    ///
    /// # Errors
    /// Says what the address is.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        let address = address.to_canonical(); // `::ffff:127.0.0.1` is 127.0.0.1
        if self.allow_private.iter().any(|range| range.contains(&address)) {
            return Ok(());
        }
        let why = match address {
            IpAddr::V4(v4) => refused_v4(v4),
            IpAddr::V6(v6) => refused_v6(v6),
        };
        why.map_or(Ok(()), |why| Err(RefusedAddress { address, why }))
    }
}

/// IPv4 ranges that are not the public internet: IANA's special-purpose registry, and one more.
const REFUSED_V4: [(Ipv4Net, &str); 17] = [
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared (carrier NAT)"), // has Alibaba Cloud's metadata, 100.100.100.200
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "a metadata service"), // Azure's, in the middle of public space
    (v4(169, 254, 0, 0, 16), "link-local"),           // has most clouds' metadata, 169.254.169.254
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"), // has Oracle Cloud's metadata, 192.0.0.192
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 31, 196, 0, 24), "reserved"),
    (v4(192, 88, 99, 0, 24), "reserved"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved or broadcast"),
];

/// IPv6 ranges inside `2000::/3` that are not the public internet. Outside it nothing is.
const REFUSED_V6: [(Ipv6Net, &str); 4] = [
    (v6([0x2001, 0], 23), "reserved or a tunnel (Teredo)"),
    (v6([0x2001, 0xdb8], 32), "for documentation"),
    (v6([0x2002, 0], 16), "a tunnel (6to4)"),
    (v6([0x3fff, 0], 20), "for documentation"),
];

/// What names the public internet in IPv6.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0], 3);
/// NAT64: the last four bytes are an IPv4 address, which is judged instead.
const NAT64: Ipv6Net = v6([0x64, 0xff9b], 96);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(start: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(start[0], start[1], 0, 0, 0, 0, 0, 0), prefix)
}

fn refused_v4(address: Ipv4Addr) -> Option<&'static str> {
    REFUSED_V4.iter().find(|(range, _)| range.contains(&address)).map(|(_, why)| *why)
}

fn refused_v6(address: Ipv6Addr) -> Option<&'static str> {
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        return refused_v4(Ipv4Addr::new(a, b, c, d));
    }
    if !GLOBAL_V6.contains(&address) {
        return Some(match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
            [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
            [first, ..] if first & 0xffc0 == 0xfe80 => "link-local",
            [first, ..] if first & 0xfe00 == 0xfc00 => "private",
            [first, ..] if first & 0xff00 == 0xff00 => "multicast",
            _ => "reserved",
        });
    }
    REFUSED_V6.iter().find(|(range, _)| range.contains(&address)).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, why: Option<&str>) {
        let got = AddressRules::default().check(address.parse().unwrap());
        assert_eq!(got.err().map(|refused| refused.why), why, "{address}");
    }

    #[test]
    fn only_public_addresses_pass() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "223.255.255.255",
            "168.63.129.15",
            "2400:3200::1",
            "2606:4700::1111",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            check(public, None);
        }
        for (address, why) in [
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("10.255.0.1", "private"),
            ("100.64.0.1", "shared (carrier NAT)"),
            ("100.100.100.200", "shared (carrier NAT)"),
            ("127.0.0.1", "loopback"),
            ("127.9.9.9", "loopback"),
            ("168.63.129.16", "a metadata service"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "reserved"),
            ("192.168.1.1", "private"),
            ("198.19.0.1", "for benchmarks"),
            ("203.0.113.9", "for documentation"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("255.255.255.255", "reserved or broadcast"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::127.0.0.1", "reserved"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "link-local"),
            ("64:ff9b::10.0.0.1", "private"),
            ("64:ff9b:1::1", "reserved"),
            ("100::1", "reserved"),
            ("2001::1", "reserved or a tunnel (Teredo)"),
            ("2001:db8::1", "for documentation"),
            ("2002:7f00:1::", "a tunnel (6to4)"),
            ("3fff::1", "for documentation"),
            ("fc00::1", "private"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("fec0::1", "reserved"),
            ("ff02::1", "multicast"),
        ] {
            check(address, Some(why));
        }
    }

    #[test]
    fn the_allow_list_opens_exactly_its_ranges() {
        let rules = AddressRules::new(vec!["10.1.0.0/16".parse().unwrap(), "fd00::/64".parse().unwrap()]);
        let check = |address: &str, is_open: bool| {
            assert_eq!(rules.check(address.parse().unwrap()).is_ok(), is_open, "{address}");
        };
        check("10.1.2.3", true);
        check("::ffff:10.1.2.3", true);
        check("10.2.0.1", false);
        check("127.0.0.1", false);
        check("fd00::7", true);
        check("fd00:0:0:1::7", false);
    }

    #[test]
    fn urls_are_plain_or_refused() {
        let check = |url: &str, error: Option<UrlError>| assert_eq!(parse_url(url).err(), error, "{url}");
        check("https://example.com/hook?a=b", None);
        check("http://192.0.2.1:8080/", None);
        check("http://[::1]:8080/", None);
        check("https://example.com", None);
        check("ftp://example.com/", Some(UrlError::Scheme));
        check("file:///etc/passwd", Some(UrlError::Form));
        check("//example.com/", Some(UrlError::Form));
        check("/hook", Some(UrlError::Form));
        check("example.com", Some(UrlError::Form));
        check("", Some(UrlError::Form));
        check("https://", Some(UrlError::Form));
        check("https://example.com:0/", Some(UrlError::Form));
        check("https://user@example.com/", Some(UrlError::UserInfo));
        check("https://user:pass@example.com/", Some(UrlError::UserInfo));
        check("https://example.com/#top", Some(UrlError::Fragment));
        check("https://例子.中国/", Some(UrlError::Form));
    }
}
