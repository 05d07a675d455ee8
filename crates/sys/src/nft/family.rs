//! The families of tables.

/// Which packets a table sees. Tables of one name in several families are different tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Both.
    Inet,
}

impl Family {
    /// `NFPROTO_*`.
    #[must_use]
    pub fn number(self) -> u8 {
        let number = match self {
            Self::Ipv4 => libc::NFPROTO_IPV4,
            Self::Ipv6 => libc::NFPROTO_IPV6,
            Self::Inet => libc::NFPROTO_INET,
        };
        number as u8
    }

    /// nft's word: `ip`, `ip6`, `inet`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ip6",
            Self::Inet => "inet",
        }
    }

    /// The family behind a number of the kernel; `None` for those that carry no IP packets of this machine.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Ipv4, Self::Ipv6, Self::Inet].into_iter().find(|family| family.number() == number)
    }
}
