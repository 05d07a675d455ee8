//! Answers to operations of our own: `POST /gantry/fsck`, `GET /gantry/usage` and `GET /gantry/gc`.

wire! {
    /// What a check of the data root looked at and found.
    pub struct Fsck {
        /// Nothing is wrong, or everything was repaired.
        pub whole: bool,
        pub images: u64,
        pub names: u64,
        pub layers: u64,
        pub blobs: u64,
        /// Bytes whose digest was computed; 0 unless `deep`.
        pub hashed: u64,
        pub containers: u64,
        pub volumes: u64,
        pub problems: Vec<Problem>,
    }

    /// Something that is not as it should be.
    pub struct Problem {
        /// `damaged`, `missing` or `orphan`.
        pub kind: String,
        pub path: String,
        pub message: String,
        /// What an orphan takes on the disk.
        pub bytes: u64,
        pub repaired: bool,
    }

    /// What takes space below the data root, as `du` counts.
    pub struct Usage {
        pub kinds: Vec<KindUsage>,
    }

    /// One kind of things.
    pub struct KindUsage {
        /// For example `image layers`.
        pub kind: String,
        /// Everything that has a name.
        pub files: u64,
        /// Bytes as files say (`du --apparent-size`).
        pub apparent: u64,
        /// Bytes of the disk's blocks (`du`).
        pub allocated: u64,
    }

    /// Answer of `GET /gantry/gc`: the budget of images, in bytes.
    pub struct Gc {
        /// `null` where nothing is collected.
        pub max_size: Option<u64>,
        /// What images take.
        pub size: u64,
        /// What a collection could free.
        pub reclaimable: u64,
    }
}
