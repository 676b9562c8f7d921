//! Columns of pictures on their way into a run: paths opened, sizes settled, pixels decoded, broken ones told.

use crate::error::LearnError;
use crate::event::{Event, Observer};
use indexmap::IndexMap;
use outset_data::pictures::{self, Images, Shape, Skipped};
use outset_data::types::{self, ColumnSettings, ImageSettings};
use outset_data::{Cells, DataError, FeatureShape, FittedInput, Preprocessor, Table};
use outset_spec::record::FileRecord;
use outset_spec::{Experiment, Problems, Section, Setting as _};

/// Opens the pictures of every input that is one and writes into its section what follows from them: size, channels,
/// augmentation. Gives the names of these inputs.
pub(crate) fn open(
    experiment: &Experiment,
    table: &mut Table,
    files: &[FileRecord],
    inputs: &mut IndexMap<String, Section>,
) -> Vec<String> {
    let mut names = Vec::new();
    for (name, section) in inputs.iter_mut().filter(|(_, section)| section.kind == "image") {
        if let Some(Cells::Text(text)) = table.get(name) {
            let images = pictures::resolve(text, files, &experiment.folder);
            table.columns.insert(name.clone(), Cells::Image(images));
        }
        let Some(Cells::Image(images)) = table.get(name) else { continue };
        // The settings were checked before the data was read.
        let mut ignored = Problems::default();
        let mut reader = section.reader("", &mut ignored);
        if let Some(ColumnSettings::Image(settings)) = types::read_settings("image", &mut reader) {
            let resolved = settings.resolve(images);
            for (key, value) in [
                ("size", resolved.size.to_value()),
                ("channels", resolved.channels.to_value()),
                ("augment", resolved.augment.to_value()),
            ] {
                if let Some(value) = value {
                    section.parameters.put(key, value);
                }
            }
        }
        names.push(name.clone());
    }
    names
}

/// The columns of pictures with their settings, and the shape that all pictures of each get.
fn columns<'a>(
    names: &'a [String],
    table: &'a Table,
    settings: &'a IndexMap<String, ColumnSettings>,
) -> impl Iterator<Item = (&'a String, &'a Images, &'a ImageSettings, Shape)> {
    names.iter().filter_map(|name| match (table.get(name)?, settings.get(name)?) {
        (Cells::Image(images), ColumnSettings::Image(settings)) => {
            Some((name, images, settings, settings.shape()?))
        }
        _ => None,
    })
}

/// Finds out whether the pixels of all pictures fit into the memory that may be taken, before one is decoded.
///
/// # Errors
/// If they do not.
pub(crate) fn check_memory(
    names: &[String],
    table: &Table,
    settings: &IndexMap<String, ColumnSettings>,
    usable: Option<f64>,
) -> Result<(), LearnError> {
    let Some(mut usable) = usable else { return Ok(()) };
    for (name, images, settings, shape) in columns(names, table, settings) {
        let pictures = images.to_decode(shape);
        let bytes = pictures as f64 * shape.length() as f64;
        if bytes > usable {
            let (column, size, fits) = (name.clone(), shape.width, settings.largest_size(pictures, usable));
            return Err(LearnError::PicturesTooLarge { column, pictures, size, bytes, usable, fits });
        }
        usable -= bytes;
    }
    Ok(())
}

/// Decodes all pictures on all cores and tells which cannot be used, by column.
///
/// # Errors
/// If more of them than `max_skipped` cannot, as a share of the rows.
pub(crate) fn decode(
    names: &[String],
    table: &Table,
    settings: &IndexMap<String, ColumnSettings>,
    max_skipped: f64,
    observe: Observer<'_>,
) -> Result<Vec<(String, Skipped)>, LearnError> {
    let mut all = Vec::new();
    for (name, images, settings, shape) in columns(names, table, settings) {
        let skipped = pictures::load(images, shape, settings.fit);
        let (count, rows) = (skipped.rows.len(), table.rows());
        if count as f64 > max_skipped * rows as f64 {
            let (column, words) = (name.clone(), skipped.words);
            return Err(
                DataError::TooManySkipped { column, rows, skipped: count, words, most: max_skipped }.into()
            );
        }
        if count > 0 {
            let pictures = if count == 1 { "1 picture".to_owned() } else { format!("{count} pictures") };
            let more = if skipped.words.len() < count { " …" } else { "" };
            let text = format!("{pictures} of `{name}` left out: {}{more}", skipped.words.join(", "));
            observe(Event::Note { text });
        }
        all.push((name.clone(), skipped));
    }
    Ok(all)
}

