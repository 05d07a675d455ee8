//! Running a template's tree over data.

use super::functions::{self, Failure};
use super::lex::line_of;
use super::node::{Base, Branch, Command, Node, Operand, Pipeline};
use super::{Error, Functions};
use crate::format::value::{Value, looks_like_struct};

/// Fields that Docker's types leave out of JSON when they are unset: asking for them gives nil, not an error.
const OPTIONAL: [&str; 22] = [
    "Health",
    "Healthcheck",
    "StopTimeout",
    "StopSignal",
    "Shell",
    "ArgsEscaped",
    "OnBuild",
    "Init",
    "SizeRw",
    "SizeRootFs",
    "Tmpfs",
    "Annotations",
    "StorageOpt",
    "Sysctls",
    "Mounts",
    "Domainname",
    "NetworkDisabled",
    "MacAddress",
    "GraphDriver",
    "ImageManifestDescriptor",
    "Variant",
    "Descriptor",
];

/// Fields that are lists in Docker's types.
const LISTS: [&str; 21] = [
    "Entrypoint",
    "Cmd",
    "Env",
    "Args",
    "OnBuild",
    "Shell",
    "Binds",
    "CapAdd",
    "CapDrop",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "SecurityOpt",
    "VolumesFrom",
    "Ulimits",
    "Devices",
    "ExecIDs",
    "Aliases",
];

/// Fields that are maps in Docker's types.
const MAPS: [&str; 9] =
    ["Labels", "ExposedPorts", "Volumes", "PortBindings", "Ports", "Options", "DriverOpts", "Sysctls", "Tmpfs"];

pub(super) fn run(source: &str, nodes: &[Node], data: &Value, functions: Functions) -> Result<String, Error> {
    let mut state = State { source, functions, out: String::new(), variables: vec![(String::new(), data.clone())] };
    state.list(nodes, data)?;
    Ok(state.out)
}

