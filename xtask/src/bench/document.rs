//! Writes the generated parts of docs/benchmarks.md.

use super::Outcome;
use super::place::Place;

/// Replaces the part between the markers of `name`.
///
/// # Errors
/// If the document cannot be read or written, or lacks the markers.
pub fn write(place: &Place, name: &str, text: &str) -> Outcome<()> {
    let path = place.root.join("docs/benchmarks.md");
    let document = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let document = replace(&document, name, text)
        .ok_or_else(|| format!("{} lacks the markers of `{name}`", path.display()))?;
    std::fs::write(&path, document)?;
    println!("\nwrote {}", path.display());
    Ok(())
}

fn replace(document: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n{end}{after}", text.trim()))
}

/// A table in Markdown whose columns line up also as plain text.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count(), 3]).max().unwrap_or(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let cells: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        format!("| {} |", cells.join(" | "))
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>();
    let mut lines = vec![line(head.to_vec()), line(rule.iter().map(String::as_str).collect())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marked_part_changes() {
        let document = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
        assert_eq!(replace(document, "x", "new\n").unwrap(), document.replace("old", "new"));
        assert_eq!(replace(document, "y", "new"), None);
    }

    #[test]
    fn columns_line_up() {
        let text = table(&["a", "long"], &[vec!["wide".to_owned(), "±1".to_owned()]]);
        assert_eq!(text, "| a    | long |\n| ---- | ---- |\n| wide | ±1   |");
    }
}
