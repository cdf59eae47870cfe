//! Compiles the protocol in `proto/` into Rust and into a file descriptor set, with protox: no protoc is needed.
//! It never writes outside the build's own output folder.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message;
use protox::Compiler;

/// The protocol, relative to this crate.
const PROTO_ROOT: &str = "../../proto";

/// Files of the package `kith.v1`; a new file must be added here to be served.
const KITH: [&str; 10] = [
    "kith/v1/audit.proto",
    "kith/v1/common.proto",
    "kith/v1/file.proto",
    "kith/v1/flag.proto",
    "kith/v1/identity.proto",
    "kith/v1/lookup.proto",
    "kith/v1/notification.proto",
    "kith/v1/plan.proto",
    "kith/v1/presentation.proto",
    "kith/v1/status.proto",
];

/// Types of error details: described for reflection, not generated (tonic-types has them).
const DETAILS: [&str; 2] = ["google/rpc/error_details.proto", "google/rpc/status.proto"];

/// Messages that are filled up: their padding is a view of zeros that are there already, not bytes of its own.
const PADDED: [&str; 3] = ["LookupResponse", "CheckInResponse", "LookupManyResponse"];

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
    config.bytes(PADDED.map(|message| format!(".kith.v1.{message}.padding")));
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds_with_config(generated.file_descriptor_set(), config)?;
    Ok(())
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
