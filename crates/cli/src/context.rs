//! What every command works with: who called, where the engine is, where output goes. All of it lazy.

use std::cell::OnceCell;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use client::{ApiVersion, Client, Host};
use rustix::termios;

use crate::config::Config;
pub use crate::tls::TlsChoice;
use crate::{Environment, Failure, Hooks};

/// The socket of a daemon with default settings.
pub const DEFAULT_SOCKET: &str = "/run/gantry/gantry.sock";

/// How we call ourselves to engines.
const AGENT: &str = concat!("Gantry-Client/", env!("CARGO_PKG_VERSION"), " (linux)");

/// One invocation.
pub struct Context<'a> {
    /// The name that texts call the program by: `docker` when invoked as that, else `gantry`.
    pub program: &'static str,
    /// The caller's environment.
    pub environment: &'a Environment,
    hosts: Vec<String>,
    config_dir: Option<PathBuf>,
    tls: TlsChoice,
    hooks: &'a Hooks,
    runtime: OnceCell<tokio::runtime::Runtime>,
    client: OnceCell<Client>,
    config: OnceCell<Config>,
}

impl<'a> Context<'a> {
    /// A context; touches nothing.
    #[must_use]
    pub fn new(
        program: &'static str,
        environment: &'a Environment,
        hooks: &'a Hooks,
        hosts: Vec<String>,
        config_dir: Option<PathBuf>,
    ) -> Self {
        Self {
            program,
            environment,
            hosts,
            config_dir,
            tls: TlsChoice::default(),
            hooks,
            runtime: OnceCell::new(),
            client: OnceCell::new(),
            config: OnceCell::new(),
        }
    }

    /// With what the global flags say about TLS.
    #[must_use]
    pub fn with_tls(self, tls: TlsChoice) -> Self {
        Self { tls, ..self }
    }

    /// The client of the chosen engine. Starts the embedded daemon when none listens at the default address.
    ///
    /// # Errors
    /// When the address is malformed or the daemon does not start.
    pub fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let given = self.given_host()?;
        let tls = self.tls.load(self.environment, self.config_path().as_deref().and_then(Path::parent))?;
        let host = match given {
            Some(text) => Host::parse(&text, tls.is_some()).map_err(|e| {
                Failure::Invalid(format!("Failed to initialize: unable to resolve docker endpoint: {e}"))
            })?,
            None => {
                self.ensure_daemon()?;
                Host::Unix(PathBuf::from(DEFAULT_SOCKET))
            }
        };
        let pinned = self.environment.filled("DOCKER_API_VERSION").and_then(|text| text.parse::<ApiVersion>().ok());
        Ok(self.client.get_or_init(|| {
            let client = Client::new(host, pinned, AGENT);
            match tls {
                Some(tls) => client.with_tls(tls),
                None => client,
            }
        }))
    }

    /// A client of another engine than the chosen one.
    #[must_use]
    pub fn client_of(&self, host: Host) -> Client {
        Client::new(host, None, AGENT)
    }

    /// Runs a future to its end on this thread.
    ///
    /// # Errors
    /// The future's own, or that the machine gives no event queue.
    pub fn wait<T>(&self, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        if self.runtime.get().is_none() {
            let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let built = built.map_err(|source| Failure::Io { what: "cannot start".to_owned(), source })?;
            // The cell was empty a moment ago and this type is not shared between threads.
            let _ = self.runtime.set(built);
        }
        match self.runtime.get() {
            Some(runtime) => runtime.block_on(future),
            None => Err(Failure::Exit(1)),
        }
    }

    /// The user's settings (`config.json`); empty when there is none.
    pub fn config(&self) -> &Config {
        self.config.get_or_init(|| self.config_path().map(|path| Config::read(&path)).unwrap_or_default())
    }

    /// Where the user's settings are.
    #[must_use]
    pub fn config_path(&self) -> Option<PathBuf> {
        let named = self.config_dir.clone().or_else(|| self.environment.filled("DOCKER_CONFIG").map(PathBuf::from));
        let home = || self.environment.filled("HOME").map(|home| Path::new(home).join(".docker"));
        named.or_else(home).map(|dir| dir.join("config.json"))
    }

    /// Writes to stdout. A reader that went away is no error.
    pub fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Writes a line to stdout.
    pub fn line(&self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    /// Writes a line to stderr.
    pub fn complain(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Whether stdin is a terminal.
    #[must_use]
    pub fn input_is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// Whether stdout is a terminal.
    #[must_use]
    pub fn output_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Rows and columns of the terminal at stdout; zeros when it is none.
    #[must_use]
    pub fn terminal_size(&self) -> (u16, u16) {
        termios::tcgetwinsize(io::stdout()).map_or((0, 0), |size| (size.ws_row, size.ws_col))
    }

    /// The address that flags or environment name, if any.
    fn given_host(&self) -> Result<Option<String>, Failure> {
        match self.hosts.as_slice() {
            [] => {}
            [one] => return Ok(Some(one.clone())),
            _ => return Err(Failure::Invalid("Specify only one -H".to_owned())),
        }
        let variable = |name: &str| self.environment.filled(name).map(str::to_owned);
        Ok(variable("GANTRY_HOST").or_else(|| variable("DOCKER_HOST")))
    }

    /// Checks a data root without its daemon.
    ///
    /// # Errors
    /// When a daemon uses it or it cannot be read.
    pub fn fsck_offline(&self, root: &str, deep: bool, repair: bool) -> Result<String, Failure> {
        (self.hooks.fsck)(root, deep, repair).map_err(|error| Failure::Invalid(error.to_string()))
    }

    fn ensure_daemon(&self) -> Result<(), Failure> {
        use std::os::unix::net::UnixStream;
        match UnixStream::connect(DEFAULT_SOCKET) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                (self.hooks.start_daemon)().map_err(|e| Failure::Daemon(e.to_string()))
            }
            _ => Ok(()),
        }
    }
}
