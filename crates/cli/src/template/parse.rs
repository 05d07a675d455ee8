//! Tokens into a tree.

use super::Error;
use super::functions::is_function;
use super::lex::{Spanned, Token, lex, line_of};
use super::node::{Base, Branch, Command, Node, Operand, Pipeline};

pub(super) fn parse(source: &str) -> Result<Vec<Node>, Error> {
    let tokens = lex(source)?;
    let mut parser = Parser { source, tokens, at: 0, variables: vec![String::new()], ranges: 0 };
    let (nodes, end) = parser.list()?;
    match end {
        End::Eof => Ok(nodes),
        End::Close => Err(parser.error("unexpected {{end}}")),
        End::Else => Err(parser.error("unexpected {{else}}")),
        End::ElseIf(_) => Err(parser.error("unexpected {{else}}")),
    }
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Spanned>,
    at: usize,
    /// Names in scope.
    variables: Vec<String>,
    ranges: usize,
}

/// What ended a list of nodes.
enum End {
    Eof,
    Close,
    Else,
    /// `{{else if` or `{{else with`, up to its word.
    ElseIf(String),
}

impl Parser<'_> {
    fn error(&self, detail: impl Into<String>) -> Error {
        let at = self.tokens.get(self.at.min(self.tokens.len().saturating_sub(1))).map_or(0, |token| token.start);
        Error::Parse { line: line_of(self.source, at), detail: detail.into() }
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at)?.token.clone();
        self.at += 1;
        Some(token)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Token::Space) {
            self.at += 1;
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        self.skip_space();
        match self.next() {
            Some(Token::Close) => Ok(()),
            _ => Err(self.error("unexpected token in command")),
        }
    }

    fn list(&mut self) -> Result<(Vec<Node>, End), Error> {
        let mut nodes = Vec::new();
        loop {
            match self.next() {
                None => return Ok((nodes, End::Eof)),
                Some(Token::Text(text)) => nodes.push(Node::Text(text)),
                Some(_) => {
                    self.skip_space();
                    let keyword = match self.peek() {
                        Some(Token::Word(word)) => word.clone(),
                        _ => String::new(),
                    };
                    if let Some(end) = self.ending(&keyword)? {
                        return Ok((nodes, end));
                    }
                    nodes.push(self.action(&keyword)?);
                }
            }
        }
    }

    fn ending(&mut self, keyword: &str) -> Result<Option<End>, Error> {
        match keyword {
            "end" => {
                self.at += 1;
                self.close()?;
                Ok(Some(End::Close))
            }
            "else" => {
                self.at += 1;
                self.skip_space();
                match self.peek() {
                    Some(Token::Word(word)) if word == "if" || word == "with" => {
                        let word = word.clone();
                        Ok(Some(End::ElseIf(word)))
                    }
                    _ => {
                        self.close()?;
                        Ok(Some(End::Else))
                    }
                }
            }
            _ => Ok(None),
        }
    }

    fn action(&mut self, keyword: &str) -> Result<Node, Error> {
        match keyword {
            "if" | "with" | "range" => self.branch(keyword),
            "break" | "continue" => {
                if self.ranges == 0 {
                    return Err(self.error(format!("{{{{{keyword}}}}} outside {{{{range}}}}")));
                }
                self.at += 1;
                self.close()?;
                Ok(if keyword == "break" { Node::Break } else { Node::Continue })
            }
            "define" | "block" | "template" => Err(self.error(format!("unexpected <{keyword}> in command"))),
            _ => {
                let pipeline = self.pipeline(false)?;
                self.close()?;
                Ok(Node::Action(pipeline))
            }
        }
    }

    fn branch(&mut self, keyword: &str) -> Result<Node, Error> {
        self.at += 1;
        let scope = self.variables.len();
        let range = keyword == "range";
        let pipeline = self.pipeline(range)?;
        if pipeline.commands.is_empty() {
            return Err(self.error(format!("missing value for {keyword}")));
        }
        self.close()?;
        self.ranges += usize::from(range);
        let (body, end) = self.list()?;
        self.ranges -= usize::from(range);
        let otherwise = match end {
            End::Eof => return Err(self.error("unexpected EOF")),
            End::Close => Vec::new(),
            // `{{else if x}}…{{end}}` is `{{else}}{{if x}}…{{end}}{{end}}` with one end.
            End::ElseIf(word) => vec![self.branch(&word)?],
            End::Else => {
                let (nodes, end) = self.list()?;
                match end {
                    End::Close => nodes,
                    End::Eof => return Err(self.error("unexpected EOF")),
                    End::Else | End::ElseIf(_) => return Err(self.error("expected end; found {{else}}")),
                }
            }
        };
        self.variables.truncate(scope);
        let branch = Branch { pipeline, body, otherwise };
        Ok(match keyword {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    fn pipeline(&mut self, range: bool) -> Result<Pipeline, Error> {
        let (variables, assign) = self.declaration(range)?;
        let mut commands = Vec::new();
        loop {
            let command = self.command()?;
            if command.words.is_empty() {
                if commands.is_empty() && variables.is_empty() && self.peek() == Some(&Token::Close) {
                    return Err(self.error("missing value for command"));
                }
                return Err(self.error("missing value for command"));
            }
            commands.push(command);
            if self.peek() != Some(&Token::Pipe) {
                break;
            }
            self.at += 1;
        }
        if !assign {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline { variables, assign, commands })
    }

    /// `$x :=`, `$x =`, and for ranges `$i, $x :=`.
    fn declaration(&mut self, range: bool) -> Result<(Vec<String>, bool), Error> {
        self.skip_space();
        let start = self.at;
        let mut names = Vec::new();
        while let Some(Token::Variable(name)) = self.peek() {
            names.push(name.clone());
            self.at += 1;
            self.skip_space();
            match self.peek() {
                Some(Token::Comma) if range && names.len() == 1 => {
                    self.at += 1;
                    self.skip_space();
                }
                Some(Token::Declare) => {
                    self.at += 1;
                    return Ok((names, false));
                }
                Some(Token::Assign) => {
                    self.at += 1;
                    return Ok((names, true));
                }
                _ => break,
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn command(&mut self) -> Result<Command, Error> {
        let mut words = Vec::new();
        loop {
            self.skip_space();
            match self.operand()? {
                Some(operand) => words.push(operand),
                None => return Ok(Command { words }),
            }
        }
    }

    fn operand(&mut self) -> Result<Option<Operand>, Error> {
        let Some(spanned) = self.tokens.get(self.at).cloned() else { return Err(self.error("unclosed action")) };
        let mut fields = Vec::new();
        self.at += 1;
        let base = match spanned.token {
            Token::Dot => Base::Dot,
            Token::Field(name) => {
                fields.push(name);
                Base::Dot
            }
            Token::Variable(name) => {
                if !self.variables.contains(&name) {
                    return Err(self.error(format!("undefined variable \"${name}\"")));
                }
                Base::Variable(name)
            }
            Token::Quoted(text) => Base::Text(text),
            Token::Number(text) => self.number(&text)?,
            Token::Word(word) => match word.as_str() {
                "true" => Base::Bool(true),
                "false" => Base::Bool(false),
                "nil" => Base::Nil,
                _ if is_function(&word) => Base::Function(word),
                _ => return Err(self.error(format!("function {word:?} not defined"))),
            },
            Token::Left => {
                let pipeline = self.pipeline(false)?;
                self.skip_space();
                if self.next() != Some(Token::Right) {
                    return Err(self.error("unclosed left paren"));
                }
                Base::Group(Box::new(pipeline))
            }
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        while let Some(Token::Field(name)) = self.peek() {
            fields.push(name.clone());
            self.at += 1;
        }
        let end = self.tokens[self.at - 1].end;
        Ok(Some(Operand { base, fields, start: spanned.start, end }))
    }

    fn number(&self, text: &str) -> Result<Base, Error> {
        let plain = text.replace('_', "");
        let hex = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X"));
        if let Some(number) = hex.and_then(|digits| i128::from_str_radix(digits, 16).ok()) {
            return Ok(Base::Int(number));
        }
        if let Ok(number) = plain.parse() {
            return Ok(Base::Int(number));
        }
        plain.parse().map(Base::Float).map_err(|_| self.error(format!("bad number syntax: {text:?}")))
    }
}
