//! DNS messages: what a question asks, and the answers this engine gives itself (RFC 1035). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of the header.
const HEADER: usize = 12;
/// What a datagram holds unless the asker says more.
const PLAIN_SIZE: usize = 512;
/// Seconds for which an answer may be kept; Docker's value.
const TIME_TO_LIVE: u32 = 600;
const CLASS_INTERNET: u16 = 1;
const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;
const TYPE_ANY: u16 = 255;
/// Bytes of an EDNS record without options.
const EDNS: usize = 11;
/// What this server itself takes in one datagram.
pub(super) const OUR_SIZE: usize = 4096;
/// The bit of an EDNS record by which signatures are wanted; an answer repeats it (RFC 3225).
const DNSSEC_OK: u16 = 0x8000;
const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_TRUNCATED: u16 = 0x0200;
const FLAG_RECURSION_DESIRED: u16 = 0x0100;
const FLAG_RECURSION_AVAILABLE: u16 = 0x0080;
const OPERATION: u16 = 0x7800;

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Fine, perhaps without data.
    Fine = 0,
    /// The question cannot be read.
    Malformed = 1,
    /// Nobody could be asked.
    Failed = 2,
    /// Not a question.
    NotImplemented = 4,
    /// An edition of EDNS that nobody knows yet (RFC 6891); the upper bits are in the EDNS record.
    UnknownEdns = 16,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// IPv4 addresses of a name.
    Ipv4(String),
    /// IPv6 addresses of a name.
    Ipv6(String),
    /// The name of an address.
    Name(IpAddr),
    /// Everything about a name.
    Any(String),
    /// Something else about a name.
    Other(String),
}

/// One question, with what is needed to answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    id: u16,
    flags: u16,
    /// The question's section as it came.
    section: Vec<u8>,
    /// What the asker told about itself by EDNS (RFC 6891).
    edns: Option<Edns>,
    /// What is asked.
    pub wanted: Wanted,
}

/// An EDNS record of an asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edns {
    /// Bytes that a datagram to the asker may have.
    size: u16,
    version: u8,
    flags: u16,
}

/// Why a message is no question of ours: the answer to send, if it deserves one.
pub(super) type Refused = Option<Vec<u8>>;

impl Question {
    /// Reads a query.
    pub(super) fn parse(message: &[u8]) -> Result<Self, Refused> {
        let header = message.first_chunk::<HEADER>().ok_or(None)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (id, flags) = (word(0), word(2));
        if flags & FLAG_RESPONSE != 0 {
            return Err(None);
        }
        let refuse = |code| Some(head(id, flags, code, 0, 0).to_vec());
        if flags & OPERATION != 0 {
            return Err(refuse(Code::NotImplemented));
        }
        if word(4) != 1 {
            return Err(refuse(Code::Malformed));
        }
        let (name, end) = read_name(message, HEADER).ok_or_else(|| refuse(Code::Malformed))?;
        let rest = message.get(end..end + 4).ok_or_else(|| refuse(Code::Malformed))?;
        let (kind, class) = (u16::from_be_bytes([rest[0], rest[1]]), u16::from_be_bytes([rest[2], rest[3]]));
        let wanted = match kind {
            _ if class != CLASS_INTERNET => Wanted::Other(name),
            TYPE_A => Wanted::Ipv4(name),
            TYPE_AAAA => Wanted::Ipv6(name),
            TYPE_PTR => reverse(&name).map_or(Wanted::Other(name), Wanted::Name),
            TYPE_ANY => Wanted::Any(name),
            _ => Wanted::Other(name),
        };
        let before = usize::from(word(6)) + usize::from(word(8));
        let edns = read_edns(message, end + 4, before, usize::from(word(10))).map_err(|()| refuse(Code::Malformed))?;
        let question = Self { id, flags, section: message[HEADER..end + 4].to_vec(), edns, wanted };
        match edns {
            Some(edns) if edns.version > 0 => Err(Some(question.empty(Code::UnknownEdns))),
            _ => Ok(question),
        }
    }

