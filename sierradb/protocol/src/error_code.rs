//! The closed list of error codes a client can meet, and what each means for a retry.
//!
//! The list is part of the wire contract: a client may enumerate it, so a new variant is a change of the contract.
//! Every match in here names all variants; a new one must take a side.

/// First word of an error reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// `ERR`: errors shaped as Redis shapes them: protocol, unknown command, arity, connection commands, bugs.
    Err,
    /// `NOPROTO`: the RESP version asked for is not supported.
    NoProto,
    /// `NOAUTH`: a password is set and the connection has not given it.
    NoAuth,
    /// `WRONGPASS`: the login is wrong.
    WrongPass,
    /// `INVALIDARG`: a bad argument, or a request against the rules.
    InvalidArg,
    /// `WRONGVER`: the expected version was not met.
    WrongVer,
    /// `DUPEVENT`: the event id is used for something else.
    DupEvent,
    /// `NOTFOUND`: this connection has no such subscription.
    NotFound,
    /// `TRYAGAIN`: not accepted just now, nothing written.
    TryAgain,
    /// `CLUSTERDOWN`: no leader or no majority within the time allowed, nothing written.
    ClusterDown,
    /// `TIMEOUT`: accepted, but not known to be committed.
    Timeout,
    /// `MISCONF`: the disk is nearly full: appends are refused, nothing written, reads go on.
    MisConf,
    /// `READERR`: stored data could not be read, or failed its checksum, on every replica.
    ReadErr,
    /// `WRITEERR`: the bucket is read-only after a disk error until restart, nothing written.
    WriteErr,
}

/// What a client may do with a refused request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same request will be refused again.
    Never,
    /// Read the stream again and decide anew.
    AfterReading,
    /// The same request may succeed a little later; back off.
    Later,
    /// Only with the same event ids: the first attempt may have been stored.
    WithSameIds,
    /// Once; if it fails again an operator must look.
    Once,
}

impl ErrorCode {
    /// All codes, in the order of the contract.
    pub const ALL: [Self; 14] = [
        Self::Err,
        Self::NoProto,
        Self::NoAuth,
        Self::WrongPass,
        Self::InvalidArg,
        Self::WrongVer,
        Self::DupEvent,
        Self::NotFound,
        Self::TryAgain,
        Self::ClusterDown,
        Self::Timeout,
        Self::MisConf,
        Self::ReadErr,
        Self::WriteErr,
    ];

    /// The word on the wire, upper-case ASCII.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Err => "ERR",
            Self::NoProto => "NOPROTO",
            Self::NoAuth => "NOAUTH",
            Self::WrongPass => "WRONGPASS",
            Self::InvalidArg => "INVALIDARG",
            Self::WrongVer => "WRONGVER",
            Self::DupEvent => "DUPEVENT",
            Self::NotFound => "NOTFOUND",
            Self::TryAgain => "TRYAGAIN",
            Self::ClusterDown => "CLUSTERDOWN",
            Self::Timeout => "TIMEOUT",
            Self::MisConf => "MISCONF",
            Self::ReadErr => "READERR",
            Self::WriteErr => "WRITEERR",
        }
    }

    /// The code whose wire word is exactly `word`; `None` for anything outside the list.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }

    /// What a client may do about it.
    pub const fn retry(self) -> Retry {
        match self {
            Self::Err
            | Self::NoProto
            | Self::NoAuth
            | Self::WrongPass
            | Self::InvalidArg
            | Self::DupEvent
            | Self::NotFound
            | Self::WriteErr => Retry::Never,
            Self::WrongVer => Retry::AfterReading,
            Self::TryAgain | Self::ClusterDown | Self::MisConf => Retry::Later,
            Self::Timeout => Retry::WithSameIds,
            Self::ReadErr => Retry::Once,
        }
    }

    /// True if sending the very same request again can succeed.
    ///
    /// For an append after [`ErrorCode::Timeout`] that is safe only if every event had an id of the client's.
    pub const fn is_retryable(self) -> bool {
        match self.retry() {
            Retry::Later | Retry::WithSameIds | Retry::Once => true,
            Retry::Never | Retry::AfterReading => false,
        }
    }

    /// True if nobody knows whether the append was stored; every other error means nothing was written.
    pub const fn is_outcome_unknown(self) -> bool {
        matches!(self, Self::Timeout)
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_own_word_and_by_no_other() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_word(code.as_str()), Some(code));
            assert_eq!(ErrorCode::from_word(&code.as_str().to_lowercase()), None);
        }
        assert_eq!(ErrorCode::from_word("DBOPFAILED"), None);
    }

    #[test]
    fn only_a_timeout_leaves_the_outcome_open() {
        let open: Vec<_> = ErrorCode::ALL.into_iter().filter(|c| c.is_outcome_unknown()).collect();
        assert_eq!(open, [ErrorCode::Timeout]);
    }

    #[test]
    fn the_retryable_codes_are_those_of_the_contract() {
        let words: Vec<_> = ErrorCode::ALL
            .into_iter()
            .filter(|c| c.is_retryable())
            .map(ErrorCode::as_str)
            .collect();
        assert_eq!(words, ["TRYAGAIN", "CLUSTERDOWN", "TIMEOUT", "MISCONF", "READERR"]);
    }
}
