//! dockerd in namespaces of its own, with another machine at the end of a cable, in both families.

use crate::Engine;
use crate::fixtures::Fixture;
use crate::sandbox::Sandbox;

/// A neighbour at the end of a cable, and the means to ask: `./ask ADDRESS PORT` from here, `there ./ask …` from there. The
/// server answers `hello` and the connections it has, so that one sees who it thinks is asking.
const LAN: &str = r#"
unshare -n sleep 1000 & N=$!
i=0; until [ "$(readlink /proc/$N/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do i=$((i + 1)); [ $i -lt 100 ]; sleep 0.05; done
ip link add up0 type veth peer name eth0 netns $N
ip addr add 203.0.113.1/24 dev up0; ip -6 addr add 2001:db8::1/64 dev up0 nodad; ip link set up0 up
cat >ask <<'X'
#!/bin/sh
timeout 5 busybox nc -w 3 "$1" "$2" </dev/null 2>&1 || echo "refused $1 $2"
X
chmod +x ask
there() { nsenter -t $N -n "$@"; }
there sh -c 'ip link set lo up; ip addr add 203.0.113.2/24 dev eth0; ip -6 addr add 2001:db8::2/64 dev eth0 nodad; ip link set eth0 up'
ip route add default via 203.0.113.2; ip -6 route add default via 2001:db8::2
server='nc -ll -p 80 -e sh -c'
hello='echo hello $(cat /proc/net/tcp /proc/net/tcp6 | grep -v " 0A ")'
# One that has spoken once is there.
ready() { i=0; until ./ask "$1" "$2" | grep -q hello; do i=$((i + 1)); [ $i -lt 100 ] || { echo "nobody answers on $1 $2"; exit 8; }; sleep 0.1; done; }
"#;

/// Whether the reference is under test.
pub fn reference() -> bool {
    Engine::under_test() == Engine::Dockerd
}

/// Runs a script there; `load` loads busybox.
#[track_caller]
pub fn run(script: &str) -> String {
    let image = Fixture::Busybox.archive().unwrap().display().to_string();
    Sandbox::new().run(&format!("{LAN}\nload() {{ docker load -q -i {image} >/dev/null; }}\n{script}"))
}

/// The lines behind `== name` up to the next heading.
#[track_caller]
pub fn part<'a>(text: &'a str, name: &str) -> &'a str {
    let behind = text.split(&format!("== {name}\n")).nth(1).unwrap_or_else(|| panic!("no {name} in\n{text}"));
    behind.split("== ").next().unwrap()
}
