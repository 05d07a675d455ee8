//! Checks of single flag values.

use std::net::IpAddr;

/// `-e`: a name, with or without a value.
pub fn env(text: &str) -> Result<(), String> {
    if text.split('=').next().is_some_and(str::is_empty) {
        return Err(format!("invalid environment variable: {text}"));
    }
    Ok(())
}

/// `--label`.
pub fn label(text: &str) -> Result<(), String> {
    let key = text.split('=').next().unwrap_or_default().trim_start_matches([' ', '\t']);
    if key.is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    if key.contains([' ', '\t']) {
        return Err(format!("label '{key}' contains whitespaces"));
    }
    Ok(())
}

/// `--link`.
pub fn link(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty string specified for links".to_owned());
    }
    if text.split(':').count() > 2 {
        return Err(format!("bad format for links: {text}"));
    }
    Ok(())
}

/// `--dns`.
pub fn address(text: &str) -> Result<(), String> {
    let valid = text.trim().parse::<IpAddr>().is_ok();
    if valid { Ok(()) } else { Err(format!("IP address is not correctly formatted: {text}")) }
}

/// `--dns-search`.
pub fn domain(text: &str) -> Result<(), String> {
    let name = text.trim_matches(' ');
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let valid = name == "."
        || (name.bytes().any(|b| b.is_ascii_alphabetic())
            && name.len() < 255
            && name.trim_end_matches('.').split('.').all(label));
    if valid { Ok(()) } else { Err(format!("{name} is not a valid domain")) }
}

/// `--add-host`.
pub fn extra_host(text: &str) -> Result<(), String> {
    let (name, address) = split_host(text);
    if address.is_none() || name.is_empty() || name.contains(':') {
        return Err(format!("bad format for add-host: {text:?}"));
    }
    let address = address.unwrap_or_default();
    if address == "host-gateway" || bare(address).parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(format!("invalid IP address in add-host: {:?}", bare(address)))
}

/// `--add-host` in the form the API takes: `name:address`, no brackets.
#[must_use]
pub fn normal_extra_host(text: &str) -> String {
    let (name, address) = split_host(text);
    format!("{name}:{}", bare(address.unwrap_or_default()))
}

/// `--sysctl`.
pub fn sysctl(text: &str) -> Result<(), String> {
    const KERNEL: [&str; 8] = ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];
    let allowed = text.split_once('=').is_some_and(|(key, _)| {
        key.starts_with("net.")
            || key.starts_with("fs.mqueue.")
            || key.strip_prefix("kernel.").is_some_and(|name| KERNEL.contains(&name))
    });
    if allowed { Ok(()) } else { Err(format!("sysctl '{text}' is not allowed")) }
}

/// `--attach`.
pub fn stream(text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" | "stdout" | "stderr" => Ok(()),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}

/// `--cpus`.
pub fn cpus(text: &str) -> Result<(), String> {
    nano_cpus(text).map(|_| ())
}

/// Billionths of a CPU.
///
/// # Errors
/// Docker's text.
pub fn nano_cpus(text: &str) -> Result<i64, String> {
    let bad = || format!("failed to parse {text} as a rational number");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if (whole.is_empty() && fraction.is_empty()) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    if fraction.trim_end_matches('0').len() > 9 {
        return Err("value is too precise".to_owned());
    }
    let negative = whole.starts_with('-');
    let digits = whole.trim_start_matches(['-', '+']);
    let whole: i64 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| bad())? };
    let padded = format!("{fraction:0<9}");
    let nanos: i64 = padded[..9].parse().map_err(|_| bad())?;
    let total = whole.checked_mul(1_000_000_000).and_then(|total| total.checked_add(nanos)).ok_or_else(bad)?;
    Ok(if negative { -total } else { total })
}

/// `--device-cgroup-rule`.
pub fn device_rule(text: &str) -> Result<(), String> {
    let number = |part: &str| part == "*" || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let words: Vec<&str> = text.split(' ').collect();
    let valid = matches!(words.as_slice(), [kind, numbers, access]
        if matches!(*kind, "a" | "b" | "c")
            && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
            && (1..=3).contains(&access.len())
            && access.bytes().all(|b| matches!(b, b'r' | b'w' | b'm')));
    if valid { Ok(()) } else { Err(format!("invalid device cgroup format '{text}'")) }
}

/// Six pairs of hexadecimal digits with colons or dashes.
#[must_use]
pub fn is_mac_address(text: &str) -> bool {
    let parts: Vec<&str> = text.trim().split([':', '-']).collect();
    parts.len() == 6 && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn split_host(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=').or_else(|| text.split_once(':')) {
        Some((name, address)) => (name, Some(address)),
        None => (text, None),
    }
}

fn bare(address: &str) -> &str {
    address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_refuses_as_docker_does() {
        assert_eq!(nano_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(nano_cpus(".25"), Ok(250_000_000));
        assert_eq!(nano_cpus("x"), Err("failed to parse x as a rational number".to_owned()));
        assert_eq!(nano_cpus("0.0000000001"), Err("value is too precise".to_owned()));
        assert_eq!(env("=x"), Err("invalid environment variable: =x".to_owned()));
        assert_eq!(label("a b=c"), Err("label 'a b' contains whitespaces".to_owned()));
        assert_eq!(address("1.2.3"), Err("IP address is not correctly formatted: 1.2.3".to_owned()));
        assert!(domain("example.com").is_ok() && domain(".").is_ok() && domain("-x").is_err());
        assert!(
            extra_host("db:10.0.0.1").is_ok() && extra_host("db=::1").is_ok() && extra_host("db:host-gateway").is_ok()
        );
        assert_eq!(extra_host("db"), Err("bad format for add-host: \"db\"".to_owned()));
        assert_eq!(extra_host("db:x"), Err("invalid IP address in add-host: \"x\"".to_owned()));
        assert_eq!(normal_extra_host("db=[::1]"), "db:::1");
        assert_eq!(sysctl("vm.swappiness=1"), Err("sysctl 'vm.swappiness=1' is not allowed".to_owned()));
        assert!(device_rule("c 1:* rwm").is_ok() && device_rule("x 1:1 r").is_err());
        assert!(is_mac_address("92:d0:c6:0a:29:33") && !is_mac_address("92:d0"));
    }
}
