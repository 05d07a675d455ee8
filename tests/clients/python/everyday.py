"""A day's work with the docker SDK for Python. Usage: everyday.py MIRRORED-IMAGE"""

import io
import os
import sys
import tarfile
import threading
import time
import urllib.request

import docker

client = docker.from_env()
WORK = "everyday"


def check(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def until(what, probe):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = probe()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within 60 s")


def background(script, **options):
    options.setdefault("labels", {"work": WORK})
    return client.containers.run("busybox", ["sh", "-c", script], detach=True, **options)


def system():
    assert client.ping()
    version = client.version()
    assert version["ApiVersion"] and version["Os"] == "linux", version
    assert client.info()["Driver"], client.info()
    assert "LayersSize" in client.df() or "Images" in client.df()


def run():
    check(client.containers.run("busybox", ["echo", "hello"], remove=True), b"hello\n")
    both = client.containers.run("busybox", ["sh", "-c", "echo out; echo err >&2"], stderr=True, remove=True)
    check(sorted(both.split()), [b"err", b"out"])
    try:
        client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
        raise AssertionError("exit code 3 is an error")
    except docker.errors.ContainerError as error:
        check((error.exit_status, error.stderr), (3, b"bad\n"))
    try:
        client.containers.run("busybox", ["/no/such"], remove=True)
        raise AssertionError("a missing program is an error")
    except docker.errors.APIError as error:
        assert "no such file or directory" in error.explanation, error
    options = dict(environment={"KEY": "value"}, working_dir="/tmp", user="65534", mem_limit="64m", hostname="named")
    shown = client.containers.run("busybox", ["sh", "-c", "echo $KEY $PWD $(id -u) $(hostname)"], remove=True, **options)
    check(shown, b"value /tmp 65534 named\n")


def life():
    container = background("trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done", name=f"{WORK}-life")
    until("the container runs", lambda: b"up" in container.logs())
    container.rename(f"{WORK}-renamed")
    container.reload()
    check((container.name, container.status), (f"{WORK}-renamed", "running"))
    check([found.id for found in client.containers.list(filters={"label": f"work={WORK}"})], [container.id])
    container.pause()
    container.reload()
    check(container.status, "paused")
    container.unpause()
    assert any("sleep" in " ".join(row) or "sh" in " ".join(row) for row in container.top()["Processes"])
    stats = container.stats(stream=False)
    assert stats["memory_stats"]["usage"] > 0 and stats["cpu_stats"]["cpu_usage"]["total_usage"] > 0, stats
    container.restart(timeout=10)
    until("the container runs again", lambda: container.logs().count(b"up") == 2)
    container.stop(timeout=10)
    check(container.wait()["StatusCode"], 7)
    container.start()
    container.kill("KILL")
    check(container.wait()["StatusCode"], 137)
    assert container.diff() is None or isinstance(container.diff(), list)
    container.remove()
    try:
        client.containers.get(container.id)
        raise AssertionError("a removed container is not found")
    except docker.errors.NotFound:
        pass


def logs():
    container = background("for i in 1 2 3; do echo line $i; echo error $i >&2; sleep 0.2; done")
    check(b"".join(container.logs(stream=True, follow=True, stderr=False)), b"line 1\nline 2\nline 3\n")
    check(container.logs(stdout=False), b"error 1\nerror 2\nerror 3\n")
    stamped = container.logs(stderr=False, timestamps=True)
    assert stamped.endswith(b"Z line 3\n"), stamped
    container.remove()


def execute():
    container = background("sleep 1000")
    check(tuple(container.exec_run(["echo", "quick"])), (0, b"quick\n"))
    # Short commands, many times: nothing of their output is lost.
    for number in range(30):
        check(container.exec_run(["echo", str(number)]).output, f"{number}\n".encode())
    check(tuple(container.exec_run(["sh", "-c", "echo o; echo e >&2; exit 4"], demux=True)), (4, (b"o\n", b"e\n")))
    check(container.exec_run(["sh", "-c", "tty; echo $COLOUR"], tty=True, environment=["COLOUR=red"]).output.split()[-1], b"red")
    check(container.exec_run("pwd", workdir="/tmp", user="65534").output, b"/tmp\n")
    streamed = container.exec_run(["sh", "-c", "echo 1; sleep 0.2; echo 2"], stream=True)
    check(b"".join(streamed.output), b"1\n2\n")
    _, socket = container.exec_run("cat", stdin=True, socket=True)
    raw = getattr(socket, "_sock", socket)
    raw.sendall(b"typed\n")
    check(raw.recv(8)[:1], b"\x01")
    check(raw.recv(64), b"typed\n")
    socket.close()
    container.remove(force=True)


def attach():
    container = client.containers.create("busybox", "cat", stdin_open=True, tty=True)
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    raw = getattr(socket, "_sock", socket)
    raw.sendall(b"typed\n")
    seen = b""
    while seen.count(b"typed\r\n") < 2:
        piece = raw.recv(64)
        assert piece, seen
        seen += piece
    container.resize(height=33, width=101)
    container.remove(force=True)
    container = client.containers.create("busybox", ["sh", "-c", "echo first; sleep 0.2; echo second"])
    stream = container.attach(stream=True, logs=True)
    container.start()
    check(b"".join(stream), b"first\nsecond\n")
    container.remove()


def copy():
    container = background("sleep 1000")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("letter")
        entry.size, entry.mode, entry.uid = 5, 0o640, 7
        tar.addfile(entry, io.BytesIO(b"dear\n"))
    assert container.put_archive("/tmp", packed.getvalue())
    check(container.exec_run(["sh", "-c", "cat /tmp/letter; stat -c '%a %u' /tmp/letter"]).output, b"dear\n640 7\n")
    pieces, stat = container.get_archive("/tmp/letter")
    check((stat["name"], stat["size"]), ("letter", 5))
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        check(tar.extractfile("letter").read(), b"dear\n")
    container.remove(force=True)


def events():
    begin = int(time.time())
    stream = client.events(since=begin, decode=True, filters={"type": "container", "label": f"work={WORK}-events"})
    seen = []

    def listen():
        for event in stream:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    container = background("true", labels={"work": f"{WORK}-events"})
    container.wait()
    container.remove()
    listener.join(60)
    stream.close()
    check(seen, ["create", "start", "die", "destroy"])


def volumes():
    volume = client.volumes.create(f"{WORK}-volume", labels={"work": WORK})
    mount = {volume.name: {"bind": "/data", "mode": "rw"}}
    client.containers.run("busybox", ["sh", "-c", "echo kept >/data/file"], volumes=mount, remove=True)
    check(client.containers.run("busybox", ["cat", "/data/file"], volumes=mount, remove=True), b"kept\n")
    check([found.name for found in client.volumes.list(filters={"label": f"work={WORK}"})], [volume.name])
    typed = docker.types.Mount("/data", volume.name, read_only=True)
    refused = client.containers.run(
        "busybox", ["sh", "-c", "touch /data/x 2>&1 || echo refused"], mounts=[typed], remove=True
    )
    assert refused.endswith(b"refused\n"), refused
    volume.remove()


def networks():
    network = client.networks.create(f"{WORK}-net", driver="bridge", labels={"work": WORK})
    page = "mkdir -p /www; echo hello >/www/index.html; httpd -f -p 80 -h /www"
    web = background(page, network=network.name, name=f"{WORK}-web")
    asked = ["sh", "-c", f"until wget -qO- http://{WORK}-web/; do sleep 0.1; done"]
    check(client.containers.run("busybox", asked, network=network.name, stderr=False, remove=True), b"hello\n")
    other = background("sleep 1000")
    network.connect(other, aliases=["friend"])
    network.reload()
    check({container.id for container in network.containers}, {web.id, other.id})
    check(web.exec_run(["sh", "-c", "ping -c 1 -w 20 friend >/dev/null && echo there"]).output, b"there\n")
    network.disconnect(other)
    for container in (web, other):
        container.remove(force=True)
    network.remove()


def ports():
    page = "mkdir -p /www; echo hello >/www/index.html; httpd -f -p 80 -h /www"
    web = background(page, ports={"80/tcp": ("127.0.0.1", None)})

    def fetch():
        web.reload()
        bound = web.ports["80/tcp"][0]
        try:
            address = f"http://{bound['HostIp']}:{bound['HostPort']}/"
            return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=5).read()
        except OSError:
            return None

    check(until("the page", fetch), b"hello\n")
    web.remove(force=True)


