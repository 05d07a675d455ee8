//! Resource limits by their names.

/// The limits that `--ulimit` and `default-ulimits` take (getrlimit(2), in lower case without `RLIMIT_`), as Docker's
/// client and daemon know them.
pub const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
