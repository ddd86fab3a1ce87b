//! A file of options: one `name = value` a line, by the names of the command line.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::given::{Given, OptionValue, is_for_file, may_be_repeated};
use crate::limits::CONFIG_BYTES_MAX;
use crate::sys::Errno;

/// Takes the options of `file` that are not on the command line.
///
/// # Errors
/// One line that names file and line, and says what is wrong.
pub(super) fn read(file: &Path, line: &[OptionValue], given: &mut Given) -> Result<(), String> {
    let shown = file.display();
    let bytes = bytes_of(file).map_err(|reason| format!("--config {shown}: {reason}"))?;
    // Some editors begin a file with a mark of its encoding.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let at = |reason: String| format!("{shown}:{}: {reason}", index + 1);
        let Some(option_value) = option_value(text.trim_ascii()).map_err(at)? else {
            continue;
        };
        if !line.iter().any(|other| other.name == option_value.name) {
            // On the command line the last one counts; in a file one of them was forgotten.
            if !may_be_repeated(&option_value.name)
                && let Some(first) = given.origin(&option_value.name)
            {
                return Err(at(format!(
                    "{}: is there already: {first}",
                    option_value.name
                )));
            }
            given
                .origins
                .push((option_value.name.clone(), at(String::new())));
            given
                .take(option_value)
                .map_err(|reason| at(reason.trim_start_matches('-').into()))?;
        }
    }
    Ok(())
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| {
            file.take(CONFIG_BYTES_MAX as u64 + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(|error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
            format!("cannot be read: {}", errno.desc())
        })?;
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(format!("must have at most {CONFIG_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

/// The option of a line without blanks at its ends; `None` for a blank line or a comment.
fn option_value(line: &[u8]) -> Result<Option<OptionValue>, String> {
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let shown = String::from_utf8_lossy(line);
    let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
        return Err(format!("{shown}: must be `name = value`"));
    };
    let name = String::from_utf8_lossy(line[..equals].trim_ascii_end());
    let value = line[equals + 1..].trim_ascii_start();
    if name.is_empty() {
        return Err(format!("{shown}: has no name; must be `name = value`"));
    }
    if line.contains(&0) {
        return Err(format!("{name}: has a NUL in it"));
    }
    if !is_for_file(&name) {
        return Err(format!("{name}: no such option; see trainyard --help"));
    }
    if value.is_empty() {
        return Err(format!("{name}: has no value"));
    }
    Ok(Some(OptionValue {
        name: name.into(),
        value: OsString::from_vec(value.to_vec()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_option_or_counts_for_nothing() {
        let read = |line: &str| {
            let option_value = option_value(line.as_bytes().trim_ascii()).unwrap()?;
            Some((option_value.name, option_value.value.into_string().unwrap()))
        };
        let pair = |name: &str, value: &str| Some((name.to_string(), value.to_string()));
        for (line, expected) in [
            ("", None),
            (" \t\r", None),
            ("# http = 80", None),
            ("http=80", pair("http", "80")),
            ("  http  =  80 \r", pair("http", "80")),
            ("header = A: b = c # d", pair("header", "A: b = c # d")),
            ("root = /a folder", pair("root", "/a folder")),
        ] {
            assert_eq!(read(line), expected, "{line:?}");
        }
        for wrong in [
            "http",
            "= 80",
            "--http = 80",
            "http =",
            "json = yes",
            "config = x",
        ] {
            assert!(option_value(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
