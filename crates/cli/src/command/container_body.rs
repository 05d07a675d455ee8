//! Flags of `run` and `create` into the body of `POST /containers/create`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::container_host::host;
use super::container_networks::{endpoints, networks};
use crate::Environment;
use crate::flags::Matches;
use crate::options::keyvalue;
use crate::options::network::Attachment;
use crate::options::port::{self, Ports};
use crate::options::volume::{self, Volume};

/// What the engine is asked to create.
pub struct Body {
    /// `Config` with `HostConfig` and `NetworkingConfig` inside.
    pub json: Value,
    /// Streams that the client attaches to.
    pub attach: Streams,
    /// The image as given.
    pub image: String,
}

/// Attached streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// stdin
    pub stdin: bool,
    /// stdout
    pub stdout: bool,
    /// stderr
    pub stderr: bool,
}

impl Streams {
    /// Whether there is any.
    #[must_use]
    pub fn any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// Reads all flags.
///
/// # Errors
/// Docker's text for the first flag that does not make sense.
pub fn build(m: &Matches, environment: &Environment, cwd: &Path, size: (u16, u16)) -> Result<Body, String> {
    let attach = streams(m)?;
    let (binds, volumes) = binds(m, cwd)?;
    let ports = ports(m)?;
    let networks = networks(m)?;
    let image = m.arg(0).to_owned();
    let mut config = config(m, environment, attach, &ports, &networks)?;
    config.insert("Image".to_owned(), json!(image));
    config.insert("Volumes".to_owned(), json!(volumes));
    let mut host = host(m, cwd, &networks)?;
    host.insert("Binds".to_owned(), if binds.is_empty() { Value::Null } else { json!(binds) });
    host.insert("PortBindings".to_owned(), bindings(&ports));
    host.insert("ConsoleSize".to_owned(), json!([size.0, size.1]));
    config.insert("HostConfig".to_owned(), Value::Object(host));
    config.insert("NetworkingConfig".to_owned(), json!({ "EndpointsConfig": endpoints(&networks)? }));
    Ok(Body { json: Value::Object(config), attach, image })
}

fn streams(m: &Matches) -> Result<Streams, String> {
    let given: Vec<String> = m.list("attach").iter().map(|name| name.to_ascii_lowercase()).collect();
    let has = |name: &str| given.iter().any(|stream| stream == name);
    if m.on("detach") {
        if !given.is_empty() {
            return Err("conflicting options: cannot specify both --attach and --detach".to_owned());
        }
        return Ok(Streams { stdin: false, stdout: false, stderr: false });
    }
    let default = given.is_empty();
    Ok(Streams {
        stdin: m.on("interactive") || has("stdin"),
        stdout: default || has("stdout"),
        stderr: default || has("stderr"),
    })
}

fn binds(m: &Matches, cwd: &Path) -> Result<(Vec<String>, Map<String, Value>), String> {
    let (mut binds, mut volumes) = (Vec::new(), Map::new());
    for text in m.list("volume") {
        match volume::parse(text, cwd)? {
            Volume::Bind(bind) => binds.push(bind),
            Volume::Anonymous(target) => {
                volumes.insert(target, json!({}));
            }
        }
    }
    Ok((binds, volumes))
}

fn ports(m: &Matches) -> Result<Ports, String> {
    let mut ports = Ports::new();
    for text in m.list("publish") {
        port::publish(&mut ports, text)?;
    }
    for text in m.list("expose") {
        port::expose(&mut ports, text)?;
    }
    Ok(ports)
}

fn bindings(ports: &Ports) -> Value {
    let entry = |binding: &port::Binding| json!({ "HostIp": binding.address, "HostPort": binding.port });
    let bound = ports.iter().filter(|(_, list)| !list.is_empty());
    Value::Object(bound.map(|(key, list)| (key.clone(), Value::Array(list.iter().map(entry).collect()))).collect())
}

fn config(
    m: &Matches,
    environment: &Environment,
    attach: Streams,
    ports: &Ports,
    networks: &[Attachment],
) -> Result<Map<String, Value>, String> {
    let lookup = |name: &str| environment.get(name).map(str::to_owned);
    let env = keyvalue::environment(&m.list("env-file"), &m.list("env"), lookup)?;
    let labels = keyvalue::labels(&m.list("label-file"), &m.list("label"))?;
    let command = m.args().get(1..).filter(|command| !command.is_empty());
    // `--entrypoint=` takes the image's away.
    let entrypoint = m.maybe("entrypoint").map(|text| json!([text]));
    let exposed: Map<String, Value> = ports.keys().map(|key| (key.clone(), json!({}))).collect();
    let mut config = as_map(json!({
        "Hostname": m.text("hostname"),
        "Domainname": m.text("domainname"),
        "User": m.text("user"),
        "AttachStdin": attach.stdin,
        "AttachStdout": attach.stdout,
        "AttachStderr": attach.stderr,
        "ExposedPorts": exposed,
        "Tty": m.on("tty"),
        "OpenStdin": m.on("interactive"),
        "StdinOnce": m.on("interactive") && attach.stdin,
        "Env": if env.is_empty() { Value::Null } else { json!(env) },
        "Cmd": command,
        "WorkingDir": m.text("workdir"),
        "Entrypoint": entrypoint,
        "OnBuild": null,
        "Labels": labels,
    }));
    if m.given("stop-signal") {
        config.insert("StopSignal".to_owned(), json!(m.text("stop-signal")));
    }
    if let Some(seconds) = m.number("stop-timeout") {
        config.insert("StopTimeout".to_owned(), json!(seconds));
    }
    if let Some(check) = healthcheck(m)? {
        config.insert("Healthcheck".to_owned(), check);
    }
    let mac = networks.first().map(|network| network.mac.as_str()).filter(|mac| !mac.is_empty());
    if let Some(mac) = mac {
        config.insert("MacAddress".to_owned(), json!(mac));
    }
    Ok(config)
}

fn healthcheck(m: &Matches) -> Result<Option<Value>, String> {
    const DURATIONS: [(&str, &str); 4] = [
        ("health-interval", "Interval"),
        ("health-timeout", "Timeout"),
        ("health-start-period", "StartPeriod"),
        ("health-start-interval", "StartInterval"),
    ];
    let retries = m.number("health-retries").unwrap_or(0);
    let command = m.text("health-cmd");
    let any = !command.is_empty() || retries != 0 || DURATIONS.iter().any(|(flag, _)| m.nanoseconds(flag) != 0);
    if m.on("no-healthcheck") {
        if any {
            return Err("--no-healthcheck conflicts with --health-* options".to_owned());
        }
        return Ok(Some(json!({ "Test": ["NONE"] })));
    }
    if !any {
        return Ok(None);
    }
    let mut check = Map::new();
    if !command.is_empty() {
        check.insert("Test".to_owned(), json!(["CMD-SHELL", command]));
    }
    for (flag, field) in DURATIONS {
        match m.nanoseconds(flag) {
            negative if negative < 0 => return Err(format!("--{flag} cannot be negative")),
            0 => {}
            nanoseconds => {
                check.insert(field.to_owned(), json!(nanoseconds));
            }
        }
    }
    if retries < 0 {
        return Err("--health-retries cannot be negative".to_owned());
    }
    if retries > 0 {
        check.insert("Retries".to_owned(), json!(retries));
    }
    Ok(Some(Value::Object(check)))
}

/// A list as the API takes it: null when empty.
#[must_use]
pub fn strings(list: &[String]) -> Value {
    if list.is_empty() { Value::Null } else { json!(list) }
}

/// The entries of an object.
#[must_use]
pub fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::COMMAND;
    use super::*;
    use crate::flags::{Parsed, parse};

