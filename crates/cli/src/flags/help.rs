//! The options block of a help text, in Docker's layout.

use super::Flag;

/// Columns that help is wrapped to when the terminal does not say.
const DEFAULT_WIDTH: usize = 80;
/// How far the last line of a paragraph may run over, to avoid orphan words.
const SLOP: usize = 5;

/// The lines of an options block: names in one column, texts wrapped in the other.
#[must_use]
pub fn flag_block<'a>(flags: impl IntoIterator<Item = &'a Flag>, columns: Option<usize>) -> String {
    let width = columns.unwrap_or(DEFAULT_WIDTH) - 1;
    let mut flags: Vec<&Flag> = flags.into_iter().filter(|flag| !flag.hidden).collect();
    flags.sort_by_key(|flag| flag.name);
    let names: Vec<String> = flags.iter().map(|flag| name_column(flag)).collect();
    let indent = names.iter().map(String::len).max().unwrap_or(0) + 3;
    let mut block = String::new();
    for (flag, name) in flags.iter().zip(&names) {
        let default = if flag.default.is_empty() { String::new() } else { format!(" (default {})", flag.default) };
        let text = wrapped(indent, width, &format!("{}{default}", flag.help));
        block.push_str(&format!("{name:<indent$}{text}\n"));
    }
    block
}

/// Wraps `text` to `width` columns, every line but the first indented by `indent`.
#[must_use]
pub fn wrapped(indent: usize, width: usize, text: &str) -> String {
    let (indent, lead) = if width.saturating_sub(indent) < 24 { (16, true) } else { (indent, false) };
    let margin = format!("\n{}", " ".repeat(indent));
    if width.saturating_sub(indent) < 24 {
        return text.replace('\n', &margin);
    }
    let room = width - indent - SLOP;
    let mut out = if lead { margin.clone() } else { String::new() };
    let mut rest = text;
    let mut first = true;
    while first || !rest.is_empty() {
        let (line, after) = cut(room, rest);
        if !first {
            out.push_str(&margin);
        }
        out.push_str(&line.replace('\n', &margin));
        (rest, first) = (after, false);
    }
    out
}

/// Takes one line of at most `room` bytes; the last line may run over by [`SLOP`].
fn cut(room: usize, text: &str) -> (&str, &str) {
    if room + SLOP > text.len() {
        return (text, "");
    }
    let head = text.get(..room).unwrap_or(text);
    let Some(space) = head.rfind([' ', '\t', '\n']).filter(|at| *at > 0) else { return (text, "") };
    match head.rfind('\n').filter(|at| *at > 0 && *at < space) {
        Some(newline) => (&text[..newline], &text[newline + 1..]),
        None => (&text[..space], &text[space + 1..]),
    }
}

fn name_column(flag: &Flag) -> String {
    let short = flag.short.map_or_else(|| "      ".to_owned(), |short| format!("  -{short}, "));
    let value = if flag.value.is_empty() { String::new() } else { format!(" {}", flag.value) };
    format!("{short}--{}{value}", flag.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lays_flags_out_in_two_columns() {
        let flags = [
            Flag::switch("no-trunc", "Don't truncate output"),
            Flag::value("last", "int", "Show n last created containers (includes all states)").short('n').default("-1"),
            Flag::value("net", "network", "x").same_as("network"),
        ];
        assert_eq!(
            flag_block(&flags, None),
            "  -n, --last int   Show n last created containers (includes all states)\n                   (default -1)\n      --no-trunc   Don't truncate output\n"
        );
    }
}
