//! How a folder is served over HTTP: what the command line says, checked once at start-up.

use crate::limits::{HTTP_EXTRA_BYTES_MAX, NAME_BYTES, PATH_MAX};

/// The port of an HTTP listener unless told otherwise.
pub const PORT_DEFAULT: u16 = 8080;

/// Header fields that the server writes itself: a second one of a name would contradict the first.
const OWN_FIELDS: [&str; 15] = [
    "accept-ranges",
    "allow",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "keep-alive",
    "last-modified",
    "location",
    "retry-after",
    "transfer-encoding",
    "x-content-type-options",
];

/// How files are served over HTTP. It is built at start-up, which may allocate, and only read afterwards.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpConfig {
    /// Names of a folder's index files, in order; empty for `index.html`.
    index: Vec<String>,
    /// The file for paths that are not there, without a slash before it, and whether it goes out
    /// as an error.
    pub fallback: Option<(String, bool)>,
    /// Whether folders without an index file are listed.
    pub listing: bool,
    /// Whether names that begin with a dot are served.
    pub dotfiles: bool,
    /// Whether each request is written to standard output.
    pub access_log: bool,
    /// Header lines of every answer, each with its line end.
    pub extra: Vec<u8>,
    /// The same without `Cache-Control`, for answers that have one of their own.
    pub extra_generated: Vec<u8>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            index: Vec::new(),
            fallback: None,
            listing: true,
            dotfiles: false,
            access_log: false,
            extra: Vec::new(),
            extra_generated: Vec::new(),
        }
    }
}

impl HttpConfig {
    /// The names of a folder's index files, in order; none for `index.html`.
    #[must_use]
    pub fn index(&self) -> &[String] {
        &self.index
    }

    /// Adds a name for index files.
    ///
    /// # Errors
    /// One line for the command line's user, if this is no plain name of a file: empty, `.` or `..`, too
    /// long, or with a slash or NUL in it.
    pub fn add_index(&mut self, name: &str) -> Result<(), String> {
        if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) || name.len() >= NAME_BYTES
        {
            return Err(format!(
                "--index {name}: must be a file's name, as index.html"
            ));
        }
        self.index.push(name.into());
        Ok(())
    }

    /// Sets what is sent for a path that is not there: `FILE`, or `404:FILE`.
    ///
    /// # Errors
    /// One line for the command line's user, if the status is another one, or the path is none beneath the
    /// root: empty, with `.` or `..` or NUL in it, or too long.
    pub fn set_fallback(&mut self, given: &str) -> Result<(), String> {
        let (file, is_error) = match given.strip_prefix("404:") {
            Some(file) => (file, true),
            None => (given, false),
        };
        let has_other_status = given.split_once(':').is_some_and(|(status, _)| {
            status.len() == 3 && status != "404" && status.bytes().all(|byte| byte.is_ascii_digit())
        });
        if has_other_status {
            return Err(format!(
                "--fallback {given}: the status can be 404, or 200 if none is given"
            ));
        }
        let file = file.trim_matches('/');
        let is_plain = file
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && part.len() < NAME_BYTES);
        if !is_plain || file.contains('\0') || file.len() > PATH_MAX {
            return Err(format!(
                "--fallback {given}: must be a file beneath ROOT, as index.html or 404:errors/404.html"
            ));
        }
        self.fallback = Some((file.into(), is_error));
        Ok(())
    }

    /// Adds `NAME: VALUE` to every answer.
    ///
    /// # Errors
    /// One line for the command line's user, if this is no field of RFC 9110 section 5, if the server writes
    /// this field itself, or if all added fields together exceed `HTTP_EXTRA_BYTES_MAX`.
    pub fn add_header(&mut self, given: &str) -> Result<(), String> {
        let wrong = |reason: &str| Err(format!("--header {given:?}: {reason}"));
        let Some((name, value)) = given.split_once(':') else {
            return wrong("must be 'NAME: VALUE'");
        };
        let value = value.trim_matches([' ', '\t']);
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return wrong("the name must be letters, digits and hyphens (RFC 9110, section 5.1)");
        }
        if value
            .chars()
            .any(|letter| letter.is_control() && letter != '\t')
        {
            return wrong("the value must be one line of text");
        }
        if OWN_FIELDS.contains(&name.to_ascii_lowercase().as_str()) {
            return wrong("the server makes this header itself");
        }
        let line = format!("{name}: {value}\r\n");
        self.extra.extend_from_slice(line.as_bytes());
        if !name.eq_ignore_ascii_case("cache-control") {
            self.extra_generated.extend_from_slice(line.as_bytes());
        }
        if self.extra.len() > HTTP_EXTRA_BYTES_MAX {
            return wrong("all added headers together are too long");
        }
        Ok(())
    }
}
