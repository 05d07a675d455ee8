//! `build`.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use build::ignore::Ignore;
use client::{Request, Upload, UploadWriter};
use serde_json::{Value, json};

use super::load::feed;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::copy::pack_context;
use crate::credentials;
use crate::flags::{Flag, Matches};
use crate::format::units::human_size;
use crate::options::keyvalue::{go_error, map};
use crate::options::ulimit;
use crate::progress::{self, Target};

/// `build`.
pub static COMMAND: Command = Command {
    paths: &["image build", "build", "builder build"],
    usage: "[OPTIONS] PATH | URL | -",
    about: "Build an image from a Dockerfile",
    flags: &[FLAGS],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

static FLAGS: &[Flag] = &[
    Flag::value("add-host", "list", "Add a custom host-to-IP mapping (\"host:ip\")"),
    Flag::value("build-arg", "list", "Set build-time variables"),
    Flag::value("cache-from", "strings", "Images to consider as cache sources"),
    Flag::value("cgroup-parent", "string", "Set the parent cgroup for the \"RUN\" instructions during build"),
    Flag::value("cpu-period", "int", "Limit the CPU CFS (Completely Fair Scheduler) period"),
    Flag::value("cpu-quota", "int", "Limit the CPU CFS (Completely Fair Scheduler) quota"),
    Flag::value("cpu-shares", "int", "CPU shares (relative weight)").short('c'),
    Flag::value("cpuset-cpus", "string", "CPUs in which to allow execution (0-3, 0,1)"),
    Flag::value("cpuset-mems", "string", "MEMs in which to allow execution (0-3, 0,1)"),
    Flag::value("file", "string", "Name of the Dockerfile (Default is \"PATH/Dockerfile\")").short('f'),
    Flag::switch("force-rm", "Always remove intermediate containers"),
    Flag::value("iidfile", "string", "Write the image ID to the file"),
    Flag::value("label", "list", "Set metadata for an image"),
    Flag::value("memory", "bytes", "Memory limit").short('m'),
    Flag::value("memory-swap", "bytes", "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    Flag::value("network", "string", "Set the networking mode for the RUN instructions during build")
        .default("default"),
    Flag::switch("no-cache", "Do not use cache when building the image"),
    Flag::value("platform", "string", "Set platform if server is multi-platform capable"),
    Flag::switch("pull", "Always attempt to pull a newer version of the image"),
    Flag::switch("quiet", "Suppress the build output and print image ID on success").short('q'),
    Flag::switch("rm", "Remove intermediate containers after a successful build").default("true"),
    Flag::value("shm-size", "bytes", "Size of \"/dev/shm\""),
    Flag::value("tag", "list", "Name and optionally a tag in the \"name:tag\" format").short('t'),
    Flag::value("target", "string", "Set the target build stage to build."),
    Flag::value("ulimit", "ulimit", "Ulimit options").check(ulimit::check),
];

/// What is sent, and under which name the Dockerfile is in it.
struct Input {
    upload: Option<Upload>,
    remote: String,
    dockerfile: String,
}

/// A name for a Dockerfile that is not in the context.
const FOREIGN: &str = ".dockerfile";
/// What is left out.
const DOCKERIGNORE: &str = ".dockerignore";

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let client = context.client()?;
    let quiet = m.on("quiet");
    let input = input(m, quiet)?;
    let mut request = parameters(context, client.post("/build"), m)?
        .text("dockerfile", &input.dockerfile)
        .text("remote", &input.remote)
        .header("x-registry-config", &credentials::all(context)?);
    if let Some(upload) = input.upload {
        request = request.upload(upload);
    }
    let image = context.wait(async {
        let response = request.send().await?;
        progress::build(response, Target::Out).await
    })?;
    match (m.maybe("iidfile"), image) {
        (None, _) => Ok(()),
        (Some(path), Some(image)) => {
            std::fs::write(path, image).map_err(|error| Failure::Invalid(format!("open {path}: {}", go_error(&error))))
        }
        (Some(path), None) => Err(Failure::Invalid(format!("server did not provide an image ID. Cannot write {path}"))),
    }
}

fn parameters<'a>(context: &Context, request: Request<'a>, m: &Matches) -> Result<Request<'a>, Failure> {
    let bytes = |name: &str| match m.text(name) {
        "-1" => "-1".to_owned(),
        text => crate::options::size::parse(text).map(|size| size.to_string()).unwrap_or_default(),
    };
    let arguments: BTreeMap<&str, Option<String>> =
        m.list("build-arg").into_iter().map(|text| argument(context, text)).collect();
    let ulimits: Result<Vec<Value>, String> = m.list("ulimit").into_iter().map(ulimit::parse).collect();
    let ulimits = ulimits.map_err(Failure::Invalid)?;
    let sources: Vec<&str> = m.list("cache-from").into_iter().flat_map(|text| text.split(',')).collect();
    let labels = map(&m.list("label"));
    let json = |empty: bool, value: Value| if empty { String::new() } else { value.to_string() };
    let mut request = request
        .text("buildargs", &json(arguments.is_empty(), json!(arguments)))
        .text("labels", &json(labels.is_empty(), json!(labels)))
        .text("cachefrom", &json(sources.is_empty(), json!(sources)))
        .text("ulimits", &json(ulimits.is_empty(), json!(ulimits)))
        .text("cgroupparent", m.text("cgroup-parent"))
        .text("cpuperiod", m.text("cpu-period"))
        .text("cpuquota", m.text("cpu-quota"))
        .text("cpushares", m.text("cpu-shares"))
        .text("cpusetcpus", m.text("cpuset-cpus"))
        .text("cpusetmems", m.text("cpuset-mems"))
        .text("memory", &bytes("memory"))
        .text("memswap", &bytes("memory-swap"))
        .text("shmsize", &bytes("shm-size"))
        .text("networkmode", m.text("network"))
        .text("platform", m.text("platform"))
        .text("target", m.text("target"))
        .flag("nocache", m.on("no-cache"))
        .flag("pull", m.on("pull"))
        .flag("q", m.on("quiet"))
        .flag("forcerm", m.on("force-rm"))
        .query("rm", if m.on("rm") { "1" } else { "0" })
        .query("version", "1");
    for host in m.list("add-host") {
        request = request.query("extrahosts", host);
    }
    for tag in m.list("tag") {
        request = request.query("t", tag);
    }
    Ok(request)
}

