//! `image ls --tree`: images with the platforms they are for below them, as wide as the terminal.

use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;
use crate::format::text::short_id;
use crate::format::units::human_size;
use crate::format::value::Value;

/// Blanks between columns.
const SPACING: usize = 3;
/// The narrowest column of names; further columns are dropped first.
const NARROWEST: usize = 12;
/// Columns assumed where there is no terminal.
const WIDTH: usize = 80;
/// Before a platform.
const BRANCH: &str = "└─ ";

/// A column behind the names: its title, its width, and whether it stands at the right.
const COLUMNS: [(&str, usize, bool); 4] =
    [("ID", 12, false), ("DISK USAGE", 10, true), ("CONTENT SIZE", 12, true), ("EXTRA", 5, false)];

/// What stands behind a name: id, disk usage, content size; and whether a container uses it.
struct Details {
    cells: [String; 3],
    used: bool,
}

/// The layout of one listing.
struct Tree {
    colour: bool,
    /// Columns of the names.
    names: usize,
    /// How many of [`COLUMNS`] there is room for.
    shown: usize,
    /// Columns of the terminal, when there is one: a name on a line of its own is cut there.
    terminal: Option<usize>,
}

/// Refuses the flags that make no sense with a tree.
///
/// # Errors
/// Docker's words.
pub fn check(context: &Context, m: &Matches) -> Result<(), Failure> {
    let refused = [
        (m.on("quiet"), "--quiet"),
        (m.on("no-trunc"), "--no-trunc"),
        (m.on("digests"), "--show-digest"),
        (!m.text("format").is_empty(), "--format"),
    ];
    if let Some((_, flag)) = refused.iter().find(|(given, _)| *given) {
        return Err(Failure::Invalid(format!("{flag} is not yet supported with --tree")));
    }
    let client = context.client()?;
    let version = context.wait(async { Ok(client.negotiate().await?) })?;
    if version < client::ApiVersion::new(1, 47) {
        let text = format!("\"--tree\" requires API version 1.47, but the Docker daemon API version is {version}");
        return Err(Failure::Invalid(text));
    }
    Ok(())
}

/// Shows images, which came with their manifests.
pub fn show(context: &Context, images: &Value) {
    let mut images: Vec<&Value> =
        images.items().iter().filter(|image| !image.at("RepoTags").texts().is_empty()).collect();
    images.sort_by_key(|image| std::cmp::Reverse(image.at("Created").as_i64()));
    let (_, columns) = context.terminal_size();
    let width = if columns == 0 { WIDTH } else { usize::from(columns).max(20) };
    let terminal = Some(usize::from(columns)).filter(|columns| *columns > 0);
    let tree = Tree::of(&images, width, terminal, context.output_is_terminal());
    let mut text = format!("{}\n\n{}\n", tree.legend(width), tree.header());
    for image in images {
        tree.image(&mut text, image);
    }
    context.print(&text);
}

// === impl Tree ===

impl Tree {
    fn of(images: &[&Value], width: usize, terminal: Option<usize>, colour: bool) -> Self {
        let (mut names, mut shown) = (width, 0);
        for (_, column, _) in COLUMNS {
            match names.checked_sub(column + SPACING).filter(|left| *left >= NARROWEST) {
                Some(left) => (names, shown) = (left, shown + 1),
                None => break,
            }
        }
        let tags = images.iter().flat_map(|image| image.at("RepoTags").texts());
        let platforms = images.iter().flat_map(|image| image.at("Manifests").items()).map(platform);
        // In bytes, as Docker measures.
        let widest = tags.chain(platforms.map(|name| format!("{BRANCH}{name}"))).map(|name| name.len()).max();
        Self { colour, names: names.min(widest.unwrap_or(0).max("IMAGE".len())), shown, terminal }
    }

    fn legend(&self, width: usize) -> String {
        match self.colour {
            true => format!(
                "{}\x1b[1m\x1b[106m\x1b[30mi\x1b[0m\x1b[0m \x1b[96mInfo → \x1b[0m\x1b[0m {} In Use ",
                " ".repeat(width.saturating_sub(21)),
                self.chip()
            ),
            false => format!("{}Info ->  {} In Use ", " ".repeat(width.saturating_sub(18)), self.chip()),
        }
    }

