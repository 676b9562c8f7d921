//! The page in a real browser. Runs where Chromium is installed and `OUTSET_CHROMIUM` is set.

use super::*;
use std::process::Command;

/// The page after its scripts have run, or `None` where there is no browser.
fn dump(server: &Server, path: &str) -> Option<String> {
    if std::env::var_os("OUTSET_CHROMIUM").is_none() {
        #[expect(clippy::print_stderr, reason = "says that the test was left out")]
        {
            eprintln!("left out: set OUTSET_CHROMIUM=1 where chromium is installed to try the page in it");
        }
        return None;
    }
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"])
        .args(["--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{}{path}", server.address))
        .output()
        .expect("chromium runs");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_form_is_filled_in_and_the_answer_shown() {
    let server = Server::start();
    let Some(page) = dump(&server, "/?age=63&likes=green&try=1") else { return };
    for part in [
        r#"<h1 id="name">toy 模型</h1>"#,
        r#"<p class="value">&gt;50K</p>"#,
        "<span>63.0 %</span>",
        r#">it's "quoted" &lt;b&gt;</option>"#,
        r#""age": 63,"#,
        r#""green""#,
        "17 to 90, typically 37",
        &format!("curl http://{}/predict", server.address),
    ] {
        assert!(page.contains(part), "no {part} in\n{page}");
    }
    assert!(server.get("/metrics").text().contains("outset_rows_total 1\n"));
}

#[test]
fn a_locked_page_asks_for_the_key() {
    let server = Server::with(|settings| settings.api_key = Some("k".to_owned()));
    let Some(page) = dump(&server, "/?try=1") else { return };
    assert!(page.contains("This model is locked") && !page.contains("toy"), "{page}");
}