/// `NAME=value`, or a name whose value is in our own environment.
fn argument<'a>(context: &Context, text: &'a str) -> (&'a str, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, context.environment.get(text).map(str::to_owned)),
    }
}

fn input(m: &Matches, quiet: bool) -> Result<Input, Failure> {
    let (place, file) = (m.arg(0), m.text("file"));
    let is_remote =
        ["http://", "https://", "git://", "git@", "ssh://", "github.com/"].iter().any(|p| place.starts_with(p));
    if is_remote && !Path::new(place).exists() {
        if file == "-" {
            return Err(Failure::Invalid(
                "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles".to_owned(),
            ));
        }
        return Ok(Input { upload: None, remote: place.to_owned(), dockerfile: file.to_owned() });
    }
    match (place, file) {
        ("-", "-") => {
            Err(Failure::Invalid("invalid argument: can't use stdin for both build context and dockerfile".to_owned()))
        }
        ("-", file) => from_stdin(file),
        (directory, file) => from_directory(Path::new(directory), file, quiet),
    }
}

/// An archive on stdin is the context; anything else is a Dockerfile without files.
fn from_stdin(file: &str) -> Result<Input, Failure> {
    let failed = |error: io::Error| Failure::Invalid(format!("failed to read stdin: {}", go_error(&error)));
    let mut stdin = io::stdin();
    let mut head = Vec::new();
    stdin.by_ref().take(1024).read_to_end(&mut head).map_err(failed)?;
    if is_archive(&head) {
        let whole = Cursor::new(head).chain(stdin);
        return Ok(Input { upload: Some(feed(Box::new(whole))), remote: String::new(), dockerfile: file.to_owned() });
    }
    if !file.is_empty() {
        return Err(Failure::Invalid(
            "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles".to_owned(),
        ));
    }
    stdin.read_to_end(&mut head).map_err(failed)?;
    let mut archive = Vec::new();
    let added = [("Dockerfile".to_owned(), head)];
    crate::copy::pack_files(&added, &mut archive).map_err(|error| failed(io::Error::other(error)))?;
    Ok(Input { upload: Some(feed(Box::new(Cursor::new(archive)))), remote: String::new(), dockerfile: String::new() })
}

