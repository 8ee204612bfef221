/// Why a call gave no answer. The texts are shown to the person who gave the URL, so they tell nothing of the network
/// the installation stands in: a closed port, a silent one and a name without address read alike.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says when it occurs")]
pub enum FetchError {
    #[error("the URL cannot be read")]
    InvalidUrl,
    /// The URL itself is refused, before anything is sent: its scheme, or an address written in it.
    #[error("calls to this address are not allowed")]
    RefusedAddress,
    /// A name that resolves to a refused address, or a redirect that leads to one.
    #[error("the host resolves to an address that calls may not reach")]
    RefusedName,
    #[error("the host did not answer")]
    NoAnswer,
    #[error("the answer took longer than {0} s")]
    TooSlow(u64),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the answer redirects too often or without a place to go")]
    BadRedirect,
    #[error("the answer's encoding cannot be read")]
    BadEncoding,
}
