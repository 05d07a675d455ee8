//! `--device` and the per-device block I/O limits.

use serde_json::{Value, json};

use super::size;

/// Reads `host[:container][:access]`.
///
/// # Errors
/// Docker's text.
pub fn device(text: &str) -> Result<Value, String> {
    let bad = || format!("bad format for path: {text}");
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 || parts[0].is_empty() {
        return Err(bad());
    }
    let (target, access) = match parts.as_slice() {
        [source] => (*source, "rwm"),
        [source, access] if is_access(access) => (*source, *access),
        [_, target] => (*target, "rwm"),
        [_, target, access] if is_access(access) => (*target, *access),
        [_, _, access] => return Err(format!("bad mode specified: {access}")),
        _ => return Err(bad()),
    };
    if !target.starts_with('/') {
        return Err(format!("{target} is not an absolute path"));
    }
    Ok(json!({ "PathOnHost": parts[0], "PathInContainer": target, "CgroupPermissions": access }))
}

/// Reads `path:weight`.
///
/// # Errors
/// Docker's text.
pub fn weight(text: &str) -> Result<Value, String> {
    let (path, weight) = split(text)?;
    match weight.parse::<u16>() {
        Ok(weight) if weight == 0 || (10..=1000).contains(&weight) => Ok(json!({ "Path": path, "Weight": weight })),
        _ => Err(format!("invalid weight for device: {text}")),
    }
}

/// Reads `path:bytes a second`.
///
/// # Errors
/// Docker's text.
pub fn bytes_rate(text: &str) -> Result<Value, String> {
    let (path, rate) = split(text)?;
    let rate = size::parse(rate).map_err(|_| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        )
    })?;
    Ok(json!({ "Path": path, "Rate": rate }))
}

/// Reads `path:operations a second`.
///
/// # Errors
/// Docker's text.
pub fn operations_rate(text: &str) -> Result<Value, String> {
    let (path, rate) = split(text)?;
    let rate: u64 = rate.parse().map_err(|_| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        )
    })?;
    Ok(json!({ "Path": path, "Rate": rate }))
}

/// For the flag table.
pub fn check_weight(text: &str) -> Result<(), String> {
    weight(text).map(|_| ())
}

/// For the flag table.
pub fn check_bytes_rate(text: &str) -> Result<(), String> {
    bytes_rate(text).map(|_| ())
}

/// For the flag table.
pub fn check_operations_rate(text: &str) -> Result<(), String> {
    operations_rate(text).map(|_| ())
}

fn split(text: &str) -> Result<(&str, &str), String> {
    let (path, value) =
        text.split_once(':').filter(|(path, _)| !path.is_empty()).ok_or_else(|| format!("bad format: {text}"))?;
    if path.starts_with("/dev/") { Ok((path, value)) } else { Err(format!("bad format for device path: {text}")) }
}

fn is_access(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.iter().all(|b| matches!(b, b'r' | b'w' | b'm'))
        && (1..bytes.len()).all(|at| !bytes[..at].contains(&bytes[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_devices() {
        let paths = |text: &str| {
            device(text).map(|d| format!("{} {} {}", d["PathOnHost"], d["PathInContainer"], d["CgroupPermissions"]))
        };
        assert_eq!(paths("/dev/fuse"), Ok(r#""/dev/fuse" "/dev/fuse" "rwm""#.to_owned()));
        assert_eq!(paths("/dev/sda:r"), Ok(r#""/dev/sda" "/dev/sda" "r""#.to_owned()));
        assert_eq!(paths("/dev/sda:/dev/x:rw"), Ok(r#""/dev/sda" "/dev/x" "rw""#.to_owned()));
        assert_eq!(paths("/dev/sda:/dev/x:q"), Err("bad mode specified: q".to_owned()));
        assert_eq!(paths(":x"), Err("bad format for path: :x".to_owned()));
        assert!(weight("/dev/sda:100").is_ok() && weight("/dev/sda:5").is_err() && bytes_rate("/dev/sda:1mb").is_ok());
    }
}
