//! Measures how fast a log is written, rotated, compressed and read:
//! `cargo run --release -p logs --example throughput [MB] [varied]`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use logs::{ChunkState, Codec, FileOptions, FileWriter, Format, Query, Reader, Stream, Timestamp};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    if first.as_ref().is_some_and(|first| first == logs::compress::COMMAND) {
        return Ok(logs::compress::main(&arguments.collect::<Vec<_>>())?);
    }
    let megabytes = first.and_then(|text| text.to_str()?.parse().ok()).unwrap_or(240);
    let batch = batch(arguments.next().is_some());
    for format in [Format::Json, Format::Local] {
        for codec in [None, Some(Codec::Gzip), Some(Codec::Zstd)] {
            measure(megabytes, &batch, format, codec)?;
        }
    }
    Ok(())
}

/// Lines of 120 bytes: all the same, or like those of a web server.
fn batch(varied: bool) -> Vec<u8> {
    let (mut batch, mut seed) = (Vec::new(), 7_u64);
    while batch.len() < 256 * 1024 {
        if varied {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (a, b) = (seed >> 56, seed >> 40 & 0xffff);
            let line = format!("10.0.{}.{a} - - \"GET /items/{b}/details?page={} HTTP/1.1\" 200 {b}", a % 9, a % 7);
            batch.extend_from_slice(format!("{line:119.119}\n").as_bytes());
        } else {
            batch.extend_from_slice(&[b'x'; 119]);
            batch.push(b'\n');
        }
    }
    batch
}

fn measure(megabytes: usize, batch: &[u8], format: Format, codec: Option<Codec>) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("x.log");
    let mut options = FileOptions::new(path.clone(), format);
    if codec.is_some() {
        (options.max_size, options.max_file) = (Some(20_000_000), 64);
        (options.compress, options.budget) = (codec, Some(100_000_000));
    }
    let mut writer = FileWriter::open(options)?;
    let begin = Instant::now();
    let rounds = megabytes * 1_000_000 / batch.len();
    for _ in 0..rounds {
        writer.append(Stream::Stdout, batch, Timestamp::now());
        writer.flush(false)?;
        reap(&mut writer);
        while writer.is_waiting() {
            std::thread::sleep(Duration::from_micros(200));
            reap(&mut writer);
            writer.flush(false)?;
        }
    }
    let rate = |begin: Instant| (rounds * batch.len()) as f64 / 1e6 / begin.elapsed().as_secs_f64();
    let written = rate(begin);
    while writer.is_compressing() {
        std::thread::sleep(Duration::from_millis(1));
        reap(&mut writer);
    }
    let mut disk = 0;
    for entry in std::fs::read_dir(directory.path())? {
        disk += entry?.metadata()?.len();
    }
    let begin = Instant::now();
    let mut reader = Reader::open(&path, format, Query::default(), None)?;
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    while reader.next_chunk(&mut chunk)? == ChunkState::Data {
        bytes += chunk.len();
        chunk.clear();
    }
    let (read, kept) = (rate(begin), bytes as f64 / (rounds * batch.len()) as f64);
    let line = format!("{format:?} {codec:?}: written {written:.0} MB/s, read {read:.0} MB/s");
    writeln!(std::io::stdout(), "{line}, {:.1} MB on disk, {kept:.3} of the text and frames", disk as f64 / 1e6)?;
    Ok(())
}

fn reap(writer: &mut FileWriter) {
    while let Ok(Some((pid, _))) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
        writer.child_ended(pid.as_raw_nonzero().get());
    }
}
