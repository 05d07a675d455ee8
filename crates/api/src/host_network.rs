//! Answers to operations of our own about the host's side of networks: `POST /gantry/network/repair`.

wire! {
    /// What was wrong on the host.
    pub struct NetworkRepair {
        /// Nothing is wrong, or everything was put right.
        pub whole: bool,
        pub findings: Vec<Finding>,
    }

    /// Something that was not as it should be.
    pub struct Finding {
        /// A device, a table, a chain, or a switch of the kernel.
        pub subject: String,
        pub problem: String,
        pub repaired: bool,
    }
}
