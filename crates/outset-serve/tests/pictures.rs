//! A model of pictures behind the real server: uploads as JSON, as a form, also beside other columns, and as the whole
//! body, what is refused, and the page in a browser, where Chromium is installed and `OUTSET_CHROMIUM` is set.

#[path = "../src/tests/client.rs"]
#[expect(dead_code, reason = "shared with the unit tests, which use all of it")]
mod client;
#[path = "../../outset-data/src/pictures/samples.rs"]
mod samples;

use client::{Client, Response};
use outset_data::lot::Lot;
use outset_data::pictures::{Channels, Shape, base64, made, png};
use outset_learn::predict::Predictor;
use outset_learn::run::{Options, run};
use outset_serve::{Settings, serve};
use outset_spec::Experiment;
use samples::{jpeg, pretended};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;

/// A bright or a dark picture of 12 × 12 pixels.
fn plain(bright: bool, lot: &mut Lot) -> Vec<u8> {
    let level = if bright { 150 } else { 30 };
    let values: Vec<u8> = (0..144).map(|_| (level + lot.below(70)) as u8).collect();
    png(&values, Shape { channels: 1, height: 12, width: 12 })
}

const FORM: &str = "multipart/form-data; boundary=edge";

/// Trains a tiny model on folders of bright and dark pictures and serves it; the thread ends with the test.
fn start(folder: &Path) -> SocketAddr {
    let mut lot = Lot::new(5);
    for number in 0..60 {
        let (class, bright) = if number % 2 == 0 { ("day", true) } else { ("night", false) };
        let path = folder.join("sky").join(class);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(format!("{number}.png")), plain(bright, &mut lot)).unwrap();
    }
    let text = "name = \"sky\"\n[data]\nsource = \"sky\"\n[outputs]\nlabel = \"category\"\n\
                [model]\nsize = \"tiny\"\n[train]\nepochs = 6\n";
    train_and_serve(folder, text)
}

/// The same of a table with a picture, a text and a number, which have a part in both of two outputs.
fn start_of_three(folder: &Path) -> SocketAddr {
    let mut lot = Lot::new(6);
    let mut table = "photo,note,size,sky,price\n".to_owned();
    std::fs::create_dir_all(folder.join("photos")).unwrap();
    for number in 0..60 {
        let (class, bright) = if number % 2 == 0 { ("day", true) } else { ("night", false) };
        std::fs::write(folder.join(format!("photos/{number}.png")), plain(bright, &mut lot)).unwrap();
        let (note, size) = (["clear and calm", "rain later", "fog at first"][number % 3], number % 7);
        let price = 3 * size + 5 * (number % 3) + if bright { 9 } else { 0 };
        table.push_str(&format!("photos/{number}.png,{note},{size},{class},{price}\n"));
    }
    std::fs::write(folder.join("offers.csv"), table).unwrap();
    let text = "name = \"offers\"\n[data]\nsource = \"offers.csv\"\n\
                [inputs]\nphoto = \"image\"\nnote = \"text\"\nsize = \"number\"\n\
                [outputs]\nsky = \"category\"\nprice = \"number\"\n\
                [model]\nsize = \"tiny\"\n[train]\nepochs = 6\nbatch_size = 16\nema = 0.0\n";
    train_and_serve(folder, text)
}

/// Trains as the experiment says and serves the model.
fn train_and_serve(folder: &Path, text: &str) -> SocketAddr {
    let experiment = Experiment::parse("outset.toml", text, folder, &[]).unwrap();
    let interrupt = AtomicBool::new(false);
    let options = Options::new(folder.join("runs"), &interrupt);
    let bundle = run(&experiment, &options, &mut |_| {}).unwrap().folder;
    let served = Predictor::load(&bundle).unwrap();
    let settings = Settings { address: ([127, 0, 0, 1], 0).into(), max_body: 100_000, ..Settings::default() };
    let (ready, bound) = mpsc::channel();
    thread::spawn(move || serve(served, settings, |address| ready.send(address).unwrap()));
    bound.recv().unwrap()
}

fn post(address: SocketAddr, kind: &str, body: &[u8]) -> Response {
    Client::connect(address).ask("POST", "/predict", &[("Content-Type", kind)], body)
}

/// What the head of a part says if it is a picture of the column `image`.
const IMAGE: &str = "name=\"image\"; filename=\"a.png\"";

/// A form with one file.
fn form(content: &[u8]) -> Vec<u8> {
    form_of(&[(IMAGE, content)])
}

