//! The protocol of Kith: generated messages and services, conversions to domain types, and the typed client.
//!
//! It holds no rule: what a message means is decided in the domain and the engine. Generated types are used by the
//! programs at the edge only, and nothing below the server sees them.

pub mod client;

/// Generated messages, clients and servers of the package `kith.v1`; the words are those of `proto/kith/v1`.
#[expect(missing_docs, reason = "generated from the protocol, where buf lint asks for the comments")]
#[expect(clippy::doc_markdown, reason = "generated from the protocol")]
pub mod v1 {
    tonic::include_proto!("kith.v1");
}

/// Serialised `google.protobuf.FileDescriptorSet` of `kith.v1`, of `google.rpc.Status` and the error details, and of
/// everything they import. For server reflection and for rendering messages by name.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use prost_types::FileDescriptorSet;

    fn described() -> FileDescriptorSet {
        FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap()
    }

    #[test]
    fn describes_every_service_of_kith() {
        let set = described();
        let mut services: Vec<_> = set.file.iter().flat_map(|file| &file.service).map(|s| s.name()).collect();
        services.sort_unstable();
        let expected =
            ["LookupService", "NotificationService", "PlanService", "PresentationService", "StatusService"];
        assert_eq!(services, expected);
    }

    #[test]
    fn describes_the_error_details() {
        let set = described();
        for (package, message) in
            [("google.rpc", "ErrorInfo"), ("google.rpc", "BadRequest"), ("google.rpc", "RetryInfo"), ("google.rpc", "Status")]
        {
            let found = set
                .file
                .iter()
                .filter(|file| file.package() == package)
                .any(|file| file.message_type.iter().any(|m| m.name() == message));
            assert!(found, "{package}.{message}");
        }
    }

    #[test]
    fn is_complete_so_that_reflection_can_resolve_it() {
        let set = described();
        let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
        for file in &set.file {
            for import in &file.dependency {
                assert!(names.contains(&import.as_str()), "{} imports {import}", file.name());
            }
        }
    }
}