/// Takes the pictures that cannot be used out of the table; their rows are in no part.
pub(crate) fn clear(table: &mut Table, skipped: &[(String, Skipped)]) {
    for (name, skipped) in skipped {
        if let Some(Cells::Image(images)) = table.columns.get_mut(name) {
            images.clear(&skipped.rows);
        }
    }
}

/// Which inputs ask for pictures to be mixed with each other although they are not the only input, in words.
pub(crate) fn unmixed(preprocessor: &Preprocessor) -> Option<String> {
    let mixed = |(name, input): (&String, &FittedInput)| match input.shape() {
        FeatureShape::Image { augment, .. } if augment.mixup > 0.0 || augment.cutmix > 0.0 => {
            Some(format!("`{name}`"))
        }
        _ => None,
    };
    let names: Vec<String> = preprocessor.inputs.iter().filter_map(mixed).collect();
    (preprocessor.inputs.len() > 1 && !names.is_empty()).then(|| {
        format!(
            "mixup and cutmix of {} are left out: they need pictures as the only input, as the other inputs of a row cannot be \
             mixed with it",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outset_data::lot::Lot;
    use outset_data::pictures::{Channels, Picture, made};
    use std::sync::Arc;

    #[test]
    fn pictures_must_fit_into_memory_together() {
        let picture =
            |seed| Some(Arc::new(Picture::from_bytes("p", made(8, Channels::Grey, &mut Lot::new(seed)))));
        let shared = picture(1);
        let cells = || Cells::Image(Images(vec![shared.clone(), picture(2), shared.clone(), None]));
        let names = ["a".to_owned(), "b".to_owned()];
        let table = Table::new(names.iter().map(|name| (name.clone(), cells())).collect(), 4);
        let image = || {
            ColumnSettings::Image(ImageSettings {
                size: Some(32),
                channels: Some(Channels::Grey),
                ..Default::default()
            })
        };
        let settings: IndexMap<String, ColumnSettings> =
            names.iter().map(|name| (name.clone(), image())).collect();
        // Two different pictures of 1024 pixels in each column.
        let check = |usable| check_memory(&names, &table, &settings, usable);
        assert!(check(None).is_ok() && check(Some(4096.0)).is_ok());
        let error = check(Some(4095.0)).unwrap_err();
        let LearnError::PicturesTooLarge { ref column, pictures, bytes, usable, fits, .. } = error else {
            panic!("{error}")
        };
        assert_eq!((column.as_str(), pictures, bytes, usable, fits), ("b", 2, 2048.0, 2047.0, Some(31)));
        assert!(
            error.hint().unwrap().contains("`inputs.b.size` to at most 31 (it is 32)") && error.is_users()
        );
        let error = check(Some(100.0)).unwrap_err();
        assert!(error.hint().unwrap().contains("fewer pictures"), "{error}");
        let gib = f64::from(1 << 30);
        let error = LearnError::PicturesTooLarge {
            column: "photo".into(),
            pictures: 100_000,
            size: 224,
            bytes: 14.0 * gib,
            usable: 4.5 * gib,
            fits: Some(127),
        };
        assert_eq!(
            error.to_string(),
            "the pixels of 100000 pictures of column `photo`, 224 × 224 each, take 14.00 GiB of memory, but 4.500 GiB can be had"
        );
    }
}
