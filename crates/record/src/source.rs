use serde::{Deserialize, Serialize};

/// Where a record comes from. An unknown name makes the record unreadable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "each is the documented source of its name")]
pub enum Source {
    Har,
    Pcap,
    Mirroring,
    Sdk,
    #[default]
    Other,
    Postman,
    OpenApi,
    Burp,
    Imperva,
    Wiz,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 10] = [
        Self::Har,
        Self::Pcap,
        Self::Mirroring,
        Self::Sdk,
        Self::Other,
        Self::Postman,
        Self::OpenApi,
        Self::Burp,
        Self::Imperva,
        Self::Wiz,
    ];

    /// Live traffic makes host collections; everything else goes to the collection it names.
    pub fn makes_host_collections(self) -> bool {
        matches!(self, Self::Mirroring | Self::Sdk | Self::Other | Self::Wiz)
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Har => "HAR",
            Self::Pcap => "PCAP",
            Self::Mirroring => "MIRRORING",
            Self::Sdk => "SDK",
            Self::Other => "OTHER",
            Self::Postman => "POSTMAN",
            Self::OpenApi => "OPEN_API",
            Self::Burp => "BURP",
            Self::Imperva => "IMPERVA",
            Self::Wiz => "WIZ",
        }
    }

    /// The source of a name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for source in Source::ALL {
            assert_eq!(Source::from_name(source.name()), Some(source));
            assert_eq!(serde_json::to_value(source).unwrap(), source.name());
        }
        assert_eq!(Source::from_name("har"), None);
    }
}
