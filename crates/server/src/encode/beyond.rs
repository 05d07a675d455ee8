//! `/gantry`: answers that only this engine gives.

use api::beyond;
use engine::ImageComparison;
use engine::model::image::{Aspect, FileDifference, Image, LayerShare};

/// Encodes `GET /gantry/images/diff`.
#[must_use]
pub fn image_difference(comparison: ImageComparison) -> beyond::ImageDifference {
    let ImageComparison { from, to, diff, config } = comparison;
    beyond::ImageDifference {
        from: image(&from, diff.from),
        to: image(&to, diff.to),
        config: config
            .into_iter()
            .map(|part| beyond::ConfigDifference { key: part.key, from: part.from, to: part.to })
            .collect(),
        files: diff.files.into_iter().map(file).collect(),
    }
}

fn image(image: &Image, layers: Vec<LayerShare>) -> beyond::ComparedImage {
    beyond::ComparedImage {
        id: image.id.to_string(),
        size: image.size,
        hidden: layers.iter().map(|layer| layer.hidden).sum(),
        layers: layers.into_iter().map(layer).collect(),
    }
}

fn layer(layer: LayerShare) -> beyond::LayerShare {
    let LayerShare { diff, size, entries, hidden, shared } = layer;
    beyond::LayerShare { diff_id: diff.to_string(), size, entries, hidden, shared }
}

fn file(file: FileDifference) -> beyond::FileDifference {
    let aspect = |aspect: Aspect| match aspect {
        Aspect::Kind => "kind",
        Aspect::Content => "content",
        Aspect::Mode => "mode",
        Aspect::Owner => "owner",
        Aspect::Device => "device",
        Aspect::Attributes => "attributes",
    };
    beyond::FileDifference {
        path: file.path.to_string_lossy().into_owned(),
        kind: file.kind as u8,
        from: file.from,
        to: file.to,
        aspects: file.aspects.into_iter().map(|one| aspect(one).to_owned()).collect(),
        layer: file.layer as u64,
    }
}
