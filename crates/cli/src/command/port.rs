//! `port`.

use std::cmp::Ordering;

use super::common::container_path;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;
use crate::format::ports::host;
use crate::format::value::Value;

/// `port`.
pub static COMMAND: Command = Command {
    paths: &["container port", "port"],
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    about: "List port mappings or a specific mapping for the container",
    flags: &[],
    interspersed: true,
    args: Args::Between(1, 2),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let request = context.client()?.get(&container_path(m.arg(0), "/json"));
    let container: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let ports = container.path(&["NetworkSettings", "Ports"]);
    let shown = |binding: &Value| host(binding.at("HostIp").as_str(), binding.at("HostPort").as_str());
    let mut lines: Vec<String> = match m.arg(1) {
        "" => ports
            .entries()
            .flat_map(|(port, list)| list.items().iter().map(move |binding| format!("{port} -> {}", shown(binding))))
            .collect(),
        wanted => {
            let (port, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
            if port.parse::<u16>().is_err() {
                return Err(Failure::Invalid(format!(
                    "Error: invalid port ({port}): strconv.ParseUint: parsing {port:?}: invalid syntax"
                )));
            }
            let list = ports.at(&format!("{port}/{protocol}")).items();
            if list.is_empty() {
                let name = m.arg(0);
                return Err(Failure::Invalid(format!("Error: No public port '{wanted}' published for {name}")));
            }
            list.iter().map(shown).collect()
        }
    };
    lines.sort_by(|a, b| natural(a, b));
    for line in lines {
        context.line(&line);
    }
    Ok(())
}

/// Order in which runs of digits compare as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (digits_a, digits_b) = (leading_digits(a), leading_digits(b));
        if !digits_a.is_empty() && !digits_b.is_empty() {
            let (number_a, number_b) = (digits_a.trim_start_matches('0'), digits_b.trim_start_matches('0'));
            let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[digits_a.len()..], &b[digits_b.len()..]);
            continue;
        }
        let (mut rest_a, mut rest_b) = (a.chars(), b.chars());
        match (rest_a.next(), rest_b.next()) {
            (Some(x), Some(y)) if x == y => (a, b) = (rest_a.as_str(), rest_b.as_str()),
            (x, y) => return x.cmp(&y),
        }
    }
}

fn leading_digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_ports_by_number() {
        let mut lines = ["443/tcp -> [::]:1", "80/tcp -> 0.0.0.0:10", "80/tcp -> 0.0.0.0:9"];
        lines.sort_by(|a, b| natural(a, b));
        assert_eq!(lines, ["80/tcp -> 0.0.0.0:9", "80/tcp -> 0.0.0.0:10", "443/tcp -> [::]:1"]);
    }
}