struct State<'a> {
    source: &'a str,
    functions: Functions,
    out: String,
    variables: Vec<(String, Value)>,
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl State<'_> {
    fn list(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Error> {
        for node in nodes {
            let scope = self.variables.len();
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    continue;
                }
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.print(pipeline, &value);
                    }
                    continue;
                }
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
                Node::If(branch) => {
                    let value = self.pipeline(&branch.pipeline, dot)?;
                    self.list(if value.is_true() { &branch.body } else { &branch.otherwise }, dot)?
                }
                Node::With(branch) => {
                    let value = self.pipeline(&branch.pipeline, dot)?;
                    if value.is_true() { self.list(&branch.body, &value)? } else { self.list(&branch.otherwise, dot)? }
                }
                Node::Range(branch) => self.range(branch, dot)?,
            };
            self.variables.truncate(scope);
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn print(&mut self, pipeline: &Pipeline, value: &Value) {
        // JSON's null hides what kind of nil it was; empty lists and maps show as such.
        let asked =
            pipeline.commands.last().and_then(|command| command.words.last()).and_then(|word| word.fields.last());
        match (value, asked) {
            (Value::Nil, Some(name)) if LISTS.contains(&name.as_str()) => self.out.push_str("[]"),
            (Value::Nil, Some(name)) if MAPS.contains(&name.as_str()) => self.out.push_str("map[]"),
            _ => self.out.push_str(&value.to_string()),
        }
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, Error> {
        let names = branch.pipeline.variables.clone();
        let value = self.commands(&branch.pipeline, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::List(items) => {
                items.into_iter().enumerate().map(|(index, item)| (Value::Int(index as i128), item)).collect()
            }
            Value::Map(map) => {
                // Go ranges over maps in key order.
                let mut entries: Vec<(String, Value)> = map.into_iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.into_iter().map(|(key, item)| (Value::Text(key), item)).collect()
            }
            Value::Int(count) => (0..count.max(0)).map(|index| (Value::Int(index), Value::Int(index))).collect(),
            Value::Nil | Value::Missing => Vec::new(),
            other => {
                let operand = &branch.pipeline.commands[0].words[0];
                return Err(self.fail(operand, format!("range can't iterate over {other}")));
            }
        };
        if items.is_empty() {
            return self.list(&branch.otherwise, dot);
        }
        let scope = self.variables.len();
        for (key, item) in items {
            match names.as_slice() {
                [one] => self.variables.push((one.clone(), item.clone())),
                [first, second] => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), item.clone()));
                }
                _ => {}
            }
            let flow = self.list(&branch.body, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Error> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
            match known.filter(|_| pipeline.assign) {
                Some((_, slot)) => *slot = value.clone(),
                None => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Error> {
        let mut piped = None;
        for command in &pipeline.commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        Ok(piped.unwrap_or_default())
    }

    fn command(&mut self, command: &Command, dot: &Value, piped: Option<Value>) -> Result<Value, Error> {
        let first = &command.words[0];
        let rest = &command.words[1..];
        if let Base::Function(name) = &first.base {
            if name == "and" || name == "or" {
                return self.logic(name == "and", rest, dot, piped);
            }
            let mut args = rest.iter().map(|word| self.operand(word, dot)).collect::<Result<Vec<_>, _>>()?;
            args.extend(piped);
            let value = functions::call(name, args, self.functions);
            let value = value.map_err(|failure| self.function_error(first, name, failure))?;
            return self.fields(first, value, &first.fields);
        }
        if rest.is_empty() && piped.is_none() {
            return self.operand(first, dot);
        }
        self.method(first, rest, dot, piped)
    }

    /// `.Label "name"`: the one method with an argument that Docker's rows have.
    fn method(&mut self, word: &Operand, rest: &[Operand], dot: &Value, piped: Option<Value>) -> Result<Value, Error> {
        let mut args = rest.iter().map(|word| self.operand(word, dot)).collect::<Result<Vec<_>, _>>()?;
        args.extend(piped);
        let target = match &word.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => self.variable(name),
            _ => Value::Nil,
        };
        match (&target, word.fields.as_slice(), args.as_slice()) {
            (Value::Row(row), [name], [Value::Text(key)]) if name == "Label" => {
                Ok(Value::Text(row.labels.get(key).cloned().unwrap_or_default()))
            }
            (Value::Row(_), [name], [_]) if name == "Label" => Ok(Value::Text(String::new())),
            _ => {
                let name = word.fields.last().cloned().unwrap_or_default();
                Err(self.fail(word, format!("{name} is not a method but has arguments")))
            }
        }
    }

    fn logic(&mut self, all: bool, words: &[Operand], dot: &Value, piped: Option<Value>) -> Result<Value, Error> {
        let mut last = Value::Nil;
        for word in words {
            last = self.operand(word, dot)?;
            if last.is_true() != all {
                return Ok(last);
            }
        }
        Ok(piped.unwrap_or(last))
    }

    fn variable(&self, name: &str) -> Value {
        self.variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Error> {
        let value = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => self.variable(name),
            Base::Text(text) => Value::Text(text.clone()),
            Base::Int(number) => Value::Int(*number),
            Base::Float(number) => Value::Float(*number),
            Base::Bool(value) => Value::Bool(*value),
            Base::Nil => Value::Nil,
            Base::Group(pipeline) => self.pipeline(pipeline, dot)?,
            Base::Function(name) => functions::call(name, Vec::new(), self.functions)
                .map_err(|failure| self.function_error(operand, name, failure))?,
        };
        self.fields(operand, value, &operand.fields)
    }

    fn fields(&self, operand: &Operand, mut value: Value, fields: &[String]) -> Result<Value, Error> {
        for (depth, name) in fields.iter().enumerate() {
            value = field(&value, name).map_err(|detail| {
                let mut error = self.fail(operand, detail);
                // Go points at the dot of the failing field.
                let skipped: usize = fields[..depth].iter().map(|field| field.len() + 1).sum();
                if let Error::Execute { column, .. } = &mut error {
                    *column += skipped;
                }
                error
            })?;
        }
        Ok(value)
    }

    fn function_error(&self, operand: &Operand, name: &str, failure: Failure) -> Error {
        match failure {
            Failure::Count { want, got } => {
                self.fail(operand, format!("wrong number of args for {name}: want {want} got {got}"))
            }
            Failure::Call(detail) => self.fail(operand, format!("error calling {name}: {detail}")),
        }
    }

    fn fail(&self, operand: &Operand, detail: String) -> Error {
        let before = self.source.get(..operand.start).unwrap_or_default();
        let column = operand.start - before.rfind('\n').map_or(0, |newline| newline + 1);
        let node = self.source.get(operand.start..operand.end).unwrap_or_default().to_owned();
        Error::Execute { line: line_of(self.source, operand.start), column, node, detail }
    }
}

fn volumes(container: &Value) -> Value {
    let mounts = container.at("Mounts").items().iter();
    Value::Map(mounts.map(|mount| (mount.at("Destination").as_str().to_owned(), mount.at("Source").clone())).collect())
}

fn field(value: &Value, name: &str) -> Result<Value, String> {
    match value {
        Value::Map(map) => match map.get(name) {
            Some(value) => Ok(value.clone()),
            // Maps give their zero value; structs know their fields.
            None if OPTIONAL.contains(&name) => Ok(Value::Nil),
            // As inspect had it before there were mounts: source by destination.
            None if name == "Volumes" && map.contains_key("Mounts") => Ok(volumes(value)),
            // Mounts have these texts where they mean something.
            None if map.contains_key("Destination") && matches!(name, "Name" | "Driver") => {
                Ok(Value::Text(String::new()))
            }
            None if looks_like_struct(map) => Err(format!("map has no entry for key {name:?}")),
            None => Ok(Value::Missing),
        },
        Value::Row(row) => row
            .fields
            .get(name)
            .cloned()
            .ok_or_else(|| format!("can't evaluate field {name} in type {}", row.type_name)),
        Value::Nil | Value::Missing => Err(format!("nil pointer evaluating interface {{}}.{name}")),
        _ => Err(format!("can't evaluate field {name} in type interface {{}}")),
    }
}
