//! Ring 3: black-box tests that run real containers through real clients.
//!
//! Every test starts an engine of its own (or shares the one of its file) on private roots, a private
//! socket and a private bridge, so files and several runs can work side by side on one machine.
//!
//! `GANTRY_TEST_ENGINE=dockerd` starts Debian's dockerd instead of Gantry: a test is first proved
//! against the reference, then held against Gantry.
//!
//! | module     | holds                                                            |
//! |------------|------------------------------------------------------------------|
//! | `archive`  | writer of docker-archive tars: the fixture and the broken images |
//! | `building` | images built by the classic builder                           |
//! | `fixtures` | the images built from Debian's packages, cached by recipe        |
//! | `images`   | small images: imported, loaded, looked at                      |
//! | `daemon`   | an engine under test: start, kill, restart, clean up             |
//! | `load`     | many containers and many clients at once                         |
//! | `options`  | which engine is started, and how                                |
//! | `differential` | the same requests to two engines                            |
//! | `plugin`   | a plugin for networks or addresses, played by a thread           |
//! | `containers` | containers that do nothing, and networks for them         |
//! | `client`   | one run of a command-line client and what came out               |
//! | `foreign`  | client libraries that others wrote                               |
//! | `http`     | raw HTTP/1.1 over the engine's socket                            |
//! | `terminal` | a client on a pseudo terminal                                    |
//! | `tmux`     | a client in a real terminal                                      |
//! | `registry` | a local registry on loopback                                     |
//! | `sandbox`  | dockerd with Docker's places, in namespaces of its own          |
//! | `hub`      | images under Docker Hub's names, in a local registry             |
//! | `served`   | an image as a registry serves it, to be spoilt                   |
//! | `small_disk` | a file system of its own for a data root                     |
//! | `stub`     | a registry made by hand, which waits or refuses as a test wants  |
//! | `schema`   | what answers must look like, by the reference                    |
//! | `host`     | what the host shows: processes, cgroups, mounts, links           |
//! | `isolated` | an engine in a network of its own                                |
//! | `neighbour` | dockerd on a machine of its own with a neighbour             |
//! | `names`    | name servers and questions to them, message by message           |
//! | `volumes`  | volumes, looked at from the host                                |
//! | `wait`     | waiting for a condition with a bound                             |
//! | `wire`     | bridges, cables and machines that a test makes by hand           |
#![allow(clippy::unwrap_used, clippy::print_stderr)]

pub mod archive;
pub mod building;
pub mod client;
pub mod containers;
pub mod daemon;
pub mod differential;
pub mod disk_crash;
pub mod fixtures;
pub mod foreign;
pub mod host;
pub mod http;
pub mod hub;
pub mod images;
pub mod isolated;
mod killed;
pub mod load;
pub mod machines;
pub mod names;
pub mod neighbour;
pub mod net_crash;
pub mod net_load;
pub mod net_state;
pub mod options;
pub mod plugin;
mod random;
pub mod registry;
pub mod sandbox;
pub mod schema;
pub mod served;
pub mod small_disk;
pub mod stub;
pub mod terminal;
pub mod tmux;
pub mod volumes;
pub mod volumes_served;
mod wait;
pub mod wire;

pub use client::{Client, Run};
pub use daemon::Daemon;
pub use isolated::Isolated;
pub use options::{Engine, Options};
pub use plugin::Plugin;
pub use tmux::Tmux;
pub use wait::{skip, until};
pub use wire::Wire;
