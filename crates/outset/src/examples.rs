//! Built-in examples: experiment file, data that is made by a seeded generator, and a page about it.

mod churn;
mod digits;
mod entities;
mod line;
mod photos;
mod sentiment;
mod sentiment_zh;
mod ticket_priority;

/// An example that `outset new --example` writes.
pub struct Example {
    pub name: &'static str,
    pub about: &'static str,
    files: fn() -> Vec<(&'static str, String)>,
    /// Paths and contents of pictures, written as the text files are.
    pictures: fn() -> Vec<(String, Vec<u8>)>,
}

impl Example {
    /// Paths of all files within the example's folder, and contents.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let text = (self.files)().into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes()));
        text.chain((self.pictures)()).collect()
    }
}

/// Every example; a new one is a file in `examples/` and a line here.
const EXAMPLES: &[Example] = &[
    churn::EXAMPLE,
    digits::EXAMPLE,
    entities::EXAMPLE,
    line::EXAMPLE,
    photos::EXAMPLE,
    sentiment::EXAMPLE,
    sentiment_zh::EXAMPLE,
    ticket_priority::EXAMPLE,
];

/// Names and descriptions of all examples.
pub fn list() -> Vec<(&'static str, &'static str)> {
    EXAMPLES.iter().map(|example| (example.name, example.about)).collect()
}

/// The example of a name.
pub fn find(name: &str) -> Option<&'static Example> {
    EXAMPLES.iter().find(|example| example.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_shipped_examples_are_what_new_writes() {
        for example in EXAMPLES {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example.name);
            for (file, content) in example.files() {
                let path = folder.join(file);
                let shipped = std::fs::read(&path).unwrap_or_default();
                assert!(
                    shipped == content,
                    "{} differs from `outset new --example {}`",
                    path.display(),
                    example.name
                );
            }
        }
    }
}
