//! The check of the data root, and what takes space there.

use api::fsck::{Fsck, KindUsage, Problem, Usage};
use api::why::Why;
use engine::{ProblemKind, UsageKind};

/// Encodes `POST /gantry/fsck`; also what `gantry system fsck --data-root` makes.
#[must_use]
pub fn fsck(report: &engine::FsckReport) -> Fsck {
    let problems = report.problems.iter().map(|problem| Problem {
        kind: match problem.kind {
            ProblemKind::Damaged => "damaged",
            ProblemKind::Missing => "missing",
            ProblemKind::Orphan => "orphan",
        }
        .to_owned(),
        path: problem.path.display().to_string(),
        message: problem.message.clone(),
        bytes: problem.bytes,
        repaired: problem.repaired,
    });
    Fsck {
        whole: report.is_whole(),
        images: report.images as u64,
        names: report.names as u64,
        layers: report.layers as u64,
        blobs: report.blobs as u64,
        hashed: report.hashed,
        containers: report.containers as u64,
        volumes: report.volumes as u64,
        problems: problems.collect(),
    }
}

/// Encodes `GET /gantry/usage`.
#[must_use]
pub fn usage(kinds: &[(UsageKind, engine::Usage)]) -> Usage {
    let kinds = kinds.iter().map(|(kind, usage)| KindUsage {
        kind: name(*kind).to_owned(),
        files: usage.files,
        apparent: usage.apparent,
        allocated: usage.allocated,
    });
    Usage { kinds: kinds.collect() }
}

/// Encodes `GET /gantry/why`.
#[must_use]
pub fn why(why: &engine::Why) -> Why {
    Why {
        path: why.path.display().to_string(),
        kind: why.kind.to_owned(),
        owner: why.owner.clone(),
        inside: why.inside.display().to_string(),
        images: why.images.clone(),
        containers: why.containers.clone(),
        files: why.usage.files,
        apparent: why.usage.apparent,
        allocated: why.usage.allocated,
    }
}

fn name(kind: UsageKind) -> &'static str {
    match kind {
        UsageKind::ImageLayers => "image layers",
        UsageKind::ImageBlobs => "image blobs",
        UsageKind::ImageRecords => "image records",
        UsageKind::ContainerLayers => "container layers",
        UsageKind::ContainerFiles => "container records",
        UsageKind::ContainerLogs => "container logs",
        UsageKind::Volumes => "volumes",
        UsageKind::Unfinished => "unfinished work",
        UsageKind::Removed => "removed, not yet freed",
        UsageKind::Other => "other",
    }
}
