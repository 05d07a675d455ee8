//! Images: what `inspect`, `ls` and `history` get.

use std::sync::Arc;

use api::ApiVersion;
use engine::model::image::{GraphDriverData, Image, ImageConfig, ImageId};
use engine::{HistoryEntry, ImageDetails, ListedImage};
use serde_json::Value;
use types::Digest;

use super::{IMAGE, V41, assert_same, golden, time, value, words};

fn image() -> Arc<Image> {
    let config: ImageConfig = serde_json::from_str(
        r#"{"architecture":"amd64","os":"linux","comment":"Imported from -","docker_version":"20.10.24+dfsg1",
            "created":"2026-11-21T07:06:54.906827796Z","config":{"Env":["A=b"],"Cmd":["sh"],"Labels":{"k":"v"}},
            "rootfs":{"type":"layers","diff_ids":["sha256:5c774974bf1530eb5453c27f52e344df13a47caa9330deab27ca93d6940742a3"]}}"#,
    )
    .unwrap();
    Arc::new(Image {
        id: ImageId(IMAGE.parse::<Digest>().unwrap()),
        config: Arc::new(config),
        raw: Arc::from([]),
        chain: Vec::new(),
        size: 1_982_305,
        parent: None,
        repo_tags: vec!["bb:1".parse().unwrap()],
        repo_digests: Vec::new(),
        last_tag_time: Some("2026-11-21T07:06:54.910402019Z".to_owned()),
    })
}

#[test]
fn image_inspect_is_dockers() {
    let layer = "/var/lib/docker/overlay2/a720b3eb152a01f08881ff8c8956b40172a6a2a576e9a0761a4c3d1ce76e4ac4";
    let graph_driver = GraphDriverData {
        lower_dir: None,
        merged_dir: Some(format!("{layer}/merged")),
        upper_dir: Some(format!("{layer}/diff")),
        work_dir: Some(format!("{layer}/work")),
    };
    let details = ImageDetails { image: image(), driver: "overlay2", graph_driver, manifest: None };
    assert_same(&value(&crate::encode::image_details(&details, V41)), &golden(include_str!("../golden/image.json")));
    let newest = value(&crate::encode::image_details(&details, ApiVersion::MAXIMUM));
    for gone in ["Container", "ContainerConfig", "VirtualSize"] {
        assert!(newest.get(gone).is_none(), "{gone}");
    }
    assert_eq!(
        newest["Config"].to_string(),
        r#"{"Cmd":["sh"],"Entrypoint":null,"Env":["A=b"],"Labels":{"k":"v"},"OnBuild":null,"User":"","Volumes":null,"WorkingDir":""}"#
    );
}

#[test]
fn image_list_and_history_are_dockers() {
    let mut listed = ListedImage {
        image: image(),
        tags: words(&["bb:1"]),
        digests: Vec::new(),
        containers: 2,
        shared_size: None,
        manifest: None,
    };
    let mut docker = golden(include_str!("../golden/images.json"));
    // Docker 24 began to write an empty list.
    docker[0]["RepoDigests"] = Value::Array(Vec::new());
    assert_same(&value(&[crate::encode::image_summary(&listed, V41)]), &docker);
    let newest = value(&crate::encode::image_summary(&listed, ApiVersion::MAXIMUM));
    assert_eq!((newest["Containers"].as_i64(), newest.get("VirtualSize")), (Some(2), None));
    listed.tags.clear();
    assert_eq!(crate::encode::image_summary(&listed, V41).repo_tags, ["<none>:<none>"]);
    assert!(crate::encode::image_summary(&listed, ApiVersion(43)).repo_tags.is_empty());

    let entry = HistoryEntry {
        id: IMAGE.to_owned(),
        created: Some(time("2026-11-21T07:06:54.906827796Z")),
        tags: words(&["bb:1"]),
        size: 1_982_305,
        comment: "Imported from -".to_owned(),
        ..HistoryEntry::default()
    };
    assert_same(&value(&crate::encode::history(vec![entry])), &golden(include_str!("../golden/history.json")));
}
