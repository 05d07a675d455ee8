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
/// Modules that the checks need and the kernel does not contain, in loading order.
const MODULES: [&str; 3] =
    ["kernel/fs/overlayfs/overlay.ko", "kernel/fs/configfs/configfs.ko", "kernel/drivers/block/null_blk/null_blk.ko"];
/// Much longer than it ever takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// What goes into the machine.
#[derive(Debug)]
pub struct Machine {
    /// Directory for the unpacked kernel and the image; survives between runs.
    pub cache: PathBuf,
    /// The `guest` program, becomes `/init` and `/bin/guest`.
    pub guest: PathBuf,
    /// Other programs for `/bin`, by their file names.
    pub programs: Vec<PathBuf>,
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
        let output = boot(&kernel.join("vmlinuz"), &image);
        drop(fs::remove_file(&image));
        output
    }

    /// Directory with `vmlinuz` and every module; downloads and unpacks the package the first time. Nothing is
    /// installed.
    fn kernel(&self) -> Result<PathBuf> {
        let directory = self.cache.join("kernel");
        if files_below(&directory).is_ok_and(|files| files.len() == MODULES.len() + 1) {
            return Ok(directory);
        }
        drop(fs::remove_dir_all(&directory));
        let package = real_package()?;
        let work = self.cache.join(format!("unpack-{}", std::process::id()));
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
        for path in files_below(&unpacked)? {
            let text = path.to_string_lossy();
            if text.contains("/boot/vmlinuz-") {
                fs::copy(&path, ready.join("vmlinuz"))?;
            }
            for (number, module) in MODULES.iter().enumerate() {
                if text.ends_with(module) {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    fs::copy(&path, ready.join(format!("{number:02}-{name}")))?;
                }
            }
        }
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
        let guest = fs::read(&self.guest).context("reading the guest program")?;
        archive.file("init", 0o755, &guest);
        archive.file("bin/guest", 0o755, &guest);
        for program in &self.programs {
            let name = program.file_name().context("a program without a name")?.to_string_lossy();
            let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
            archive.file(&format!("bin/{name}"), 0o755, &bytes);
        }
        for path in files_below(kernel)?.iter().filter(|path| path.extension().is_some_and(|e| e == "ko")) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("modules/{name}"), 0o644, &fs::read(path)?);
        }
        Ok(archive.finish())
    }
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

fn boot(kernel: &Path, image: &Path) -> Result<String> {
    let mut child = Command::new(QEMU)
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "768", "-nodefaults", "-no-user-config"])
        .args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(image)
        .args(["-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all mitigations=off tsc=reliable no_timer_check"])
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
