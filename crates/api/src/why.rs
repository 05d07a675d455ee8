//! Answer of an operation of our own: `GET /gantry/why?path=PATH`.

wire! {
    /// Whose a path below the data root is.
    pub struct Why {
        /// Absolute.
        pub path: String,
        /// `engine`, `layer`, `image`, `container`, `log`, `volume`, `network`, `download`, `work`, `removed` or
        /// `nobody`.
        pub kind: String,
        /// Whose it is, for people.
        pub owner: String,
        /// Where in a layer, a volume or a container's files; empty where that has no meaning.
        pub inside: String,
        /// Ids of the images that have it.
        pub images: Vec<String>,
        /// Ids of the containers that have or use it.
        pub containers: Vec<String>,
        /// Everything at the path and below it that has a name.
        pub files: u64,
        /// Bytes as files say (`du --apparent-size`).
        pub apparent: u64,
        /// Bytes of the disk's blocks (`du`).
        pub allocated: u64,
    }
}
