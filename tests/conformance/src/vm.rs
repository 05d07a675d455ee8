//! The virtual machine: Debian's cloud kernel, an initial file system built on the fly, QEMU's software emulation.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The emulator.
const QEMU: &str = "qemu-system-x86_64";
/// Debian's name for its newest kernel for virtual machines.
const KERNEL_PACKAGE: &str = "linux-image-cloud-amd64";
/// Modules that the runtime's checks need and the kernel does not contain; those they depend on come with them.
pub const RUNTIME_MODULES: &[&str] = &["overlay", "null_blk"];
/// What the engine's checks need besides: networks and the firewall.
pub const ENGINE_MODULES: &[&str] = &[
    "overlay",
    "null_blk",
    "veth",
    "bridge",
    "nf_tables",
    "nft_ct",
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "nft_fib_ipv4",
    "nft_fib_inet",
    "nf_conntrack_netlink",
    "macvlan",
    "ipvlan",
    "8021q",
    "dummy",
    "quota_v2",
];
/// What the kernel is told; it hands words that it does not know to process 1 as environment.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 cgroup_no_v1=all mitigations=off tsc=reliable no_timer_check";
/// Much longer than it ever takes.
const PATIENCE: Duration = Duration::from_secs(540);

/// What goes into the machine.
#[derive(Debug)]
pub struct Machine {
    /// Directory for the unpacked kernel and the image; survives between runs.
    pub cache: PathBuf,
    /// The `guest` program, becomes `/init` and `/bin/guest`.
    pub guest: PathBuf,
    /// Other programs for `/bin`, by their file names.
    pub programs: Vec<PathBuf>,
    /// Names of the kernel modules to load.
    pub modules: &'static [&'static str],
    /// What process 1 runs: `checks` or `engine`.
    pub checks: &'static str,
    /// Mebibytes of memory.
    pub memory: u32,
}

/// Why the machine cannot be started here, or nothing when it can.
pub fn missing() -> Option<String> {
    let found =
        |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    [QEMU, "dpkg-deb", "apt-get"]
        .into_iter()
        .find(|program| found(program).is_err())
        .map(|program| format!("{program} is not installed"))
}

// === impl Machine ===

impl Machine {
    /// Boots, waits for the end, and returns everything the console showed.
    pub fn run(&self) -> Result<String> {
        fs::create_dir_all(&self.cache).context("making the cache directory")?;
        let kernel = self.kernel().context("getting Debian's kernel")?;
        let image = self.cache.join(format!("initramfs-{}", std::process::id()));
        fs::write(&image, self.image(&kernel)?).context("writing the initial file system")?;
        let output = self.boot(&kernel.join("vmlinuz"), &image);
        drop(fs::remove_file(&image));
        output
    }

    /// Directory with `vmlinuz` and the modules; downloads and unpacks the package the first time. Nothing is
    /// installed.
    fn kernel(&self) -> Result<PathBuf> {
        let directory = self.cache.join(format!("kernel-{}", self.checks));
        let list = self.modules.join("\n");
        if fs::read_to_string(directory.join("modules.list")).is_ok_and(|text| text == list) {
            return Ok(directory);
        }
        drop(fs::remove_dir_all(&directory));
        let package = real_package()?;
        let work = self.cache.join(format!("unpack-{}-{}", self.checks, std::process::id()));
        fs::create_dir_all(&work)?;
        must(
            Command::new("apt-get")
                .args(["-q", "-o", "APT::Sandbox::User=root", "download", &package])
                .current_dir(&work),
        )?;
        let archive = files_below(&work)?.into_iter().find(|path| path.extension().is_some_and(|e| e == "deb"));
        let unpacked = work.join("unpacked");
        must(Command::new("dpkg-deb").arg("-x").arg(archive.context("nothing was downloaded")?).arg(&unpacked))?;
        let ready = work.join("kernel");
        fs::create_dir_all(&ready)?;
        let files = files_below(&unpacked)?;
        let image = files.iter().find(|path| path.to_string_lossy().contains("/boot/vmlinuz-"));
        fs::copy(image.context("the package has no kernel")?, ready.join("vmlinuz"))?;
        for (number, module) in in_loading_order(&files, self.modules)?.iter().enumerate() {
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            fs::copy(module, ready.join(format!("{number:03}-{name}")))?;
        }
        fs::write(ready.join("modules.list"), list)?;
        // Somebody else may have been faster: theirs is as good.
        if fs::rename(&ready, &directory).is_err() {
            ensure!(directory.join("vmlinuz").exists(), "the unpacked kernel could not be moved into place");
        }
        fs::remove_dir_all(&work)?;
        Ok(directory)
    }

