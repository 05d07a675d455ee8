//! `network connect`, `network disconnect` and `network rm`.

use serde_json::{Map, Value, json};

use super::container_body::strings;
use super::dry_run::{self, DRY_RUN};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::options::{check, keyvalue};

/// `network connect`.
pub static CONNECT: Command = Command {
    paths: &["network connect"],
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Connect a container to a network",
    flags: &[&[
        Flag::value("alias", "strings", "Add network-scoped alias for the container"),
        Flag::value("driver-opt", "strings", "driver options for the network"),
        Flag::value(
            "gw-priority",
            "int",
            "Highest gw-priority provides the default gateway. Accepts positive and negative values.",
        ),
        Flag::value("ip", "string", "IPv4 address (e.g., \"172.30.100.104\")"),
        Flag::value("ip6", "string", "IPv6 address (e.g., \"2001:db8::33\")"),
        Flag::value("link", "list", "Add link to another container").check(check::link),
        Flag::value("link-local-ip", "strings", "Add a link-local address for the container"),
    ]],
    interspersed: true,
    args: Args::Exactly(2),
    run: connect,
};

/// `network disconnect`.
pub static DISCONNECT: Command = Command {
    paths: &["network disconnect"],
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Disconnect a container from a network",
    flags: &[&[Flag::switch("force", "Force the container to disconnect from a network").short('f')]],
    interspersed: true,
    args: Args::Exactly(2),
    run: disconnect,
};

/// `network rm`.
pub static RM: Command = Command {
    paths: &["network rm", "network remove"],
    usage: "NETWORK [NETWORK...]",
    about: "Remove one or more networks",
    flags: &[&[Flag::switch("force", "Do not error if the network does not exist").short('f'), DRY_RUN]],
    interspersed: true,
    args: Args::AtLeast(1),
    run: remove,
};

fn connect(context: &Context, m: &Matches) -> Result<(), Failure> {
    let options = several(m, "driver-opt");
    if options.iter().any(|option| !option.contains('=')) {
        return Err(Failure::Invalid("invalid key/value pair format in driver options".to_owned()));
    }
    let mut ipam = Map::new();
    for (flag, field) in [("ip", "IPv4Address"), ("ip6", "IPv6Address")] {
        if m.given(flag) {
            ipam.insert(field.to_owned(), json!(m.text(flag)));
        }
    }
    let link_local = several(m, "link-local-ip");
    if !link_local.is_empty() {
        ipam.insert("LinkLocalIPs".to_owned(), json!(link_local));
    }
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let options = keyvalue::map(&options);
    let body = json!({
        "Container": m.arg(1),
        "EndpointConfig": {
            "IPAMConfig": if ipam.is_empty() { Value::Null } else { Value::Object(ipam) },
            "Links": strings(&owned(m.list("link"))),
            "Aliases": strings(&owned(several(m, "alias"))),
            "DriverOpts": if options.is_empty() { Value::Null } else { json!(options) },
            "GwPriority": m.number("gw-priority").unwrap_or(0),
        },
    });
    let path = format!("/networks/{}/connect", client::escape(m.arg(0)));
    let request = context.client()?.post(&path).json(&body)?;
    context.wait(async { Ok(request.done().await?) })
}

fn disconnect(context: &Context, m: &Matches) -> Result<(), Failure> {
    let path = format!("/networks/{}/disconnect", client::escape(m.arg(0)));
    let body = json!({ "Container": m.arg(1), "Force": m.on("force") });
    let request = context.client()?.post(&path).json(&body)?;
    context.wait(async { Ok(request.done().await?) })
}

fn remove(context: &Context, m: &Matches) -> Result<(), Failure> {
    if m.on("dry-run") {
        let body = json!({ "Kind": "network", "Names": m.args(), "Force": m.on("force") });
        return dry_run::removal(context, &body, m.on("force"));
    }
    let client = context.client()?;
    let mut failed = false;
    // One after the other, and each complaint where it belongs, as Docker's client does.
    for name in m.args() {
        let removed = client.delete(&format!("/networks/{}", client::escape(name)));
        match context.wait(async { Ok(removed.done().await) })? {
            Ok(()) => context.line(name),
            Err(error) if m.on("force") && error.is_not_found() => {}
            Err(error) => {
                context.complain(&error.to_string());
                failed = true;
            }
        }
    }
    if failed {
        context.complain("exit status 1");
        return Err(Failure::Exit(1));
    }
    Ok(())
}

/// One value of a flag may be several, with commas between.
fn several<'m>(m: &'m Matches, flag: &str) -> Vec<&'m str> {
    m.list(flag).into_iter().flat_map(|text| text.split(',')).filter(|text| !text.is_empty()).collect()
}
