use log::LevelFilter;

use super::*;
use crate::train::Framing;

fn serve(line: &str) -> Result<Options, String> {
    match parse(line.split_whitespace().map(OsString::from))? {
        Command::Serve(options) => Ok(options),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_defaults_are_those_of_the_help() {
    let options = serve("serve").unwrap();
    assert_eq!(options.root, PathBuf::from("."));
    assert_eq!(options.train, [Address::All(2000)]);
    assert_eq!(
        (
            options.push_framing,
            options.pool,
            options.drain_s,
            options.log
        ),
        (Framing::Sized, Pool::Process, 10, LevelFilter::Info)
    );
    assert!(options.workers >= 2 && options.places() >= CONNECTIONS_MAX);
}

#[test]
fn every_form_of_address_is_read() {
    for (given, expected) in [
        ("0", Address::All(0)),
        (":7", Address::All(7)),
        ("localhost:80", Address::Localhost(80)),
        ("127.0.0.1:1", Address::One("127.0.0.1:1".parse().unwrap())),
        ("[::1]:65535", Address::One("[::1]:65535".parse().unwrap())),
    ] {
        assert_eq!(
            serve(&format!("serve / --train {given}")).unwrap().train,
            [expected]
        );
    }
    for wrong in [
        "x",
        "65536",
        "host:80",
        "::1:80",
        "[::1]",
        ":",
        "1.2.3:4",
        "127.0.0.1:+1",
        "[127.0.0.1]:1",
    ] {
        assert!(
            serve(&format!("serve --train {wrong}"))
                .unwrap_err()
                .contains(wrong)
        );
    }
}

#[test]
fn wrong_usage_is_named() {
    for (line, named) in [
        ("", "serve"),
        ("sreve", "sreve"),
        ("serve --workers 0", "--workers 0"),
        ("serve --workers 1000", "1000"),
        ("serve --workers 16 --per-worker 8192", "--per-worker"),
        ("serve --train none --http none", "none"),
        ("serve --push-form cars", "cars"),
        ("serve --pool fibre", "fibre"),
        ("serve --drain -1", "-1"),
        ("serve --log loud", "loud"),
        ("serve --json", "--json"),
        ("serve a b", "b"),
    ] {
        assert!(serve(line).unwrap_err().contains(named), "{line}");
    }
}

#[test]
fn a_switch_can_be_turned_on_and_off() {
    for (line, expected) in [
        ("serve", (true, false)),
        ("serve --no-listing --dotfiles", (false, true)),
        ("serve --no-listing --listing", (true, false)),
        ("serve --dotfiles --no-dotfiles", (true, false)),
    ] {
        let http_config = serve(line).unwrap().http_config;
        assert_eq!(
            (http_config.listing, http_config.dotfiles),
            expected,
            "{line}"
        );
    }
}
