//! `info`.

use std::fmt::Display;

use super::common::PLAIN_FORMAT;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::units::binary_size;
use crate::format::value::Value;
use crate::template::{Functions, Template};

/// `info`.
pub static COMMAND: Command = Command {
    paths: &["system info", "info"],
    usage: "[OPTIONS]",
    about: "Display system-wide information",
    flags: &[&[Flag::value("format", "string", PLAIN_FORMAT).short('f')]],
    interspersed: true,
    args: Args::None,
    run,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Lines being put together.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, name: &str, value: impl Display) {
        self.0.push_str(&format!("{name} {value}\n"));
    }

    fn filled(&mut self, name: &str, value: &Value) {
        if !value.as_str().is_empty() {
            self.line(name, value);
        }
    }

    fn list(&mut self, name: &str, items: &[Value]) {
        if !items.is_empty() {
            self.0.push_str(&format!("{name}\n"));
            for item in items {
                self.0.push_str(&format!("  {item}\n"));
            }
        }
    }
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let format = match m.text("format") {
        "json" => "{{json .}}",
        text => text,
    };
    let template = (!format.is_empty()).then(|| Template::parse(format)).transpose()?;
    let request = context.client();
    if let Some(template) = template {
        let request = request?.get("/info");
        let info: Value = context.wait(async { Ok(request.fetch().await?) })?;
        context.line(&template.render(&info, Functions::Full)?);
        return Ok(());
    }
    let info: Result<Value, Failure> = match request {
        Ok(client) => {
            let request = client.get("/info");
            context.wait(async { Ok(request.fetch().await?) })
        }
        Err(failure) => Err(failure),
    };
    context.print(&format!("Client:\n Version:    {VERSION}\n Context:    default\n Debug Mode: false\n\nServer:\n"));
    match info {
        Ok(info) => {
            context.print(&server(&info));
            for warning in info.at("Warnings").items() {
                context.complain(warning.as_str());
            }
            Ok(())
        }
        Err(failure) => {
            context.complain(&format!("ERROR: {failure}"));
            Err(Failure::Invalid("errors pretty printing info".to_owned()))
        }
    }
}

fn server(info: &Value) -> String {
    let mut page = Page::default();
    page.line(" Containers:", info.at("Containers"));
    page.line("  Running:", info.at("ContainersRunning"));
    page.line("  Paused:", info.at("ContainersPaused"));
    page.line("  Stopped:", info.at("ContainersStopped"));
    page.line(" Images:", info.at("Images"));
    page.filled(" Server Version:", info.at("ServerVersion"));
    page.filled(" Storage Driver:", info.at("Driver"));
    for pair in info.at("DriverStatus").items() {
        if let [name, value] = pair.items() {
            page.line(&format!("  {name}:"), value);
        }
    }
    page.filled(" Logging Driver:", info.at("LoggingDriver"));
    page.filled(" Cgroup Driver:", info.at("CgroupDriver"));
    page.filled(" Cgroup Version:", info.at("CgroupVersion"));
    let plugins = info.at("Plugins");
    page.0.push_str(" Plugins:\n");
    page.line("  Volume:", plugins.at("Volume").texts().join(" "));
    page.line("  Network:", plugins.at("Network").texts().join(" "));
    if !plugins.at("Authorization").items().is_empty() {
        page.line("  Authorization:", plugins.at("Authorization").texts().join(" "));
    }
    page.line("  Log:", plugins.at("Log").texts().join(" "));
    page.list(" CDI spec directories:", info.at("CDISpecDirs").items());
    page.line(" Swarm:", info.path(&["Swarm", "LocalNodeState"]).as_str());
    runtimes(&mut page, info);
    machine(&mut page, info);
    engine(&mut page, info);
    page.0.push('\n');
    page.0
}

fn runtimes(page: &mut Page, info: &Value) {
    let names: Vec<&str> = info.at("Runtimes").entries().map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() {
        page.line(" Runtimes:", names.join(" "));
        page.line(" Default Runtime:", info.at("DefaultRuntime"));
    }
    if info.at("OSType").as_str() != "linux" {
        return;
    }
    page.line(" Init Binary:", info.at("InitBinary"));
    page.line(" containerd version:", info.path(&["ContainerdCommit", "ID"]).as_str());
    page.line(" runc version:", info.path(&["RuncCommit", "ID"]).as_str());
    page.line(" init version:", info.path(&["InitCommit", "ID"]).as_str());
    let options = info.at("SecurityOptions").texts();
    if options.is_empty() {
        return;
    }
    page.0.push_str(" Security Options:\n");
    for option in options {
        // `name=seccomp,profile=builtin`
        for pair in option.split(',') {
            match pair.split_once('=') {
                Some(("name", name)) => page.0.push_str(&format!("  {name}\n")),
                Some(("profile", profile)) => page.line("   Profile:", profile),
                _ => {}
            }
        }
    }
}

fn machine(page: &mut Page, info: &Value) {
    page.filled(" Kernel Version:", info.at("KernelVersion"));
    page.filled(" Operating System:", info.at("OperatingSystem"));
    page.filled(" OSType:", info.at("OSType"));
    page.filled(" Architecture:", info.at("Architecture"));
    page.line(" CPUs:", info.at("NCPU"));
    page.line(" Total Memory:", binary_size(info.at("MemTotal").as_i64() as f64));
    page.filled(" Name:", info.at("Name"));
    page.filled(" ID:", info.at("ID"));
    page.line(" Docker Root Dir:", info.at("DockerRootDir"));
    page.line(" Debug Mode:", info.at("Debug"));
    if info.at("Debug").as_bool() {
        page.line("  File Descriptors:", info.at("NFd"));
        page.line("  Goroutines:", info.at("NGoroutines"));
        page.line("  System Time:", info.at("SystemTime"));
        page.line("  EventsListeners:", info.at("NEventsListener"));
    }
}

fn engine(page: &mut Page, info: &Value) {
    page.filled(" HTTP Proxy:", info.at("HttpProxy"));
    page.filled(" HTTPS Proxy:", info.at("HttpsProxy"));
    page.filled(" No Proxy:", info.at("NoProxy"));
    page.list(" Labels:", info.at("Labels").items());
    page.line(" Experimental:", info.at("ExperimentalBuild"));
    let registries = info.at("RegistryConfig");
    let mut insecure: Vec<Value> = registries
        .at("IndexConfigs")
        .entries()
        .filter(|(_, registry)| !registry.at("Secure").as_bool())
        .map(|(name, _)| Value::from(name.as_str()))
        .collect();
    insecure.extend(registries.at("InsecureRegistryCIDRs").items().iter().cloned());
    page.list(" Insecure Registries:", &insecure);
    page.list(" Registry Mirrors:", registries.at("Mirrors").items());
    page.line(" Live Restore Enabled:", info.at("LiveRestoreEnabled"));
    page.filled(" Product License:", info.at("ProductLicense"));
    let pools = info.at("DefaultAddressPools").items();
    if !pools.is_empty() {
        page.0.push_str(" Default Address Pools:\n");
        for pool in pools {
            page.0.push_str(&format!("   Base: {}, Size: {}\n", pool.at("Base"), pool.at("Size")));
        }
    }
}
