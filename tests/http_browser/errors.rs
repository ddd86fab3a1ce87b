//! Pages that tell of an error.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::browser::Browser;
use super::common::client::LARGE;
use super::common::http::{Client, get, old_file};
use super::common::server::Server;
use super::common::{Over, wait_until};
use super::{Yard, complaints, is_left_out, looks};

/// Far beyond the 20 s that a client waits for a place, and the time until the page asks again.
const BUSY: Duration = Duration::from_secs(45);

#[test]
fn a_wrong_address_is_told_in_words() {
    if is_left_out() {
        return;
    }
    let mut yard = Yard::new();
    for (path, title, head, name) in [
        ("/nowhere/at/all", "Not Found", "404 Not Found", "404"),
        ("/?sort=colour", "Bad Request", "400 Bad Request", "400"),
    ] {
        yard.go(path);
        let browser = &mut yard.browser;
        assert_eq!(browser.value("document.title"), title);
        let text = "document.querySelector('h1').textContent";
        assert_eq!(browser.value(text), head);
        let text = "document.querySelector('p').textContent";
        assert!(browser.value(text).as_str().unwrap().len() > 20);
        let back = "getComputedStyle(document.body).backgroundColor";
        browser.prefer_dark(true);
        assert_eq!(browser.value(back), "rgb(21, 24, 29)", "the style holds");
        looks::assert_fits(browser, 360);
        looks::save_shots(browser, name);
        // The status, and nothing of the page.
        let told = complaints(browser);
        assert!(told.len() == 1 && told[0].contains(name), "{told:?}");
    }
    yard.finish();
}

/// Takes the only place, and keeps it by reading a little now and then.
fn keep_place(client: &mut Client<std::net::TcpStream>, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        client.take(2000).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_page_of_a_full_server_becomes_what_was_asked_for() {
    if is_left_out() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("large"), 1, *LARGE);
    let server = Server::http(root.path(), &["--workers", "1", "--per-worker", "1"]);
    let mut browser = Browser::start();
    let url = format!("http://{}/", server.address());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        let mut client = Client::narrow(&server);
        client.send(&get("/large", &[]));
        let is_over = &is_over;
        scope.spawn(move || keep_place(&mut client, is_over));
        std::thread::sleep(Duration::from_millis(300));
        browser.leave_for(&url);
        wait_until("the page that asks to wait", BUSY, || {
            browser.value("document.querySelector('h1')?.textContent") == "503 Service Unavailable"
        });
        looks::save_shots(&mut browser, "503");
        let told = complaints(&mut browser);
        assert!(told.iter().all(|text| text.contains("503")), "{told:?}");
        is_over.store(true, Ordering::Relaxed);
        wait_until("the listing, by itself", BUSY, || {
            browser.value("document.querySelector('tbody a')?.textContent") == "large"
        });
    });
    assert_eq!(complaints(&mut browser), [""; 0]);
    browser.close();
    server.stop();
}
