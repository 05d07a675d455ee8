//! Clients that nobody here wrote do a day's work: the docker SDK for Python, dockerode, bollard, testcontainers.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;

use privileged_tests::registry::Registry;
use privileged_tests::{Daemon, Options, foreign, hub, skip};
use serde_json::json;

/// What the programs pull by its Docker Hub name.
const PULLED: &str = "alpine:3.10";

/// An engine whose mirror of Docker Hub holds one image; none, with a visible skip, when no registry is installed.
fn engine() -> Option<(Daemon, Registry)> {
    let Some(registry) = hub::registry(Some(&[PULLED])).unwrap() else {
        skip("docker-registry is not installed");
        return None;
    };
    let config = Some(json!({"registry-mirrors": [registry.url()]}));
    Some((Daemon::start(Options { config, ..Options::default() }), registry))
}

/// Runs a program of `tests/clients` against the engine and demands that it ends well.
fn work(daemon: &Daemon, interpreter: &Path, program: &str, modules: &Path) {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "300"]).arg(interpreter).arg(foreign::programs().join(program)).arg(PULLED);
    command.env("DOCKER_HOST", daemon.host()).env("HOME", daemon.scratch("home")).env("CLIENTS", modules);
    // The reaper is an image of Docker Hub's; the engine's own reaper cleans up here.
    command.env("TESTCONTAINERS_RYUK_DISABLED", "true").env("NO_PROXY", "*").env("no_proxy", "*");
    command.env_remove("DOCKER_CONTEXT").env_remove("DOCKER_TLS_VERIFY").env_remove("DOCKER_CERT_PATH");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{program}: {}\n{text}", output.status);
}

fn python(set: &str, program: &str) {
    match foreign::python(set) {
        Err(why) => skip(&why),
        Ok(interpreter) => {
            let Some((daemon, _registry)) = engine() else { return };
            work(&daemon, &interpreter, program, Path::new(""));
        }
    }
}

fn node(program: &str) {
    match foreign::node() {
        Err(why) => skip(&why),
        Ok(modules) => {
            let Some((daemon, _registry)) = engine() else { return };
            work(&daemon, Path::new("node"), program, &modules);
        }
    }
}

#[test]
fn docker_sdk_for_python_newest() {
    python("newest", "python/everyday.py");
}

#[test]
fn docker_sdk_for_python_6_1_3() {
    python("6.1.3", "python/everyday.py");
}

#[test]
fn testcontainers_for_python() {
    python("newest", "python/testcontainers_day.py");
}

#[test]
fn dockerode() {
    node("node/everyday.js");
}

#[test]
fn testcontainers_for_node() {
    node("node/testcontainers_day.js");
}

