"""A test writer's day with testcontainers for Python."""

import urllib.request

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import wait_for_logs

PAGE = "mkdir -p /www; echo hello >/www/index.html; echo serving; httpd -f -p 80 -h /www"


def fetch(container):
    address = f"http://127.0.0.1:{container.get_exposed_port(80)}/"
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=10).read()


with DockerContainer("busybox").with_command(["sh", "-c", PAGE]).with_exposed_ports(80) as web:
    wait_for_logs(web, "serving", timeout=60)
    assert web.exec(["sh", "-c", "until wget -qO- http://127.0.0.1/; do sleep 0.1; done"]).output == b"hello\n"
    assert fetch(web) == b"hello\n"
    out, _ = web.get_logs()
    assert b"serving" in out, out
print("container ok", flush=True)

with Network() as network:
    served = DockerContainer("busybox").with_command(["sh", "-c", PAGE]).with_network(network).with_network_aliases("site")
    with served as web, DockerContainer("busybox").with_command("sleep 1000").with_network(network) as other:
        wait_for_logs(web, "serving", timeout=60)
        asked = other.exec(["sh", "-c", "until wget -qO- http://site/; do sleep 0.1; done"])
        assert asked.output.endswith(b"hello\n"), asked
print("network ok", flush=True)
