#![allow(clippy::unwrap_used)]

use api::ApiVersion;
use engine::model::{CreateContainer, NamespaceMode, NetworkMode, PortBindingRequest, RestartPolicy};
use hyper::StatusCode;
use jiff::Timestamp;

use super::*;

fn decode_at(minor: u16, json: &str) -> Result<(CreateContainer, Vec<String>), Failure> {
    create(api::json::from_slice(json.as_bytes()).unwrap(), &Query::parse("name=/web").unwrap(), ApiVersion(minor))
}

fn host(json: &str) -> Result<engine::model::HostConfig, Failure> {
    decode_at(51, &format!(r#"{{"Image":"a","HostConfig":{json}}}"#)).map(|(request, _)| request.host)
}

fn refusal(json: &str) -> (u16, String) {
    let failure = decode_at(51, json).unwrap_err();
    (failure.status.as_u16(), failure.message)
}

#[test]
fn a_request_with_nulls_everywhere_is_the_default() {
    let json = r#"{"Image":"a","Hostname":null,"User":null,"AttachStdin":null,"ExposedPorts":null,"Tty":null,"Env":null,
        "Cmd":null,"Entrypoint":null,"Volumes":null,"Labels":null,"StopSignal":null,"StopTimeout":null,"Healthcheck":null,
        "HostConfig":{"Binds":null,"NetworkMode":null,"PortBindings":null,"RestartPolicy":null,"Memory":null,
            "LogConfig":null,"Mounts":null,"Ulimits":null,"ConsoleSize":null,"Sysctls":null},
        "NetworkingConfig":{"EndpointsConfig":{"net":null}}}"#;
    let (request, warnings) = decode_at(51, json).unwrap();
    assert_eq!(request.name.as_deref(), Some("web"));
    assert_eq!((request.host, warnings.len()), (engine::model::HostConfig::default(), 0));
    assert!(request.endpoints.contains_key("net"));
    assert_eq!(request.config.image, "a");
}

#[test]
fn words_may_be_one_text() {
    let (request, _) = decode_at(51, r#"{"Image":"a","Cmd":"ls -l","Entrypoint":[""]}"#).unwrap();
    assert_eq!(request.config.cmd, Some(vec!["ls -l".to_owned()]));
    assert_eq!(request.config.entrypoint, Some(vec![String::new()]));
}

#[test]
fn published_ports_in_all_forms() {
    let decoded = host(
        r#"{"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"},{"HostPort":"9000-9010"}],
            "53/udp":[{"HostPort":""}],"99":null,"98/tcp":[{"HostPort":"0"}]}}"#,
    )
    .unwrap();
    let binding =
        |ip: Option<&str>, host_ports| PortBindingRequest { host_ip: ip.map(|ip| ip.parse().unwrap()), host_ports };
    let of = |port: &str| decoded.port_bindings[&port.parse().unwrap()].clone();
    assert_eq!(of("80/tcp"), [binding(Some("127.0.0.1"), Some((8080, 8080))), binding(None, Some((9000, 9010)))]);
    assert_eq!(of("53/udp"), [binding(None, None)]);
    assert_eq!(of("99/tcp"), [binding(None, None)]);
    assert_eq!(of("98/tcp"), [binding(None, None)]);
}

#[test]
fn binds_and_mounts_are_split() {
    let decoded = host(
        r#"{"Binds":["/a:/b","vol:/c:ro,nocopy","/d"],"Mounts":[
            {"Type":"bind","Source":"/x","Target":"/y","ReadOnly":true,"BindOptions":{"Propagation":"rslave"}},
            {"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":1024,"Mode":448}}]}"#,
    )
    .unwrap();
    let binds: Vec<_> =
        decoded.binds.iter().map(|b| (b.source.as_str(), b.destination.as_str(), b.mode.as_str())).collect();
    assert_eq!(binds, [("/a", "/b", ""), ("vol", "/c", "ro,nocopy"), ("", "/d", "")]);
    assert_eq!((decoded.mounts[0].read_only, decoded.mounts[0].propagation.as_str()), (true, "rslave"));
    assert_eq!((decoded.mounts[1].tmpfs_size, decoded.mounts[1].tmpfs_mode), (1024, 0o700));
}

