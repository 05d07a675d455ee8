//! One check: a process in the container, its exit code, and the beginning of its output.

use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;
use types::ExecId;

use super::Check;
use crate::container::Container;
use crate::engine::Engine;
use crate::error::Error;
use crate::exec::ExecStart;
use crate::model::{CheckResult, ExecConfig};

/// Bytes of output that are kept.
const OUTPUT: usize = 4096;
/// How long a killed check may take to be reaped.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the check to its end, or to the end of its time.
pub(super) async fn run(engine: &std::sync::Arc<Engine>, container: &Container, check: &Check) -> CheckResult {
    let start = Timestamp::now();
    let config =
        ExecConfig { cmd: check.command.clone(), attach_stdout: true, attach_stderr: true, ..ExecConfig::default() };
    let done = |exit_code, output| CheckResult { start, end: Timestamp::now(), exit_code, output };
    let failed = |error: Error| done(-1, crate::error::chain(&error));
    let id = match engine.exec_create(container.spec.id.as_str(), config) {
        Ok(id) => id,
        Err(error) => return failed(error),
    };
    let mut output = Output::default();
    let ended = timeout(check.settings.limit(), execute(engine, &id, &mut output)).await;
    let result = match ended {
        Ok(Ok(code)) => done(i64::from(code), output.text()),
        Ok(Err(error)) => failed(error),
        Err(_) => {
            let limit = types::format_go_duration(check.settings.limit());
            let colon = if output.bytes.is_empty() { "" } else { ": " };
            let result = done(-1, format!("Health check exceeded timeout ({limit}){colon}{}", output.text()));
            engine.kill_exec(&id);
            // So that the next check does not find it still there.
            let _ = timeout(PATIENCE, engine.exec_ended(&id)).await;
            result
        }
    };
    engine.execs.forget_one(&id);
    result
}

/// The exit code, once the process has ended and its output was read.
async fn execute(engine: &std::sync::Arc<Engine>, id: &ExecId, output: &mut Output) -> Result<i32, Error> {
    let options = ExecStart::default();
    if let Some(stream) = engine.exec_start(id.as_str(), options).await? {
        output.read(stream.io).await;
    }
    engine.exec_ended(id).await;
    Ok(engine.exec_inspect(id.as_str())?.exit_code.unwrap_or(-1))
}

/// The first bytes of both streams.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    cut: bool,
}

impl Output {
    /// Reads Docker's frames to the end of the stream.
    async fn read(&mut self, mut stream: UnixStream) {
        let mut header = [0; 8];
        while stream.read_exact(&mut header).await.is_ok() {
            let [_, _, _, _, length @ ..] = header;
            let mut frame = (&mut stream).take(u64::from(u32::from_be_bytes(length)));
            let mut piece = [0; 1024];
            while let Ok(count @ 1..) = frame.read(&mut piece).await {
                let room = OUTPUT - self.bytes.len();
                self.cut |= count > room;
                self.bytes.extend_from_slice(&piece[..count.min(room)]);
            }
        }
    }

    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.cut {
            text.push_str("...");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn output_is_cut_and_marked() {
        let (mut writer, reader) = UnixStream::pair().expect("pair");
        let writing = tokio::spawn(async move {
            for length in [5_u32, 5000] {
                let mut frame = vec![1, 0, 0, 0];
                frame.extend(length.to_be_bytes());
                frame.resize(8 + length as usize, b'x');
                writer.write_all(&frame).await.expect("written");
            }
        });
        let mut output = Output::default();
        output.read(reader).await;
        writing.await.expect("done");
        assert_eq!(output.text(), format!("{}...", "x".repeat(OUTPUT)));
    }
}
