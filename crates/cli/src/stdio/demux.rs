//! Docker's frames: stream (1 byte), three zeros, length (4 bytes, big endian), payload.

use std::io;

use super::output::Stream;

/// Splits a framed stream that comes in pieces of any size.
#[derive(Debug, Default)]
pub struct Demux {
    header: [u8; 8],
    filled: usize,
    left: usize,
}

impl Demux {
    /// Takes the next piece and hands out payloads.
    ///
    /// # Errors
    /// What `write` fails with, or `InvalidData` for an unknown stream or the engine's own error frame.
    pub fn push(&mut self, mut bytes: &[u8], mut write: impl FnMut(Stream, &[u8]) -> io::Result<()>) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let taken = bytes.len().min(8 - self.filled);
                self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
                self.filled += taken;
                bytes = &bytes[taken..];
                if self.filled < 8 {
                    return Ok(());
                }
                let [_, _, _, _, a, b, c, d] = self.header;
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                if self.left == 0 {
                    self.filled = 0;
                }
                continue;
            }
            let (payload, rest) = bytes.split_at(bytes.len().min(self.left));
            match self.header[0] {
                0 | 1 => write(Stream::Out, payload)?,
                2 => write(Stream::Err, payload)?,
                3 => {
                    let text = format!("error from daemon in stream: {}", String::from_utf8_lossy(payload));
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                other => {
                    let text = format!("Unrecognized input header: {other}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
            }
            self.left -= payload.len();
            if self.left == 0 {
                self.filled = 0;
            }
            bytes = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_frames_cut_anywhere() {
        let whole = b"\x01\0\0\0\0\0\0\x03abc\x02\0\0\0\0\0\0\x02de\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01f";
        for size in 1..whole.len() {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut demux = Demux::default();
            for piece in whole.chunks(size) {
                let pushed = demux.push(piece, |stream, bytes| {
                    if stream == Stream::Out { &mut out } else { &mut err }.extend_from_slice(bytes);
                    Ok(())
                });
                assert!(pushed.is_ok());
            }
            assert_eq!((out.as_slice(), err.as_slice()), (&b"abcf"[..], &b"de"[..]), "{size}");
        }
        assert!(Demux::default().push(b"\x09\0\0\0\0\0\0\x01x", |_, _| Ok(())).is_err());
    }
}
