//! Images, layers and volumes as the store describes them, and transfers: what the server encodes without seeing
//! those rooms themselves.

pub use store::{
    Aspect, Change, ChangeKind, ContainerConfig, FileDifference, GraphDriverData, Image, ImageConfig, ImageId,
    ImageManifest, ImportOptions, LayerShare, LoadEvent, Removed, Volume, VolumeDetails,
};
pub use transfer::{Compression, Credentials, Found, Progress, PushProgress, RemoteImage};
