//! Whole logs in real files: written, rotated, read from the end, followed.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use logs::{ChunkState, Ending, FileOptions, FileWriter, Format, Query, Reader, Stream, Timestamp};

struct Log {
    directory: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("x-json.log")
    }

    fn aged(&self, age: u32) -> PathBuf {
        self.directory.path().join(format!("x-json.log.{age}"))
    }

    fn writer(&self, max_size: Option<u64>, max_file: u32) -> FileWriter {
        let options = FileOptions { max_size, max_file, ..FileOptions::new(self.path(), Format::Json) };
        FileWriter::open(options).unwrap()
    }

    fn read(&self, query: Query) -> String {
        read_all(Reader::open(&self.path(), Format::Json, query, None).unwrap())
    }
}

fn raw() -> Query {
    Query { framed: false, ..Query::default() }
}

fn tail(entries: u64) -> Query {
    Query { tail: Some(entries), ..raw() }
}

fn read_all(mut reader: Reader) -> String {
    let mut out = Vec::new();
    while reader.next_chunk(&mut out).unwrap() == ChunkState::Data {}
    String::from_utf8(out).unwrap()
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(|i| format!("line {i}\n")).collect()
}

fn write(writer: &mut FileWriter, text: &str) {
    writer.append(Stream::Stdout, text.as_bytes(), Timestamp::now());
    writer.flush(false).unwrap();
}

#[test]
fn what_was_written_is_read_and_a_second_run_goes_on() {
    let log = Log::new();
    assert_eq!(log.read(raw()), "", "a log that was never written is empty");
    write(&mut log.writer(None, 1), &lines(0..10));
    let mut again = log.writer(None, 1);
    again.append(Stream::Stderr, b"to be ", Timestamp::now());
    again.append(Stream::Stdout, b"line 10\n", Timestamp::now());
    again.append(Stream::Stderr, b"continued", Timestamp::now());
    again.finish(Stream::Stderr, Timestamp::now());
    again.flush(false).unwrap();
    assert_eq!(log.read(raw()), lines(0..11) + "to be continued");
    assert_eq!(log.read(Query { stdout: false, ..raw() }), "to be continued");
}

#[test]
fn files_rotate_at_their_size_and_the_oldest_goes() {
    let log = Log::new();
    let mut writer = log.writer(Some(1000), 3);
    // In one batch, as after a burst: the limit holds for each file all the same.
    write(&mut writer, &lines(0..100));
    for path in [log.path(), log.aged(1), log.aged(2)] {
        let text = std::fs::read_to_string(&path).unwrap();
        let last = text.lines().last().unwrap().len() as u64 + 1;
        let size = text.len() as u64;
        assert!(size < 1000 + last, "{path:?} has {size}");
        assert!(text.starts_with('{') && text.ends_with("}\n"));
    }
    assert!(!log.aged(3).exists());
    let kept = log.read(raw());
    assert!(kept.len() > 100 && lines(0..100).ends_with(&kept));
    assert_eq!(log.read(tail(15)), lines(85..100));
}

#[test]
fn a_single_file_is_emptied() {
    let log = Log::new();
    let mut writer = log.writer(Some(500), 1);
    write(&mut writer, &lines(0..100));
    assert!(!log.aged(1).exists());
    assert!(std::fs::metadata(log.path()).unwrap().len() < 600);
    assert!(lines(0..100).ends_with(&log.read(raw())));
}

#[test]
fn tail_counts_whole_lines_over_all_files() {
    let log = Log::new();
    let mut writer = log.writer(Some(300), 50);
    write(&mut writer, &lines(0..40));
    // A line that is being written is not there yet.
    std::fs::OpenOptions::new().append(true).open(log.path()).unwrap().write_all(b"{\"log\":\"half").unwrap();
    for count in 0..45 {
        assert_eq!(log.read(tail(count as u64)), lines(40_usize.saturating_sub(count)..40), "tail {count}");
    }
}

