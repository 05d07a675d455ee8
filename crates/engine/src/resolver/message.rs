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
    /// Bytes that a datagram to the asker may have.
    size: usize,
    /// What is asked.
    pub wanted: Wanted,
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
            _ => Wanted::Other(name),
        };
        let size = advertised_size(message, end + 4, word(10)).unwrap_or(PLAIN_SIZE).max(PLAIN_SIZE);
        Ok(Self { id, flags, section: message[HEADER..end + 4].to_vec(), size, wanted })
    }

    /// Whether it asks for addresses of that family.
    pub(super) fn takes(&self, address: IpAddr) -> bool {
        matches!((address, &self.wanted), (IpAddr::V4(_), Wanted::Ipv4(_)) | (IpAddr::V6(_), Wanted::Ipv6(_)))
    }

    /// An answer with these addresses; those of the family that was not asked for are left out. `datagram` cuts it to
    /// what the asker can take, and says so.
    pub(super) fn addresses(&self, addresses: &[IpAddr], datagram: bool) -> Vec<u8> {
        let records = addresses.iter().filter_map(|address| match (address, &self.wanted) {
            (IpAddr::V4(address), Wanted::Ipv4(_)) => Some((TYPE_A, address.octets().to_vec())),
            (IpAddr::V6(address), Wanted::Ipv6(_)) => Some((TYPE_AAAA, address.octets().to_vec())),
            _ => None,
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
        message
    }

    fn answer(&self, records: &[(u16, Vec<u8>)], datagram: bool) -> Vec<u8> {
        let mut body = self.section.clone();
        let room = if datagram { self.size } else { usize::from(u16::MAX) };
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
        [&header[..], &body].concat()
    }
}

/// Whether an answer belongs to a question: the same number, and an answer at all.
pub(super) fn answers(question: &[u8], answer: &[u8]) -> bool {
    answer.len() >= HEADER && question.get(..2) == answer.get(..2) && answer[2] & 0x80 != 0
}

/// Whether another server may know better: this one failed or refused.
pub(super) fn gave_up(answer: &[u8]) -> bool {
    answer.get(3).is_some_and(|byte| matches!(byte & 0x0f, 2 | 5))
}

fn head(id: u16, flags: u16, code: Code, questions: u16, answers: u16) -> [u8; HEADER] {
    let flags = FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | (flags & (OPERATION | FLAG_RECURSION_DESIRED)) | code as u16;
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

/// The size that the asker's EDNS record tells: behind the question comes that record alone.
fn advertised_size(message: &[u8], at: usize, additional: u16) -> Option<usize> {
    let record = message.get(at..at + 5).filter(|_| additional > 0)?;
    let kind = u16::from_be_bytes([record[1], record[2]]);
    (record[0] == 0 && kind == TYPE_OPT).then(|| usize::from(u16::from_be_bytes([record[3], record[4]])))
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
mod tests {
    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend_from_slice(label.as_bytes());
        }
        message.push(0);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message
    }

    #[test]
    fn questions_are_read() {
        let wanted = |name: &str, kind: u16| Question::parse(&query(name, kind)).map(|question| question.wanted);
        assert_eq!(wanted("db.net", 1), Ok(Wanted::Ipv4("db.net".to_owned())));
        assert_eq!(wanted("db", 28), Ok(Wanted::Ipv6("db".to_owned())));
        assert_eq!(wanted("db", 15), Ok(Wanted::Other("db".to_owned())));
        assert_eq!(wanted("2.0.18.172.in-addr.arpa", 12), Ok(Wanted::Name([172, 18, 0, 2].into())));
        let six = format!("1.{}.0.0.d.f.ip6.arpa", ["0"; 27].join("."));
        assert_eq!(wanted(&six, 12), Ok(Wanted::Name("fd00::1".parse().expect("address"))));
        assert_eq!(wanted("x.in-addr.arpa", 12), Ok(Wanted::Other("x.in-addr.arpa".to_owned())));
    }

    #[test]
    fn broken_messages_do_no_harm() {
        assert_eq!(Question::parse(b"short"), Err(None));
        let mut answer = query("db", 1);
        answer[2] = 0x80;
        assert_eq!(Question::parse(&answer), Err(None));
        let whole = query("db", 1);
        for end in HEADER..whole.len() {
            assert!(matches!(Question::parse(&whole[..end]), Err(Some(refusal)) if refusal[3] & 15 == 1), "{end}");
        }
        // A name that points at itself.
        let mut looped = whole[..HEADER].to_vec();
        looped.extend_from_slice(&[0xc0, HEADER as u8, 0, 1, 0, 1]);
        assert!(matches!(Question::parse(&looped), Err(Some(_))));
    }

    #[test]
    fn answers_carry_the_question_and_the_records() {
        let question = Question::parse(&query("db", 1)).expect("a question");
        let answer = question.addresses(&[[10, 0, 0, 2].into(), "fd00::1".parse().expect("address")], true);
        assert_eq!(answer[..12], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[answer.len() - 16..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 2]);
        assert!(answers(&query("db", 1), &answer) && !gave_up(&answer));
        assert!(gave_up(&question.empty(Code::Failed)));
        let nothing = Question::parse(&query("db", 28)).expect("a question").addresses(&[[10, 0, 0, 2].into()], true);
        assert_eq!(nothing[3] & 15, 0);
        assert_eq!(nothing[6..8], [0, 0]);
    }

    #[test]
    fn a_long_answer_is_cut_for_a_datagram_only() {
        let many: Vec<IpAddr> = (0..100).map(|n| [10, 0, 0, n].into()).collect();
        let question = Question::parse(&query("db", 1)).expect("a question");
        let cut = question.addresses(&many, true);
        assert!(cut.len() <= 512 && cut[2] & 2 != 0);
        let whole = question.addresses(&many, false);
        assert!(whole[7] == 100 && whole[2] & 2 == 0);
    }
}
