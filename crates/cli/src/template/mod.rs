//! The part of Go's `text/template` that `--format` uses, over ordered [`Value`]s.
//!
//! Actions, pipelines, variables, `if`/`else if`/`with`/`range` with `else`, `break`/`continue`, trim markers,
//! comments, Go's built-in functions and Docker's (`json split join title lower upper pad truncate`).
//! There are no named templates.

mod eval;
mod functions;
mod lex;
mod node;
mod parse;

use crate::format::value::Value;

/// Why a template cannot be used. Texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no template.
    #[error("template: :{line}: {detail}")]
    Parse {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// The template does not fit the data.
    #[error("template: :{line}:{column}: executing \"\" at <{node}>: {detail}")]
    Execute {
        /// Line, from 1.
        line: usize,
        /// Byte in the line, from 0.
        column: usize,
        /// The failing expression.
        node: String,
        /// What is wrong.
        detail: String,
    },
}

/// Which functions a run of the template has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Functions {
    /// All of them.
    Full,
    /// For a table's header: functions that change a text give it back unchanged.
    Header,
}

/// A parsed template.
pub struct Template {
    source: String,
    nodes: Vec<node::Node>,
}

impl Template {
    /// Parses `text`.
    ///
    /// # Errors
    /// [`Error::Parse`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self { source: text.to_owned(), nodes: parse::parse(text)? })
    }

    /// Runs the template on `data`.
    ///
    /// # Errors
    /// [`Error::Execute`] at the first expression that does not fit.
    pub fn render(&self, data: &Value, functions: Functions) -> Result<String, Error> {
        eval::run(&self.source, &self.nodes, data, functions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::value::Row;

    fn render(template: &str, json: &str) -> Result<String, String> {
        let data: Value = serde_json::from_str(json).expect("valid JSON");
        let template = Template::parse(template).map_err(|e| e.to_string())?;
        template.render(&data, Functions::Full).map_err(|e| e.to_string())
    }

    #[test]
    fn renders_what_go_renders() {
        let data = r#"{"Name":"/c1","State":{"Status":"running","Pid":7,"Dead":false},"Labels":{"a.b":"x","c":"y"},
                       "Args":["p","q"],"Ports":{"80/tcp":[{"HostPort":"8080"}]},"Empty":null,"Size":1.5}"#;
        for (template, expected) in [
            ("{{.Name}}", "/c1"),
            ("{{ .State.Status }}/{{.State.Pid}}", "running/7"),
            ("{{json .Args}}", r#"["p","q"]"#),
            ("{{.Args}}", "[p q]"),
            ("{{join .Args \",\"}}", "p,q"),
            ("{{index .Labels \"a.b\"}}", "x"),
            ("{{index .Args 1}}", "q"),
            ("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"),
            ("{{range .Args}}<{{.}}>{{end}}", "<p><q>"),
            ("{{range $i, $a := .Args}}{{if $i}}, {{end}}{{$i}}={{$a}}{{end}}", "0=p, 1=q"),
            ("{{range $k, $v := .Labels}}{{$k}}:{{$v}};{{end}}", "a.b:x;c:y;"),
            ("{{with .Empty}}x{{else}}none{{end}}", "none"),
            ("{{if and .Name (not .State.Dead)}}up{{else}}down{{end}}", "up"),
            ("{{if eq .State.Status \"exited\" \"running\"}}yes{{end}}", "yes"),
            ("{{if gt .State.Pid 5}}big{{else if eq .State.Pid 5}}five{{end}}", "big"),
            ("{{.Name | upper | printf \"%-5s|\"}}", "/C1  |"),
            ("{{printf \"%q %d %v %05d %x\" .Name .State.Pid .Size 42 255}}", "\"/c1\" 7 1.5 00042 ff"),
            ("{{len .Args}} {{len .Name}}", "2 3"),
            ("{{title \"hello world\"}} {{lower \"ABC\"}}", "Hello World abc"),
            ("{{range split \"a:b\" \":\"}}{{.}},{{end}}", "a,b,"),
            ("{{- /* gone */ -}} {{.Name}} {{- \" x\" -}}   y", "/c1 xy"),
            ("{{$x := .Name}}{{range .Args}}{{$x}}{{$.State.Pid}}{{end}}", "/c17/c17"),
            ("{{range .Args}}{{if eq . \"q\"}}{{break}}{{end}}{{.}}{{end}}", "p"),
            ("{{println .Name}}", "/c1\n"),
            ("{{`raw \\n`}}{{slice .Name 1}}", "raw \\nc1"),
            ("{{.Labels}}", "map[a.b:x c:y]"),
            ("{{.Labels.nope}}|{{index .Labels \"nope\"}}|{{.Empty}}", "<no value>||<nil>"),
        ] {
            assert_eq!(render(template, data), Ok(expected.to_owned()), "{template}");
        }
    }

    #[test]
    fn error_texts_are_gos() {
        for (template, expected) in [
            ("{{", "template: :1: unclosed action"),
            ("{{if .A}}", "template: :1: unexpected EOF"),
            ("{{foo .A}}", "template: :1: function \"foo\" not defined"),
            ("{{.B}}", "template: :1:2: executing \"\" at <.B>: map has no entry for key \"B\""),
            ("{{.A.B}}", "template: :1:4: executing \"\" at <.A.B>: can't evaluate field B in type interface {}"),
        ] {
            assert_eq!(render(template, r#"{"A":"x"}"#), Err(expected.to_owned()), "{template}");
        }
        let row = Value::Row(Row::new("*formatter.ContainerContext").text("ID", "x"));
        let error =
            Template::parse("{{.Foo}}").expect("valid").render(&row, Functions::Full).map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err("template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext"
                .to_owned())
        );
    }
}