/// By its first bytes: compressed, or a tar header.
fn is_archive(head: &[u8]) -> bool {
    let magic: [&[u8]; 4] = [&[0x1f, 0x8b], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z'], &[0x28, 0xb5, 0x2f, 0xfd]];
    let compressed = magic.iter().any(|magic| head.starts_with(magic));
    compressed || head.get(257..262) == Some(b"ustar".as_slice())
}

fn from_directory(directory: &Path, file: &str, quiet: bool) -> Result<Input, Failure> {
    let unable = |error: String| Failure::Invalid(format!("unable to prepare context: {error}"));
    let root = directory
        .canonicalize()
        .map_err(|_| unable(format!("path {:?} not found", directory.display().to_string())))?;
    if !root.is_dir() {
        return Err(unable(format!("context must be a directory: {}", directory.display())));
    }
    let (dockerfile, foreign) = dockerfile(&root, file).map_err(unable)?;
    let mut ignore = ignore(&root).map_err(Failure::Invalid)?;
    let mut added = Vec::new();
    match foreign {
        Some(text) => {
            added.push((dockerfile.clone(), text));
            added.push((DOCKERIGNORE.to_owned(), hiding(&root, &dockerfile)));
        }
        None => ignore.keep(&dockerfile),
    }
    ignore.keep(DOCKERIGNORE);
    let (writer, upload) = Upload::new();
    std::thread::spawn(move || send(&root, &ignore, &added, writer, quiet));
    Ok(Input { upload: Some(upload), remote: String::new(), dockerfile })
}

/// The Dockerfile's name in the context; with its text when it is not in there.
fn dockerfile(root: &Path, file: &str) -> Result<(String, Option<Vec<u8>>), String> {
    let foreign = |text: Vec<u8>| (format!("{FOREIGN}.{:x}", std::process::id()), Some(text));
    if file == "-" {
        let mut text = Vec::new();
        io::stdin().read_to_end(&mut text).map_err(|error| go_error(&error))?;
        return Ok(foreign(text));
    }
    let path = if file.is_empty() { root.join("Dockerfile") } else { PathBuf::from(file) };
    let path = if file.is_empty() && !path.exists() { root.join("dockerfile") } else { path };
    let shown = if file.is_empty() { root.join("Dockerfile") } else { path.clone() };
    let missing = |error: io::Error| {
        format!("unable to evaluate symlinks in Dockerfile path: lstat {}: {}", shown.display(), go_error(&error))
    };
    let full = path.canonicalize().or_else(|error| match file {
        "" => Err(error),
        // Relative to the context, as long ago.
        file => root.join(file).canonicalize().map_err(|_| error),
    });
    let full = full.map_err(missing)?;
    match full.strip_prefix(root) {
        Ok(inside) => Ok((inside.display().to_string(), None)),
        Err(_) => {
            std::fs::read(&full).map(foreign).map_err(|error| format!("open {}: {}", full.display(), go_error(&error)))
        }
    }
}

fn ignore(root: &Path) -> Result<Ignore, String> {
    match std::fs::read(root.join(DOCKERIGNORE)) {
        Ok(text) => Ignore::parse(&text).map_err(|error| format!("error checking context: {error}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ignore::default()),
        Err(error) => Err(format!("open {DOCKERIGNORE}: {}", go_error(&error))),
    }
}

/// The `.dockerignore` that keeps a foreign Dockerfile, and itself where the user has none, from the steps.
fn hiding(root: &Path, dockerfile: &str) -> Vec<u8> {
    let own = std::fs::read(root.join(DOCKERIGNORE));
    let more = if own.is_ok() { "" } else { DOCKERIGNORE };
    let mut text = own.unwrap_or_default();
    text.extend_from_slice(format!("\n{dockerfile}\n{more}\n").as_bytes());
    text
}

/// Sends the context, and says how much it was.
fn send(root: &Path, ignore: &Ignore, added: &[(String, Vec<u8>)], mut writer: UploadWriter, quiet: bool) {
    let packed = pack_context(root, ignore, added, &mut writer);
    let packed = packed.and_then(|()| writer.flush().map_err(|error| go_error(&error)));
    match packed {
        Ok(()) if quiet => {}
        Ok(()) => {
            let size = human_size(writer.total() as f64, 4);
            // Before the body ends, so that it comes before what the engine says. Whoever read our output may be gone.
            let _ = writeln!(io::stdout(), "Sending build context to Docker daemon  {size}");
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error sending the build context: {error}");
            // An archive that is cut short is refused by the engine.
            let _ = writer.write_all(b"cut short").and_then(|()| writer.flush());
        }
    }
}
