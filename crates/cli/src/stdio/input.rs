//! Reading our stdin on a thread of its own: a terminal read cannot be cancelled.

use tokio::sync::mpsc;

use super::detach::{Detector, Typed};

/// What was read.
#[derive(Debug)]
pub enum Input {
    /// For the container.
    Bytes(Vec<u8>),
    /// The detach keys.
    Detach,
}

const PIECE: usize = 32 * 1024;

/// Starts reading. The channel closes at the end of input.
#[must_use]
pub fn start(mut detector: Option<Detector>) -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let read = match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) | Ok(0) => break,
                Ok(read) => read,
            };
            let input = match &mut detector {
                None => Input::Bytes(buffer[..read].to_vec()),
                Some(detector) => match detector.push(&buffer[..read]) {
                    Typed::Pass(bytes) => Input::Bytes(bytes),
                    Typed::Detach => Input::Detach,
                },
            };
            let detached = matches!(input, Input::Detach);
            if sender.blocking_send(input).is_err() || detached {
                return;
            }
        }
        let held = detector.as_mut().map(Detector::finish).unwrap_or_default();
        if !held.is_empty() {
            let _ = sender.blocking_send(Input::Bytes(held));
        }
    });
    receiver
}