/// A form of parts, each with what its head says of it.
fn form_of(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend(format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    body
}

#[test]
fn pictures_are_answered_however_they_come_and_others_refused() {
    let folder = tempfile::tempdir().unwrap();
    let address = start(folder.path());
    let picture = plain(true, &mut Lot::new(99));

    let answer = post(address, "application/json", json!({"image": base64(&picture)}).to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["label"]["prediction"], "day", "{answer}");
    let shares: f64 =
        ["day", "night"].iter().filter_map(|c| answer["label"]["probabilities"][c].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-5);
    let address_of_data = json!({"image": format!("data:image/png;base64,{}", base64(&picture))});
    for (kind, body) in [
        ("image/png", picture.clone()),
        (FORM, form(&picture)),
        ("application/json", address_of_data.to_string().into_bytes()),
    ] {
        assert_eq!(post(address, kind, &body).json(), answer, "{kind}");
    }
    // A missing picture is one of the mean colour, and a picture of one pixel is a picture.
    assert_eq!(post(address, "application/json", br#"{"image": null}"#).status, 200);
    let pixel = png(&[200], Shape { channels: 1, height: 1, width: 1 });
    assert_eq!(post(address, "image/png", &pixel).status, 200);
    let jpeg = jpeg();
    assert_eq!(post(address, "image/jpeg", &jpeg).status, 200);

    let headed = |side| pretended(pixel.clone(), side, side);
    let bomb = headed(20_000);
    // Each is small enough, but not both together.
    let half = headed(8_000);
    let text = base64(&half);
    let halves = json!([{"image": text}, {"image": text}]).to_string().into_bytes();
    let tensor = json!({"name": "image", "shape": [2], "datatype": "BYTES", "data": [text, text]});
    let refused = Client::connect(address).ask(
        "POST",
        "/v2/models/sky/infer",
        &[],
        json!({ "inputs": [tensor] }).to_string().as_bytes(),
    );
    refused.check_error(413, "the pictures of the body have more than 100 million pixels together");
    let big = made(200, Channels::Rgb, &mut Lot::new(3));
    assert!(big.len() > 20_000, "a picture to cut off");
    let cut = &big[..big.len() / 2];
    let json_of = |value: Value| json!({ "image": value }).to_string().into_bytes();
    for (kind, body, status, words) in [
        ("image/png", b"no picture".to_vec(), 415, "is not a picture"),
        ("image/png", bomb.clone(), 413, "20000 × 20000"),
        ("image/png", vec![0; 200_000], 413, "100000"),
        (
            "text/csv",
            picture.clone(),
            415,
            "the content type is `text/csv`, expected `application/json`, `multipart/form-data` or `image/*`",
        ),
        ("image/png", cut.to_vec(), 422, "damaged"),
        ("image/jpeg", jpeg[..jpeg.len() - 1].to_vec(), 422, "is damaged: it is cut off"),
        (FORM, form(b"no picture"), 415, "is not a picture"),
        (FORM, form(&bomb), 413, "20000 × 20000"),
        (FORM, form_of(&[(IMAGE, &half), (IMAGE, &half)]), 413, "100 million pixels together"),
        (FORM, form(cut), 422, "damaged"),
        (FORM, b"no form".to_vec(), 400, "the form cannot be read"),
        ("application/json", json_of(json!(base64(b"no picture"))), 422, "is not a picture"),
        ("application/json", json_of(json!(base64(&bomb))), 422, "20000 × 20000"),
        ("application/json", json_of(json!(base64(cut))), 422, "damaged"),
        ("application/json", halves, 413, "100 million pixels together"),
        ("application/json", json_of(json!("../../etc/passwd.png")), 422, "base 64"),
        ("application/json", json_of(json!(3)), 422, "base 64"),
    ] {
        let refused = post(address, kind, &body);
        let text = refused.text();
        assert_eq!(refused.status, status, "{kind}: {text}");
        assert!(text.contains(words), "{kind}: {words} is not in {text}");
    }
    // It still answers.
    assert_eq!(post(address, "image/png", &picture).json(), answer);

    let Some(page) = browse(address, &format!("/?image={}&try=1", escaped(&base64(&picture)))) else {
        return;
    };
    for part in ["data:image/*;base64,", r#"<p class="value">day</p>"#, "-F 'image=@picture.png'", "night"] {
        assert!(page.contains(part), "no {part} in\n{page}");
    }

    let dropped = base64(&plain(false, &mut Lot::new(98)));
    let page = browse(with_script(address, DROP.replace("PICTURE", &dropped)), "/").unwrap_or_default();
    for part in ["data:image/*;base64,", r#"<p class="value">night</p>"#] {
        assert!(page.contains(part), "no {part} in\n{page}");
    }
}

#[test]
fn a_picture_a_text_and_a_number_come_in_one_form() {
    let folder = tempfile::tempdir().unwrap();
    let address = start_of_three(folder.path());
    let mut lot = Lot::new(97);
    let (bright, dark) = (plain(true, &mut lot), plain(false, &mut lot));
    let ask = |photo: &[u8], note: &str, size: &str| {
        let parts: [(&str, &[u8]); 3] = [
            ("name=\"photo\"; filename=\"a.png\"", photo),
            ("name=\"note\"", note.as_bytes()),
            ("name=\"size\"", size.as_bytes()),
        ];
        let answer = post(address, FORM, &form_of(&parts));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let answer = ask(&bright, "rain later", "2.5");
    let row = json!({"photo": base64(&bright), "note": "rain later", "size": 2.5});
    assert_eq!(post(address, "application/json", row.to_string().as_bytes()).json(), answer);
    // Each of the three reaches both outputs.
    let outputs = |answer: &Value| {
        let figures = [&answer["sky"]["probabilities"]["day"], &answer["price"]["prediction"]];
        figures.map(|value| value.as_f64().unwrap_or_else(|| panic!("no figure in {answer}")))
    };
    let [sky, price] = outputs(&answer);
    for other in [
        ask(&dark, "rain later", "2.5"),
        ask(&bright, "clear and calm", "2.5"),
        ask(&bright, "rain later", "6"),
    ] {
        let [other_sky, other_price] = outputs(&other);
        assert!(sky != other_sky && price != other_price, "{answer} and {other}");
    }
    for (head, content, status, words) in [
        (IMAGE, &bright[..], 422, "`image` is unknown"),
        ("name=\"size\"", &b"big"[..], 422, "but must be a finite number"),
        ("name=\"photo\"", &b"rain later"[..], 415, "`photo` is not a picture"),
    ] {
        let refused = post(address, FORM, &form_of(&[(head, content)]));
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(refused.text().contains(words), "{words} is not in {}", refused.text());
    }
    post(address, "image/png", &bright)
        .check_error(415, "the body is a picture, but the model takes more than one picture alone");

    // What curl would take for a file or a type is told to be neither.
    let Some(page) = browse(address, "/?note=@home;type=x&size=3") else { return };
    for part in ["-F 'photo=@picture.png'", "--form-string 'note=@home;type=x'", "--form-string 'size=3'"] {
        assert!(page.contains(part), "no {part} in\n{page}");
    }
}

/// Drops a file on the page's area, and asks once its picture is there.
const DROP: &str = r#"<script>
const waiting = setInterval(() => {
  const area = document.querySelector(".drop");
  if (!area) return;
  clearInterval(waiting);
  area.addEventListener("input", () => document.getElementById("ask").click());
  const dataTransfer = new DataTransfer();
  const bytes = Uint8Array.from(atob("PICTURE"), (letter) => letter.charCodeAt(0));
  dataTransfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
  for (const type of ["dragover", "drop"]) {
    area.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
  }
}, 10);
</script>"#;

/// The address of a server that passes everything on to another, and puts a script at the end of its page.
fn with_script(server: SocketAddr, script: String) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let script = script.clone();
            // A browser opens connections that it never uses.
            thread::spawn(move || pass_on(stream.unwrap(), server, &script));
        }
    });
    address
}