#[test]
fn tail_finds_lines_longer_than_its_blocks() {
    let log = Log::new();
    let long = "x".repeat(16_000) + "\n";
    let mut writer = log.writer(None, 1);
    for _ in 0..20 {
        write(&mut writer, &long);
    }
    for count in [1, 7, 20, 21] {
        assert_eq!(log.read(tail(count)).len(), long.len() * (count.min(20) as usize));
    }
}

#[test]
fn since_and_until_choose_by_time() {
    let log = Log::new();
    let mut writer = log.writer(None, 1);
    for second in 0..10 {
        let time = Timestamp(second * 1_000_000_000);
        writer.append(Stream::Stdout, format!("line {second}\n").as_bytes(), time);
    }
    writer.flush(false).unwrap();
    let at = |second: i64| Some(Timestamp(second * 1_000_000_000));
    assert_eq!(log.read(Query { since: at(7), ..raw() }), lines(7..10));
    assert_eq!(log.read(Query { until: at(2), ..raw() }), lines(0..3));
    assert_eq!(log.read(Query { since: at(3), until: at(4), ..raw() }), lines(3..5));
    let follow = Query { until: at(2), follow: true, ..raw() };
    assert_eq!(log.read(follow), lines(0..3), "a follower ends when its time has passed");
}

#[test]
fn frames_carry_stream_and_length() {
    let log = Log::new();
    let mut writer = log.writer(None, 1);
    writer.append(Stream::Stdout, b"out\n", Timestamp(0));
    writer.append(Stream::Stderr, b"error\n", Timestamp(0));
    writer.flush(false).unwrap();
    assert_eq!(log.read(Query::default()), "\u{1}\0\0\0\0\0\0\u{4}out\n\u{2}\0\0\0\0\0\0\u{6}error\n");
}

fn follow(path: &Path, query: Query, ending: &Arc<Ending>) -> std::thread::JoinHandle<String> {
    let query = Query { follow: true, ..query };
    let reader = Reader::open(path, Format::Json, query, Some(Arc::clone(ending))).unwrap();
    std::thread::spawn(move || read_all(reader))
}

#[test]
fn a_follower_sees_every_line_through_rotations() {
    let log = Log::new();
    let mut writer = log.writer(Some(50_000), 1000);
    write(&mut writer, &lines(0..5));
    let ending = Arc::new(Ending::new().unwrap());
    let all = follow(&log.path(), raw(), &ending);
    let last = follow(&log.path(), tail(2), &ending);
    for start in (5..20_005).step_by(100) {
        write(&mut writer, &lines(start..start + 100));
        if start % 1000 == 5 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    ending.finish();
    assert!(all.join().unwrap() == lines(0..20_005));
    assert!(last.join().unwrap() == lines(3..20_005));
}

#[test]
fn a_follower_is_told_quickly_and_waits_for_a_log_that_is_not_there() {
    let log = Log::new();
    let ending = Arc::new(Ending::new().unwrap());
    let query = Query { follow: true, ..raw() };
    let mut reader = Reader::open(&log.path(), Format::Json, query, Some(Arc::clone(&ending))).unwrap();
    let path = log.path();
    let seen = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&seen);
    let thread = std::thread::spawn(move || {
        let mut out = Vec::new();
        reader.next_chunk(&mut out).unwrap();
        told.store(true, Ordering::SeqCst);
        assert_eq!(out, b"line 0\n");
        let begin = Instant::now();
        assert_eq!(reader.next_chunk(&mut Vec::new()).unwrap(), ChunkState::End);
        begin.elapsed()
    });
    std::thread::sleep(Duration::from_millis(20));
    assert!(!seen.load(Ordering::SeqCst));
    assert!(!path.exists());
    write(&mut log.writer(None, 1), &lines(0..1));
    while !seen.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(50));
    ending.cancel();
    assert!(thread.join().unwrap() < Duration::from_millis(900));
}

