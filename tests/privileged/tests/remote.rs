//! Clients on other machines: TLS with certificates, and ssh.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;

use privileged_tests::fixtures::Fixture;
use privileged_tests::sandbox::{Sandbox, has, lacks};
use privileged_tests::{Engine, skip};

fn is_reference() -> bool {
    Engine::under_test() == Engine::Dockerd
}

/// An authority, a server's certificate for 127.0.0.1, a client's, and one that another authority signed.
const CERTIFICATES: &str = r#"
mkdir certs other; q() { openssl "$@" 2>>openssl.log || { cat openssl.log; exit 7; }; }
for who in certs other; do q req -x509 -newkey rsa:2048 -nodes -keyout $who/ca-key.pem -out $who/ca.pem -days 2 -subj /CN=$who; done
sign() { # DIRECTORY NAME USAGE
  q req -newkey rsa:2048 -nodes -keyout $1/$2-key.pem -out $1/$2.csr -subj /CN=$2
  printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=%s\n' $3 >ext
  q x509 -req -in $1/$2.csr -CA $1/ca.pem -CAkey $1/ca-key.pem -CAcreateserial -out $1/$2-cert.pem -days 2 -extfile ext
}
sign certs server serverAuth; sign certs client clientAuth; sign other client clientAuth
mine="--tlsverify --tlscacert=certs/ca.pem --tlscert=certs/client-cert.pem --tlskey=certs/client-key.pem"
"#;

/// A server for ssh on port 2222 where `docker` is ours, and an `ssh` that finds it. `FAR` is the engine there.
const SSHD: &str = r#"
mkdir far; ln -s ../bin/gantry far/docker
for k in host user; do ssh-keygen -q -t ed25519 -N '' -f $k; done
chmod 600 host user; cp user.pub keys
printf 'HostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nPermitRootLogin yes\nUsePAM no\nSetEnv PATH=%s:/usr/bin:/bin DOCKER_HOST=%s\nPidFile none\nListenAddress 127.0.0.1:2222\n' $PWD/host $PWD/keys $PWD/far $FAR >sshd_config
/usr/sbin/sshd -f $PWD/sshd_config -E $PWD/sshd.log || { cat sshd.log; exit 6; }
printf 'IdentityFile %s\nStrictHostKeyChecking no\nUserKnownHostsFile %s\nLogLevel ERROR\n' $PWD/user $PWD/known >ssh_config
printf '#!/bin/sh\nexec /usr/bin/ssh -F %s "$@"\n' $PWD/ssh_config >bin/ssh; chmod 755 bin/ssh
"#;

/// Whether the tests with ssh can run; says why not.
fn has_ssh() -> bool {
    let there = Path::new("/usr/sbin/sshd").exists() && Path::new("/usr/bin/ssh").exists();
    if !there {
        skip("ssh and sshd are not installed");
    } else if is_reference() {
        skip("the far end is our dial-stdio");
    }
    there && !is_reference()
}

#[test]
fn remote_tls_lets_only_known_clients_in() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("openssl is not installed");
    }
    let archive = Fixture::Busybox.archive().unwrap();
    let own = if is_reference() { "" } else { "gantry" };
    let sandbox = Sandbox::new();
    let text = sandbox.run(&format!(
        r#"{CERTIFICATES}
        up $quiet --tlsverify --tlscacert=certs/ca.pem --tlscert=certs/server-cert.pem --tlskey=certs/server-key.pem -H tcp://127.0.0.1:2376 -H unix:///var/run/docker.sock
        docker load -qi {}
        export DOCKER_HOST=tcp://127.0.0.1:2376
        for c in docker {own}; do
          echo through | timeout 60 $c $mine run -i --rm --network none busybox sh -c 'cat; echo end'
          echo "cat of $c $?"
          timeout 60 $c $mine run --rm --network none busybox sh -c 'i=0; while [ $i -lt 20000 ]; do echo a line of some length $i; i=$((i+1)); done' | md5sum
          timeout 20 $c version 2>&1 | tail -2; echo "plain $c"
          timeout 20 $c --tlsverify --tlscacert=certs/ca.pem --tlscert=other/client-cert.pem --tlskey=other/client-key.pem version >/dev/null 2>&1; echo "other client $c $?"
          timeout 20 $c --tlsverify --tlscacert=other/ca.pem --tlscert=certs/client-cert.pem --tlskey=certs/client-key.pem version 2>&1 | grep -c x509; echo "other server $c"
        done
        mkdir pair; cp certs/ca.pem pair/ca.pem; cp certs/client-cert.pem pair/cert.pem; cp certs/client-key.pem pair/key.pem
        for c in docker {own}; do DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=pair timeout 20 $c version >/dev/null && echo "environment $c"; done
        curl -s http://127.0.0.1:2376/_ping; seq 0 19999 | sed 's/^/a line of some length /' | md5sum"#,
        archive.display()
    ));
    let sums: Vec<&str> = text.lines().filter(|line| line.ends_with("  -")).collect();
    assert!(sums.len() >= 2 && sums.iter().all(|sum| *sum == sums[0]), "{text}");
    for client in ["docker", own].into_iter().filter(|name| !name.is_empty()) {
        has(&text, &format!("through\nend\ncat of {client} 0\n"));
        has(&text, &format!("Client sent an HTTP request to an HTTPS server.\nplain {client}\n"));
        has(&text, &format!("other client {client} 1\n1\nother server {client}\n"));
        has(&text, &format!("environment {client}\n"));
    }
    has(&text, "Client sent an HTTP request to an HTTPS server.\n");
    lacks(&text, "DEPRECATION");
}

