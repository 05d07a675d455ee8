//! The daemon itself: build the engine from the options, serve, end on a signal.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use engine::{Engine, EngineConfig, LiveConfig};
use network::{DefaultBridge, NetworkConfig};
use server::{Listen, Server};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use super::lock::Held;
use super::options::{DOCKER_SOCKET, Options};

/// Two cores serve hundreds of containers; more threads would only cost memory.
const WORKERS: usize = 2;
/// Threads that may wait for the rooms, log followers among them.
const MOST_BLOCKING: usize = 256;

/// Runs the daemon until it is told to end; the containers run on.
pub(super) fn run(options: Options, detached: bool) -> anyhow::Result<()> {
    if detached {
        // Not a session of the terminal it was started from; fails only for a session leader, which is as good.
        let _ = rustix::process::setsid();
    }
    sys::allocator::keep_little();
    start_logging(&options)?;
    let held = Held::take(&options.data_root, &options.exec_root, &options.pidfile)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(MOST_BLOCKING)
        .thread_name("gantryd")
        .enable_all()
        .build()
        .context("start the async runtime")?;
    let result = runtime.block_on(serve(options));
    // Log followers wait in threads of their own; they have nothing to finish.
    runtime.shutdown_background();
    drop(held);
    result
}

async fn serve(options: Options) -> anyhow::Result<()> {
    // Before anything else: a signal during the start must end the daemon in order too.
    let mut terminate = signal(SignalKind::terminate()).context("watch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watch SIGINT")?;
    let server = Server::bind(&addresses(&options)).context("failed to load listeners")?;
    let engine = Engine::open(engine_config(&options)?).await.context("failed to start daemon")?;
    tracing::info!(data_root = %options.data_root.display(), "daemon has completed initialization");
    server
        .serve(engine, async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: daemon ends, containers run on"),
                _ = interrupt.recv() => tracing::info!("SIGINT: daemon ends, containers run on"),
            }
        })
        .await;
    Ok(())
}

fn start_logging(options: &Options) -> anyhow::Result<()> {
    let level = match options.log_level.as_str() {
        _ if options.debug => LevelFilter::DEBUG,
        "debug" | "trace" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" => LevelFilter::WARN,
        "error" | "fatal" => LevelFilter::ERROR,
        other => anyhow::bail!("unable to parse logging level: {other}"),
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// The named addresses; without any, our socket, and Docker's where nobody else owns it.
fn addresses(options: &Options) -> Vec<Listen> {
    if !options.hosts.is_empty() {
        return options.hosts.clone();
    }
    let mut addresses = vec![Listen::Unix(options.exec_root.join("gantry.sock"))];
    if is_free(Path::new(DOCKER_SOCKET)) {
        addresses.push(Listen::Unix(PathBuf::from(DOCKER_SOCKET)));
    }
    addresses
}

/// Nothing is there, or a socket nobody answers on.
fn is_free(path: &Path) -> bool {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket() && std::os::unix::net::UnixStream::connect(path).is_err(),
        Err(_) => path.parent().is_some_and(Path::is_dir),
    }
}

fn engine_config(options: &Options) -> anyhow::Result<EngineConfig> {
    let bridge = match (&options.bridge, &options.bridge_name) {
        (Some(name), _) if name == "none" => DefaultBridge::Disabled,
        (Some(name), None) => DefaultBridge::Existing { name: name.clone() },
        (Some(_), Some(_)) => anyhow::bail!("conflicting options: --bridge and --bridge-name"),
        (None, name) => {
            let name = name.clone().unwrap_or_else(|| network::default_bridge_name(&options.data_root));
            DefaultBridge::Owned { name, bip: options.bip }
        }
    };
    if options.bip.is_some() && options.bridge.is_some() {
        anyhow::bail!("you specified -b & --bip, mutually exclusive options. Please specify only one");
    }
    let network = NetworkConfig {
        mtu: options.mtu,
        ip_forward: options.ip_forward,
        iptables: options.iptables,
        icc: options.icc,
        default_bind_ip: options.bind_ip,
        ..NetworkConfig::new(&options.data_root, &options.exec_root, bridge)
    };
    Ok(EngineConfig {
        driver: options.driver,
        init: options.init,
        log_driver: (options.log_driver.clone(), options.log_options.clone()),
        userns_remap: options.userns_remap,
        live: LiveConfig {
            debug: options.debug,
            labels: options.labels.clone(),
            insecure_registries: options.insecure_registries.clone(),
            ..LiveConfig::default()
        },
        ..EngineConfig::new(&options.data_root, &options.exec_root, monitor_program()?, network)
    })
}

/// The small program beside this one, or this one, which answers to that name as well.
fn monitor_program() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("find this program")?;
    let beside = this.with_file_name(monitor::client::PROGRAM);
    Ok(if beside.is_file() { beside } else { this })
}