    fn chip(&self) -> &'static str {
        if self.colour { "\x1b[38;5;0m\x1b[48;5;14m U \x1b[0m" } else { "U" }
    }

    fn header(&self) -> String {
        let title = |text: &str| format!("\x1b[39m\x1b[1m{text}\x1b[0m");
        let blanks = |width: usize, text: &str| " ".repeat(width.saturating_sub(text.len()));
        let mut line = title("IMAGE") + &blanks(self.names, "IMAGE");
        for (text, width, right) in &COLUMNS[..self.shown] {
            line.push_str(&" ".repeat(SPACING));
            let blanks = blanks(*width, text);
            line.push_str(&if *right { blanks + &title(text) } else { title(text) + &blanks });
        }
        line
    }

    /// One image: its names below one another, the last one with the details; then its platforms, and an empty line.
    fn image(&self, text: &mut String, image: &Value) {
        let tags = image.at("RepoTags").texts();
        let Some((last, others)) = tags.split_last() else { return };
        let name = |name: &str| match self.terminal {
            Some(width) => self.coloured("\x1b[34m\x1b[1m", &cut(name, width)),
            None => self.coloured("\x1b[34m\x1b[1m", name),
        };
        others.iter().for_each(|other| text.push_str(&format!("{}\n", name(other))));
        let manifests = image.at("Manifests").items();
        let content: i64 = manifests.iter().map(|manifest| manifest.path(&["Size", "Content"]).as_i64()).sum();
        let details = Details {
            cells: cells(image.at("Id").as_str(), image.at("Size").as_i64(), content),
            used: image.at("Containers").as_i64() > 0,
        };
        text.push_str(&self.line(&self.cell("\x1b[34m\x1b[1m", last, self.names, false), &details));
        for manifest in manifests {
            let size = |member: &str| manifest.path(&["Size", member]).as_i64();
            let details = Details {
                cells: cells(manifest.at("ID").as_str(), size("Total"), size("Content")),
                used: !manifest.path(&["ImageData", "Containers"]).items().is_empty(),
            };
            let name = format!("{BRANCH}{}", platform(manifest));
            text.push_str(&self.line(&self.cell("\x1b[39m", &name, self.names, false), &details));
        }
        text.push('\n');
    }

    fn line(&self, name: &str, details: &Details) -> String {
        let mut line = name.to_owned();
        for (index, (_, width, right)) in COLUMNS[..self.shown].iter().enumerate() {
            line.push_str(&" ".repeat(SPACING));
            match details.cells.get(index) {
                Some(cell) => line.push_str(&self.cell("\x1b[39m", cell, *width, *right)),
                None if details.used => {
                    // With its colour the letter stands between blanks.
                    let seen = if self.colour { 3 } else { 1 };
                    line.push_str(&format!("{}{}", self.chip(), " ".repeat(width - seen)));
                }
                None => line.push_str(&" ".repeat(*width)),
            }
        }
        line + "\n"
    }

    fn cell(&self, colour: &str, text: &str, width: usize, right: bool) -> String {
        let length = text.chars().count();
        if length > width {
            return self.coloured(colour, &cut(text, width));
        }
        let (shown, blanks) = (self.coloured(colour, text), " ".repeat(width - length));
        if right { blanks + &shown } else { shown + &blanks }
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("{colour}{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A text in at most `width` columns.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn cells(id: &str, usage: i64, content: i64) -> [String; 3] {
    [short_id(id).to_owned(), human_size(usage as f64, 3), human_size(content as f64, 3)]
}

/// `os/architecture[/variant]` of a manifest.
fn platform(manifest: &Value) -> String {
    let part = |member: &str| manifest.path(&["ImageData", "Platform", member]).as_str().to_owned();
    let parts = [part("os"), part("architecture"), part("variant")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}
