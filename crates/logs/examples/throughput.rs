//! Measures how fast a log is written and read: `cargo run --release -p logs --example throughput [MB]`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Instant;

use logs::{ChunkState, JsonFileOptions, JsonFileWriter, Query, Reader, Stream, Timestamp};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let megabytes: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(500);
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("x-json.log");
    let options = JsonFileOptions { path: path.clone(), max_size: None, max_file: 1, attrs: BTreeMap::new() };
    let mut batch = Vec::new();
    while batch.len() < 256 * 1024 {
        batch.extend_from_slice(&[b'x'; 119]);
        batch.push(b'\n');
    }
    let mut out = std::io::stdout();
    let mut writer = JsonFileWriter::open(options)?;
    let begin = Instant::now();
    let rounds = megabytes * 1_000_000 / batch.len();
    for _ in 0..rounds {
        writer.append(Stream::Stdout, &batch, Timestamp::now());
        writer.flush()?;
    }
    let rate = |begin: Instant| (rounds * batch.len()) as f64 / 1e6 / begin.elapsed().as_secs_f64();
    writeln!(out, "written: {:.0} MB/s of 120-byte lines", rate(begin))?;
    for (what, timestamps) in [("plain", false), ("with times", true)] {
        let begin = Instant::now();
        let mut reader = Reader::open(&path, Query { timestamps, ..Query::default() }, None)?;
        let mut chunk = Vec::new();
        while reader.next_chunk(&mut chunk)? == ChunkState::Data {
            chunk.clear();
        }
        writeln!(out, "read, {what}: {:.0} MB/s", rate(begin))?;
    }
    Ok(())
}
