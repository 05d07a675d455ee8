//! `system dial-stdio`: the far end of `ssh://`. Our input and output become a connection to the engine.

use std::io::{self, Write as _};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;
use crate::stdio::input::{self, Input};

/// `system dial-stdio`.
pub static COMMAND: Command = Command {
    paths: &["system dial-stdio"],
    usage: "",
    about: "Proxy the stdio stream to the daemon connection. Should not be invoked manually.",
    flags: &[],
    interspersed: true,
    args: Args::None,
    run,
};

const BUFFER: usize = 32 * 1024;

fn run(context: &Context, _: &Matches) -> Result<(), Failure> {
    let client = context.client()?;
    context.wait(async {
        let connection = client.dial().await?;
        let (mut reader, mut writer) = tokio::io::split(connection);
        let failed = |what: &str| {
            let what = what.to_owned();
            move |source| Failure::Io { what, source }
        };
        // The other side ends its half of the connection; ours goes on until the engine ends it.
        let input = async {
            let mut typed = input::start(None);
            while let Some(Input::Bytes(bytes)) = typed.recv().await {
                if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
            }
            let _ = writer.shutdown().await;
            std::future::pending::<()>().await;
        };
        let output = async {
            let (sender, writer) = to_stdout();
            let mut buffer = vec![0; BUFFER];
            loop {
                let count = reader.read(&mut buffer).await.map_err(failed("read from the daemon"))?;
                // A writer that ended has met an error, which it brings back.
                if count == 0 || sender.send(buffer[..count].to_vec()).await.is_err() {
                    drop(sender);
                    let written = writer.join().unwrap_or(Ok(()));
                    return written.map_err(failed("write"));
                }
            }
        };
        tokio::select! {
            result = output => result,
            () = input => Ok(()),
        }
    })
}

/// Writes to our output on a thread of its own: a reader that takes its time must not keep the input waiting.
fn to_stdout() -> (mpsc::Sender<Vec<u8>>, JoinHandle<io::Result<()>>) {
    let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(8);
    let writer = std::thread::spawn(move || {
        let mut out = io::stdout().lock();
        while let Some(piece) = pieces.blocking_recv() {
            out.write_all(&piece)?;
            out.flush()?;
        }
        Ok(())
    });
    (sender, writer)
}
