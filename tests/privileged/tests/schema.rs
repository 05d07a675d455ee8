//! Answers have the shapes of the API reference: no member of another type, none missing, none that it does not know.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::http::Connection;
use privileged_tests::schema::Schema;
use privileged_tests::{Daemon, Options, skip, until};
use serde_json::{Value, json};

/// What Docker 28 sends though the reference does not say so, and why Gantry does.
const KNOWN: [(&str, &str); 5] = [
    ("$.HostConfig.MemorySwappiness is no integer: null", "null is the kernel's own choice; 0 is another wish"),
    ("/exec/{id}/json 200: $.ExitCode is no integer: null", "a command that did not end has no exit code"),
    ("/events 200: $.id ", "events keep the three members of API 1.21 until version 1.52"),
    ("/events 200: $.status ", "the same"),
    ("/events 200: $.from ", "the same"),
];

/// Beyond Docker 28: SDKs look for the container that an image was committed from, which API 1.45 left out.
const BEYOND: [&str; 2] = ["/images/{name}/json 200: $.Container ", "/images/{name}/json 200: $.ContainerConfig "];

/// One engine, the table, and what was found wrong.
struct Check<'a> {
    daemon: &'a Daemon,
    schema: Schema,
    wrong: Vec<String>,
}

impl Check<'_> {
    fn request(&mut self, method: &str, path: &str, body: Option<&Value>, answer: &str) -> Value {
        let found = Connection::with_version(&self.daemon.socket(), "/v1.51").request(method, path, body).unwrap();
        let text = String::from_utf8_lossy(&found.body).into_owned();
        assert!(answer.ends_with(&format!(" {}", found.status)), "{method} {path}: {} {text}", found.status);
        let values: Vec<Value> =
            serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>().unwrap();
        assert!(!values.is_empty() || path.starts_with("/events"), "{method} {path} says nothing");
        for value in &values {
            let wrong = self.schema.check(answer, value);
            let known =
                |what: &String| KNOWN.map(|(known, _)| known).iter().chain(&BEYOND).any(|known| what.contains(known));
            self.wrong.extend(wrong.into_iter().filter(|what| !known(what)));
        }
        values.into_iter().next().unwrap_or_default()
    }

    fn get(&mut self, path: &str, answer: &str) -> Value {
        self.request("GET", path, None, &format!("GET {answer} 200"))
    }

    fn post(&mut self, path: &str, body: &Value, answer: &str) -> Value {
        self.request("POST", path, Some(body), &format!("POST {answer}"))
    }

    /// A container with a bit of everything, and what can be asked about it.
    fn containers(&mut self) {
        let body = json!({
            "Image": "busybox", "Cmd": ["sh", "-c", "touch /made; sleep 600"], "Env": ["A=1"], "Labels": {"a": "b"},
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000}, "ExposedPorts": {"80/tcp": {}},
            "StopSignal": "SIGINT", "StopTimeout": 1, "Volumes": {"/anonymous": {}},
            "HostConfig": {"Memory": 67_108_864, "Binds": ["shape:/v"], "Tmpfs": {"/t": ""}, "PidsLimit": 50,
                "Mounts": [{"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 65_536}}],
                "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}, "Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 64}],
                "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}, "Annotations": {"c": "d"}},
        });
        let created = self.post("/containers/create?name=shape", &body, "/containers/create 201");
        assert!(created["Id"].is_string());
        self.get("/containers/shape/json", "/containers/{id}/json");
        self.get("/containers/json?all=1&size=1", "/containers/json");
        self.daemon.docker(&["start", "shape"]).exits(0);
        until("the health is known", 60, || {
            (self.daemon.inspect("shape", "{{.State.Health.Status}}") == "healthy").then_some(())
        });
        self.get("/containers/shape/json?size=1", "/containers/{id}/json");
        self.get("/containers/json", "/containers/json");
        self.get("/containers/shape/top", "/containers/{id}/top");
        self.get("/containers/shape/changes", "/containers/{id}/changes");
        self.get("/containers/shape/stats?stream=0", "/containers/{id}/stats");
        let exec = json!({"Cmd": ["true"], "AttachStdout": true, "Env": ["B=2"]});
        let exec = self.post("/containers/shape/exec", &exec, "/containers/{id}/exec 201");
        let path = format!("/exec/{}/json", exec["Id"].as_str().unwrap());
        self.get(&path, "/exec/{id}/json");
        self.post("/containers/shape/update", &json!({"CpuShares": 100}), "/containers/{id}/update 200");
    }

    fn things(&mut self) {
        self.get("/images/json?all=1&shared-size=1&manifests=1", "/images/json");
        self.get("/images/busybox/json", "/images/{name}/json");
        self.get("/images/busybox/json?manifests=1", "/images/{name}/json");
        self.get("/images/busybox/history", "/images/{name}/history");
        self.post("/commit?container=shape&repo=shape", &json!(null), "/commit 201");
        self.get("/images/shape/json", "/images/{name}/json");
        self.post("/volumes/create", &json!({"Name": "shape2", "Labels": {"a": "b"}}), "/volumes/create 201");
        self.get("/volumes", "/volumes");
        self.get("/volumes/shape", "/volumes/{name}");
        let network = json!({"Name": "shape", "Labels": {"a": "b"}, "Internal": true});
        self.post("/networks/create", &network, "/networks/create 201");
        self.daemon.docker(&["network", "connect", "--alias", "other", "shape", "shape"]).exits(0);
        self.get("/networks", "/networks");
        self.get("/networks/shape", "/networks/{id}");
        self.get("/networks/bridge", "/networks/{id}");
        self.get("/networks/host", "/networks/{id}");
        self.get("/containers/shape/json", "/containers/{id}/json");
        self.get("/containers/json", "/containers/json");
        self.get("/info", "/info");
        self.get("/version", "/version");
        self.get("/system/df", "/system/df");
    }

    /// What tells of ends.
    fn ends(&mut self) {
        self.daemon.docker(&["kill", "shape"]).exits(0);
        self.post("/containers/shape/wait", &json!(null), "/containers/{id}/wait 200");
        self.get("/containers/shape/json", "/containers/{id}/json");
        self.get("/containers/json?all=1", "/containers/json");
        self.get("/containers/shape/stats?stream=0", "/containers/{id}/stats");
        self.post("/containers/prune", &json!(null), "/containers/prune 200");
        self.request("DELETE", "/images/shape", None, "DELETE /images/{name} 200");
        self.post("/images/prune", &json!(null), "/images/prune 200");
        self.post("/networks/prune", &json!(null), "/networks/prune 200");
        self.post("/volumes/prune", &json!(null), "/volumes/prune 200");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        self.get(&format!("/events?since=1&until={now}"), "/events");
    }
}

#[test]
fn x_08_answers_have_the_shapes_of_the_reference() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        skip("the table is that of API 1.51, and the reference engine speaks 1.41");
        return;
    }
    let schema = Schema::parse(include_str!("../schema/1.51.txt"));
    let mut check = Check { daemon: &daemon, schema, wrong: Vec::new() };
    check.containers();
    check.things();
    check.ends();
    check.wrong.sort();
    check.wrong.dedup();
    assert!(check.wrong.is_empty(), "{}", check.wrong.join("\n"));
}
