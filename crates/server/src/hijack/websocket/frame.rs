//! Frames of RFC 6455, section 5.2: reading those of a client, writing ours.

/// Payload of a control frame, at most.
const CONTROL_MAX: u64 = 125;

/// What kind of frame it is; the numbers are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// Why a connection is closed (section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseCode {
    Normal = 1000,
    ProtocolError = 1002,
}

/// What came from the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A piece of a message: messages are a stream here, and their bounds mean nothing.
    Data(Vec<u8>),
    /// To be answered with the same bytes.
    Ping(Vec<u8>),
    /// The end.
    Close,
}

/// The client does not keep to the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation;

/// Takes a client's bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Of the frame that is to begin.
    head: Vec<u8>,
    frame: Option<Frame>,
    /// In the middle of a fragmented message.
    fragmented: bool,
}

#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    left: u64,
    mask: [u8; 4],
    at: usize,
    /// Payload of a control frame so far.
    control: Vec<u8>,
}

// === impl Opcode ===

impl Opcode {
    fn read(number: u8) -> Result<Self, Violation> {
        let all = [Self::Continuation, Self::Text, Self::Binary, Self::Close, Self::Ping, Self::Pong];
        all.into_iter().find(|opcode| *opcode as u8 == number).ok_or(Violation)
    }

    fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }
}

// === impl Decoder ===

impl Decoder {
    /// Reads on; the events are in order.
    ///
    /// # Errors
    /// [`Violation`], after which nothing more can be understood.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, Violation> {
        let mut events = Vec::new();
        loop {
            let Some(frame) = &mut self.frame else {
                let Some((&byte, rest)) = bytes.split_first() else { return Ok(events) };
                self.head.push(byte);
                bytes = rest;
                self.begin()?;
                // A frame without payload is complete with its head.
                if self.frame.as_ref().is_some_and(|frame| frame.left == 0) {
                    events.extend(self.end());
                }
                continue;
            };
            let count = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len());
            if count == 0 {
                return Ok(events);
            }
            let (masked, rest) = bytes.split_at(count);
            let plain = frame.unmask(masked);
            bytes = rest;
            if frame.opcode.is_control() {
                frame.control.extend_from_slice(&plain);
            } else {
                events.push(Event::Data(plain));
            }
            if frame.left == 0 {
                events.extend(self.end());
            }
        }
    }

    /// Begins a frame when its head is complete.
    fn begin(&mut self) -> Result<(), Violation> {
        let [first, second, ..] = self.head[..] else { return Ok(()) };
        let extension = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        // Clients mask everything, and extensions were not agreed on.
        if second & 0x80 == 0 || first & 0x70 != 0 {
            return Err(Violation);
        }
        if self.head.len() < 2 + extension + 4 {
            return Ok(());
        }
        let opcode = Opcode::read(first & 0x0f)?;
        let (length, mask) = self.head[2..].split_at(extension);
        let left = match extension {
            0 => u64::from(second & 0x7f),
            _ => length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let last = first & 0x80 != 0;
        if opcode.is_control() {
            if !last || left > CONTROL_MAX {
                return Err(Violation);
            }
        } else {
            if (opcode == Opcode::Continuation) != self.fragmented || left > i64::MAX.cast_unsigned() {
                return Err(Violation);
            }
            self.fragmented = !last;
        }
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        self.head.clear();
        self.frame = Some(Frame { opcode, left, mask, at: 0, control: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Option<Event> {
        let frame = self.frame.take()?;
        match frame.opcode {
            Opcode::Ping => Some(Event::Ping(frame.control)),
            Opcode::Close => Some(Event::Close),
            _ => None,
        }
    }
}

impl Frame {
    fn unmask(&mut self, masked: &[u8]) -> Vec<u8> {
        let start = self.at;
        self.at = (start + masked.len()) % 4;
        self.left -= masked.len() as u64;
        masked.iter().enumerate().map(|(index, byte)| byte ^ self.mask[(start + index) % 4]).collect()
    }
}

/// One whole frame of ours; servers do not mask.
pub(super) fn encode(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(0x80 | opcode as u8);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..126), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A close frame.
pub(super) fn close(code: CloseCode) -> Vec<u8> {
    encode(Opcode::Close, &(code as u16).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = encode(Opcode::Binary, payload);
        frame[0] = first;
        frame[1] |= 0x80;
        let at = frame.len() - payload.len();
        frame.splice(at..at, mask);
        for (index, byte) in frame[at + 4..].iter_mut().enumerate() {
            *byte ^= mask[index % 4];
        }
        frame
    }

    fn joined(events: Vec<Event>) -> Vec<Event> {
        let mut all: Vec<Event> = Vec::new();
        for event in events {
            match (all.last_mut(), event) {
                (Some(Event::Data(before)), Event::Data(more)) => before.extend(more),
                (_, event) => all.push(event),
            }
        }
        all
    }

    #[test]
    fn frames_are_read_in_any_pieces() {
        let long = vec![b'x'; 70_000];
        let mut stream = masked(0x01, b"he");
        stream.extend(masked(0x89, b"ping"));
        stream.extend(masked(0x80, b"llo"));
        stream.extend(masked(0x82, &long));
        stream.extend(masked(0x82, b""));
        stream.extend(masked(0x8a, b"unasked"));
        stream.extend(masked(0x88, &[3, 232]));
        let expected = [
            Event::Data(b"he".to_vec()),
            Event::Ping(b"ping".to_vec()),
            Event::Data([b"llo".to_vec(), long].concat()),
            Event::Close,
        ];
        for piece in [1, 2, 3, 7, 1000, stream.len()] {
            let mut decoder = Decoder::default();
            let events = stream.chunks(piece).flat_map(|piece| decoder.feed(piece).expect("valid")).collect();
            assert_eq!(joined(events), expected, "{piece}");
        }
    }

    #[test]
    fn violations_are_found() {
        for bad in [
            encode(Opcode::Binary, b"not masked"),
            masked(0x80, b"continues nothing"),
            masked(0xc2, b"reserved bit"),
            masked(0x83, b"unknown opcode"),
            masked(0x09, b"fragmented ping"),
            masked(0x89, &[0; 126]),
            [masked(0x01, b"a"), masked(0x81, b"within a message")].concat(),
        ] {
            assert_eq!(Decoder::default().feed(&bad), Err(Violation), "{bad:?}");
        }
    }

    #[test]
    fn lengths_have_three_forms() {
        assert_eq!(encode(Opcode::Binary, b"ab"), [0x82, 2, b'a', b'b']);
        assert_eq!(encode(Opcode::Text, &[0; 126])[..4], [0x81, 126, 0, 126]);
        assert_eq!(encode(Opcode::Binary, &[0; 65536])[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(close(CloseCode::Normal), [0x88, 2, 3, 232]);
    }
}
