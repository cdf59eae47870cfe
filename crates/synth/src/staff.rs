//! Invented hospital staff who looked children up: an id, a name and a role for each user of a trust, always the same.
//! Never drawn from a real list of people.

use std::io::{self, Write};

use crate::dice::mix;

const FIRST: [&str; 24] = [
    "Amara", "Ben", "Chloe", "Dev", "Elin", "Farid", "Grace", "Hannah", "Idris", "Jo", "Kemi", "Liam", "Maya", "Nadia",
    "Owen", "Priya", "Quentin", "Rosa", "Sam", "Tariq", "Una", "Victor", "Wanda", "Yusuf",
];
const LAST: [&str; 24] = [
    "Adeyemi",
    "Barlow",
    "Chowdhury",
    "Dale",
    "Ellis",
    "Fenn",
    "Gill",
    "Hartley",
    "Iqbal",
    "Jarvis",
    "Kaur",
    "Lowe",
    "Marsh",
    "Nolan",
    "Okafor",
    "Pryce",
    "Quinn",
    "Rahman",
    "Shaw",
    "Tanner",
    "Usman",
    "Vance",
    "Webb",
    "Young",
];
const ROLES: [&str; 5] =
    ["triage nurse", "triage nurse", "paediatric nurse", "emergency doctor", "emergency nurse practitioner"];

/// Writes the columns `user_id,user_name,role` of one user of a trust.
pub(crate) fn write(row: &mut Vec<u8>, trust_code: &str, trust: u16, user: u32) -> io::Result<()> {
    let mixed = mix(u64::from(trust) << 32 | u64::from(user));
    let pick = |list: &'static [&'static str], shift: u32| list[((mixed >> shift) % list.len() as u64) as usize];
    let (first, last, role) = (pick(&FIRST, 0), pick(&LAST, 16), pick(&ROLES, 32));
    write!(row, "{}-u{:03},{first} {last},{role}", trust_code.to_ascii_lowercase(), user + 1)
}