    fn image(&self, kernel: &Path) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        for directory in ["bin", "modules", "dev"] {
            archive.directory(directory);
        }
        archive.console();
        let guest = self.program(&self.guest)?;
        archive.file("init", 0o755, &guest);
        archive.file("bin/guest", 0o755, &guest);
        for program in &self.programs {
            let name = program.file_name().context("a program without a name")?.to_string_lossy();
            archive.file(&format!("bin/{name}"), 0o755, &self.program(program)?);
        }
        for path in files_below(kernel)?.iter().filter(|path| path.extension().is_some_and(|e| e == "ko")) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("modules/{name}"), 0o644, &fs::read(path)?);
        }
        Ok(archive.finish())
    }

    /// A program's bytes, without symbols where there is a `strip`: a debug build is several times the size, and all of
    /// it goes through the emulated processor.
    fn program(&self, path: &Path) -> Result<Vec<u8>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let smaller = self.cache.join(format!("{name}-{}", std::process::id()));
        let strip = Command::new("strip").arg("-o").arg(&smaller).arg(path).stderr(Stdio::null()).status();
        let source = if strip.is_ok_and(|status| status.success()) { smaller.as_path() } else { path };
        let bytes = fs::read(source).with_context(|| format!("reading {}", source.display()));
        drop(fs::remove_file(&smaller));
        bytes
    }

    fn boot(&self, kernel: &Path, image: &Path) -> Result<String> {
        let mut child = Command::new(QEMU)
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-nodefaults", "-no-user-config"])
            .args(["-m", &self.memory.to_string()])
            .args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(image)
            .args(["-append", &format!("{COMMAND_LINE} CHECKS={}", self.checks)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting QEMU")?;
        let mut console = child.stdout.take().context("QEMU without output")?;
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            drop(console.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let deadline = Instant::now() + PATIENCE;
        let finished = loop {
            if child.try_wait().context("waiting for QEMU")?.is_some() {
                break true;
            }
            if Instant::now() > deadline {
                child.kill().context("ending QEMU")?;
                child.wait().context("waiting for QEMU")?;
                break false;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let output = reader.join().unwrap_or_default();
        if !finished {
            bail!("the machine did not finish within {PATIENCE:?}; its console:\n{output}");
        }
        Ok(output)
    }
}

/// The modules asked for and those that they need, each behind what it needs.
fn in_loading_order(files: &[PathBuf], wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let find = |name: &str| {
        // A module's file may be written with either sign.
        files.iter().find(|path| {
            let stem = path.file_name().unwrap_or_default().to_string_lossy().replace('-', "_");
            stem.strip_suffix(".ko") == Some(name)
        })
    };
    let mut ordered: Vec<PathBuf> = Vec::new();
    let mut waiting: Vec<(String, bool)> = wanted.iter().rev().map(|name| ((*name).to_owned(), false)).collect();
    while let Some((name, visited)) = waiting.pop() {
        // What is no file is a part of the kernel.
        let Some(path) = find(&name) else { continue };
        if ordered.contains(path) {
            continue;
        }
        if visited {
            ordered.push(path.clone());
            continue;
        }
        waiting.push((name, true));
        waiting.extend(needs(&fs::read(path)?).into_iter().map(|name| (name, false)));
    }
    Ok(ordered)
}

/// `depends=` of a module's own description.
fn needs(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module[start + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(value);
    text.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

/// The meta package names the real one.
fn real_package() -> Result<String> {
    let output = Command::new("apt-cache").args(["depends", KERNEL_PACKAGE]).output().context("starting apt-cache")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let name = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(name.with_context(|| format!("apt knows no package {KERNEL_PACKAGE}"))?.to_owned())
}

fn must(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {:?}", command.get_program()))?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{:?} failed: {}", command.get_program(), complaint.trim());
    Ok(())
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// An initial file system in the form the kernel takes: a cpio archive with "new ASCII" headers
/// (`Documentation/driver-api/early-userspace/buffer-format.rst`).
#[derive(Debug, Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

// === impl Archive ===

impl Archive {
    fn directory(&mut self, name: &str) {
        self.entry(name, 0o040_755, (0, 0), &[]);
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entry(name, 0o100_000 | mode, (0, 0), content);
    }

    /// Without it process 1 has no output.
    fn console(&mut self) {
        self.entry("dev/console", 0o020_600, (5, 1), &[]);
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inode += 1;
        let size = content.len();
        let mut header = String::from("070701");
        let links = 1;
        for field in [self.inode, mode, 0, 0, links, 0, size as u32, 0, 0, device.0, device.1, name.len() as u32 + 1, 0]
        {
            // Writing to a string cannot fail.
            let _ = write!(header, "{field:08X}");
        }
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

/// True for a file that can be executed.
pub fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
