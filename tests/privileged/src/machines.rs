//! An engine on a machine of its own with a neighbour: network namespaces and a cable.

use crate::fixtures::Fixture;
use crate::sandbox::Sandbox;

/// A machine with another one on the end of a cable (10.99.0.1 here, 10.99.0.2 there: `there COMMAND`), and busybox.
const MACHINES: &str = r#"
ip link add cable type veth peer name eth0
ip addr add 10.99.0.1/24 dev cable; ip link set cable up
unshare -n sleep 1000 & THERE=$!
until [ "$(readlink /proc/$THERE/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set eth0 netns $THERE
there() { nsenter --net=/proc/$THERE/ns/net "$@"; }
there ip link set lo up; there ip addr add 10.99.0.2/24 dev eth0; there ip link set eth0 up
there ip route add default via 10.99.0.1
D="timeout 60 docker"
images() { for image; do $D load -qi $image >/dev/null; done; }
# within SECONDS COMMAND…: until it succeeds
within() { n=$(($1 * 10)); shift; while ! "$@" >/dev/null 2>&1; do n=$((n - 1)); [ $n -gt 0 ] || { echo "not within time: $*"; return 1; }; sleep 0.1; done; }
serve() { name=$1; shift; $D run -d --name $name "$@" busybox sh -c 'mkdir /www; echo hello >/www/index.html; exec httpd -f -h /www' >/dev/null; }
ask() { curl -fs --max-time 3 "http://$1/"; }
from() { there curl -fs --max-time 3 "http://$1/"; }
# `sh -c "$GET" ADDRESS PORT`, in a container. (busybox' static wget cannot look names up.)
GET='printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc -w 3 "$0" "$1" | grep -q hello'
say() { what=$1; shift; if "$@" >/dev/null 2>&1; then echo "$what: yes"; else echo "$what: no"; fi; }
"#;

/// Runs a script on those machines; `images $BUSYBOX` gives it the image.
pub fn on_machines(script: &str) -> String {
    let busybox = Fixture::Busybox.archive().unwrap_or_else(|error| panic!("{error:#}"));
    Sandbox::new().run(&format!("{MACHINES}BUSYBOX={}\n{script}\n", busybox.display()))
}
