//! One instruction, carried out on a configuration.

use types::Signal;

use super::ports::exposed;
use super::{Config, Error, history};
use crate::dockerfile::{CommandLine, Instruction, Pair};
use crate::path;

impl Config {
    /// Carries out an instruction whose variables have been replaced ([`crate::expand::instruction`]).
    ///
    /// The answer is the instruction as histories show it, values and all, and `None` for `ADD`, `COPY` and `RUN`,
    /// which make files and leave the configuration as it is. `ARG` leaves it as well.
    ///
    /// # Errors
    /// [`Error`]; the configuration is as it was.
    pub fn apply(&mut self, instruction: &Instruction) -> Result<Option<String>, Error> {
        match instruction {
            Instruction::Add(_) | Instruction::Copy(_) | Instruction::Run(_) => return Ok(None),
            Instruction::Arg(_) => {}
            Instruction::Cmd(line) => {
                self.cmd = Some(line.words(&self.shell()));
                self.cmd_is_own = true;
            }
            Instruction::Entrypoint(line) => {
                self.entrypoint = self.entrypoint_of(line);
                // The command of the image below was an argument of another program.
                if !self.cmd_is_own {
                    self.cmd = None;
                }
            }
            Instruction::Env(pairs) => self.environment(pairs)?,
            Instruction::Expose(specs) => {
                let ports: Result<Vec<_>, _> = specs.iter().map(|spec| exposed(spec)).collect();
                self.exposed_ports.extend(ports?.concat());
            }
            Instruction::Healthcheck(check) => self.healthcheck = Some(check.clone()),
            Instruction::Label(pairs) => {
                self.labels.extend(pairs.iter().map(|pair| (pair.name.clone(), pair.value.clone())));
            }
            Instruction::Maintainer(author) => self.author.clone_from(author),
            Instruction::Onbuild(trigger) => self.on_build.push(trigger.clone()),
            Instruction::Shell(words) => self.shell = Some(words.clone()),
            Instruction::Stopsignal(signal) => {
                let _: Signal = signal.parse()?;
                self.stop_signal = Some(signal.clone());
            }
            Instruction::User(user) => self.user.clone_from(user),
            Instruction::Volume(paths) => {
                if paths.iter().any(String::is_empty) {
                    return Err(Error::Volume);
                }
                self.volumes.extend(paths.iter().cloned());
            }
            Instruction::Workdir(directory) => {
                if directory.is_empty() {
                    return Err(Error::Workdir);
                }
                self.working_dir = path::join(&format!("/{}", self.working_dir), directory);
            }
        }
        Ok(Some(history::text(instruction, self)))
    }

    fn entrypoint_of(&self, line: &CommandLine) -> Option<Vec<String>> {
        match line {
            CommandLine::Shell(text) if text.is_empty() => None,
            CommandLine::Exec(words) if words.is_empty() => None,
            line => Some(line.words(&self.shell())),
        }
    }

    fn environment(&mut self, pairs: &[Pair]) -> Result<(), Error> {
        if let Some(pair) = pairs.iter().find(|pair| pair.name.is_empty()) {
            return Err(Error::Variable(pair.value.clone()));
        }
        for Pair { name, value, .. } in pairs {
            let line = format!("{name}={value}");
            match self.env.iter_mut().find(|line| line.split('=').next() == Some(name)) {
                Some(before) => *before = line,
                None => self.env.push(line),
            }
        }
        Ok(())
    }
}
