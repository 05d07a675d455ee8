//! The tree of a template.

/// One piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
}

/// A condition with what follows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Branch {
    pub pipeline: Pipeline,
    pub body: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// `$a, $b := command | command`.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Pipeline {
    pub variables: Vec<String>,
    /// `=` instead of `:=`.
    pub assign: bool,
    pub commands: Vec<Command>,
}

/// A function or value with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub words: Vec<Operand>,
}

/// A value with the fields asked of it, and where it stands in the source.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    pub base: Base,
    pub fields: Vec<String>,
    pub start: usize,
    pub end: usize,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Function(String),
    Text(String),
    Int(i128),
    Float(f64),
    Bool(bool),
    Nil,
    Group(Box<Pipeline>),
}