    /// Whether it asks for addresses of that family.
    pub(super) fn takes(&self, address: IpAddr) -> bool {
        matches!(
            (address, &self.wanted),
            (_, Wanted::Any(_)) | (IpAddr::V4(_), Wanted::Ipv4(_)) | (IpAddr::V6(_), Wanted::Ipv6(_))
        )
    }

    /// Whether it asks for the address of one word, which a search domain may make a name of.
    pub(super) fn is_bare(&self) -> bool {
        matches!(&self.wanted, Wanted::Ipv4(name) | Wanted::Ipv6(name) if !name.trim_end_matches('.').contains('.'))
    }

    /// Bytes that a datagram to the asker may have.
    pub(super) fn size(&self) -> usize {
        self.edns.map_or(PLAIN_SIZE, |edns| usize::from(edns.size)).max(PLAIN_SIZE)
    }

    /// An answer with these addresses; those of the family that was not asked for are left out. `datagram` cuts it to
    /// what the asker can take, and says so.
    pub(super) fn addresses(&self, addresses: &[IpAddr], datagram: bool) -> Vec<u8> {
        let records = addresses.iter().filter(|address| self.takes(**address)).map(|address| match address {
            IpAddr::V4(address) => (TYPE_A, address.octets().to_vec()),
            IpAddr::V6(address) => (TYPE_AAAA, address.octets().to_vec()),
        });
        self.answer(&records.collect::<Vec<_>>(), datagram)
    }

    /// An answer with the name of an address.
    pub(super) fn name(&self, name: &str, datagram: bool) -> Vec<u8> {
        let mut data = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            let label = &label.as_bytes()[..label.len().min(63)];
            data.push(label.len() as u8);
            data.extend_from_slice(label);
        }
        data.push(0);
        self.answer(&[(TYPE_PTR, data)], datagram)
    }

    /// An answer without data.
    pub(super) fn empty(&self, code: Code) -> Vec<u8> {
        let mut message = head(self.id, self.flags, code, 1, 0).to_vec();
        message.extend_from_slice(&self.section);
        self.close(&mut message, code);
        message
    }

    /// Ends an answer: one who speaks EDNS hears it too.
    fn close(&self, message: &mut Vec<u8>, code: Code) {
        let Some(edns) = self.edns else { return };
        message[11] = 1;
        message.push(0);
        message.extend_from_slice(&TYPE_OPT.to_be_bytes());
        message.extend_from_slice(&(OUR_SIZE as u16).to_be_bytes());
        message.extend_from_slice(&[code as u8 >> 4, 0]);
        message.extend_from_slice(&(edns.flags & DNSSEC_OK).to_be_bytes());
        message.extend_from_slice(&[0, 0]);
    }

    fn answer(&self, records: &[(u16, Vec<u8>)], datagram: bool) -> Vec<u8> {
        let mut body = self.section.clone();
        let room = if datagram { self.size() } else { usize::from(u16::MAX) };
        let room = if self.edns.is_some() { room - EDNS } else { room };
        let mut count = 0_u16;
        for (kind, data) in records {
            if HEADER + body.len() + 12 + data.len() > room {
                break;
            }
            // The name is that of the question, which follows the header.
            body.extend_from_slice(&[0xc0, HEADER as u8]);
            body.extend_from_slice(&kind.to_be_bytes());
            body.extend_from_slice(&CLASS_INTERNET.to_be_bytes());
            body.extend_from_slice(&TIME_TO_LIVE.to_be_bytes());
            body.extend_from_slice(&(data.len() as u16).to_be_bytes());
            body.extend_from_slice(data);
            count += 1;
        }
        let mut header = head(self.id, self.flags, Code::Fine, 1, count);
        if usize::from(count) < records.len() {
            header[2] |= (FLAG_TRUNCATED >> 8) as u8;
        }
        let mut message = [&header[..], &body].concat();
        self.close(&mut message, Code::Fine);
        message
    }
}

