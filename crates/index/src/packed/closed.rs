//! Codes of closed sets. Both directions come from one list, and a value without a code stops the build.

macro_rules! closed {
    ($code:ident, $of:ident, $set:ident: $($value:ident = $number:literal),+ $(,)?) => {
        fn $code(value: $set) -> u8 {
            match value {
                $($set::$value => $number,)+
            }
        }

        fn $of(code: u8) -> Option<$set> {
            match code {
                $($number => Some($set::$value),)+
                _ => None,
            }
        }
    };
}

pub(super) use closed;
