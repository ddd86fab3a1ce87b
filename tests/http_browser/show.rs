//! A picture, and a film in which one looks for a place.

use std::fs;

use serde_json::json;

use super::browser::Browser;
use super::common::http::content_range;
use super::common::wait_until;
use super::{Yard, browser, is_left_out, looks, media};

/// A yard with a film and a picture, and the film's size.
fn yard() -> (Yard, usize) {
    let mut yard = Yard::new();
    // Here pages may not ask for anything, but draw what they like.
    yard.go("/");
    let picture = media::picture(&mut yard.browser);
    let film = media::film(&mut yard.browser);
    assert!(film.len() > 8_000_000, "{} bytes", film.len());
    fs::write(yard.root.path().join("picture.png"), picture).unwrap();
    fs::write(yard.root.path().join("film.webm"), &film).unwrap();
    yard.go("/");
    (yard, film.len())
}

/// The color that is shown at the left of an element: red, green, blue.
fn color_of(browser: &mut Browser, element: &str) -> [u8; 3] {
    let color = browser.value(&format!(
        "(() => {{
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [{}, {}];
            const context = canvas.getContext('2d');
            context.drawImage(document.querySelector('{element}'), 0, 0);
            return Array.from(context.getImageData(20, 20, 1, 1).data.slice(0, 3));
        }})()",
        media::WIDTH,
        media::HEIGHT
    ));
    serde_json::from_value(color).unwrap()
}

#[test]
fn a_picture_is_shown() {
    if is_left_out() {
        return;
    }
    let (mut yard, _) = yard();
    let browser = &mut yard.browser;
    browser.click("document.querySelector('a[href=\"picture.png\"]')");
    browser.wait_for("/picture.png");
    browser.wait("document.images[0].complete");
    let size = browser.value("[document.images[0].naturalWidth, document.images[0].naturalHeight]");
    assert_eq!(size, json!([media::WIDTH, media::HEIGHT]));
    let color = color_of(browser, "img");
    assert_eq!(media::scene_of(color), Some(3), "{color:?}");
    yard.finish();
}

/// The ranges of the film that were answered since the last time: first byte, last byte, size.
fn ranges(browser: &mut Browser) -> Vec<(u64, u64, u64)> {
    let answers = browser.events().into_iter().filter_map(|mut event| {
        let answer = event["params"]["response"].take();
        (event["method"] == "Network.responseReceived" && answer["status"] == 206).then_some(answer)
    });
    answers
        .map(|answer| content_range(answer["headers"]["Content-Range"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_film_is_shown_from_where_one_wants() {
    if is_left_out() {
        return;
    }
    let (mut yard, size) = yard();
    let browser = &mut yard.browser;
    browser.click("document.querySelector('a[href=\"film.webm\"]')");
    browser.wait_for("/film.webm");
    browser.wait("document.querySelector('video').currentTime > 0.1");
    browser.value("document.querySelector('video').pause()");
    let first = ranges(browser);
    assert_eq!(first.first(), Some(&(0, size as u64 - 1, size as u64)));
    let length = media::SCENES * media::SCENE_S;
    assert_eq!(
        browser.value("document.querySelector('video').duration"),
        length
    );
    let buffered = "document.querySelector('video').buffered.end(0)";
    let buffered = browser.value(buffered).as_f64().unwrap();
    // Far behind what is there already, then back, then to the last scene.
    for (scene, is_new) in [(7, true), (0, false), (media::SCENES - 1, false)] {
        let second = scene * media::SCENE_S + 3;
        assert!(f64::from(second) > buffered || !is_new, "{buffered}");
        browser.value(&format!(
            "document.querySelector('video').currentTime = {second}"
        ));
        browser.wait(
            "(video => !video.seeking && video.readyState >= 2)(document.querySelector('video'))",
        );
        let time = browser.value("document.querySelector('video').currentTime");
        assert_eq!(time.as_f64(), Some(f64::from(second)));
        let color = color_of(browser, "video");
        assert_eq!(media::scene_of(color), Some(scene), "{color:?}");
        let place = size as u64 / u64::from(media::SCENES) * u64::from(scene);
        let asked = ranges(browser);
        let is_asked = asked.iter().any(|(first, last, all)| {
            first.abs_diff(place) < size as u64 / 8 && last + 1 == *all && *all == size as u64
        });
        assert!(is_asked || !is_new, "{asked:?} for {place} of {size}");
    }
    browser.value("document.querySelector('video').play()");
    browser.wait("document.querySelector('video').ended");
    looks::save_shots(browser, "film");
    let server = &yard.server;
    wait_until("the access log", browser::STEP, || {
        let log = server.output();
        let lines = log
            .lines()
            .filter(|line| line.contains("/film.webm HTTP/1.1\" 206 "));
        lines.count() >= 2
    });
    yard.finish();
}