mod rust {
    use bollard::Docker;
    use bollard::container::LogOutput;
    use bollard::exec::StartExecResults;
    use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig, VolumeCreateRequest};
    use bollard::query_parameters as query;
    use futures_util::TryStreamExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::{PULLED, engine};

    type Result<T> = std::result::Result<T, bollard::errors::Error>;

    #[tokio::test(flavor = "multi_thread")]
    async fn bollard() {
        let Some((daemon, _registry)) = engine() else { return };
        let docker =
            Docker::connect_with_unix(&daemon.socket().display().to_string(), 120, bollard::API_DEFAULT_VERSION);
        let docker = docker.unwrap().negotiate_version().await.unwrap();
        system(&docker).await.unwrap();
        life(&docker).await.unwrap();
        exec(&docker).await.unwrap();
        attach(&docker).await.unwrap();
        volumes(&docker).await.unwrap();
        pull(&docker).await.unwrap();
    }

    async fn system(docker: &Docker) -> Result<()> {
        assert_eq!(docker.ping().await?, "OK");
        assert!(docker.version().await?.api_version.is_some());
        assert!(docker.info().await?.driver.is_some());
        docker.df(None::<query::DataUsageOptions>).await?;
        Ok(())
    }

    /// Creates a container of busybox and starts it.
    async fn started(docker: &Docker, name: &str, script: &str, host: HostConfig) -> Result<()> {
        let body = ContainerCreateBody {
            image: Some("busybox".to_owned()),
            cmd: Some(["sh", "-c", script].map(str::to_owned).into()),
            host_config: Some(host),
            ..Default::default()
        };
        let options = query::CreateContainerOptionsBuilder::default().name(name).build();
        docker.create_container(Some(options), body).await?;
        docker.start_container(name, None).await
    }

    async fn removed(docker: &Docker, name: &str) -> Result<()> {
        let options = query::RemoveContainerOptionsBuilder::default().force(true).build();
        docker.remove_container(name, Some(options)).await
    }

    async fn life(docker: &Docker) -> Result<()> {
        started(docker, "life", "echo out; echo err >&2; exec sleep 1000", HostConfig::default()).await?;
        docker.pause_container("life").await?;
        let state = docker.inspect_container("life", None).await?.state.unwrap();
        assert_eq!(state.paused, Some(true));
        docker.unpause_container("life").await?;
        let stats = query::StatsOptionsBuilder::default().stream(false).build();
        let stats: Vec<_> = docker.stats("life", Some(stats)).try_collect().await?;
        assert!(stats[0].memory_stats.as_ref().unwrap().usage.unwrap() > 0);
        assert!(!docker.top_processes("life", None).await?.processes.unwrap().is_empty());
        docker.kill_container("life", None).await?;
        let ended = docker.wait_container("life", None).try_collect::<Vec<_>>().await;
        assert!(matches!(ended, Err(bollard::errors::Error::DockerContainerWaitError { code: 137, .. })), "{ended:?}");
        let options = query::LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
        let mut logs: Vec<LogOutput> = docker.logs("life", Some(options)).try_collect().await?;
        logs.sort_by_key(ToString::to_string);
        assert!(matches!(&logs[..], [LogOutput::StdErr { .. }, LogOutput::StdOut { .. }]), "{logs:?}");
        removed(docker, "life").await
    }

    async fn exec(docker: &Docker) -> Result<()> {
        started(docker, "exec", "exec sleep 1000", HostConfig::default()).await?;
        for number in 0..20 {
            let config = ExecConfig {
                cmd: Some(["sh", "-c", &format!("echo {number}; exit {number}")].map(str::to_owned).into()),
                attach_stdout: Some(true),
                ..Default::default()
            };
            let id = docker.create_exec("exec", config).await?.id;
            let StartExecResults::Attached { output, .. } = docker.start_exec(&id, None).await? else {
                panic!("detached");
            };
            let output: Vec<LogOutput> = output.try_collect().await?;
            assert_eq!(output.iter().map(ToString::to_string).collect::<String>(), format!("{number}\n"));
            assert_eq!(docker.inspect_exec(&id).await?.exit_code, Some(number));
        }
        removed(docker, "exec").await
    }

    async fn attach(docker: &Docker) -> Result<()> {
        let body = ContainerCreateBody {
            image: Some("busybox".to_owned()),
            cmd: Some(vec!["cat".to_owned()]),
            open_stdin: Some(true),
            stdin_once: Some(true),
            ..Default::default()
        };
        let name = query::CreateContainerOptionsBuilder::default().name("attach").build();
        docker.create_container(Some(name), body).await?;
        let options = query::AttachContainerOptionsBuilder::default().stream(true).stdin(true).stdout(true).build();
        let mut attached = docker.attach_container("attach", Some(options)).await?;
        docker.start_container("attach", None).await?;
        attached.input.write_all(b"typed\n").await.unwrap();
        attached.input.shutdown().await.unwrap();
        let output: Vec<LogOutput> = attached.output.try_collect().await?;
        assert_eq!(output.iter().map(ToString::to_string).collect::<String>(), "typed\n");
        let ended: Vec<_> = docker.wait_container("attach", None).try_collect().await?;
        assert_eq!(ended[0].status_code, 0);
        removed(docker, "attach").await
    }

    async fn volumes(docker: &Docker) -> Result<()> {
        let request = VolumeCreateRequest { name: Some("data".to_owned()), ..Default::default() };
        docker.create_volume(request).await?;
        let host = || HostConfig { binds: Some(vec!["data:/data".to_owned()]), ..Default::default() };
        started(docker, "writer", "echo kept >/data/file", host()).await?;
        docker.wait_container("writer", None).try_collect::<Vec<_>>().await?;
        removed(docker, "writer").await?;
        started(docker, "reader", "grep -q kept /data/file", host()).await?;
        docker.wait_container("reader", None).try_collect::<Vec<_>>().await?;
        removed(docker, "reader").await?;
        docker.remove_volume("data", None::<query::RemoveVolumeOptions>).await
    }

    async fn pull(docker: &Docker) -> Result<()> {
        let options = query::CreateImageOptionsBuilder::default().from_image(PULLED).build();
        let progress: Vec<_> = docker.create_image(Some(options), None, None).try_collect().await?;
        assert!(progress.iter().any(|step| step.status.is_some()), "{progress:?}");
        assert!(docker.inspect_image(PULLED).await?.repo_tags.unwrap().contains(&PULLED.to_owned()));
        docker.remove_image(PULLED, None::<query::RemoveImageOptions>, None).await?;
        Ok(())
    }
}
