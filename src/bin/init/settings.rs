//! What the owner wants: from the kernel's command line, and from `trainyard.txt` on the boot partition.
//!
//! In that file, `address`, `gateway` and `name` are this process's; every other line is one of
//! `trainyard --config`, and goes to the server as it is.

use core::fmt::Write;
use core::str::FromStr;
use std::net::Ipv4Addr;

/// What the board is called unless told otherwise.
const NAME: &str = "trainyard";
/// Where HTTP listens unless told otherwise.
const HTTP: &str = "80";

/// A fixed IPv4 address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fixed {
    pub(crate) address: Ipv4Addr,
    /// Bits of the network's part, 1 to 32.
    pub(crate) prefix: u8,
}

impl FromStr for Fixed {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text.split_once('/').ok_or(())?;
        let prefix = prefix.parse().map_err(|_| ())?;
        if !(1..=32).contains(&prefix) {
            return Err(());
        }
        let address = address.parse().map_err(|_| ())?;
        Ok(Self { address, prefix })
    }
}

/// The settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    /// The address; by DHCP if none.
    pub(crate) fixed: Option<Fixed>,
    /// The way to other networks, for a fixed address.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// The board's name.
    pub(crate) name: String,
    /// The text of the server's configuration file.
    pub(crate) server: String,
    /// One line for each setting that makes no sense, and is left out.
    pub(crate) complaints: Vec<String>,
}

impl Settings {
    /// Puts together what stands in the file and, which wins, on the kernel's command line.
    pub(crate) fn new(file: &[u8], command_line: &str) -> Self {
        let mut settings = Self {
            fixed: None,
            gateway: None,
            name: NAME.into(),
            server: String::new(),
            complaints: Vec::new(),
        };
        settings.take_file(file);
        for word in command_line.split_ascii_whitespace() {
            let setting = word.strip_prefix("trainyard.");
            if let Some((name, value)) = setting.and_then(|setting| setting.split_once('='))
                && !settings.take(name, value)
            {
                settings.complain("the kernel's command line", word);
            }
        }
        settings
    }

    fn take_file(&mut self, file: &[u8]) {
        let text = String::from_utf8_lossy(file);
        // Editors on Windows write a byte order mark, and CR before LF.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut has_http = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            let (name, value) = line.split_once('=').map_or((line, ""), |(name, value)| {
                (name.trim_end(), value.trim_start())
            });
            if ["address", "gateway", "name"].contains(&name) {
                if !self.take(name, value) {
                    self.complain(&format!("trainyard.txt:{}", index + 1), line);
                }
                // So that the server counts lines as its owner does.
                self.server.push('\n');
                continue;
            }
            has_http |= name == "http";
            let _ = writeln!(self.server, "{line}");
        }
        if !has_http {
            let _ = writeln!(self.server, "http = {HTTP}");
        }
    }

    /// Takes one setting; false if it makes no sense.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name {
            "address" if value == "dhcp" => self.fixed = None,
            "address" => match value.parse() {
                Ok(fixed) => self.fixed = Some(fixed),
                Err(()) => return false,
            },
            "gateway" => match value.parse() {
                Ok(gateway) => self.gateway = Some(gateway),
                Err(_) => return false,
            },
            "name" if is_host_name(value) => self.name = value.into(),
            _ => return false,
        }
        true
    }

    fn complain(&mut self, place: &str, setting: &str) {
        self.complaints.push(format!(
            "{place}: {setting}: must be `address = A.B.C.D/PREFIX` or `address = dhcp`, \
             `gateway = A.B.C.D`, or `name = NAME` of letters, digits and hyphens"
        ));
    }
}

/// As routers take it (RFC 1123, without dots).
fn is_host_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(is_allowed) && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_is_dhcp_and_port_80() {
        let settings = Settings::new(b"", "console=ttyAMA0 panic=10");
        assert_eq!(settings.fixed, None);
        assert_eq!(settings.name, "trainyard");
        assert_eq!(settings.server, "http = 80\n");
        assert!(settings.complaints.is_empty());
    }

    #[test]
    fn what_windows_writes_is_read_and_lines_keep_their_numbers() {
        let file = b"\xef\xbb\xbf# mine\r\naddress = 192.168.7.2/24\r\ngateway=192.168.7.1\r\n\
            listing = no\r\nname = films\r\nhttp = 8080\r\n";
        let settings = Settings::new(file, "");
        let fixed = Fixed {
            address: Ipv4Addr::new(192, 168, 7, 2),
            prefix: 24,
        };
        assert_eq!(settings.fixed, Some(fixed));
        assert_eq!(settings.gateway, Some(Ipv4Addr::new(192, 168, 7, 1)));
        assert_eq!(settings.name, "films");
        assert_eq!(settings.server, "# mine\n\n\nlisting = no\n\nhttp = 8080\n");
        assert!(settings.complaints.is_empty());
    }

    #[test]
    fn the_command_line_wins() {
        let settings = Settings::new(b"address = 10.0.0.1/8", "trainyard.address=10.0.2.15/24");
        assert_eq!(settings.fixed, "10.0.2.15/24".parse().ok());
        let settings = Settings::new(b"address = 10.0.0.1/8", "trainyard.address=dhcp");
        assert_eq!(settings.fixed, None);
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_place_and_left_out() {
        for wrong in ["10.0.0.1", "10.0.0.1/0", "10.0.0.1/33", "10.0.0/8", ""] {
            let file = format!("\naddress = {wrong}");
            let settings = Settings::new(file.as_bytes(), "trainyard.gateway=none");
            assert_eq!(settings.fixed, None, "{wrong}");
            assert_eq!(settings.complaints.len(), 2, "{wrong}");
            assert!(settings.complaints[0].starts_with("trainyard.txt:2: "));
        }
        for wrong in ["", "-a", "a b", "a.b", "\u{e4}"] {
            assert!(!is_host_name(wrong), "{wrong}");
        }
    }
}