/// Whether an answer belongs to a question: an answer at all, of the same number and about the same. One that says that
/// something is wrong need not repeat the question.
pub(super) fn answers(question: &[u8], answer: &[u8]) -> bool {
    let numbered = answer.len() >= HEADER && question.get(..2) == answer.get(..2) && answer[2] & 0x80 != 0;
    let silent = || answer[4..6] == [0, 0] && answer[3] & 0x0f != 0;
    let repeated = || match (section(question), section(answer)) {
        (Some(asked), Some(answered)) => asked.eq_ignore_ascii_case(answered),
        _ => false,
    };
    numbered && (silent() || repeated())
}

/// The first question of a message as it stands there.
fn section(message: &[u8]) -> Option<&[u8]> {
    let (_, end) = read_name(message, HEADER)?;
    message.get(HEADER..end + 4)
}

/// Whether another server may know better: this one failed or refused.
pub(super) fn gave_up(answer: &[u8]) -> bool {
    answer.get(3).is_some_and(|byte| matches!(byte & 0x0f, 2 | 5))
}

fn head(id: u16, flags: u16, code: Code, questions: u16, answers: u16) -> [u8; HEADER] {
    let flags = FLAG_RESPONSE
        | FLAG_RECURSION_AVAILABLE
        | (flags & (OPERATION | FLAG_RECURSION_DESIRED))
        | (code as u16 & 0x0f);
    let mut header = [0; HEADER];
    for (at, word) in [id, flags, questions, answers].into_iter().enumerate() {
        header[2 * at..2 * at + 2].copy_from_slice(&word.to_be_bytes());
    }
    header
}

/// A name without its last dot, and where it ends. Pointers only lead backwards, so that no loop is possible.
fn read_name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut at, mut end, mut name) = (start, None, String::new());
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = message.get(at + 1..at + 1 + length)?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.extend(label.iter().map(|&byte| char::from(byte)));
                at += 1 + length;
            }
            0xc0.. => {
                let target = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                end.get_or_insert(at + 2);
                if target >= at {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
        if name.len() > 255 {
            return None;
        }
    }
}

/// The asker's EDNS record, which is one of the `additional` records behind the question and `before` others.
fn read_edns(message: &[u8], mut at: usize, before: usize, additional: usize) -> Result<Option<Edns>, ()> {
    let mut found = None;
    for number in 0..before + additional {
        let (name, end) = read_name(message, at).ok_or(())?;
        let fixed = message.get(end..end + 10).ok_or(())?;
        let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        at = end + 10 + usize::from(word(8));
        if at > message.len() {
            return Err(());
        }
        if number >= before && word(0) == TYPE_OPT {
            // There may be one, and its name is the root (RFC 6891).
            if found.is_some() || !name.is_empty() {
                return Err(());
            }
            found = Some(Edns { size: word(2), version: fixed[5], flags: word(6) });
        }
    }
    Ok(found)
}

/// `4.3.2.1.in-addr.arpa`, or 32 nibbles before `ip6.arpa`.
fn reverse(name: &str) -> Option<IpAddr> {
    let name = name.to_ascii_lowercase();
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = labels.split('.').rev().map(|label| label.parse().ok()).collect::<Option<_>>()?;
        return Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into());
    }
    let labels = name.strip_suffix(".ip6.arpa")?;
    let nibbles: Vec<u32> =
        labels.split('.').map(|label| u32::from_str_radix(label, 16).ok()).collect::<Option<_>>()?;
    if nibbles.len() != 32 || nibbles.iter().any(|nibble| *nibble > 15) {
        return None;
    }
    Some(Ipv6Addr::from(nibbles.iter().rev().fold(0_u128, |bits, nibble| bits << 4 | u128::from(*nibble))).into())
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