#[test]
fn remote_stock_clients_come_by_ssh() {
    if !has_ssh() {
        return;
    }
    let archive = Fixture::Busybox.archive().unwrap();
    let text = Sandbox::new().run(&format!(
        r#"chmod 755 .; up $quiet; docker load -qi {}
        FAR=$DOCKER_HOST; {SSHD}
        export DOCKER_HOST=ssh://root@127.0.0.1:2222
        for c in docker gantry; do
          timeout 60 $c info -f "root of $c {{{{.DockerRootDir}}}}" || cat sshd.log
          echo through | timeout 60 $c run -i --rm --network none busybox cat; echo "cat of $c $?"
        done
        DOCKER_HOST=ssh://root@127.0.0.1:2223 timeout 60 gantry version; echo "nobody there $?"
        DOCKER_HOST=ssh://a:b@c timeout 60 gantry version; echo "password $?""#,
        archive.display()
    ));
    for client in ["docker", "gantry"] {
        has(&text, &format!("root of {client} /var/lib/docker\nthrough\ncat of {client} 0\n"));
    }
    has(&text, "nobody there 1");
    has(&text, "error during connect: command [ssh ");
    has(&text, "plain-text password is not supported");
}

#[test]
fn x_10_send_goes_through_a_real_ssh() {
    if !has_ssh() {
        return;
    }
    let archive = Fixture::Busybox.archive().unwrap();
    let text = Sandbox::new().run(&format!(
        r#"chmod 755 .; up $quiet; gantry load -qi {}
        FAR=unix:///run/far.sock; {SSHD}
        bin/dockerd $quiet --data-root /var/lib/far --exec-root /run/far -p /run/far.pid -H $FAR >>far.log 2>&1 & far=$!
        i=0; until timeout 20 gantry -H $FAR version >/dev/null 2>&1; do
          i=$((i + 1)); [ $i -lt 300 ] && kill -0 $far || {{ echo "the far daemon does not answer"; cat far.log; exit 9; }}
          sleep 0.1
        done
        timeout 60 gantry image send root@127.0.0.1:2222 busybox || cat sshd.log; echo "sent $?"
        timeout 60 gantry image send -q ssh://root@127.0.0.1:2222 busybox; echo "again $?"
        for engine in $DOCKER_HOST $FAR; do echo "id $(docker -H $engine image inspect -f '{{{{.Id}}}}' busybox)"; done
        docker -H $FAR run --rm --network none busybox echo runs there
        timeout 60 gantry image send root@127.0.0.1:2223 busybox; echo "nobody $?"
        kill $far; wait $far; timeout 60 gantry image send root@127.0.0.1:2222 busybox; echo "no engine $?""#,
        archive.display()
    ));
    has(&text, "Loaded image: busybox:latest\nSent ");
    has(&text, " to root@127.0.0.1:2222\nsent 0\nbusybox\nagain 0\n");
    let ids: Vec<&str> = text.lines().filter(|line| line.starts_with("id ")).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1] && ids[0].starts_with("id sha256:"), "{text}");
    has(&text, "runs there\n");
    has(&text, "error during connect: command [ssh ");
    has(&text, "nobody 1\n");
    has(&text, "no engine 1");
}
