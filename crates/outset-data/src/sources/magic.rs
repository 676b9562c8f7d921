//! Files that hold no text table, told by their first bytes.

/// A kind of file that cannot be read as a table.
pub(super) struct Kind {
    /// What it is, with an article.
    pub(super) name: &'static str,
    /// What can be done about it.
    pub(super) class: Class,
}

/// What can be done about a file of a foreign kind.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Class {
    /// Its program can save a table as CSV.
    Spreadsheet,
    /// It may hold data files.
    Archive,
    /// It is read from folders, archives and columns of paths.
    Picture,
    /// It holds no rows.
    Other,
}

use Class::{Archive, Other, Picture, Spreadsheet};

const MAGIC: &[(&[u8], &str, Class)] = &[
    (b"\x89PNG", "a PNG picture", Picture),
    (b"\xff\xd8\xff", "a JPEG picture", Picture),
    (b"GIF8", "a GIF picture", Picture),
    (b"%PDF", "a PDF document", Other),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word file", Spreadsheet),
    (b"PK\x03\x04", "a zip archive", Archive),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", Archive),
    (b"Rar!", "a rar archive", Archive),
    (b"BZh", "a bzip2 file", Archive),
    (b"\xfd7zXZ", "an xz file", Archive),
    (b"SQLite format 3\0", "an SQLite database", Other),
    (b"\x89HDF", "an HDF5 file", Other),
    (b"\x93NUMPY", "a NumPy array", Other),
    (b"ARROW1", "an Arrow file", Other),
    (b"FEA1", "a Feather file", Other),
    (b"ORC", "an ORC file", Other),
    (b"Obj\x01", "an Avro file", Other),
    (b"RIFF", "a sound or picture file", Other),
    (b"fLaC", "a FLAC sound", Other),
    (b"\x7fELF", "a program", Other),
];

/// Tells what kind of foreign file starts with these bytes.
pub(super) fn kind(head: &[u8]) -> Option<Kind> {
    let contains = |word: &[u8]| head[..head.len().min(4096)].windows(word.len()).any(|at| at == word);
    if head.starts_with(b"PK\x03\x04") {
        // An Excel workbook is a zip archive that starts with one of these entries.
        for (entry, name) in [
            (&b"xl/"[..], "an Excel workbook"),
            (b"[Content_Types].xml", "an Excel workbook or other Office file"),
            (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
        ] {
            if contains(entry) {
                return Some(Kind { name, class: Spreadsheet });
            }
        }
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(Kind { name: "a tar archive", class: Archive });
    }
    let found = MAGIC.iter().find(|(magic, ..)| {
        // Three letters alone could start a text; a foreign file holds a NUL soon after.
        head.starts_with(magic) && (magic.iter().any(|byte| !byte.is_ascii_graphic()) || head.contains(&0))
    });
    let pdf = head.starts_with(b"%PDF-").then_some(("a PDF document", Other));
    found.map(|(_, name, class)| (*name, *class)).or(pdf).map(|(name, class)| Kind { name, class })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let name = |head: &[u8]| kind(head).map(|kind| kind.name);
        assert_eq!(name(b"\x89PNG\r\n\x1a\n"), Some("a PNG picture"));
        assert_eq!(name(b"PK\x03\x04.......xl/workbook.xml"), Some("an Excel workbook"));
        assert_eq!(name(b"PK\x03\x04......a.csv"), Some("a zip archive"));
        assert_eq!(name(b"%PDF-1.7\n"), Some("a PDF document"));
        assert_eq!(name(b"ORCHID,colour\nred,1\n"), None);
        assert_eq!(name(b"a,b\n1,2\n"), None);
    }
}
