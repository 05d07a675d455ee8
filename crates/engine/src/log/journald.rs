//! The `journald` driver.

use std::path::Path;

use logs::{Address, Driver, RemoteOptions};

use super::attributes;
use super::info::Info;
use super::options::{Options, initialising};

/// Where journald listens, sd_journal_sendv(3).
const SOCKET: &str = "/run/systemd/journal/socket";

/// Docker's fields. The socket must be there.
pub(super) fn remote(options: &Options<'_>, info: &Info) -> Result<RemoteOptions, String> {
    if !Path::new(SOCKET).exists() {
        return Err(initialising("journald is not enabled on this host"));
    }
    let tag = options.tag(info, "{{.ID}}")?;
    let own = [
        ("CONTAINER_ID", info.short_id()),
        ("CONTAINER_ID_FULL", &info.id),
        ("CONTAINER_NAME", &info.name),
        ("CONTAINER_TAG", &tag),
        ("IMAGE_NAME", &info.image_name),
        ("SYSLOG_IDENTIFIER", &tag),
    ];
    let mut fields: Vec<_> = own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    for (key, value) in attributes::of(options, info)? {
        let key = field_name(&key);
        if !key.is_empty() {
            fields.push((key, value));
        }
    }
    Ok(super::remote(Driver::Journald { fields }, vec![Address::UnixDatagram(SOCKET.into())]))
}

/// Upper case, digits and underscores, not beginning with one.
fn field_name(key: &str) -> String {
    let name: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    name.trim_start_matches('_').to_owned()
}
