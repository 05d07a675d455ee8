//! Images, layers and volumes as the store describes them, and transfers: what the server encodes without seeing
//! those rooms themselves.

pub use store::{
    Change, ChangeKind, ContainerConfig, GraphDriverData, Image, ImageConfig, ImageId, ImageManifest, ImportOptions,
    LoadEvent, Removed, Volume,
};
pub use transfer::{Credentials, Found, Progress, PushProgress, RemoteImage};
