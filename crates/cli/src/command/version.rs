//! `version`.

use indexmap::IndexMap;
use types::Platform;

use super::common::PLAIN_FORMAT;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::tabwriter::{Layout, align};
use crate::format::time::ansi_c;
use crate::format::value::Value;
use crate::template::{Functions, Template};

/// `version`.
pub static COMMAND: Command = Command {
    paths: &["version"],
    usage: "[OPTIONS]",
    about: "Show the Docker version information",
    flags: &[&[Flag::value("format", "string", PLAIN_FORMAT).short('f')]],
    interspersed: true,
    args: Args::None,
    run,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const LAYOUT: Layout = Layout { min_width: 20, padding: 1 };

/// What `--version` prints.
#[must_use]
pub fn line(program: &str) -> String {
    let name = if program == "docker" { "Docker" } else { "Gantry" };
    format!("{name} version {VERSION}, build gantry\n")
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let template = match m.text("format") {
        "" => None,
        "json" => Some("{{json .}}"),
        text => Some(text),
    };
    let template = template
        .map(Template::parse)
        .transpose()
        .map_err(|error| Failure::Usage { text: format!("template parsing error: {error}"), code: 64 })?;
    let answer = server(context);
    let client = client_part(context);
    let server = answer.as_ref().map(Clone::clone).unwrap_or_default();
    match template {
        None => context.print(&pretty(&client, &server)),
        Some(template) => {
            let both = [("Client".to_owned(), Value::Map(client)), ("Server".to_owned(), server)];
            let text = template.render(&Value::Map(both.into_iter().collect()), Functions::Full)?;
            context.line(&text);
        }
    }
    answer.map(|_| ())
}

fn server(context: &Context) -> Result<Value, Failure> {
    let request = context.client()?.get("/version");
    context.wait(async { Ok(request.fetch().await?) })
}

fn client_part(context: &Context) -> IndexMap<String, Value> {
    // The API version in use is known once the server has answered.
    let version = context.client().map_or(client::ApiVersion::NEWEST, client::Client::version);
    let host = Platform::host();
    let fields = [
        ("Version", VERSION.to_owned()),
        ("ApiVersion", version.to_string()),
        ("DefaultAPIVersion", client::ApiVersion::NEWEST.to_string()),
        ("Os", host.os),
        ("Arch", host.architecture),
        ("Context", "default".to_owned()),
    ];
    fields.into_iter().map(|(name, text)| (name.to_owned(), Value::Text(text))).collect()
}

fn pretty(client: &IndexMap<String, Value>, server: &Value) -> String {
    let text = |name: &str| client.get(name).map(Value::as_str).unwrap_or_default();
    let downgraded = match text("ApiVersion") == text("DefaultAPIVersion") {
        true => String::new(),
        false => format!(" (downgraded from {})", text("DefaultAPIVersion")),
    };
    let mut out = format!(
        "Client:\n Version:\t{}\n API version:\t{}{downgraded}\n OS/Arch:\t{}/{}\n Context:\t{}\n",
        text("Version"),
        text("ApiVersion"),
        text("Os"),
        text("Arch"),
        text("Context")
    );
    if let Value::Map(_) = server {
        let platform = match server.path(&["Platform", "Name"]).as_str() {
            "" => String::new(),
            name => format!(" {name}"),
        };
        out.push_str(&format!("\nServer:{platform}\n"));
        for component in server.at("Components").items() {
            out.push_str(&component_lines(component));
        }
    }
    align(&out, LAYOUT)
}

fn component_lines(component: &Value) -> String {
    let (name, version) = (component.at("Name").as_str(), component.at("Version").as_str());
    let details = component.at("Details");
    let detail = |key: &str| details.at(key).as_str();
    if name != "Engine" {
        let mut keys: Vec<&String> = details.entries().map(|(key, _)| key).collect();
        keys.sort_unstable();
        let lines: String = keys.iter().map(|key| format!("  {key}:\t{}\n", detail(key))).collect();
        return format!(" {name}:\n  Version:\t{version}\n{lines}");
    }
    format!(
        " Engine:\n  Version:\t{version}\n  API version:\t{} (minimum version {})\n  Go version:\t{}\n  Git commit:\t{}\n  Built:\t{}\n  OS/Arch:\t{}/{}\n  Experimental:\t{}\n",
        detail("ApiVersion"),
        detail("MinAPIVersion"),
        detail("GoVersion"),
        detail("GitCommit"),
        ansi_c(detail("BuildTime")),
        detail("Os"),
        detail("Arch"),
        detail("Experimental")
    )
}
