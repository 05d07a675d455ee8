//! `POST /containers/{id}/exec`.

use api::ApiVersion;
use api::container::ExecCreateRequest;
use engine::model::ExecConfig;

use crate::failure::Failure;

/// Decodes an exec's configuration.
///
/// # Errors
/// 400 when there is no command, or the detach keys are malformed.
pub fn exec_config(wire: ExecCreateRequest, version: ApiVersion) -> Result<ExecConfig, Failure> {
    let cmd = wire.cmd.unwrap_or_default();
    if cmd.is_empty() {
        return Err(Failure::invalid("No exec command specified"));
    }
    crate::hijack::DetachKeys::parse(&wire.detach_keys)?;
    let side = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let console_size = wire.console_size.filter(|_| version >= ApiVersion(42));
    Ok(ExecConfig {
        cmd,
        user: wire.user,
        env: if version < ApiVersion(25) { Vec::new() } else { wire.env.unwrap_or_default() },
        working_dir: if version < ApiVersion(35) { String::new() } else { wire.working_dir },
        tty: wire.tty,
        privileged: wire.privileged,
        attach_stdin: wire.attach_stdin,
        attach_stdout: wire.attach_stdout,
        attach_stderr: wire.attach_stderr,
        detach_keys: wire.detach_keys,
        console_size: console_size.map(|(rows, columns)| (side(rows), side(columns))),
    })
}
