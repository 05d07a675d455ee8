//! Aligning tab-separated cells in columns, with the rules of Go's `text/tabwriter`.

/// How columns are laid out.
#[derive(Clone, Copy)]
pub struct Layout {
    /// Narrowest column, padding included.
    pub min_width: usize,
    /// Spaces after the widest cell.
    pub padding: usize,
}

/// What Docker's tables use.
pub const TABLE: Layout = Layout { min_width: 10, padding: 3 };

/// Aligns `text`: a cell ends with a tab; what follows the last tab of a line belongs to no column. A column is a
/// run of adjacent lines that have that cell, so two blocks of lines are aligned independently.
#[must_use]
pub fn align(text: &str, layout: Layout) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len() - 1]).collect();
    measure(&lines, &mut widths, 0, lines.len(), 0, layout);
    let mut out = String::with_capacity(text.len() * 2);
    for (index, (cells, widths)) in lines.iter().zip(&widths).enumerate() {
        if index > 0 {
            out.push('\n');
        }
        for (column, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths.get(column) {
                out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
            }
        }
    }
    out
}

fn measure(lines: &[Vec<&str>], widths: &mut [Vec<usize>], from: usize, to: usize, column: usize, layout: Layout) {
    let has_cell = |line: usize| column + 1 < lines[line].len();
    let mut line = from;
    while line < to {
        if !has_cell(line) {
            line += 1;
            continue;
        }
        let end = (line..to).find(|at| !has_cell(*at)).unwrap_or(to);
        let widest = lines[line..end].iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
        let width = (widest + layout.padding).max(layout.min_width);
        for row in &mut widths[line..end] {
            row[column] = width;
        }
        measure(lines, widths, line, end, column + 1, layout);
        line = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_columns_of_adjacent_lines() {
        assert_eq!(
            align("NAME\tCOMMAND\tID\na\tb\tc\nlonger than ten\t\tx\n", TABLE),
            "NAME              COMMAND   ID\na                 b         c\nlonger than ten             x\n"
        );
        assert_eq!(align("a\tb\nplain\nlonger than ten\tb\n", TABLE), "a         b\nplain\nlonger than ten   b\n");
    }
}
