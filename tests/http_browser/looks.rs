//! How a listing looks, on a desk and on a phone, in the light and in the dark.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::browser::Browser;
use super::{Yard, is_left_out};

/// The folder of the screenshots.
const SHOTS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/http_browser");

/// What the windows are called, and their sizes.
const WINDOWS: [(&str, u32, u32); 2] = [("desktop", 1280, 800), ("phone", 390, 844)];

/// Leaves screenshots of the page in windows of both sizes and in both colours.
#[track_caller]
pub(super) fn save_shots(browser: &mut Browser, name: &str) {
    fs::create_dir_all(SHOTS).unwrap();
    for (window, width, height) in WINDOWS {
        browser.resize(width, height);
        for (dark, color) in [(false, "light"), (true, "dark")] {
            browser.prefer_dark(dark);
            let png = browser.screenshot();
            assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "a PNG");
            let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
            assert_eq!((number(16), number(20)), (width, height));
            assert!(png.len() > 2000, "{} bytes show nothing", png.len());
            let path = Path::new(SHOTS).join(format!("{name}-{window}-{color}.png"));
            fs::write(path, png).unwrap();
        }
    }
}

/// Asserts that nothing of the page is beyond the window's right edge.
#[track_caller]
pub(super) fn assert_fits(browser: &mut Browser, width: u32) {
    browser.resize(width, 740);
    // A phone's window would grow with the page.
    assert_eq!(browser.value("innerWidth"), width);
    let needed = browser.value("document.documentElement.scrollWidth");
    assert!(needed.as_u64() <= Some(width.into()), "{needed} in {width}");
}

#[test]
fn a_listing_fits_into_windows_of_all_sizes() {
    if is_left_out() {
        return;
    }
    let mut yard = Yard::new();
    for (path, name) in [
        ("/", "root"),
        ("/nasty/", "nasty"),
        ("/docs/guides/old/", "deep"),
        ("/?q=boat&sort=size", "filtered"),
        ("/?q=nothing+like+this", "nothing"),
        ("/?limit=3", "limited"),
    ] {
        yard.go(path);
        save_shots(&mut yard.browser, name);
        for width in [320, 360, 390, 577, 768, 1280] {
            assert_fits(&mut yard.browser, width);
        }
    }
    yard.finish();
}

/// What can be used and is lower or narrower than a finger needs: 44 pixels, and 30 for short words.
/// On a phone a link is as high as its row.
const TOO_SMALL: &str = "(() => {
    const usable = document.querySelectorAll('a, button, input:not([type=hidden])');
    return Array.from(usable)
        .filter(element => {
            element.scrollIntoView({ block: 'center', behavior: 'instant' });
            const { left, width } = element.getBoundingClientRect();
            const row = element.closest('tbody tr') ?? element;
            const { top, bottom } = row.getBoundingClientRect();
            const is_met = y => document.elementFromPoint(left + width / 2, y) == element;
            return bottom - top < 44 || width < 30 || !is_met(top + 3) || !is_met(bottom - 3);
        })
        .map(element => element.outerHTML);
})()";

#[test]
fn what_is_touched_is_large_enough() {
    if is_left_out() {
        return;
    }
    let mut yard = Yard::new();
    for path in ["/", "/docs/guides/old/?limit=1"] {
        yard.go(path);
        for (_, width, height) in WINDOWS {
            yard.browser.resize(width, height);
            assert_eq!(
                yard.browser.value(TOO_SMALL),
                json!([]),
                "{path} at {width}"
            );
        }
    }
    yard.finish();
}

/// The least contrast of the texts with what is behind them, as WCAG 2.2 defines it.
const CONTRAST: &str = "(() => {
    const parts = color => color.match(/[\\d.]+/g).map(Number);
    const light = color => {
        const [red, green, blue] = parts(color).slice(0, 3).map(part => {
            part /= 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = element => {
        const color = getComputedStyle(element).backgroundColor;
        return parts(color)[3] === 0 ? behind(element.parentElement) : color;
    };
    const contrasts = Array.from(document.body.querySelectorAll('*'))
        .filter(element => element.textContent.trim() && element.checkVisibility())
        .map(element => {
            const pair = [getComputedStyle(element).color, behind(element)].map(light);
            return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        });
    return Math.min(...contrasts);
})()";

#[test]
fn both_colours_can_be_read() {
    if is_left_out() {
        return;
    }
    let mut yard = Yard::new();
    for path in ["/", "/docs/?q=x", "/docs/guides/old/"] {
        yard.go(path);
        let mut backs = Vec::new();
        for dark in [false, true] {
            yard.browser.prefer_dark(dark);
            let back = "getComputedStyle(document.body).backgroundColor";
            backs.push(yard.browser.value(back));
            let contrast = yard.browser.value(CONTRAST).as_f64().unwrap();
            assert!(contrast >= 4.5, "{path}, dark {dark}: {contrast}");
        }
        assert_eq!(backs, ["rgb(255, 255, 255)", "rgb(21, 24, 29)"]);
    }
    yard.finish();
}

/// From top to bottom, through everything that can be used, with a frame around what is meant.
#[test]
fn the_keyboard_leads_from_top_to_bottom() {
    if is_left_out() {
        return;
    }
    let mut yard = Yard::new();
    yard.go("/docs/?limit=1");
    let browser = &mut yard.browser;
    let mut met = Vec::new();
    loop {
        browser.press("Tab", 9, "");
        let Value::Array(seen) = browser.value(
            "(element => element == document.body ? [] : [
                element.id || element.textContent,
                getComputedStyle(element).outlineStyle,
            ])(document.activeElement)",
        ) else {
            panic!("nothing has the focus");
        };
        let [name, outline] = &seen[..] else { break };
        assert_eq!(outline, "solid", "{name}");
        met.push(name.as_str().unwrap().to_string());
        if met.last().unwrap() == "Next page" {
            break;
        }
    }
    let expected = [
        "Files",
        "q",
        "Filter",
        "Name",
        "Size",
        "Modified",
        "..",
        "guides/",
        "Next page",
    ];
    assert_eq!(met, expected);
    browser.press("Enter", 13, "\r");
    browser.wait_for("/docs/?limit=1&after=guides");
    yard.finish();
}
