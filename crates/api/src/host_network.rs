//! Answers to operations of our own about the host's side of networks: `POST /gantry/network/repair` and
//! `GET /gantry/firewall/explain`.

wire! {
    /// What was wrong on the host.
    pub struct NetworkRepair {
        /// Nothing is wrong, or everything was put right.
        pub whole: bool,
        pub findings: Vec<Finding>,
    }

    /// What becomes of a new connection.
    pub struct FirewallExplain {
        /// `tcp/8000`.
        pub port: String,
        /// Address of the host.
        pub to: String,
        /// The device that it comes in by; empty from the host itself.
        pub input: String,
        /// `172.17.0.2:80`; empty when no container publishes the port.
        pub container: String,
        /// `admitted` or `dropped`.
        pub verdict: String,
        /// A rule that may match could say otherwise.
        pub doubtful: bool,
        pub passages: Vec<Passage>,
    }

    /// A rule that says something about it.
    pub struct Passage {
        pub hook: String,
        pub chain: String,
        pub rule: String,
        /// `accepts`, `drops`, `translates` or `may match`.
        pub effect: String,
    }

    /// Something that was not as it should be.
    pub struct Finding {
        /// A device, a table, a chain, or a switch of the kernel.
        pub subject: String,
        pub problem: String,
        pub repaired: bool,
    }
}