/// Passes one request on, and its answer back.
fn pass_on(stream: TcpStream, server: SocketAddr, script: &str) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).ok().map(|_| line.trim_end().to_owned())
    };
    let request = line()?;
    let (method, path) = request.split_once(' ').map(|(method, rest)| (method, rest.split(' ').next()))?;
    let (mut length, mut kind) = (0, String::new());
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(": ") else { break };
        match &*name.to_ascii_lowercase() {
            "content-length" => length = value.parse().ok()?,
            "content-type" => kind = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let answer = Client::connect(server).ask(method, path?, &[("Content-Type", &kind)], &body);
    let kind = answer.header("content-type").unwrap_or_default();
    let end = if kind.starts_with("text/html") { script } else { "" };
    let head = format!(
        "HTTP/1.1 {} Passed on\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.body.len() + end.len()
    );
    stream.get_mut().write_all(&[head.as_bytes(), &answer.body, end.as_bytes()].concat()).ok()
}

/// Base 64 as a part of an address.
fn escaped(text: &str) -> String {
    text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// The page after its scripts have run, or `None` where there is no browser; with `OUTSET_CHROMIUM` naming a folder, a
/// picture of it is left there.
fn browse(address: SocketAddr, path: &str) -> Option<String> {
    let Some(wanted) = std::env::var_os("OUTSET_CHROMIUM") else {
        #[expect(clippy::print_stderr, reason = "says that the test was left out")]
        {
            eprintln!("left out: set OUTSET_CHROMIUM=1 where chromium is installed to try the page in it");
        }
        return None;
    };
    let chromium = |more: &[&str]| {
        let profile = tempfile::tempdir().unwrap();
        let output = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"])
            .args(["--virtual-time-budget=5000", "--hide-scrollbars", "--window-size=1000,760"])
            .args(more)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("http://{address}{path}"))
            .output()
            .expect("chromium runs");
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = Path::new(&wanted);
    if folder.is_dir() {
        chromium(&[&format!("--screenshot={}", folder.join("pictures.png").display())]);
    }
    Some(chromium(&["--dump-dom"]))
}
