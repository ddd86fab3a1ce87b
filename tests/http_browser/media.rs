//! A picture and a film to look at, made by the browser that is to show them.
//!
//! A lossy WebP picture is one key frame of VP8, so that a film of such pictures needs no encoder.

use serde_json::json;

use super::browser::{Browser, base64};

pub(super) const WIDTH: u32 = 640;
pub(super) const HEIGHT: u32 = 360;

/// Scenes of a film. Each has a colour of its own at its left.
pub(super) const SCENES: u32 = 10;
/// Seconds of a scene.
pub(super) const SCENE_S: u32 = 6;
/// Pictures in a second.
const RATE: u32 = 2;

/// A PNG in the colour of a scene.
pub(super) fn picture(browser: &mut Browser) -> Vec<u8> {
    draw(browser, 3, "image/png")
}

/// A WebM of [`SCENES`] scenes, about 100 kB a picture.
pub(super) fn film(browser: &mut Browser) -> Vec<u8> {
    let frames: Vec<Vec<u8>> = (0..SCENES)
        .map(|scene| key_frame(&draw(browser, scene, "image/webp")))
        .collect();
    webm(&frames)
}

/// The scene that has this colour, red, green and blue.
pub(super) fn scene_of(color: [u8; 3]) -> Option<u32> {
    (0..SCENES).find(|scene| {
        let wanted = color_of(*scene);
        (0..3).all(|part| wanted[part].abs_diff(color[part]) < 20)
    })
}

fn color_of(scene: u32) -> [u8; 3] {
    let scene = scene as u8;
    [20 + 24 * scene, 100, 255 - 24 * scene]
}

/// A picture: a colour at the left, noise at the right, which makes it large.
fn draw(browser: &mut Browser, scene: u32, media_type: &str) -> Vec<u8> {
    let [red, green, blue] = color_of(scene);
    let url = browser.value(&format!(
        "(() => {{
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [{WIDTH}, {HEIGHT}];
            const context = canvas.getContext('2d', {{ alpha: false }});
            context.fillStyle = 'rgb({red} {green} {blue})';
            context.fillRect(0, 0, {WIDTH}, {HEIGHT});
            const noise = context.getImageData({WIDTH} / 2, 0, {WIDTH} / 2, {HEIGHT});
            let state = {scene} + 1;
            for (let i = 0; i < noise.data.length; i++) {{
                state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
                noise.data[i] = i % 4 == 3 ? 255 : state >>> 24;
            }}
            context.putImageData(noise, {WIDTH} / 2, 0);
            return canvas.toDataURL({}, 0.9);
        }})()",
        json!(media_type)
    ));
    let prefix = format!("data:{media_type};base64,");
    base64(url.as_str().unwrap().strip_prefix(&prefix).unwrap())
}

/// The frame in a WebP file, which can have other chunks too (RFC 9649).
fn key_frame(webp: &[u8]) -> Vec<u8> {
    assert_eq!((&webp[..4], &webp[8..12]), (&b"RIFF"[..], &b"WEBP"[..]));
    let mut rest = &webp[12..];
    loop {
        let size = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        if rest.starts_with(b"VP8 ") {
            return rest[8..][..size].to_vec();
        }
        rest = &rest[8 + size.next_multiple_of(2)..];
    }
}

/// A WebM file, with an index of its pictures before them (RFC 8794 and RFC 9559).
fn webm(frames: &[Vec<u8>]) -> Vec<u8> {
    let per_scene = SCENE_S * RATE;
    let pictures = frames.len() as u32 * per_scene;
    let head = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"webm"));
    let information = element(
        &[0x15, 0x49, 0xa9, 0x66],
        &[
            number(&[0x2a, 0xd7, 0xb1], 1_000_000),
            element(
                &[0x44, 0x89],
                &(f64::from(pictures * 1000 / RATE)).to_be_bytes(),
            ),
            element(&[0x4d, 0x80], b"trainyard"),
            element(&[0x57, 0x41], b"trainyard"),
        ]
        .concat(),
    );
    let size = [
        number(&[0xb0], WIDTH.into()),
        number(&[0xba], HEIGHT.into()),
    ];
    let track = [
        number(&[0xd7], 1),
        number(&[0x73, 0xc5], 1),
        number(&[0x83], 1),
        element(&[0x86], b"V_VP8"),
        element(&[0xe0], &size.concat()),
    ];
    let tracks = element(
        &[0x16, 0x54, 0xae, 0x6b],
        &element(&[0xae], &track.concat()),
    );
    let clusters: Vec<Vec<u8>> = (0..pictures)
        .map(|index| cluster(index, &frames[(index / per_scene) as usize]))
        .collect();
    // All numbers have one width, so that the index is as long as it will be.
    let before = information.len() + tracks.len() + cues(&clusters, 0).len();
    let cues = cues(&clusters, before as u64);
    let body = [information, tracks, cues, clusters.concat()].concat();
    [head, element(&[0x18, 0x53, 0x80, 0x67], &body)].concat()
}

fn time_ms(index: u32) -> u64 {
    u64::from(index) * 1000 / u64::from(RATE)
}

/// A picture, for all of its time.
fn cluster(index: u32, frame: &[u8]) -> Vec<u8> {
    // Track 1, at the cluster's own time, a key frame.
    let block = [&[0x81, 0, 0, 0x80], frame].concat();
    let content = [number(&[0xe7], time_ms(index)), element(&[0xa3], &block)];
    element(&[0x1f, 0x43, 0xb6, 0x75], &content.concat())
}

/// Where each cluster begins.
fn cues(clusters: &[Vec<u8>], mut position: u64) -> Vec<u8> {
    let mut points = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let place = [number(&[0xf7], 1), number(&[0xf1], position)].concat();
        let point = [
            number(&[0xb3], time_ms(index as u32)),
            element(&[0xb7], &place),
        ];
        points.extend(element(&[0xbb], &point.concat()));
        position += cluster.len() as u64;
    }
    element(&[0x1c, 0x53, 0xbb, 0x6b], &points)
}

fn number(id: &[u8], value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

/// An element of EBML, with a size of eight bytes.
fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let size = (1_u64 << 56 | content.len() as u64).to_be_bytes();
    [id, &size, content].concat()
}