def images():
    wanted = sys.argv[1]
    image = client.images.pull(*wanted.rsplit(":", 1))
    assert any(tag.endswith(wanted) for tag in image.tags), image.tags
    assert any(step["status"] for step in client.api.pull(wanted, stream=True, decode=True))
    assert image.tag("everyday/copy", tag="v1")
    image.reload()
    assert "everyday/copy:v1" in client.images.get("everyday/copy:v1").tags
    assert image.history(), "a history"
    packed = b"".join(image.save(named="everyday/copy:v1"))
    client.images.remove("everyday/copy:v1")
    try:
        client.images.get("everyday/copy:v1")
        raise AssertionError("a removed image is not found")
    except docker.errors.ImageNotFound:
        pass
    check([loaded.id for loaded in client.images.load(packed)], [image.id])
    client.images.remove("everyday/copy:v1")


def commit():
    container = background("echo saved >/saved; sleep 1000")
    until("the file is there", lambda: container.exec_run(["cat", "/saved"]).exit_code == 0)
    image = container.commit("everyday/commit", tag="v1", changes="ENV ADDED=1")
    check(client.containers.run(image.id, ["sh", "-c", "cat /saved; echo $ADDED"], remove=True), b"saved\n1\n")
    container.remove(force=True)
    client.images.remove("everyday/commit:v1")


STEPS = [system, run, life, logs, execute, attach, copy, events, volumes, networks, ports, images, commit]
for step in STEPS:
    if step.__name__ in os.environ.get("LEAVE_OUT", "").split(","):
        continue
    step()
    print(step.__name__, "ok", flush=True)
