//! Folders, archives and files of pictures.

use super::*;
use crate::lot::Lot;
use crate::pictures::{Channels, made};
use std::io::{Read as _, Write as _};

fn png(seed: u64) -> Vec<u8> {
    made(8, Channels::Rgb, &mut Lot::new(seed))
}

/// Rows as `part name label fault`, a line each, and the notes after them.
fn shown(loaded: &Loaded) -> String {
    let Some(Cells::Image(images)) = loaded.table.get("image") else { panic!("a column of pictures") };
    let row = |row: usize| {
        let picture = images.0[row].as_ref().unwrap();
        let part = loaded.given.as_ref().map_or(String::new(), |given| format!("{:?} ", given[row]));
        let label = loaded.table.get("label").and_then(|cells| cells.text(row)).unwrap_or("-".into());
        let fault = picture.fault().map_or(String::new(), |fault| format!(" {fault}"));
        format!("{part}{} {label}{fault}\n", picture.name)
    };
    let rows: String = (0..loaded.table.rows()).map(row).collect();
    rows + &loaded.notes.iter().map(|note| format!("note: {note}\n")).collect::<String>()
}

fn check(files: &[(&str, &[u8])], expected: &str) {
    let files: Vec<(String, &[u8])> =
        files.iter().map(|(name, bytes)| (format!("data/{name}"), *bytes)).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let loaded = Folder::new(&files).open(&source(&["data"])).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shown(&loaded), expected);
}

#[test]
fn a_folder_for_each_class() {
    let (a, b) = (png(1), png(2));
    check(
        &[
            ("dog/1.png", &a),
            ("cat/2.PNG", &b),
            ("cat/1.png", &a),
            (".hidden/1.png", &a),
            ("cat/readme.txt", b"x"),
        ],
        "cat/1.png cat\ncat/2.PNG cat\ndog/1.png dog\nnote: 1 file in `data` passed over: not named as pictures are\n",
    );
    check(&[("top/cat/1.png", &a), ("top/dog/2.png", &b)], "cat/1.png cat\ndog/2.png dog\n");
    check(
        &[("cat/young/1.png", &a), ("dog/2.png", &b)],
        "cat/young/1.png cat\ndog/2.png dog\n\
         note: 1 pictures in `data` lie in folders within a class's folder and belong to that class\n",
    );
    check(&[("1.png", &a), ("2.png", b"text")], "1.png -\n2.png - is not a picture\n");
    let loaded = Folder::new(&[("1.png", &a)]).open(&source(&["./1.png"])).unwrap();
    assert_eq!(shown(&loaded), "./1.png -\n");
}

#[test]
fn parts_by_their_folders() {
    let a = png(1);
    check(
        &[("test/cat/1.png", &a), ("train/cat/1.png", &a), ("train/dog/1.png", &a)],
        "Train cat/1.png cat\nTrain dog/1.png dog\nTest cat/1.png cat\n",
    );
    // One part alone divides nothing.
    check(&[("train/cat/1.png", &a), ("train/dog/1.png", &a)], "cat/1.png cat\ndog/1.png dog\n");
}

