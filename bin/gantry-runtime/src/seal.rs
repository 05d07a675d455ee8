//! Running from where a container cannot overwrite us (CVE-2019-5736).
//!
//! A container whose command is `/proc/self/exe`, or that watches a process of ours enter it, can get hold of our
//! program's file. So before anything of a container runs, the program executes itself again through a read-only
//! mount that nobody else has, or where the kernel has no such thing, from a sealed copy in memory.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use rustix::fs::{MemfdFlags, SealFlags, StatVfsMountFlags};
use sys::sealed_exe::SealedDirectory;

/// Returns when this program is safe from being overwritten, executing it once more if need be.
pub(crate) fn ensure() -> anyhow::Result<()> {
    let own = File::open("/proc/self/exe").context("open /proc/self/exe")?;
    if is_sealed(&own) {
        return Ok(());
    }
    // Kept open up to execve, which resolves the path first.
    let (path, _kept) = match SealedDirectory::of_current_exe() {
        Ok(directory) => {
            let exe = std::env::current_exe().context("find this program")?;
            let name = exe.file_name().context("find this program")?.to_string_lossy().into_owned();
            (directory.program(&name), Kept::Mount(directory))
        }
        Err(_) => {
            let copy = copy_in_memory(own).context("copy this program into memory")?;
            (PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd())), Kept::Memory(copy))
        }
    };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(path);
    command.arg0(arguments.next().unwrap_or_default()).args(arguments);
    Err(command.exec()).context("execute this program from a sealed place")
}

/// Holds what the path leads through.
#[expect(dead_code, reason = "kept open, not looked at")]
enum Kept {
    Mount(SealedDirectory),
    Memory(OwnedFd),
}

/// On a read-only mount, or in memory with a seal against writing.
fn is_sealed(own: &File) -> bool {
    let readonly = rustix::fs::fstatvfs(own).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY));
    readonly || rustix::fs::fcntl_get_seals(own).is_ok_and(|seals| seals.contains(SealFlags::WRITE))
}

fn copy_in_memory(mut own: File) -> io::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("gantry-runtime", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(memory);
    io::copy(&mut own, &mut file)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}
