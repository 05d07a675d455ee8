//! RUN: a container of the image so far, its output told as it comes, and its layer.

use build::solve::{Event, Network, Record, RunStep, Script, Stream};
use store::{ImageId, Scratch};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use types::ContainerId;

use super::images;
use super::worker::{EngineWorker, Settings};
use super::{BuildEvent, failure};
use crate::attach::AttachRequest;
use crate::error::Error;
use crate::lifecycle::{RemoveContainer, WaitCondition};
use crate::model::{BindMount, ContainerConfig, CreateContainer, Healthcheck, HostConfig, LogConfig, NetworkMode};

/// Bytes of one piece of output at most.
const PIECE: usize = 64 << 10;

impl EngineWorker {
    /// Runs a step; the other outcome is the exit code.
    pub(super) fn run_step(
        &mut self,
        record: &Record<'_, ImageId>,
        step: &RunStep,
    ) -> Result<Result<ImageId, i32>, Error> {
        let Some(image) = record.parent else { return Err(nothing_to_run(&step.command)) };
        let script = step.script.as_ref().map(|script| self.write_script(script)).transpose()?;
        let request = request(&self.settings, image, record, step, script.as_ref());
        let created = self.block_on(self.engine.create(request))?;
        let id = created.id;
        self.send(BuildEvent::Step(Event::Running(id.to_string())));
        let code = match self.block_on(self.execute(&id)) {
            Ok(code) => code,
            Err(error) => {
                let cancelled = self.cancelled();
                self.dismiss(&id, cancelled || self.settings.force_remove, !cancelled);
                return if cancelled { Err(failure(build::solve::Failure::Cancelled)) } else { Err(error) };
            }
        };
        if code != 0 {
            self.dismiss(&id, self.settings.force_remove, true);
            return Ok(Err(code));
        }
        let layer = self.engine.store.commit_layer(&self.lease, &id).map_err(Error::from);
        let made = layer.and_then(|layer| images::commit(&self.engine, &self.lease, record, &id, layer.as_ref()));
        let remove = if made.is_ok() { self.settings.remove } else { self.settings.force_remove };
        self.dismiss(&id, remove, true);
        made.map(Ok)
    }

    /// Starts the container and passes its output on until it ends; gives its exit code.
    async fn execute(&self, id: &ContainerId) -> Result<i32, Error> {
        let streams = AttachRequest { stream: true, stdout: true, stderr: true, ..AttachRequest::default() };
        let attached = self.engine.attach(id.as_str(), streams).await?;
        let ended = self.engine.wait(id.as_str(), WaitCondition::NextExit)?;
        self.engine.start(id.as_str()).await?;
        tokio::select! {
            () = self.pass_on(attached.io) => {}
            () = self.sender.closed() => return Err(Error::ShuttingDown),
        }
        // The output ends with the process, unless that has closed it and goes on.
        tokio::select! {
            exit = ended => Ok(exit.code),
            () = self.sender.closed() => Err(Error::ShuttingDown),
        }
    }

    /// Tells the output, frame by frame (`docker attach`, without a terminal).
    async fn pass_on(&self, mut io: UnixStream) {
        let mut head = [0; 8];
        while io.read_exact(&mut head).await.is_ok() {
            let stream = if head[0] == 2 { Stream::Stderr } else { Stream::Stdout };
            let mut left = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
            while left > 0 {
                let mut bytes = vec![0; left.min(PIECE)];
                if io.read_exact(&mut bytes).await.is_err() {
                    return;
                }
                left -= bytes.len();
                // A client that left is noticed by the caller.
                let _ = self.sender.send(Ok(BuildEvent::Step(Event::Output(stream, bytes)))).await;
            }
        }
    }

    /// Takes a step's container away, when that is wanted.
    pub(super) fn dismiss(&self, id: &ContainerId, remove: bool, tell: bool) {
        if !remove {
            return;
        }
        if tell {
            self.send(BuildEvent::Step(Event::Removing(id.to_string())));
        }
        let options = RemoveContainer { volumes: true, force: true };
        if let Err(error) = self.block_on(self.engine.remove(id.as_str(), options)) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(container = id.as_str(), error, "the container of a build step is still there");
        }
    }

    fn write_script(&self, script: &Script) -> Result<(Scratch, String), Error> {
        let scratch = self.engine.store.scratch("script")?;
        let path = scratch.path().join("script");
        std::fs::write(&path, &script.content)
            .and_then(|()| std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)))
            .map_err(Error::file("write", &path))?;
        Ok((scratch, script.name.clone()))
    }
}

/// A container without any file cannot run anything; the words are those of a start that tries.
fn nothing_to_run(command: &[String]) -> Error {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let reason = if program.contains('/') {
        format!("stat {program}: no such file or directory")
    } else {
        "executable file not found in $PATH".to_owned()
    };
    let message = format!("exec: {program:?}: {reason}");
    Error::StartFailed { message, code: 127, kind: types::ErrorKind::InvalidParameter }
}

fn request(
    settings: &Settings,
    image: &ImageId,
    record: &Record<'_, ImageId>,
    step: &RunStep,
    script: Option<&(Scratch, String)>,
) -> CreateContainer {
    let network_mode = match step.network {
        Network::Default => settings.network.clone(),
        Network::None => NetworkMode::None,
        Network::Host => NetworkMode::Host,
    };
    let script = script.map(|(scratch, name)| BindMount {
        source: scratch.path().join("script").display().to_string(),
        destination: format!("/dev/pipes/{name}"),
        mode: "ro".to_owned(),
    });
    CreateContainer {
        config: ContainerConfig {
            image: image.to_string(),
            cmd: Some(step.command.clone()),
            // Takes the image's away.
            entrypoint: Some(vec![String::new()]),
            env: step.env.clone(),
            user: record.config.user.clone(),
            working_dir: record.config.working_dir.clone(),
            labels: record.config.labels.clone(),
            healthcheck: Some(Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() }),
            attach_stdout: true,
            attach_stderr: true,
            ..ContainerConfig::default()
        },
        host: HostConfig {
            binds: script.into_iter().collect(),
            network_mode,
            extra_hosts: settings.extra_hosts.clone(),
            shm_size: settings.shm_size,
            resources: settings.resources.clone(),
            cgroup_parent: settings.cgroup_parent.clone(),
            // What it writes is told at once.
            log: LogConfig { driver: "none".to_owned(), ..LogConfig::default() },
            ..HostConfig::default()
        },
        build_step: settings.remove,
        ..CreateContainer::default()
    }
}

/// A container that stands for a step without a process.
pub(super) fn placeholder(settings: &Settings, record: &Record<'_, ImageId>, image: &ImageId) -> CreateContainer {
    let step = RunStep {
        command: record.command.clone(),
        env: record.config.env.clone(),
        network: Network::Default,
        script: None,
    };
    request(settings, image, record, &step, None)
}
