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
}
