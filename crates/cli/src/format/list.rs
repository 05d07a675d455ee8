//! Rows through a template, in columns when the format begins with `table`.

use crate::format::tabwriter::{TABLE, align};
use crate::format::value::{Row, Value};
use crate::template::{Error, Functions, Template};

/// How a list is shown.
#[derive(Clone, Debug)]
pub struct Format {
    template: String,
    table: bool,
}

// === impl Format ===

impl Format {
    /// Reads a `--format` text; empty and `table` mean `default` (itself a `table …` text).
    #[must_use]
    pub fn new(text: &str, default: &str) -> Self {
        let text = if text.is_empty() || text == "table" { default } else { text };
        let (text, table) = match text {
            "json" => ("{{json .}}", false),
            _ => text.strip_prefix("table").map_or((text, false), |rest| (rest, true)),
        };
        Self { template: text.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n"), table }
    }

    /// Whether the template mentions `text`.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.template.contains(text)
    }

    /// The text of all rows. `header` has the column titles by field name.
    ///
    /// # Errors
    /// When the template is malformed or asks for what rows do not have.
    pub fn render(&self, header: &[(&'static str, &'static str)], rows: Vec<Row>) -> Result<String, Error> {
        let template = Template::parse(&self.template)?;
        let mut text = String::new();
        if self.table {
            let mut titles = Row::new("formatter.SubHeaderContext");
            for (field, title) in header {
                titles = titles.text(field, *title);
            }
            text.push_str(&template.render(&Value::Row(titles), Functions::Header)?);
            text.push('\n');
        }
        for row in rows {
            text.push_str(&template.render(&Value::Row(row), Functions::Full)?);
            text.push('\n');
        }
        Ok(if self.table { align(&text, TABLE) } else { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [(&str, &str); 2] = [("Name", "NAME"), ("State", "STATE")];

    fn rows() -> Vec<Row> {
        let row = |name: &str, state: &str| Row::new("*formatter.Test").text("Name", name).text("State", state);
        vec![row("a", "up"), row("longer-name", "down")]
    }

    #[test]
    fn tables_lines_and_json() {
        for (format, expected) in [
            ("", "NAME\na\nlonger-name\n"),
            ("table {{.Name}}\\t{{upper .State}}", "NAME          STATE\na             UP\nlonger-name   DOWN\n"),
            ("{{.Name}}={{.State}}", "a=up\nlonger-name=down\n"),
            ("json", "{\"Name\":\"a\",\"State\":\"up\"}\n{\"Name\":\"longer-name\",\"State\":\"down\"}\n"),
        ] {
            let text = Format::new(format, "table {{.Name}}").render(&HEADER, rows());
            assert_eq!(text, Ok(expected.to_owned()), "{format}");
        }
        assert_eq!(Format::new("", "table {{.Name}}").render(&HEADER, Vec::new()), Ok("NAME\n".to_owned()));
        assert!(Format::new("{{.Nope}}", "").render(&HEADER, rows()).is_err());
    }
}
