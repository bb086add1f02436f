//! Where webhooks may go. A tenant names the address and the server connects to it from inside its
//! own network, so only public addresses are allowed: by the name that is given, and again by what
//! it resolves to at the moment of connecting.

use hyper::Uri;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Host;

/// Whether addresses that are not public, and connections without TLS, are allowed: for those who
/// run the receiving programs beside the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    #[default]
    PublicOnly,
    PrivateToo,
}

/// The URL is not one that webhooks are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("expected an absolute URL, such as https://example.com/hooks")]
    Malformed,
    #[error("expected an address that begins with https://")]
    NotHttps,
    #[error("expected a URL without user and password")]
    Credentials,
    #[error("expected a public address")]
    NotPublic,
}

impl Reach {
    /// A URL that a tenant gives.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, url: &str) -> Result<Uri, BadUrl> {
        let uri: Uri = url.parse().map_err(|_| BadUrl::Malformed)?;
        let (Some(scheme), Some(authority), Some(host)) =
            (uri.scheme_str(), uri.authority(), uri.host())
        else {
            return Err(BadUrl::Malformed);
        };
        if authority.as_str().contains('@') {
            return Err(BadUrl::Credentials);
        }
        match scheme {
            "https" => {}
            "http" if self == Self::PrivateToo => {}
            _ => return Err(BadUrl::NotHttps),
        }
        if host.is_empty() {
            return Err(BadUrl::Malformed);
        }
        match is_of_nobody(host, self)? {
            true => Err(BadUrl::NotPublic),
            false => Ok(uri),
        }
    }

    /// An address to connect to.
    pub fn allows(self, address: IpAddr) -> bool {
        self == Self::PrivateToo || is_public(address)
    }
}

/// Is it an address that may not be connected to, however it is written (`2130706433`, `0x7f.1`),
/// or a name that only this machine or nobody has? What another name resolves to is looked at when
/// something is sent.
fn is_of_nobody(host: &str, reach: Reach) -> Result<bool, BadUrl> {
    const NAMES: [&str; 3] = ["localhost", "invalid", "local"];
    Ok(match Host::parse(host).map_err(|_| BadUrl::Malformed)? {
        Host::Ipv4(address) => !reach.allows(address.into()),
        Host::Ipv6(address) => !reach.allows(address.into()),
        Host::Domain(name) => {
            let last = name
                .trim_end_matches('.')
                .rsplit('.')
                .next()
                .unwrap_or_default();
            reach == Reach::PublicOnly && NAMES.contains(&last)
        }
    })
}

/// Reachable by everybody: not private, shared, of this host or this link, reserved, or for
/// documentation (IANA's special-purpose registries). The metadata services of clouds are among the
/// links' addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || matches!(
            (a, b, c),
            (0 | 240..=255, ..)
                | (100, 64..=127, _)
                | (192, 0, 0)
                | (192, 88, 99)
                | (198, 18..=19, _)
        );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    if let Some(inner) = embedded_v4(address) {
        return is_public_v4(inner);
    }
    // Only 2000::/3 is given out; within it Teredo, ORCHID and documentation are not.
    let special = matches!((a, b), (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff));
    (0x2000..=0x3fff).contains(&a) && !special
}

/// The IPv4 address that packets for this one end up at: mapped, NAT64, 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let of = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => of(g, h),
        (0x2002, ..) => of(b, c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_public_places_over_tls() {
        for (url, want) in [
            ("https://hooks.example.com/in?x=1", Ok(())),
            ("https://93.184.216.34:8443/", Ok(())),
            ("http://hooks.example.com/", Err(BadUrl::NotHttps)),
            ("ftp://hooks.example.com/", Err(BadUrl::NotHttps)),
            (
                "https://user:secret@hooks.example.com/",
                Err(BadUrl::Credentials),
            ),
            ("https://127.0.0.1/", Err(BadUrl::NotPublic)),
            (
                "https://169.254.169.254/latest/meta-data",
                Err(BadUrl::NotPublic),
            ),
            ("https://[::1]/", Err(BadUrl::NotPublic)),
            ("https://[::ffff:10.0.0.1]/", Err(BadUrl::NotPublic)),
            ("https://localhost/x", Err(BadUrl::NotPublic)),
            ("https://hooks.LOCALHOST./x", Err(BadUrl::NotPublic)),
            ("https://2130706433/", Err(BadUrl::NotPublic)),
            ("https://0x7f.1/", Err(BadUrl::NotPublic)),
            ("https://nx.invalid/", Err(BadUrl::NotPublic)),
            ("/in", Err(BadUrl::Malformed)),
            ("nonsense", Err(BadUrl::Malformed)),
            ("", Err(BadUrl::Malformed)),
        ] {
            assert_eq!(Reach::PublicOnly.check(url).map(drop), want, "{url}");
        }
        for url in [
            "http://127.0.0.1:9000/in",
            "https://10.1.2.3/",
            "http://localhost:9000/in",
        ] {
            assert!(Reach::PrivateToo.check(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_not_public_is_not_connected_to() {
        for private in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(
                !Reach::PublicOnly.allows(private.parse().unwrap()),
                "{private}"
            );
        }
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "100.63.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "2002:101:101::",
        ] {
            assert!(
                Reach::PublicOnly.allows(public.parse().unwrap()),
                "{public}"
            );
        }
    }
}