#[test]
fn namespaces_and_policies() {
    let decoded = host(
        r#"{"NetworkMode":"container:db","IpcMode":"shareable","PidMode":"container:x","UTSMode":"host","CgroupnsMode":"private",
            "UsernsMode":"host","RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},"MemorySwappiness":-1,"PidsLimit":-1}"#,
    )
    .unwrap();
    assert_eq!(decoded.network_mode, NetworkMode::Container("db".to_owned()));
    assert_eq!(decoded.ipc_mode, NamespaceMode::Shareable);
    assert_eq!(decoded.pid_mode, NamespaceMode::Container("x".to_owned()));
    assert_eq!((decoded.uts_mode, decoded.cgroupns_mode), (NamespaceMode::Host, NamespaceMode::Private));
    assert_eq!(decoded.restart_policy, RestartPolicy::OnFailure { maximum_retry_count: 3 });
    assert_eq!((decoded.resources.memory_swappiness, decoded.resources.pids_limit), (None, None));
}

#[test]
fn what_is_wrong_is_refused_in_dockers_words() {
    let bad = |host: &str| refusal(&format!(r#"{{"Image":"a","HostConfig":{host}}}"#));
    for (json, message) in [
        (
            r#"{"Binds":["/a:b"]}"#,
            "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
        ),
        (
            r#"{"Binds":["/a:/"]}"#,
            "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        ),
        (r#"{"Binds":["/a:/b:zz"]}"#, "invalid mode: zz"),
        (r#"{"Binds":["/a:/b:ro,rw"]}"#, "invalid mode: ro,rw"),
        (r#"{"Binds":["/a:ro"]}"#, "invalid volume specification: '/a:ro'"),
        (r#"{"Binds":[":/b"]}"#, "invalid volume specification: ':/b'"),
        (r#"{"Binds":["a:b:c:d"]}"#, "invalid volume specification: 'a:b:c:d'"),
        (r#"{"PortBindings":{"x":[]}}"#, "invalid port specification: \"x\""),
        (r#"{"PortBindings":{"80/tcp":[{"HostPort":"99999"}]}}"#, "invalid port specification: \"99999\""),
        (r#"{"PortBindings":{"80/tcp":[{"HostPort":"9-8"}]}}"#, "invalid port specification: \"9-8\""),
        (
            r#"{"RestartPolicy":{"Name":"x"}}"#,
            "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        (
            r#"{"RestartPolicy":{"Name":"always","MaximumRetryCount":1}}"#,
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            r#"{"RestartPolicy":{"Name":"always"},"AutoRemove":true}"#,
            "can't create 'AutoRemove' container with restart policy",
        ),
        (r#"{"IpcMode":"x"}"#, "invalid IPC mode: x"),
        (r#"{"PidMode":"container:"}"#, "invalid PID mode: container:"),
        (r#"{"UTSMode":"container:a"}"#, "invalid UTS mode: container:a"),
        (r#"{"NetworkMode":"container:"}"#, "invalid container format container:<name|id>"),
        (r#"{"ExtraHosts":["a"]}"#, "bad format for add-host: \"a\""),
        (r#"{"ExtraHosts":["a:b"]}"#, "invalid IP address in add-host: \"b\""),
        (r#"{"OomScoreAdj":2000}"#, "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        (r#"{"ShmSize":-1}"#, "SHM size can not be less than 0"),
        (r#"{"Isolation":"hyperv"}"#, "invalid isolation (hyperv): linux only supports 'default'"),
        (
            r#"{"Mounts":[{"Type":"bind","Target":"/a"}]}"#,
            "invalid mount config for type \"bind\": field Source must not be empty",
        ),
        (r#"{"Mounts":[{"Type":"odd","Target":"/a"}]}"#, "invalid mount config for type \"odd\": mount type unknown"),
        (
            r#"{"Mounts":[{"Type":"volume","Target":"/a","BindOptions":{}}]}"#,
            "BindOptions must not be specified on mount type \"volume\"",
        ),
    ] {
        assert_eq!(bad(json), (400, message.to_owned()), "{json}");
    }
}

#[test]
fn wrong_process_settings_are_refused_in_dockers_words() {
    for (json, message) in [
        (r#"{"StopSignal":"x"}"#, "invalid signal: x"),
        (r#"{"Env":["=x"]}"#, "invalid environment variable: =x"),
        (r#"{"ExposedPorts":{"0/tcp":{}}}"#, "invalid port specification: \"0\""),
        (r#"{"Hostname":"h","HostConfig":{"UTSMode":"host"}}"#, "conflicting options: hostname and the UTS mode"),
    ] {
        assert_eq!(refusal(json), (400, message.to_owned()), "{json}");
    }
}

#[test]
fn what_is_not_offered_is_refused_and_not_ignored() {
    for (json, option) in [
        (r#"{"HostConfig":{"Mounts":[{"Type":"cluster","Source":"a","Target":"/a"}]}}"#, "mount type \"cluster\""),
        (r#"{"HostConfig":{"CpuPercent":5}}"#, "HostConfig.CpuPercent"),
    ] {
        assert_eq!(refusal(json), (501, format!("{option} is not supported by this engine yet")), "{json}");
    }
    let off = decode_at(51, r#"{"Healthcheck":{"Test":["NONE"]}}"#).unwrap().0.config.healthcheck;
    assert_eq!(off.map(|check| check.test), Some(vec!["NONE".to_owned()]));
}

#[test]
fn parts_of_volumes_and_images_stay_inside() {
    let volume = |subpath: &str| {
        format!(
            r#"{{"HostConfig":{{"Mounts":[{{"Type":"volume","Source":"a","Target":"/a","VolumeOptions":{{"Subpath":"{subpath}"}}}}]}}}}"#
        )
    };
    let image = r#"{"HostConfig":{"Mounts":[{"Type":"image","Source":"a","Target":"/a"}]}}"#;
    assert!(decode_at(48, image).is_ok() && decode_at(45, &volume("a/../b/./c")).is_ok());
    for (minor, json, message) in [
        (47, image.to_owned(), "Mount type \"Image\" needs API v1.48 or newer"),
        (44, volume("x"), "VolumeOptions.Subpath needs API v1.45 or newer"),
        (
            51,
            volume("a/../../b"),
            "invalid mount config for type \"volume\": subpath must be a relative path within the volume",
        ),
        (
            51,
            volume("/a"),
            "invalid mount config for type \"volume\": subpath must be a relative path within the volume",
        ),
    ] {
        let refused = decode_at(minor, &json).map(drop).map_err(|failure| failure.message);
        assert_eq!(refused, Err(message.to_owned()), "{json}");
    }
}

#[test]
fn versions_change_what_counts() {
    let console = |minor| decode_at(minor, r#"{"HostConfig":{"ConsoleSize":[24,80]}}"#).unwrap().0.host.console_size;
    assert_eq!((console(41), console(42)), ((0, 0), (24, 80)));
    let annotations =
        |minor| decode_at(minor, r#"{"HostConfig":{"Annotations":{"a":"b"}}}"#).unwrap().0.host.annotations.len();
    assert_eq!((annotations(42), annotations(43)), (0, 1));
    let mac = r#"{"MacAddress":"02:42:00:00:00:01"}"#;
    let (old, new) = (decode_at(43, mac).unwrap(), decode_at(44, mac).unwrap());
    assert_eq!(old.0.endpoints["bridge"].mac, "02:42:00:00:00:01");
    assert_eq!((old.1.len(), new.1.len()), (0, 1));
    let two = r#"{"NetworkingConfig":{"EndpointsConfig":{"a":{},"b":{}}}}"#;
    assert_eq!(
        decode_at(43, two).unwrap_err().message,
        "Container cannot be created with multiple network endpoints: a, b"
    );
    assert_eq!(decode_at(44, two).unwrap().0.endpoints.len(), 2);
}

#[test]
fn filters_times_tails_and_platforms() {
    let list = filters(Some(r#"{"label":["a=b","c"],"status":{"exited":true,"running":false}}"#)).unwrap();
    assert_eq!((list["label"].len(), &list["status"][..]), (2, &["exited".to_owned()][..]));
    assert_eq!(filters(Some("x")).unwrap_err().message, "invalid filter");
    assert!(filters(None).unwrap().is_empty());

    let now = Timestamp::from_second(1000).unwrap();
    let at = |text| seconds_and_nanos(Some(text), now).map(|time| time.map(Timestamp::as_nanosecond));
    assert_eq!(at("12.5"), Ok(Some(12_500_000_000)));
    assert_eq!(at("12.000000001"), Ok(Some(12_000_000_001)));
    assert_eq!(at("1970-01-01T00:00:02Z"), Ok(Some(2_000_000_000)));
    assert_eq!(at("10m"), Ok(Some(400_000_000_000)));
    assert_eq!(at("0"), Ok(None));
    assert_eq!(at("soon").unwrap_err().status, StatusCode::BAD_REQUEST);

    assert_eq!((tail(Some("all")), tail(Some("10")), tail(Some("-1")), tail(None)), (None, Some(10), None, None));
    assert_eq!(platform(Some("linux/arm64/v8")).unwrap().unwrap().to_string(), "linux/arm64/v8");
    assert_eq!(platform(Some(r#"{"os":"linux","architecture":"amd64"}"#)).unwrap().unwrap().to_string(), "linux/amd64");
    assert!(platform(Some("a/b/c/d")).is_err());
}
