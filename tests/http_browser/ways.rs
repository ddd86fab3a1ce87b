//! The ways through a listing: folders, the folders above, orders, the filter.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use super::browser::Browser;
use super::common::http::{get, once};
use super::{Yard, complaints, is_left_out, nasty_names};

/// The names in the table, from top to bottom.
fn names(browser: &mut Browser) -> Vec<String> {
    texts(browser, "tbody a")
}

fn texts(browser: &mut Browser, selector: &str) -> Vec<String> {
    let found = browser.value(&format!(
        "Array.from(document.querySelectorAll({}), element => element.textContent)",
        json!(selector)
    ));
    serde_json::from_value(found).unwrap()
}

/// The expression for a link with this text.
fn link(text: &str) -> String {
    format!(
        "Array.from(document.links).find(link => link.textContent == {})",
        json!(text)
    )
}

const ROOT: [&str; 11] = [
    "docs/",
    "music/",
    "nasty/",
    "Boat trip.jpg",
    "a long name that does not fit in one line of a telephone's screen.txt",
    "archive.tar.gz",
    "boat.jpg",
    "empty",
    "favicon.ico",
    "notes.txt",
    "zoo.txt",
];

#[test]
fn a_click_leads_into_a_folder_and_back() {
    if is_left_out() {
        return;
    }
    let mut yard = Yard::new();
    yard.go("/");
    let browser = &mut yard.browser;
    let sorted: BTreeSet<_> = names(browser).into_iter().collect();
    assert_eq!(sorted, ROOT.map(String::from).into());
    assert_eq!(texts(browser, "nav"), [""; 0], "nothing is above the root");
    browser.click(&link("docs/"));
    browser.wait_for("/docs/");
    assert_eq!(names(browser), ["..", "guides/", "readme.txt"]);
    browser.click(&link("guides/"));
    browser.wait_for("/docs/guides/");
    browser.click(&link("old/"));
    browser.wait_for("/docs/guides/old/");
    assert_eq!(texts(browser, "h1"), ["old"]);
    assert_eq!(browser.value("document.title"), "docs/guides/old");
    assert_eq!(texts(browser, "nav a"), ["Files", "docs", "guides"]);
    // Up by the names above, by the row, and back by the browser's button.
    browser.click(&link("docs"));
    browser.wait_for("/docs/");
    browser.value("history.back()");
    browser.wait_for("/docs/guides/old/");
    browser.click(&link(".."));
    browser.wait_for("/docs/guides/");
    browser.click(&link("Files"));
    browser.wait_for("/");
    browser.click(&link("zoo.txt"));
    browser.wait_for("/zoo.txt");
    yard.finish();
}

#[test]
fn the_filter_and_the_orders_need_no_script() {
    if is_left_out() {
        return;
    }
    let mut yard = Yard::new();
    let disabled = json!({ "value": true });
    yard.browser
        .call("Emulation.setScriptExecutionDisabled", disabled);
    yard.go("/");
    let browser = &mut yard.browser;
    browser.click("document.querySelector('label')");
    browser.type_text("BOAT");
    browser.press("Enter", 13, "\r");
    browser.wait_for("/?q=BOAT");
    assert_eq!(names(browser), ["Boat trip.jpg", "boat.jpg"]);
    assert_eq!(browser.value("document.querySelector('#q').value"), "BOAT");
    // The order is another one, the filter stays, and the button does what the key does.
    browser.click(&link("Size"));
    browser.wait_for("/?sort=size&order=desc&q=BOAT");
    assert_eq!(names(browser), ["boat.jpg", "Boat trip.jpg"]);
    browser.click(&link("Size"));
    browser.wait_for("/?sort=size&q=BOAT");
    assert_eq!(names(browser), ["Boat trip.jpg", "boat.jpg"]);
    browser.value("document.querySelector('#q').select()");
    browser.type_text("a & <b>");
    browser.click("document.querySelector('button')");
    browser.wait_for("/?q=a+%26+%3Cb%3E&sort=size");
    assert_eq!(names(browser), [""; 0]);
    assert_eq!(
        texts(browser, "footer p"),
        ["No name here contains \u{201c}a & <b>\u{201d}."]
    );
    browser.click(&link("Show all"));
    browser.wait_for("/?sort=size");
    assert_eq!(names(browser).len(), ROOT.len());
    let order = "document.querySelector('th[aria-sort]')";
    assert_eq!(browser.value(&format!("{order}.textContent")), "Size");
    browser.click(&link("Name"));
    browser.wait_for("/");
    assert_eq!(browser.value(&format!("{order}.ariaSort")), "ascending");
    let shown = names(browser);
    browser.click(&link("Name"));
    browser.wait_for("/?order=desc");
    assert_eq!(browser.value(&format!("{order}.ariaSort")), "descending");
    let turned: Vec<_> = shown.into_iter().rev().collect();
    assert_eq!(names(browser), turned);
    yard.finish();
}

/// Every link leads to the file whose name it shows, and no name is more than a text.
#[test]
fn nasty_names_are_shown_and_lead_to_their_files() {
    if is_left_out() {
        return;
    }
    let mut yard = Yard::new();
    yard.go("/");
    yard.browser.click(&link("nasty/"));
    yard.browser.wait_for("/nasty/");
    let links =
        "Array.from(document.querySelectorAll('tbody a'), link => [link.textContent, link.href])";
    let Value::Array(links) = yard.browser.value(links) else {
        panic!("no links");
    };
    let site = format!("http://{}", yard.server.address());
    for name in nasty_names() {
        let text = String::from_utf8_lossy(name.as_bytes());
        // Controls are shown by their pictures, and those that turn the direction not at all.
        let text = text.replace('\n', "\u{240a}").replace('\t', "\u{2409}");
        let text = text.replace('\u{202e}', "\u{fffd}");
        let found = links.iter().find(|link| link[0] == text);
        let url = found.unwrap_or_else(|| panic!("{text:?}"))[1].as_str();
        let answer = once(
            &yard.server,
            &get(url.unwrap().strip_prefix(&site).unwrap(), &[]),
        );
        let file = fs::read(yard.root.path().join("nasty").join(&name)).unwrap();
        assert_eq!((answer.status, answer.body), (200, file), "{text:?}");
    }
    // The folder above, and the file that each folder has.
    assert_eq!(links.len(), nasty_names().len() + 2);
    let odd = "document.querySelectorAll('img, script, iframe, object').length";
    assert_eq!(yard.browser.value(odd), 0);
    yard.finish();
}

/// The page's policy lets nothing in that is not the server's own, and the browser says so: the
/// other tests would see it.
#[test]
fn a_style_from_elsewhere_is_refused_and_told() {
    if is_left_out() {
        return;
    }
    let mut yard = Yard::new();
    yard.go("/");
    assert_eq!(complaints(&mut yard.browser), [""; 0]);
    yard.browser.value(
        "(() => {
            const style = document.createElement('style');
            style.textContent = 'body { display: none }';
            document.head.append(style);
        })()",
    );
    yard.browser
        .wait("getComputedStyle(document.body).display == 'block'");
    let told = complaints(&mut yard.browser);
    assert!(
        told.len() == 1 && told[0].contains("Content Security Policy"),
        "{told:?}"
    );
    yard.finish();
}
