//! Loading a system call filter into the calling thread: `seccomp(2)`.

use std::io;

/// Size of one classic BPF instruction (`struct sock_filter`).
pub const INSTRUCTION_SIZE: usize = size_of::<libc::sock_filter>();

/// Installs `program`, an array of `struct sock_filter` as bytes, with `SECCOMP_FILTER_FLAG_*` bits. It stays
/// until the thread ends and is inherited by its children.
///
/// Fails with EACCES when the thread has neither no_new_privs nor CAP_SYS_ADMIN, EINVAL when the program is not
/// well formed or a flag is unknown to the kernel.
pub fn load_filter(program: &[u8], flags: u32) -> io::Result<()> {
    let mut instructions: Vec<libc::sock_filter> = program
        .chunks_exact(INSTRUCTION_SIZE)
        .map(|bytes| libc::sock_filter {
            code: u16::from_ne_bytes([bytes[0], bytes[1]]),
            jt: bytes[2],
            jf: bytes[3],
            k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        })
        .collect();
    let length = u16::try_from(instructions.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let filter = libc::sock_fprog { len: length, filter: instructions.as_mut_ptr() };
    // SAFETY: `filter` points to `length` initialised instructions that live until the call returns; the kernel
    // copies them.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::from_ref(&filter)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