#[test]
fn a_full_disk_keeps_lines_until_there_is_room() {
    let log = Log::new();
    let mount = log.directory.path().join("small");
    std::fs::create_dir(&mount).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    if let Err(error) = rustix::mount::mount("none", &mount, "tmpfs", flags, Some(c"size=64k")) {
        // Visible with --nocapture: without the privilege there is no small file system to fill.
        eprintln!("SKIP a_full_disk_keeps_lines_until_there_is_room: mount: {error}");
        return;
    }
    let path = mount.join("x-json.log");
    let filler = mount.join("filler");
    std::fs::write(&filler, vec![0; 40 * 1024]).unwrap();
    let options = FileOptions::new(path.clone(), Format::Json);
    let mut writer = FileWriter::open(options).unwrap();
    let text = lines(0..600);
    writer.append(Stream::Stdout, text.as_bytes(), Timestamp::now());
    assert!(writer.flush(false).is_err());
    assert!(writer.pending() > 0);
    // What does not fit in memory either is dropped whole and counted.
    writer.append(Stream::Stdout, lines(0..100_000).as_bytes(), Timestamp::now());
    assert_eq!(writer.dropped(), 100_000);
    std::fs::remove_file(&filler).unwrap();
    writer.flush(false).unwrap();
    assert_eq!(read_all(Reader::open(&path, Format::Json, raw(), None).unwrap()), text);
    drop(writer);
    rustix::mount::unmount(&mount, rustix::mount::UnmountFlags::DETACH).unwrap();
}

fn compress(log: &Log, codec: &str) {
    let arguments = [codec.into(), "json".into(), log.path().into_os_string()];
    logs::compress::main(&arguments).unwrap();
}

/// The compressor that the writer starts is this program, which does nothing here: the tests compress themselves.
fn flush(writer: &mut FileWriter) {
    writer.flush(false).unwrap();
    while writer.is_waiting() {
        std::thread::sleep(Duration::from_millis(1));
        while let Ok(Some((pid, _))) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
            writer.child_ended(pid.as_raw_nonzero().get());
        }
        writer.flush(false).unwrap();
    }
}

#[test]
fn compressed_files_are_read_like_others() {
    for (codec, suffix) in [("gz", ".gz"), ("zst", ".zst")] {
        let log = Log::new();
        let options = FileOptions {
            max_size: Some(1000),
            max_file: 50,
            compress: Some(if codec == "gz" { logs::Codec::Gzip } else { logs::Codec::Zstd }),
            ..FileOptions::new(log.path(), Format::Json)
        };
        let mut writer = FileWriter::open(options).unwrap();
        let second = |i: usize| Timestamp(i as i64 * 1_000_000_000);
        for i in 0..100 {
            writer.append(Stream::Stdout, format!("line {i}\n").as_bytes(), second(i));
            flush(&mut writer);
        }
        // One that follows from the start, and reads on after everything it had not seen was compressed.
        let ending = Arc::new(Ending::new().unwrap());
        let query = Query { follow: true, ..raw() };
        let mut follower = Reader::open(&log.path(), Format::Json, query, Some(Arc::clone(&ending))).unwrap();
        let mut seen = Vec::new();
        follower.next_chunk(&mut seen).unwrap();
        compress(&log, codec);
        let packed = std::fs::read_dir(log.directory.path()).unwrap().filter_map(Result::ok);
        let packed = packed.filter(|entry| entry.file_name().to_string_lossy().ends_with(suffix)).count();
        assert!(packed > 5 && !log.aged(1).exists(), "{packed} compressed files");
        assert_eq!(log.read(raw()), lines(0..100));
        for count in 0..105 {
            assert_eq!(log.read(tail(count as u64)), lines(100_usize.saturating_sub(count)..100), "tail {count}");
        }
        assert_eq!(log.read(Query { since: Some(second(42)), ..raw() }), lines(42..100));
        assert_eq!(log.read(Query { since: Some(second(7)), until: Some(second(50)), ..raw() }), lines(7..51));
        // The names move on, compressed or not.
        for i in 100..200 {
            writer.append(Stream::Stdout, format!("line {i}\n").as_bytes(), second(i));
            flush(&mut writer);
        }
        ending.finish();
        while follower.next_chunk(&mut seen).unwrap() == ChunkState::Data {}
        assert_eq!(String::from_utf8(seen).unwrap(), lines(0..200));
        // Again, with some compressed already.
        compress(&log, codec);
        assert_eq!(log.read(raw()), lines(0..200));
    }
}