#[test]
fn a_class_without_pictures_is_told() {
    let a = png(1);
    let files: [(&str, &[u8]); 4] =
        [("cat/1.png", &a), ("dog/1.png", &a), ("cow/pictures.txt", b"x"), ("fox/young/1.doc", b"x")];
    let notes = |shown: &str, barren: &str| {
        [
            format!("2 files in `{shown}` passed over: not named as pictures are"),
            format!("no picture in {barren} of `{shown}`"),
        ]
    };
    let folder = Folder::new(&files);
    for name in ["horse", "fox/old", "x/1", "x/2", "y", "z"] {
        fs::create_dir_all(folder.0.path().join(name)).unwrap();
    }
    let loaded = folder.open(&source(&["."])).unwrap();
    assert_eq!(loaded.notes, notes(".", "`cow`, `fox`, `horse`, `x`, `y` and 1 more"));
    let folders: [(&str, &[u8]); 3] = [("horse/", b""), ("__MACOSX/", b""), ("cat/", b"")];
    let listed = [&files[..], &folders].concat();
    for (name, bytes) in [("a.zip", zipped(&listed)), ("a.tar", tarred(&listed))] {
        let loaded = Folder::new(&[(name, &bytes)]).open(&source(&[name])).unwrap();
        assert_eq!(loaded.notes, notes(name, "`cow`, `fox`, `horse`"));
    }
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_are_not_followed() {
    let (a, b) = (png(1), png(2));
    let folder = Folder::new(&[
        ("data/cat/1.png", &a),
        ("secret.png", &b),
        ("real/1.png", &b),
        ("links/readme.txt", b"x"),
    ]);
    let link = |to: &str, at: &str| {
        std::os::unix::fs::symlink(folder.0.path().join(to), folder.0.path().join(at)).unwrap();
    };
    link("secret.png", "data/cat/2.png");
    link("real", "data/dog");
    link("data/cat", "data/tabby");
    let loaded = folder.open(&source(&["data"])).unwrap();
    assert_eq!(
        shown(&loaded),
        "cat/1.png cat\ncat/2.png cat lies outside the folder of the data\n\
         tabby/1.png tabby\ntabby/2.png tabby lies outside the folder of the data\n\
         note: `dog` in `data` leads out of it by a link and is not followed\n"
    );
    link("real", "links/dog");
    let check_error = |unseen: &str| {
        let error = folder.open(&source(&["links"])).unwrap_err();
        assert_eq!(
            message(&error),
            format!(
                "folder `links` holds no data that is read: {unseen}\n\
                 hint: put the folders themselves, or copies of them, in place of the links"
            )
        );
    };
    check_error("`dog` leads out of it by a link and is not followed");
    link("data/cat", "links/cat");
    check_error("`cat`, `dog` lead out of it by links and are not followed");
}

#[test]
fn folders_that_lie_too_deep_are_told() {
    let a = png(1);
    check(
        &[("cat/1.png", &a), ("dog/1/2/3/4/5/6/1.png", &a)],
        "cat/1.png cat\nnote: `dog/1/2/3/4/5` in `data` lies 6 folders deep and is not looked into\n",
    );
    let error = Folder::new(&[("dog/1/2/3/4/5/6/1.png", &a)]).open(&source(&["dog"])).unwrap_err();
    assert_eq!(
        message(&error),
        "folder `dog` holds no data that is read: `1/2/3/4/5/6` lies 6 folders deep and is not looked into"
    );
}

// Other systems refuse such names.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf_8_are_told() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = Folder::new(&[("data/cat/1.png", &png(1))]);
    for name in [&b"data/dog\xe9"[..], b"data/.hid\xe9", b"data/cat/\xe9t\xe9"] {
        fs::create_dir_all(folder.0.path().join(std::ffi::OsStr::from_bytes(name))).unwrap();
    }
    let loaded = folder.open(&source(&["data"])).unwrap();
    assert_eq!(
        loaded.notes,
        [
            "`cat/\u{fffd}t\u{fffd}`, `dog\u{fffd}` in `data` have names that are not UTF-8 and are passed over"
        ]
    );
}

