//! As whom the server runs, as it is written on the command line.

/// A user and a group, each by name or number, not looked up yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserName {
    /// The user.
    pub user: String,
    /// The group; the user's own if `None`.
    pub group: Option<String>,
}

impl UserName {
    /// Reads `NAME[:GROUP]`.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(super) fn read(option: &str, value: &str) -> Result<Self, String> {
        let (user, group) = match value.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (value, None),
        };
        if user.is_empty() || group.is_some_and(|group| group.is_empty() || group.contains(':')) {
            return Err(format!(
                "{option} {value}: must be NAME or NAME:GROUP, names or numbers"
            ));
        }
        Ok(Self {
            user: user.into(),
            group: group.map(Into::into),
        })
    }
}

impl core::fmt::Display for UserName {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.user)?;
        match &self.group {
            Some(group) => write!(formatter, ":{group}"),
            None => Ok(()),
        }
    }
}
