//! Safe wrappers of what the kernel offers: the only room with `unsafe` code.
//!
//! One verb or one type per file. Rooms use `rustix` directly where it is safe and enough.

pub mod allocator;
pub mod atomic_file;
pub mod bpf;
pub mod clone3;
pub mod close_range;
pub mod conntrack;
pub mod execute;
pub mod file_ids;
pub mod host_name;
pub mod inherited;
pub mod keyring;
pub mod mount_setattr;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod pidfd_signal;
pub mod private_mounts;
pub mod project_quota;
pub mod scheduling;
pub mod sealed_exe;
pub mod seccomp;
pub mod send_queue;
pub mod seqpacket;
pub mod signal_fd;
pub mod unshare;
pub mod user_namespace;