pub(super) fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (index, (name, bytes)) in files.iter().enumerate() {
        let method =
            if index % 2 == 0 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        if name.ends_with('/') {
            zip.add_directory(*name, options).unwrap();
            continue;
        }
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn archives_are_read_as_folders_are() {
    let (a, b) = (png(1), png(2));
    let files: [(&str, &[u8]); 3] = [("x/cat/1.png", &a), ("x/dog/1.png", &b), ("x/cat/0.png", b"text")];
    let tar = tarred(&files);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar).unwrap();
    let zstd = zstd::encode_all(&tar[..], 1).unwrap();
    let archives = [
        ("a.zip", zipped(&files)),
        ("a.tar", tar),
        ("a.tar.gz", gzip.finish().unwrap()),
        ("a.tar.zst", zstd),
    ];
    let shape = crate::pictures::Shape { channels: 3, height: 8, width: 8 };
    for (name, bytes) in archives {
        let loaded = Folder::new(&[(name, &bytes)]).open(&source(&[name]));
        let folder = Folder::new(&[(name, &bytes)]);
        let loaded = loaded
            .and_then(|_| folder.open(&source(&[name])))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            shown(&loaded),
            "cat/0.png cat is not a picture\ncat/1.png cat\ndog/1.png dog\n",
            "{name}"
        );
        let Some(Cells::Image(images)) = loaded.table.get("image") else { panic!() };
        let direct = crate::pictures::Picture::from_bytes("", a.clone());
        let found = images.0[1].as_ref().unwrap();
        assert_eq!(found.digest(), direct.digest());
        let fit = crate::pictures::Fit::Crop;
        assert_eq!(found.pixels(shape, fit), direct.pixels(shape, fit));
    }
}

#[test]
fn what_a_tar_archive_holds_besides_plain_files() {
    use tar::EntryType;
    let a = png(1);
    let header = |kind| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(0);
        header
    };
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind) in [("cat/1.png", EntryType::Regular), ("cat/2.png", EntryType::Continuous)] {
        let mut header = header(kind);
        header.set_size(a.len() as u64);
        tar.append_data(&mut header, name, &a[..]).unwrap();
    }
    // Zeros follow, which the archive does not hold.
    let mut sparse = header(EntryType::GNUSparse);
    sparse.set_size(a.len() as u64);
    let (length, all) = (a.len() as u64, a.len() as u64 + 4096);
    let gnu = sparse.as_gnu_mut().unwrap();
    for (block, (offset, length)) in gnu.sparse.iter_mut().zip([(0, length), (all, 0)]) {
        block.set_offset(offset);
        block.set_length(length);
    }
    gnu.set_real_size(all);
    tar.append_data(&mut sparse, "cat/3.png", &a[..]).unwrap();
    for (name, kind, target) in [
        ("dog/1.png", EntryType::Link, "cat/1.png"),
        ("dog/2.png", EntryType::Link, "./cat/3.png"),
        ("dog/3.png", EntryType::Link, "cat/9.png"),
        ("dog/4.png", EntryType::Link, "../cat/1.png"),
        ("dog/5.png", EntryType::Symlink, "../cat/1.png"),
        ("dog/tabby", EntryType::Symlink, "../cat"),
    ] {
        let mut header = header(kind);
        header.set_link_name_literal(target).unwrap();
        tar.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let zstd = zstd::encode_all(&tar[..], 1).unwrap();
    for (name, bytes) in [("a.tar", tar), ("a.tar.zst", zstd)] {
        let loaded = Folder::new(&[(name, &bytes)]).open(&source(&[name])).unwrap();
        let note = format!("note: 1 file in `{name}` passed over: not named as pictures are\n");
        assert_eq!(
            shown(&loaded),
            "cat/1.png cat\ncat/2.png cat\ncat/3.png cat\ndog/1.png dog\ndog/2.png dog\n\
             dog/3.png dog does not exist\ndog/4.png dog lies outside the folder of the data\n\
             dog/5.png dog cannot be read: it is a symbolic link\n"
                .to_owned()
                + &note
        );
        let Some(Cells::Image(images)) = loaded.table.get("image") else { panic!() };
        assert_eq!(images.0[3], images.0[0], "a link is its target");
        assert_eq!(images.0[2].as_ref().unwrap().length(), all);
    }
}

