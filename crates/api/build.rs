//! Compiles the protocol in `proto/` into Rust and into a file descriptor set, with protox: no protoc is needed. What a message
//! holds is shown by `Debug` only where it is listed here.
//! It never writes outside the build's own output folder.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;
use protox::Compiler;

/// The protocol, relative to this crate.
const PROTO_ROOT: &str = "../../proto";

/// Files of the package `kith.v1`; a new file must be added here to be served.
const KITH: [&str; 13] = [
    "kith/v1/audit.proto",
    "kith/v1/break_glass.proto",
    "kith/v1/broker.proto",
    "kith/v1/common.proto",
    "kith/v1/file.proto",
    "kith/v1/flag.proto",
    "kith/v1/identity.proto",
    "kith/v1/lookup.proto",
    "kith/v1/notification.proto",
    "kith/v1/plan.proto",
    "kith/v1/presentation.proto",
    "kith/v1/status.proto",
    "kith/v1/withholding.proto",
];

/// Types of error details: described for reflection, not generated (tonic-types has them).
const DETAILS: [&str; 2] = ["google/rpc/error_details.proto", "google/rpc/status.proto"];

/// Messages that are filled up: their padding is a view of zeros that are there already, not bytes of its own.
const PADDED: [&str; 4] = ["LookupResponse", "CheckInResponse", "LookupManyResponse", "OpenShieldedResponse"];

/// Messages whose `Debug` shows what they hold: codes, counts, times, hashes and fixed words. Every other shows its name alone, and
/// so does a new one: to list it here is to say that none of its fields can hold anybody's number, name or date of birth.
const SHOWN: [&str; 30] = [
    "AddCosignatureRequest",
    "AddCosignatureResponse",
    "AuditGap",
    "AuditWindow",
    "Authority",
    "Completeness",
    "Contact",
    "CouldNotAsk",
    // Alone it is nobody's.
    "Date",
    "Feed",
    "FeedHealth",
    "FeedSummary",
    "FilePosition",
    "GetCheckpointRequest",
    "GetCheckpointResponse",
    "GetConsistencyProofRequest",
    "GetConsistencyProofResponse",
    "GetFilePositionRequest",
    "GetFilePositionResponse",
    "GetInclusionProofRequest",
    "GetInclusionProofResponse",
    "GetStatusRequest",
    "GetStatusResponse",
    "ListFeedsRequest",
    "ListFeedsResponse",
    "NamedFeed",
    "NotRecorded",
    "Positions",
    "PurgeStatus",
    "Sizes",
];

/// The package, as descriptors write it.
const PACKAGE: &str = ".kith.v1.";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    let root = Path::new(PROTO_ROOT);
    every_file_is_listed(root)?;

    let mut described = Compiler::new([root])?;
    described.include_imports(true).open_files(KITH)?.open_files(DETAILS)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), described.file_descriptor_set().encode_to_vec())?;

    let mut generated = Compiler::new([root])?;
    generated.include_imports(true).include_source_info(true).open_files(KITH)?;
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    config.bytes(PADDED.map(|message| format!("{PACKAGE}{message}.padding")));
    let described = generated.file_descriptor_set();
    let messages = described.file.iter().filter(|file| file.package() == "kith.v1").flat_map(|file| &file.message_type);
    let mut redacted = String::new();
    let mut hidden = Vec::new();
    for message in messages {
        if SHOWN.contains(&message.name()) {
            let held = message.field.iter().filter_map(|field| field.type_name().strip_prefix(PACKAGE));
            shows_nothing_hidden(message.name(), held, &described)?;
            continue;
        }
        hidden.push(format!("{PACKAGE}{}", message.name()));
        redacted.push_str(&redacted_debug(message.name(), message.name()));
        for (number, choice) in (0..).zip(&message.oneof_decl) {
            let mut members = message.field.iter().filter(|field| field.oneof_index == Some(number));
            // One of a single optional field is none that anybody sees.
            if members.any(|field| !field.proto3_optional()) {
                let path = format!("{}::{}", snake(message.name()), pascal(choice.name()));
                redacted.push_str(&redacted_debug(&path, choice.name()));
            }
        }
    }
    std::fs::write(out.join("redacted.rs"), redacted)?;
    config.skip_debug(hidden);
    tonic_prost_build::configure().build_transport(false).compile_fds_with_config(described, config)?;
    Ok(())
}

/// A message that is shown must hold none that is not.
fn shows_nothing_hidden<'a>(
    name: &str,
    held: impl Iterator<Item = &'a str>,
    described: &FileDescriptorSet,
) -> Result<(), Box<dyn Error>> {
    let is_message = |held: &str| described.file.iter().flat_map(|file| &file.message_type).any(|m| m.name() == held);
    for held in held {
        if is_message(held) && !SHOWN.contains(&held) {
            return Err(format!("{name} shows what it holds, and it holds {held}, which does not").into());
        }
    }
    Ok(())
}

/// A `Debug` that shows the name alone.
fn redacted_debug(path: &str, name: &str) -> String {
    format!(
        "impl ::core::fmt::Debug for {path} {{\n    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> \
         ::core::fmt::Result {{\n        f.write_str(\"{name}(redacted)\")\n    }}\n}}\n"
    )
}

/// `LookupManyResponse` to `lookup_many_response`, the module of its choices.
fn snake(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// `not_recorded` to `NotRecorded`.
fn pascal(name: &str) -> String {
    let upper = |word: &str| word.get(..1).unwrap_or_default().to_ascii_uppercase() + word.get(1..).unwrap_or_default();
    name.split('_').map(upper).collect()
}

/// A file of the package that is not in the list would silently not be served.
fn every_file_is_listed(root: &Path) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(root.join("kith/v1"))? {
        let name = format!("kith/v1/{}", entry?.file_name().to_string_lossy());
        if name.ends_with(".proto") && !KITH.contains(&name.as_str()) {
            return Err(format!("{name} is not listed in crates/api/build.rs").into());
        }
    }
    Ok(())
}