    fn body(line: &str) -> Result<Value, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let parsed = parse(COMMAND.flags.iter().copied().flatten(), false, &args).map_err(|e| e.to_string())?;
        let Parsed::Matches(m) = parsed else { return Err("help".to_owned()) };
        let environment = Environment::new([("HOME".into(), "/root".into())]);
        build(&m, &environment, Path::new("/w"), (24, 80)).map(|body| body.json)
    }

    #[test]
    fn flags_become_the_api_body() {
        let json = body("-it --rm --name c1 -e HOME -e A=1 -p 8080:80 -v ./d:/d:ro -v /anon -m 64m --cpus 1.5 -h box -w /x busybox sh -c ls")
            .expect("valid");
        for (pointer, expected) in [
            ("/Image", json!("busybox")),
            ("/Cmd", json!(["sh", "-c", "ls"])),
            ("/Hostname", json!("box")),
            ("/Env", json!(["HOME=/root", "A=1"])),
            ("/ExposedPorts", json!({ "80/tcp": {} })),
            ("/Volumes", json!({ "/anon": {} })),
            ("/StdinOnce", json!(true)),
            ("/HostConfig/Binds", json!(["/w/d:/d:ro"])),
            ("/HostConfig/PortBindings", json!({ "80/tcp": [{ "HostIp": "", "HostPort": "8080" }] })),
            ("/HostConfig/Memory", json!(64 << 20)),
            ("/HostConfig/NanoCpus", json!(1_500_000_000)),
            ("/HostConfig/AutoRemove", json!(true)),
            ("/HostConfig/NetworkMode", json!("default")),
            ("/HostConfig/ConsoleSize", json!([24, 80])),
        ] {
            assert_eq!(json.pointer(pointer), Some(&expected), "{pointer}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_dockers_words() {
        for (line, text) in [
            ("-d -a stdout x", "conflicting options: cannot specify both --attach and --detach"),
            ("--rm --restart always x", "conflicting options: cannot specify both --restart and --rm"),
            ("--restart on-failure:x x", "invalid restart policy format: maximum retry count must be an integer"),
            ("--pid foo x", "--pid: invalid PID mode"),
            ("--no-healthcheck --health-cmd y x", "--no-healthcheck conflicts with --health-* options"),
            ("--memory-swappiness 200 x", "invalid value: 200. Valid memory swappiness range is 0-100"),
            (
                "--network none --network-alias y x",
                "network-scoped aliases are only supported for user-defined networks",
            ),
            ("--mac-address zz x", "zz is not a valid mac address"),
            ("-p 80/foo x", "invalid proto: foo"),
        ] {
            assert_eq!(body(line).map(|_| ()), Err(text.to_owned()), "{line}");
        }
    }
}
