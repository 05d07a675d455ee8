//! Which words of which instruction have variables.

use std::collections::BTreeSet;

use super::{Error, Globals, Lexer, Variables};
use crate::dockerfile::{
    Add, Argument, Copy, Dockerfile, Files, From, Heredoc, Instruction, Pair, Run, RunMount, Source, Step,
};

/// An instruction with values in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion<T> {
    /// The instruction.
    pub value: T,
    /// Variables that had a value.
    pub used: BTreeSet<String>,
    /// Variables that had none.
    pub missing: BTreeSet<String>,
}

/// Puts values into an instruction. `RUN`, `CMD`, `ENTRYPOINT`, `SHELL`, `HEALTHCHECK`, `ONBUILD` and `MAINTAINER`
/// stay as they are; for the mounts of a `RUN` see [`mounts`].
///
/// # Errors
/// [`Error`] for a word that breaks the syntax, and for `${NAME:?…}`.
pub fn instruction<V: Variables + ?Sized>(
    instruction: &Instruction,
    escape: char,
    variables: &V,
) -> Result<Expansion<Instruction>, Error> {
    let mut hand = Hand::new(escape, variables);
    let value = match instruction {
        Instruction::Add(add) => Instruction::Add(Add {
            files: hand.files(&add.files)?,
            checksum: hand.option(add.checksum.as_deref())?,
            ..add.clone()
        }),
        Instruction::Copy(copy) => Instruction::Copy(Copy { files: hand.files(&copy.files)?, ..copy.clone() }),
        Instruction::Arg(arguments) => Instruction::Arg(hand.each(arguments, |hand, argument| {
            Ok(Argument { value: hand.option(argument.value.as_deref())?, ..argument.clone() })
        })?),
        Instruction::Env(pairs) => Instruction::Env(hand.each(pairs, Hand::pair)?),
        Instruction::Label(pairs) => Instruction::Label(hand.each(pairs, Hand::pair)?),
        // The only one where a value may become several words.
        Instruction::Expose(ports) => Instruction::Expose(hand.each(ports, |hand, port| hand.words(port))?.concat()),
        Instruction::Stopsignal(text) => Instruction::Stopsignal(hand.word(text)?),
        Instruction::User(text) => Instruction::User(hand.word(text)?),
        Instruction::Volume(paths) => Instruction::Volume(hand.each(paths, |hand, path| hand.word(path))?),
        Instruction::Workdir(text) => Instruction::Workdir(hand.word(text)?),
        Instruction::Cmd(_)
        | Instruction::Entrypoint(_)
        | Instruction::Healthcheck(_)
        | Instruction::Maintainer(_)
        | Instruction::Onbuild(_)
        | Instruction::Run(_)
        | Instruction::Shell(_) => instruction.clone(),
    };
    Ok(hand.done(value))
}

/// Puts values into a `FROM`; `variables` are the build's [`super::Globals`].
///
/// # Errors
/// As [`instruction`].
pub fn from<V: Variables + ?Sized>(from: &From, escape: char, variables: &V) -> Result<Expansion<From>, Error> {
    let mut hand = Hand::new(escape, variables);
    let value =
        From { image: hand.word(&from.image)?, platform: hand.option(from.platform.as_deref())?, ..from.clone() };
    Ok(hand.done(value))
}

/// The mounts of a `RUN`, with values in them.
///
/// # Errors
/// A message: Docker's for a wrong key or value of a mount, or that of [`Error`].
pub fn mounts<V: Variables + ?Sized>(
    run: &Run,
    escape: char,
    variables: &V,
) -> Result<Expansion<Vec<RunMount>>, String> {
    let mut hand = Hand::new(escape, variables);
    let mut word = |text: &str| hand.word(text).map_err(|error| error.to_string());
    let mounts: Result<Vec<_>, String> = run.mounts.iter().map(|mount| mount.resolve(&mut word)).collect();
    Ok(hand.done(mounts?))
}

/// Declares what a file's `ARG`s before its first stage declare, each with the values of those before it.
///
/// # Errors
/// As [`instruction`], with the step it is about.
pub fn declare<'a>(file: &'a Dockerfile, globals: &mut Globals) -> Result<(), (&'a Step<Vec<Argument>>, Error)> {
    for step in &file.global_args {
        for argument in &step.instruction {
            let mut hand = Hand::new(file.escape, globals);
            let value = hand.option(argument.value.as_deref()).map_err(|error| (step, error))?;
            globals.declare(&Argument { value, ..argument.clone() });
        }
    }
    Ok(())
}

/// Expands one word after the other and remembers what they used.
struct Hand<'a, V: Variables + ?Sized> {
    lexer: Lexer,
    variables: &'a V,
    used: BTreeSet<String>,
    missing: BTreeSet<String>,
}

impl<'a, V: Variables + ?Sized> Hand<'a, V> {
    fn new(escape: char, variables: &'a V) -> Self {
        Self { lexer: Lexer::new(escape), variables, used: BTreeSet::new(), missing: BTreeSet::new() }
    }

    fn done<T>(self, value: T) -> Expansion<T> {
        Expansion { value, used: self.used, missing: self.missing }
    }

    fn expand(&mut self, lexer: Lexer, text: &str) -> Result<(String, Vec<String>), Error> {
        let found = lexer.expand(text, self.variables)?;
        self.used.extend(found.used);
        self.missing.extend(found.missing);
        Ok((found.text, found.words))
    }

    fn word(&mut self, text: &str) -> Result<String, Error> {
        self.expand(self.lexer, text).map(|(text, _)| text)
    }

    fn words(&mut self, text: &str) -> Result<Vec<String>, Error> {
        self.expand(self.lexer, text).map(|(_, words)| words)
    }

    fn option(&mut self, text: Option<&str>) -> Result<Option<String>, Error> {
        text.map(|text| self.word(text)).transpose()
    }

    fn each<T, U>(
        &mut self,
        items: &[T],
        mut expand: impl FnMut(&mut Self, &T) -> Result<U, Error>,
    ) -> Result<Vec<U>, Error> {
        items.iter().map(|item| expand(self, item)).collect()
    }

    fn pair(&mut self, pair: &Pair) -> Result<Pair, Error> {
        Ok(Pair { name: self.word(&pair.name)?, value: self.word(&pair.value)?, legacy: pair.legacy })
    }

    fn files(&mut self, files: &Files) -> Result<Files, Error> {
        Ok(Files {
            sources: self.each(&files.sources, |hand, source| match source {
                Source::Path(path) => hand.word(path).map(Source::Path),
                Source::Inline(document) => hand.document(document).map(Source::Inline),
            })?,
            destination: self.word(&files.destination)?,
            chown: self.option(files.chown.as_deref())?,
            chmod: self.option(files.chmod.as_deref())?,
            ..files.clone()
        })
    }

    /// Quotes in a here-document are text, and its escape is always the backslash.
    fn document(&mut self, document: &Heredoc) -> Result<Heredoc, Error> {
        let content = document.text();
        let content = if document.expand {
            self.expand(Lexer { plain_quotes: true, ..Lexer::default() }, &content)?.0
        } else {
            content
        };
        Ok(Heredoc { content, expand: false, strip_tabs: false, ..document.clone() })
    }
}
