//! `Debug` for what a person typed or is shown: the type's name alone, because any field may hold an identity.

/// A `Debug` that shows the names of these types and nothing of what they hold.
macro_rules! redacted {
    ($($type:ident),+) => {
        $(impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(redacted)"))
            }
        })+
    };
}

pub(crate) use redacted;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Cli;

    #[test]
    fn nothing_that_was_typed_is_shown() {
        let typed = "999 000 0018";
        let words = "the father of Ann Typed, 2011-03-04";
        for line in [
            &["kith", "lookup", "--nhs-number", typed, "--date-of-birth", "2011-03-04", "--user-name", "Ann Typed"][..],
            &["kith", "lookup", "--local-key", typed, "--mother-nhs-number", typed],
            &["kith", "break-glass", "open", "--nhs-number", typed, "--reason", "court-order", "--words", words],
            &[
                "kith",
                "withhold",
                "decide",
                "--nhs-number",
                typed,
                "--reason",
                "court-order",
                "--words",
                words,
                "--look-again",
                "2011-03-04",
            ],
            &["kith", "withhold", "lift", "--nhs-number", typed],
            &["kith", "identity", "tell", "died", "--version", "1", "--nhs-number", typed, "--date", "2011-03-04"],
            &["kith", "audit", "search", "--nhs-number", typed, "--person", "Ann Typed"],
            &["kith", "audit", "who-looked", "--nhs-number", typed],
        ] {
            let read = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
            let shown = format!("{read:?}");
            assert!(shown.contains("Args(redacted)"), "{shown}");
            for secret in [typed, "2011-03-04", "Ann Typed"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}
