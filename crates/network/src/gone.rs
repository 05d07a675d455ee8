//! Devices that die, with their namespace or by another's hand, while somebody is about to change them.

use std::io;

use rustix::io::Errno;

/// Whether that is what the kernel says.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

/// What was to be done to a device that is gone counts as done.
pub(crate) fn or_gone(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_device_that_is_gone_is_fine() {
        assert!(or_gone(Err(Errno::NODEV.into())).is_ok() && or_gone(Ok(())).is_ok());
        assert!(or_gone(Err(Errno::PERM.into())).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied));
    }
}
