//! The instructions of a Dockerfile, typed. Variables are not yet replaced ([`crate::expand`]).

use std::time::Duration;

use super::heredoc::Heredoc;
use super::mount::MountFlag;

/// One instruction of a stage. `FROM` is not among them: it begins a [`super::Stage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// `ADD [flags] source… destination`.
    Add(Add),
    /// `ARG name[=default]…`.
    Arg(Vec<Argument>),
    /// `CMD`.
    Cmd(CommandLine),
    /// `COPY [flags] source… destination`.
    Copy(Copy),
    /// `ENTRYPOINT`.
    Entrypoint(CommandLine),
    /// `ENV name=value…`.
    Env(Vec<Pair>),
    /// `EXPOSE port[-port][/protocol]…`, sorted.
    Expose(Vec<String>),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `LABEL name=value…`.
    Label(Vec<Pair>),
    /// `MAINTAINER name`.
    Maintainer(String),
    /// `ONBUILD instruction`: the instruction's text, here-documents included.
    Onbuild(String),
    /// `RUN`.
    Run(Run),
    /// `SHELL ["program", "argument"…]`, never empty.
    Shell(Vec<String>),
    /// `STOPSIGNAL signal`.
    Stopsignal(String),
    /// `USER user[:group]`.
    User(String),
    /// `VOLUME path…`.
    Volume(Vec<String>),
    /// `WORKDIR path`.
    Workdir(String),
}

/// Their words, `FROM` among them.
pub const WORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The beginning of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// Image, or an earlier stage's name.
    pub image: String,
    /// `--platform`.
    pub platform: Option<String>,
    /// The stage's name, in lower case.
    pub name: Option<String>,
    /// The word between image and name and the name, as written.
    pub(crate) name_as_written: Option<(String, String)>,
}

/// What an image runs: text for its shell, or words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// For the shell; empty when the instruction has no arguments.
    Shell(String),
    /// The JSON form.
    Exec(Vec<String>),
}

/// `name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Left of the `=`.
    pub name: String,
    /// Right of the `=`.
    pub value: String,
    /// Written in the old form, `name value`.
    pub legacy: bool,
}

/// An `ARG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Its default.
    pub value: Option<String>,
}

/// `RUN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What to run. With here-documents, see [`Run::task`].
    pub command: CommandLine,
    /// Here-documents its command begins, in order.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`, in order.
    pub mounts: Vec<MountFlag>,
    /// `--network`.
    pub network: RunNetwork,
    /// `--security`.
    pub security: RunSecurity,
    /// `--device`, in order.
    pub devices: Vec<String>,
    /// The names of the flags that were given, in order.
    pub flags: Vec<&'static str>,
}

/// `RUN --network`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunNetwork {
    /// The build's own.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// `RUN --security`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunSecurity {
    /// As any container.
    #[default]
    Sandbox,
    /// Privileged.
    Insecure,
}

/// What a `RUN` comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// A command.
    Command(CommandLine),
    /// A here-document that begins with `#!`: a file to be executed.
    Script {
        /// Name of the file.
        name: String,
        /// Its content.
        content: String,
    },
}

/// What `ADD` and `COPY` have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Where files come from, in order; at least one.
    pub sources: Vec<Source>,
    /// Where they go.
    pub destination: String,
    /// `--chown`.
    pub chown: Option<String>,
    /// `--chmod`.
    pub chmod: Option<String>,
    /// `--link`.
    pub link: bool,
    /// `--exclude`, in order.
    pub excludes: Vec<String>,
}

/// One source of `ADD` or `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path or pattern; for `ADD` also a URL or a repository.
    Path(String),
    /// The content of a file.
    Inline(Heredoc),
}

/// `ADD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    /// What goes where.
    pub files: Files,
    /// `--checksum`.
    pub checksum: Option<String>,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`; `None` unpacks local archives only.
    pub unpack: Option<bool>,
}

/// `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// What goes where.
    pub files: Files,
    /// `--from`: a stage by name or number, or an image.
    pub from: Option<String>,
    /// `--parents`.
    pub parents: bool,
}

/// `HEALTHCHECK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", word…]` or `["CMD-SHELL", text]`, as image configurations have it.
    pub test: Vec<String>,
    /// `--interval`.
    pub interval: Option<Duration>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--start-period`.
    pub start_period: Option<Duration>,
    /// `--start-interval`.
    pub start_interval: Option<Duration>,
    /// `--retries`.
    pub retries: Option<u32>,
}

// === impl Instruction ===

impl Instruction {
    /// Its word in capitals.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }
}

// === impl CommandLine ===

impl CommandLine {
    /// The words to execute, with this shell before text.
    #[must_use]
    pub fn words(&self, shell: &[String]) -> Vec<String> {
        match self {
            Self::Exec(words) => words.clone(),
            Self::Shell(text) if text.is_empty() => shell.to_vec(),
            Self::Shell(text) => shell.iter().chain([text]).cloned().collect(),
        }
    }
}

// === impl Run ===

impl Run {
    /// What is to be executed, here-documents considered.
    ///
    /// A command that is nothing but one here-document is that document's text; any other command gets its documents
    /// appended, so that the shell reads them.
    #[must_use]
    pub fn task(&self) -> Task {
        let (CommandLine::Shell(text), Some(first)) = (&self.command, self.heredocs.first()) else {
            return Task::Command(self.command.clone());
        };
        // A command with blanks in it is more than one word, so more than the document.
        if Heredoc::of_word(text).is_ok_and(|document| document.is_some()) {
            let content = first.text();
            return if content.starts_with("#!") {
                Task::Script { name: first.name.clone(), content }
            } else {
                Task::Command(CommandLine::Shell(content))
            };
        }
        let mut whole = text.clone();
        for document in &self.heredocs {
            whole.push('\n');
            whole.push_str(&document.content);
            whole.push_str(&document.name);
        }
        Task::Command(CommandLine::Shell(whole))
    }
}