#[test]
fn archives_that_lead_out_or_are_cut_off() {
    let a = png(1);
    let loaded = Folder::new(&[("a.zip", &zipped(&[("../cat/1.png", &a), ("cat/2.png", &a)]))])
        .open(&source(&["a.zip"]));
    assert_eq!(shown(&loaded.unwrap()), "cat/2.png cat\ncat 1.png - lies outside the folder of the data\n");
    let whole = zipped(&[("cat/1.png", &a), ("dog/1.png", &a)]);
    let error = Folder::new(&[("a.zip", &whole[..whole.len() / 2])]).open(&source(&["a.zip"])).unwrap_err();
    assert_eq!(error.to_string(), "`a.zip` cannot be decompressed as zip: the file is damaged or cut off");
}

#[test]
fn a_picture_too_long_to_be_held_is_named() {
    let size = crate::pictures::MAX_BYTES + 1;
    let mut tar = tar::Builder::new(zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap());
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    tar.append_data(&mut header, "cat/1.png", std::io::repeat(0).take(size)).unwrap();
    let a = png(1);
    header.set_size(a.len() as u64);
    tar.append_data(&mut header, "dog/1.png", &a[..]).unwrap();
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    let loaded = Folder::new(&[("a.tar.zst", &bytes)]).open(&source(&["a.tar.zst"])).unwrap();
    assert_eq!(shown(&loaded), "cat/1.png cat is damaged: it has more than 256 MiB\ndog/1.png dog\n");
}

fn idx(magic: u8, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, magic];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

#[test]
fn idx_files_with_their_labels() {
    let pictures = idx(3, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
    let labels = idx(1, &[2], &[7, 9]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&pictures).unwrap();
    let gzip = gzip.finish().unwrap();
    check(
        &[
            ("train-images-idx3-ubyte.gz", &gzip),
            ("train-labels-idx1-ubyte", &labels),
            ("t10k-images-idx3-ubyte", &pictures),
            ("t10k-labels-idx1-ubyte", &labels),
        ],
        "Test t10k-images-idx3-ubyte[0] 7\nTest t10k-images-idx3-ubyte[1] 9\n\
         Train train-images-idx3-ubyte.gz[0] 7\nTrain train-images-idx3-ubyte.gz[1] 9\n",
    );
    let files: [(&str, &[u8]); 2] = [("images-idx3", &pictures), ("labels-idx1", &idx(1, &[3], &[1, 2, 3]))];
    let error = Folder::new(&files).open(&source(&["images-idx3"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`images-idx3` cannot be read as IDX: it holds 2 pictures, but 3 labels are beside it"
    );
    let error = Folder::new(&[("a", &pictures[..20])]).open(&source(&["a"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a` cannot be read as IDX: its head tells of 2 pictures of 3 × 1 pixels, but 4 bytes follow"
    );
    let error = Folder::new(&[("a", &idx(3, &[2, 1, 3], &[0; 7]))]).open(&source(&["a"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a` cannot be read as IDX: its head tells of 2 pictures of 3 × 1 pixels, but more bytes follow"
    );
    // Four times as many bytes as this are none in 64 bits.
    let error =
        Folder::new(&[("a", &idx(3, &[4, 1 << 31, 1 << 31], &[]))]).open(&source(&["a"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a` cannot be read as IDX: each picture has 2147483648 × 2147483648 pixels, but a picture may have 100 million"
    );
}

#[test]
fn pictures_and_tables_do_not_mix() {
    let folder = Folder::new(&[("p/cat/1.png", &png(1)), ("rows.csv", b"a,b\n1,2\n")]);
    let error = folder.open(&source(&["p", "rows.csv"])).unwrap_err();
    assert_eq!(
        message(&error),
        "`p` holds pictures and `rows.csv` rows, but all sources must be of one kind\n\
         hint: name the file of rows alone, with a column that holds the paths of the pictures"
    );
}

#[test]
fn a_table_beside_its_pictures_is_a_table() {
    let folder = Folder::new(&[("data/rows.csv", b"photo,y\na.png,1\n"), ("data/a.png", &png(1))]);
    let loaded = folder.open(&source(&["data"])).unwrap();
    assert_eq!(show(&loaded.table), "photo: \"a.png\"\ny: 1.0\n");
}
