//! The `hello-world` image that ships inside the program, for machines that cannot reach a registry.
//!
//! Its only file is a program of a few hundred bytes, assembled here: write(1, greeting), exit(0).

use std::io::Write;

use types::{Platform, Reference};

use crate::{ContainerConfig, Error, Expected, History, ImageConfig, ImageId, Result, RootFs, Store};

const GREETING: &str = "
Hello from Docker!
This greeting comes from a container that Gantry has just run for you.

On the way to it:
 1. The client asked the engine to create a container of the image \"hello-world\".
 2. The engine took the image from a registry or, without a connection, from the
    copy that every Gantry program carries.
 3. It laid a writable directory over the image, and started the image's only
    program there in namespaces and a cgroup of its own.
 4. The program wrote these lines; the engine kept them in the container's log and
    sent them to your terminal.

A whole system to try next:
 $ docker run -it debian bash

";

/// The time of creation is fixed, so that the image has the same id wherever it is made.
const CREATED: &str = "2026-01-01T00:00:00Z";

/// Addresses at which static programs are commonly linked.
const BASE: u64 = 0x40_0000;
const HEADERS: usize = 64 + 56;

impl Store {
    /// Makes the `hello-world:latest` image that ships inside the program. An image of that name that is there
    /// already stays what it is.
    ///
    /// # Errors
    /// As [`Store::put_layer`].
    pub fn load_hello_world(&self) -> Result<ImageId> {
        let reference: Reference = "hello-world:latest".parse()?;
        if let Ok(id) = self.resolve("hello-world:latest") {
            return Ok(id);
        }
        let platform = Platform::host();
        let program = program(&platform.architecture);
        let lease = self.lease();
        let layer =
            self.put_layer(&lease, None, &mut &layer(&program).map_err(Error::Stream)?[..], &Expected::default())?;
        let config = ImageConfig {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            config: ContainerConfig {
                env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
                cmd: Some(vec!["/hello".to_owned()]),
                working_dir: "/".to_owned(),
                ..ContainerConfig::default()
            },
            created: Some(CREATED.to_owned()),
            history: vec![History {
                created: Some(CREATED.to_owned()),
                created_by: "COPY hello / # built in".to_owned(),
                ..History::default()
            }],
            rootfs: RootFs { diff_ids: vec![layer.diff], ..RootFs::default() },
            ..ImageConfig::default()
        };
        let bytes = serde_json::to_vec(&config)
            .map_err(|error| Error::Document { what: "image configuration".to_owned(), reason: error.to_string() })?;
        self.put_named_image(&lease, &bytes, None, &[reference])
    }
}

fn layer(program: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_767_225_600);
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best()));
    tar.append_data(&mut header, "hello", program)?;
    tar.into_inner()?.finish()
}

/// A static ELF executable of one segment: headers, code, text.
fn program(architecture: &str) -> Vec<u8> {
    let (machine, code) = match architecture {
        "arm64" => (183u16, arm64_code()),
        _ => (62u16, amd64_code()),
    };
    let size = (HEADERS + code.len() + GREETING.len()) as u64;
    let mut elf = Vec::with_capacity(size as usize);
    // Writing to a Vec cannot fail.
    let _ = elf.write_all(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [2u16, machine] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1u32.to_le_bytes());
    for word in [BASE + HEADERS as u64, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    // PT_LOAD, readable and executable.
    for word in [1u32, 5] {
        elf.extend(word.to_le_bytes());
    }
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf.extend(GREETING.as_bytes());
    elf
}

fn amd64_code() -> Vec<u8> {
    const LENGTH: usize = 32;
    let text = (BASE as usize + HEADERS + LENGTH) as u32;
    let mut code = Vec::new();
    code.extend([0xb8, 1, 0, 0, 0]); // mov eax, 1 (write)
    code.extend([0xbf, 1, 0, 0, 0]); // mov edi, 1
    code.push(0xbe); // mov esi, text
    code.extend(text.to_le_bytes());
    code.push(0xba); // mov edx, length
    code.extend((GREETING.len() as u32).to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0xb8, 60, 0, 0, 0]); // mov eax, 60 (exit)
    code.extend([0x31, 0xff]); // xor edi, edi
    code.extend([0x0f, 0x05]); // syscall
    code.resize(LENGTH, 0x90);
    code
}

fn arm64_code() -> Vec<u8> {
    const INSTRUCTIONS: usize = 9;
    let text = (BASE as usize + HEADERS + INSTRUCTIONS * 4) as u32;
    let move_wide = |register: u32, value: u32| 0xd280_0000 | (value << 5) | register;
    let move_keep = |register: u32, value: u32| 0xf2a0_0000 | (value << 5) | register;
    let code: [u32; INSTRUCTIONS] = [
        move_wide(0, 1),                     // mov x0, #1
        move_wide(1, text & 0xffff),         // mov x1, text
        move_keep(1, text >> 16),            // movk x1, text >> 16, lsl #16
        move_wide(2, GREETING.len() as u32), // mov x2, length
        move_wide(8, 64),                    // mov x8, #64 (write)
        0xd400_0001,                         // svc #0
        move_wide(0, 0),                     // mov x0, #0
        move_wide(8, 93),                    // mov x8, #93 (exit)
        0xd400_0001,                         // svc #0
    ];
    code.iter().flat_map(|word| word.to_le_bytes()).collect()
}