#[test]
fn a_budget_counts_bytes_on_disk() {
    let log = Log::new();
    let options = FileOptions {
        max_size: Some(5000),
        max_file: 64,
        budget: Some(30_000),
        ..FileOptions::new(log.path(), Format::Json)
    };
    let mut writer = FileWriter::open(options).unwrap();
    for start in (0..2000).step_by(20) {
        write(&mut writer, &lines(start..start + 20));
        let files = std::fs::read_dir(log.directory.path()).unwrap();
        let disk: u64 = files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(disk <= 30_000 + 200, "{disk} bytes");
    }
    let kept = log.read(raw());
    assert!(kept.len() > 1000 && lines(0..2000).ends_with(&kept));
}

#[test]
fn the_local_format_is_read_from_both_ends() {
    let log = Log::new();
    let options = FileOptions { max_size: Some(2000), max_file: 100, ..FileOptions::new(log.path(), Format::Local) };
    let mut writer = FileWriter::open(options.clone()).unwrap();
    write(&mut writer, &lines(0..300));
    // A writer that was killed in the middle of an entry.
    drop(writer);
    std::fs::OpenOptions::new().append(true).open(log.path()).unwrap().write_all(b"\0\0\0\x30\x0a").unwrap();
    let read = |query: Query| read_all(Reader::open(&log.path(), Format::Local, query, None).unwrap());
    assert_eq!(read(tail(3)), lines(297..300));
    let mut writer = FileWriter::open(options).unwrap();
    write(&mut writer, &lines(300..310));
    assert_eq!(read(raw()), lines(0..310));
    for count in 0..315 {
        assert_eq!(read(tail(count as u64)), lines(310_usize.saturating_sub(count)..310), "tail {count}");
    }
}

#[test]
fn journald_gets_datagrams_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let fields = vec![("CONTAINER_NAME".to_owned(), "web".to_owned())];
    let remote = logs::RemoteOptions {
        driver: logs::Driver::Journald { fields },
        addresses: vec![logs::Address::UnixDatagram(path.clone())],
        lazy: false,
        retry: logs::Retry { first: 1, longest: 10, limit: None },
        patient: false,
        buffer: 1 << 20,
        buffer_entries: None,
    };
    let plan = logs::LogPlan { remote: Some(remote.clone()), ..logs::LogPlan::default() };
    let mut log = logs::Log::open(plan).unwrap().unwrap();
    let received = |log: &mut logs::Log, socket: &std::os::unix::net::UnixDatagram, text: &str| {
        socket.set_nonblocking(true).unwrap();
        let begin = Instant::now();
        let mut bytes = [0; 4096];
        for attempt in 0.. {
            // Again and again: a process that another test forks at this moment keeps the old socket open for an
            // instant, and what goes there is lost.
            if attempt % 500 == 0 {
                log.append(Stream::Stdout, format!("{text}\n").as_bytes(), Timestamp::now());
            }
            log.flush(Instant::now(), false).unwrap();
            if let Ok(length) = socket.recv(&mut bytes) {
                return String::from_utf8_lossy(&bytes[..length]).into_owned();
            }
            assert!(begin.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(1));
        }
        unreachable!("the loop has no end")
    };
    let entry = received(&mut log, &socket, "one");
    assert!(entry.starts_with("MESSAGE=one\nPRIORITY=6\nCONTAINER_NAME=web\n"), "{entry}");
    // journald restarts: a new socket under the old name.
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    assert!(received(&mut log, &socket, "two").starts_with("MESSAGE=two\n"));
    assert!(log.is_sent());
    let nowhere = logs::RemoteOptions { addresses: vec![logs::Address::UnixDatagram("/nope".into())], ..remote };
    let refused = logs::Log::open(logs::LogPlan { remote: Some(nowhere), ..logs::LogPlan::default() });
    assert_eq!(refused.unwrap_err().to_string(), "dial unixgram /nope: connect: no such file or directory");
}
