//! Exit codes: each means one thing. None of those that a shell, a crash or a signal gives (0, 1, 2, 101, 128 and above)
//! means anything about a child.

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done. Only for verbs that ask nothing about a child.
    Done,
    /// The command line could not be understood.
    Usage,
    /// Something is held, for one question or both.
    Held,
    /// Both questions: none held.
    NoneHeld,
    /// Nothing held, and for at least one question it cannot say.
    CannotSay,
    /// The identity is not confirmed.
    NotConfirmed,
    /// No answer: network, service, deadline, a certificate that is accepted no longer, a person who is not proven, or a reply that this
    /// program does not know.
    CouldNotAsk,
    /// The caller may not do this.
    Refused,
    /// The service or this program refused the input.
    BadInput,
    /// At least one change was refused.
    ChangeRefused,
    /// A check-in whose presentation was not recorded, and whose answer this program does not know.
    NotRecorded,
    /// An entry of the audit that is not proven.
    NotProven,
    /// A reading of the audit that is not the whole of what was asked for: it stopped, or entries are missing.
    NotWhole,
    /// An entry of the audit that is proven, asked for by a reference of which nothing proves that it leads there.
    ReferenceNotProven,
    /// As [`Exit::Held`], and the presentation was not recorded.
    HeldNotRecorded,
    /// As [`Exit::NoneHeld`], and the presentation was not recorded.
    NoneHeldNotRecorded,
    /// As [`Exit::CannotSay`], and the presentation was not recorded.
    CannotSayNotRecorded,
    /// As [`Exit::NotConfirmed`], and the presentation was not recorded.
    NotConfirmedNotRecorded,
}

/// The table shown by `--help` and by `kith help exit-codes`.
pub const TABLE: &str = "\
Exit codes:
   0  done; only for verbs that ask nothing about a child
   2  the command line could not be understood
  10  held: something is held, for one question or both
  11  none held, for both questions: this is not reassurance
  12  cannot say: nothing held, and at least one question cannot be answered
  13  identity not confirmed: the answer is withheld
  20  could not ask: network, service not ready, deadline, a certificate that is accepted no longer, a person who is not
      proven, or an unknown reply; what was sent may stand
  21  refused: this caller may not do this
  22  bad input: a field, a file or a value was refused, nothing was done
  23  a change was refused: at least one row or change was not taken
  24  check-in: an unknown reply, and the presentation was NOT recorded
  25  audit: the entry is not proven to be under a signed head
  26  audit: not everything asked for was looked at, or entries are missing
  27  audit: the entry that the service names is proven, and NOT that the reference leads to it
  30  check-in: held, and the presentation was NOT recorded
  31  check-in: none held, which is not reassurance, and the presentation was NOT recorded
  32  check-in: cannot say, and the presentation was NOT recorded
  33  check-in: identity not confirmed, and the presentation was NOT recorded
Any other code is a fault and means nothing about a child.";

impl Exit {
    /// The code given to the shell.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::Held => 10,
            Self::NoneHeld => 11,
            Self::CannotSay => 12,
            Self::NotConfirmed => 13,
            Self::CouldNotAsk => 20,
            Self::Refused => 21,
            Self::BadInput => 22,
            Self::ChangeRefused => 23,
            Self::NotRecorded => 24,
            Self::NotProven => 25,
            Self::NotWhole => 26,
            Self::ReferenceNotProven => 27,
            Self::HeldNotRecorded => 30,
            Self::NoneHeldNotRecorded => 31,
            Self::CannotSayNotRecorded => 32,
            Self::NotConfirmedNotRecorded => 33,
        }
    }

    /// The code of an answer whose presentation was not recorded: neither fact hides the other.
    #[must_use]
    pub fn not_recorded(self) -> Self {
        match self {
            Self::Held => Self::HeldNotRecorded,
            Self::NoneHeld => Self::NoneHeldNotRecorded,
            Self::CannotSay => Self::CannotSayNotRecorded,
            Self::NotConfirmed => Self::NotConfirmedNotRecorded,
            Self::Done
            | Self::Usage
            | Self::CouldNotAsk
            | Self::Refused
            | Self::BadInput
            | Self::ChangeRefused
            | Self::NotRecorded
            | Self::NotProven
            | Self::NotWhole
            | Self::ReferenceNotProven
            | Self::HeldNotRecorded
            | Self::NoneHeldNotRecorded
            | Self::CannotSayNotRecorded
            | Self::NotConfirmedNotRecorded => Self::NotRecorded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Exit; 18] = [
        Exit::Done,
        Exit::Usage,
        Exit::Held,
        Exit::NoneHeld,
        Exit::CannotSay,
        Exit::NotConfirmed,
        Exit::CouldNotAsk,
        Exit::Refused,
        Exit::BadInput,
        Exit::ChangeRefused,
        Exit::NotRecorded,
        Exit::NotProven,
        Exit::NotWhole,
        Exit::ReferenceNotProven,
        Exit::HeldNotRecorded,
        Exit::NoneHeldNotRecorded,
        Exit::CannotSayNotRecorded,
        Exit::NotConfirmedNotRecorded,
    ];

    #[test]
    fn every_code_is_its_own_and_documented() {
        let mut codes: Vec<u8> = ALL.iter().map(|exit| exit.code()).collect();
        for code in &codes {
            assert!(TABLE.contains(&format!("\n  {code:>2}  ")), "{code} is not in the table");
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ALL.len());
    }

    #[test]
    fn no_answer_shares_a_code_with_a_crash_a_shell_or_a_signal() {
        for exit in [Exit::Held, Exit::NoneHeld, Exit::CannotSay, Exit::NotConfirmed] {
            assert!((3..101).contains(&exit.code()));
            assert_eq!(exit.not_recorded().code(), exit.code() + 20);
        }
    }
}
