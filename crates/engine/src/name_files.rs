//! Changing the `hosts` and `resolv.conf` of a running container, line by line: what its user wrote there stays.
//!
//! The files are mounted into the container, so they are rewritten in place; a new file would not be seen there.

use std::net::IpAddr;
use std::path::Path;

use crate::error::Error;

/// Adds a line for an address.
pub(crate) fn add_address(path: &Path, address: IpAddr, names: &str) -> Result<(), Error> {
    change(path, |text| {
        let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        format!("{text}{newline}{address}\t{names}\n")
    })
}

/// Takes the lines of an address away.
pub(crate) fn remove_address(path: &Path, address: IpAddr) -> Result<(), Error> {
    change(path, |text| keep(text, |words| words.first().and_then(|word| word.parse().ok()) != Some(address)))
}

/// Gives the line that begins with a name another address of the same family.
pub(crate) fn move_name(path: &Path, name: &str, address: IpAddr) -> Result<(), Error> {
    change(path, |text| {
        let moved = text.split_inclusive('\n').map(|line| {
            let mut words = line.split_whitespace();
            let old = words.next().and_then(|word| word.parse::<IpAddr>().ok());
            let known = old.is_some_and(|old| old.is_ipv4() == address.is_ipv4());
            match line.split_once(char::is_whitespace) {
                Some((_, rest)) if known && words.next() == Some(name) => format!("{address}\t{}", rest.trim_start()),
                _ => line.to_owned(),
            }
        });
        moved.collect()
    })
}

fn keep(text: &str, wanted: impl Fn(&[&str]) -> bool) -> String {
    text.split_inclusive('\n').filter(|line| wanted(&line.split_whitespace().collect::<Vec<_>>())).collect()
}

fn change(path: &Path, change: impl FnOnce(&str) -> String) -> Result<(), Error> {
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    std::fs::write(path, change(&text)).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_move_and_go() {
        let file = std::env::temp_dir().join(format!("gantry-hosts-{}", std::process::id()));
        std::fs::write(&file, "127.0.0.1\tlocalhost\n10.0.0.2\tdb 0123 data\n# mine").expect("written");
        let text = || std::fs::read_to_string(&file).expect("read");
        add_address(&file, [10, 0, 0, 3].into(), "web").expect("added");
        assert!(text().ends_with("# mine\n10.0.0.3\tweb\n"));
        move_name(&file, "db", [10, 0, 0, 9].into()).expect("moved");
        move_name(&file, "data", [10, 0, 0, 8].into()).expect("nothing to move");
        assert_eq!(text(), "127.0.0.1\tlocalhost\n10.0.0.9\tdb 0123 data\n# mine\n10.0.0.3\tweb\n");
        remove_address(&file, [10, 0, 0, 3].into()).expect("removed");
        assert_eq!(text(), "127.0.0.1\tlocalhost\n10.0.0.9\tdb 0123 data\n# mine\n");
        std::fs::remove_file(&file).expect("removed");
    }
}
