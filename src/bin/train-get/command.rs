//! The command line: options in, or one line that says what is wrong with them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::failure::shown;
use crate::url::Url;

pub(crate) const HELP: &str = "\
train-get gets files from a trainyard server, over the train protocol.

  train-get [options] train://HOST[:PORT]/PATH …

  -o FILE        write to FILE (one URL; with -r the folder's new name)
  -O DIR         write into DIR, which is made if missing (default: the current folder)
  -c             continue parts of an earlier try, skip files that are there already
  -r             get whole folders: a URL that names one, and all below it
  -j N           get N files at once, each over a connection of its own (1 to 64, default 1)
  -q             no progress; failures are still told
  -v             say what happens on the wire
  --timeout N    give up after N seconds without a byte (default 60)
  --help         this text
  --version      the version

HOST is a name, an IPv4 address or an IPv6 address in brackets; PORT is 2000 unless given. In PATH
any byte can be written as %XX. A file keeps its name and its time of change. It grows under the name
`.NAME.train-part` and becomes NAME when it is whole and on disk, so NAME is never half a file. A try
that broke off leaves the part, with `.NAME.train-id` beside it; -c continues it if the server's file
is still the same, and otherwise starts again. Nothing is written outside the chosen folder, whatever
names a server sends.

A server that is full, refuses the connection or drops it before the first byte is asked again up to
4 times, after 1/4, 1/2, 1 and 2 seconds. Connecting takes at most 10 seconds per address.

Exit codes: 0 all was got; 1 something was not, with one line on standard error for each; 2 wrong usage.
";

/// Most files at once: beyond it a client only takes places from others.
const FILES_AT_ONCE_MAX: usize = 64;
/// An hour; longer than that nobody waits for a byte.
const TIMEOUT_SECONDS_MAX: u64 = 3600;

pub(crate) enum Command {
    Help,
    Version,
    Get(Options),
}

/// Where the files go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OutputOption {
    /// The current folder.
    Here,
    /// `-O`
    Folder(PathBuf),
    /// `-o`: the folder and the name in it.
    File(PathBuf, OsString),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) urls: Vec<Url>,
    pub(crate) output: OutputOption,
    pub(crate) resume: bool,
    pub(crate) recurse: bool,
    pub(crate) files_at_once: usize,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) timeout: Duration,
}

pub(crate) fn parse(mut parser: Parser) -> Result<Command, String> {
    let mut options = Options {
        urls: Vec::new(),
        output: OutputOption::Here,
        resume: false,
        recurse: false,
        files_at_once: 1,
        quiet: false,
        verbose: false,
        timeout: Duration::from_secs(60),
    };
    while let Some(argument) = parser.next().map_err(say)? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(Command::Version),
            Arg::Short('o') => set_output(&mut options, parse_file(parser.value().map_err(say)?)?)?,
            Arg::Short('O') => {
                let folder = PathBuf::from(parser.value().map_err(say)?);
                if folder.as_os_str().is_empty() {
                    return Err("-O needs a folder".into());
                }
                set_output(&mut options, OutputOption::Folder(folder))?;
            }
            Arg::Short('c') => options.resume = true,
            Arg::Short('r') => options.recurse = true,
            Arg::Short('q') => options.quiet = true,
            Arg::Short('v') => options.verbose = true,
            Arg::Short('j') => {
                options.files_at_once =
                    number(&mut parser, "-j", FILES_AT_ONCE_MAX as u64)? as usize;
            }
            Arg::Long("timeout") => {
                let seconds = number(&mut parser, "--timeout", TIMEOUT_SECONDS_MAX)?;
                options.timeout = Duration::from_secs(seconds);
            }
            Arg::Value(url) => {
                let parsed = Url::parse(url.as_bytes());
                options
                    .urls
                    .push(parsed.map_err(|why| format!("{}: {why}", shown(&url)))?);
            }
            other => return Err(say(other.unexpected())),
        }
    }
    match (options.urls.len(), &options.output) {
        (0, _) => Err("nothing to get: give a train:// URL".into()),
        (2.., OutputOption::File(..)) => {
            Err("-o names one file, but there are several URLs: use -O".into())
        }
        _ => Ok(Command::Get(options)),
    }
}

fn set_output(options: &mut Options, output: OutputOption) -> Result<(), String> {
    if options.output != OutputOption::Here {
        return Err("-o or -O, and once: there is one place to write to".into());
    }
    options.output = output;
    Ok(())
}

fn parse_file(file: OsString) -> Result<OutputOption, String> {
    let bytes = file.as_bytes();
    if bytes == b"-" {
        return Err("-o - is not offered: a part of a file must not look whole".into());
    }
    let name_start = bytes
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |index| index + 1);
    let (folder, name) = bytes.split_at(name_start);
    if matches!(name, b"" | b"." | b"..") || PathBuf::from(&file).is_dir() {
        return Err(format!("-o {} is a folder: use -O", shown(&file)));
    }
    let folder = if folder.is_empty() { b"." } else { folder };
    Ok(OutputOption::File(
        PathBuf::from(OsString::from_vec(folder.to_vec())),
        OsString::from_vec(name.to_vec()),
    ))
}

fn number(parser: &mut Parser, option: &str, max: u64) -> Result<u64, String> {
    let value = parser.value().map_err(say)?.parse::<u64>();
    match value {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("{option} takes a number from 1 to {max}")),
    }
}

fn say(error: lexopt::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(arguments: &[&str]) -> Result<Options, String> {
        match parse(Parser::from_args(arguments))? {
            Command::Get(options) => Ok(options),
            _ => panic!("{arguments:?} is no get"),
        }
    }

    #[test]
    fn all_options() {
        let options = get(&[
            "-crq",
            "-j",
            "3",
            "-O",
            "dir",
            "--timeout=5",
            "train://h/a",
            "train://h/b",
        ])
        .unwrap();
        assert!(options.resume && options.recurse && options.quiet && !options.verbose);
        assert_eq!((options.files_at_once, options.urls.len()), (3, 2));
        assert_eq!(options.output, OutputOption::Folder("dir".into()));
        assert_eq!(options.timeout, Duration::from_secs(5));
    }

    #[test]
    fn where_to() {
        for (given, folder, name) in [
            ("x", ".", "x"),
            ("a/x", "a/", "x"),
            ("/x", "/", "x"),
            ("./.x", "./", ".x"),
        ] {
            let options = get(&["-o", given, "train://h/a"]).unwrap();
            assert_eq!(
                options.output,
                OutputOption::File(folder.into(), name.into()),
                "{given}"
            );
        }
    }

    #[test]
    fn wrong_usage() {
        for arguments in [
            &[][..],
            &["-c"],
            &["nonsense"],
            &["-x", "train://h/a"],
            &["-j", "0", "train://h/a"],
            &["-j", "65", "train://h/a"],
            &["-j", "x", "train://h/a"],
            &["train://h/a", "-j"],
            &["-o", "x", "train://h/a", "train://h/b"],
            &["-o", "x", "-O", ".", "train://h/a"],
            &["-o", ".", "train://h/a"],
            &["-o", "x/", "train://h/a"],
            &["-o", "/", "train://h/a"],
            &["-o", "", "train://h/a"],
            &["-o", "-", "train://h/a"],
            &["-O", "", "train://h/a"],
            &["--timeout", "0", "train://h/a"],
            &["--nothing", "train://h/a"],
        ] {
            assert!(get(arguments).is_err(), "{arguments:?}");
        }
    }
}
