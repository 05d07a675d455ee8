//! `GET /containers/{id}/changes`.

wire! {
    /// `FilesystemChange`. Kinds: 0 modified, 1 added, 2 deleted.
    pub struct Change {
        pub path: String,
        pub kind: u8,
    }
}
