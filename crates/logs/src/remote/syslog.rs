//! Syslog messages. Empty lines are not sent, as in Docker.

use crate::plan::SyslogFormat;
use crate::query::Stream;
use crate::record::Record;
use crate::timestamp::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const INFORMATIONAL: u8 = 6;
const ERROR: u8 = 3;

#[derive(Debug)]
pub(super) struct Syslog {
    format: SyslogFormat,
    facility: u8,
    hostname: String,
    tag: String,
    /// Seconds east of Greenwich.
    offset: i32,
}

// === impl Syslog ===

impl Syslog {
    pub(super) fn new(format: SyslogFormat, facility: u8, hostname: String, tag: String, offset: i32) -> Self {
        Self { format, facility, hostname, tag, offset }
    }

    pub(super) fn encode(&self, record: &Record<'_>, push: &mut impl FnMut(Vec<u8>)) {
        if record.text.is_empty() {
            return;
        }
        let severity = if record.stream == Stream::Stderr { ERROR } else { INFORMATIONAL };
        let (priority, process) = (self.facility << 3 | severity, std::process::id());
        let (time, hostname, tag) = (self.time(record.time), &self.hostname, &self.tag);
        let head = match self.format {
            SyslogFormat::Unix => format!("<{priority}>{time} {tag}[{process}]: "),
            SyslogFormat::Rfc3164 => format!("<{priority}>{time} {hostname} {tag}[{process}]: "),
            SyslogFormat::Rfc5424 | SyslogFormat::Rfc5424Micro => {
                format!("<{priority}>1 {time} {hostname} {tag} {process} {tag} - ")
            }
        };
        let mut message = Vec::with_capacity(head.len() + record.text.len() + 1);
        message.extend_from_slice(head.as_bytes());
        message.extend_from_slice(record.text);
        message.push(b'\n');
        push(message);
    }

    fn time(&self, time: Timestamp) -> String {
        let mut text = Vec::with_capacity(30);
        Timestamp(time.0.saturating_add(i64::from(self.offset) * 1_000_000_000)).write_fixed(&mut text);
        let text = String::from_utf8(text).unwrap_or_default();
        let fraction = match self.format {
            SyslogFormat::Unix | SyslogFormat::Rfc3164 => {
                let month = text[5..7].parse::<usize>().ok().and_then(|month| MONTHS.get(month - 1));
                let day = text[8..10].trim_start_matches('0');
                return format!("{} {day:>2} {}", month.unwrap_or(&MONTHS[0]), &text[11..19]);
            }
            SyslogFormat::Rfc5424 => 19,
            SyslogFormat::Rfc5424Micro => 26,
        };
        let zone = match self.offset / 60 {
            0 => "Z".to_owned(),
            minutes => {
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        };
        format!("{}{zone}", &text[..fraction])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_dockers() {
        let text = |format, offset, stream| {
            let syslog = Syslog::new(format, 3, "vm".to_owned(), "name/id".to_owned(), offset);
            let time = Timestamp(1_795_273_236_040_172_000);
            let mut out = Vec::new();
            syslog.encode(&Record { stream, time, text: b"out", partial: None }, &mut |message| out = message);
            String::from_utf8_lossy(&out).replace(&std::process::id().to_string(), "PID")
        };
        assert_eq!(text(SyslogFormat::Unix, 0, Stream::Stderr), "<27>Nov 21 15:00:36 name/id[PID]: out\n");
        assert_eq!(text(SyslogFormat::Rfc3164, 3600, Stream::Stdout), "<30>Nov 21 16:00:36 vm name/id[PID]: out\n");
        assert_eq!(
            text(SyslogFormat::Rfc5424, 0, Stream::Stdout),
            "<30>1 2026-11-21T15:00:36Z vm name/id PID name/id - out\n"
        );
        assert_eq!(
            text(SyslogFormat::Rfc5424Micro, -5400, Stream::Stdout),
            "<30>1 2026-11-21T13:30:36.040172-01:30 vm name/id PID name/id - out\n"
        );
    }
}
